//! What was asked, how often, and how it was answered.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Requests that are remembered one by one.
const KEPT: usize = 1024;
/// Bytes of a path that are remembered.
const PATH: usize = 512;

/// One request that was answered.
#[derive(Debug, Clone)]
pub struct RequestEntry {
    /// When it came.
    pub time: SystemTime,
    /// Whose it was; empty where nobody was known.
    pub user: String,
    /// `get`, `list`, `create` …
    pub verb: &'static str,
    /// Its beginning.
    pub path: String,
    /// HTTP status.
    pub code: u16,
    /// Until the answer began.
    pub took: Duration,
}

/// The last requests, and counters of all.
#[derive(Debug, Default)]
pub struct RequestLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    recent: VecDeque<RequestEntry>,
    counts: BTreeMap<(&'static str, &'static str, u16), u64>,
}

impl RequestLog {
    pub(crate) fn add(&self, mut entry: RequestEntry, resource: &'static str) {
        entry.path = entry.path.chars().take(PATH).collect();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *log.counts.entry((entry.verb, resource, entry.code)).or_default() += 1;
        if log.recent.len() == KEPT {
            log.recent.pop_front();
        }
        log.recent.push_back(entry);
    }

    /// The last requests, the oldest first.
    pub fn recent(&self) -> Vec<RequestEntry> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.recent.iter().cloned().collect()
    }

    /// How many requests of a verb for a resource (`pods`; empty for paths that are no object's) had this answer.
    pub fn count(&self, verb: &str, resource: &str, code: u16) -> u64 {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each = log
            .counts
            .iter()
            .filter(|((a, b, c), _)| (*a, *b, *c) == (verb, resource, code));
        each.map(|(_, count)| count).sum()
    }

    /// The counters as Prometheus reads them.
    pub(crate) fn metrics(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from(
            "# HELP apiserver_request_total Requests by verb, resource and HTTP status.\n\
             # TYPE apiserver_request_total counter\n",
        );
        for ((verb, resource, code), count) in &log.counts {
            // Writing to text cannot fail.
            let _written = writeln!(
                text,
                "apiserver_request_total{{verb=\"{verb}\",resource=\"{resource}\",code=\"{code}\"}} {count}"
            );
        }
        text
    }
}
