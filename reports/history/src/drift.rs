//! What ran here before and does not now.

use std::collections::BTreeSet;

use record::{Drift, Event, Host, Ledger, Vanished, Verdict};
use rusqlite::{OptionalExtension, params};

use crate::{Error, History, hash, store};

/// What makes a host the same one although its kernel was changed: its machine, its CPU, and who runs the harness.
///
/// A kernel that lost what checks need is what the alarm is for, hence it takes no part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(pub(crate) String);

impl Machine {
    /// Of a host.
    pub fn of(host: &Host) -> Self {
        Self(hash(&[&host.machine, &host.cpu, &host.uid.to_string()]))
    }
}

/// A spec file and all checks in it, whether they were selected or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecChecks {
    /// Path as given.
    pub file: String,
    /// SHA-256 of its text, hex.
    pub sha256: String,
    /// Test and id of each check.
    pub checks: Vec<(String, String)>,
}

impl History {
    /// What earlier runs on this machine looked at and this one skipped, and which checks are gone from files of this run
    /// since the last run with them. To be asked before the run is stored.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn drift(&self, host: &Host, ledger: &Ledger, specs: &[SpecChecks]) -> Result<Vec<Event>, Error> {
        let read = || -> rusqlite::Result<Vec<Event>> {
            let mut events = self.skipped(host, ledger)?;
            events.extend(self.vanished(specs)?);
            Ok(events)
        };
        read().map_err(Error::Read)
    }

    fn skipped(&self, host: &Host, ledger: &Ledger) -> rusqlite::Result<Vec<Event>> {
        let mut last_look = self.connection.prepare(
            "SELECT run.name, run.started, word, host.facts
             FROM verdict
             JOIN checked ON checked.id = verdict.checked
             JOIN subject ON subject.id = verdict.subject
             JOIN run ON run.id = verdict.run
             JOIN host ON host.id = run.host
             WHERE checked.test = ?1 AND checked.variant = ?2 AND checked.name = ?3
               AND subject.name = ?4 AND host.place = ?5 AND word NOT IN ('skip', 'after')
             ORDER BY run.started DESC, run.id DESC LIMIT 1",
        )?;
        let mut events = Vec::new();
        for (case, check) in ledger.checks() {
            let Some(Verdict::Skip {
                requirement,
                seen,
                after_step: false,
            }) = check.settled().map(|settled| settled.verdict)
            else {
                continue;
            };
            let header = &case.header;
            if header.sabotage.is_some() || header.fault.is_some() {
                continue;
            }
            let last = last_look
                .query_row(
                    params![
                        header.test,
                        store::variant(header),
                        check.id,
                        header.subject,
                        Machine::of(host).0
                    ],
                    |row| {
                        Ok((
                            row.get::<_, String>(0)?,
                            row.get::<_, String>(1)?,
                            row.get::<_, String>(2)?,
                            row.get::<_, String>(3)?,
                        ))
                    },
                )
                .optional()?;
            if let Some((run, last, verdict, facts)) = last {
                events.push(Event::Drift(Box::new(Drift {
                    case: header.id.clone(),
                    check: check.id.clone(),
                    requirement: requirement.clone(),
                    seen: seen.clone(),
                    run,
                    last,
                    verdict,
                    host: serde_json::from_str(&facts).map_or_else(|_| Vec::new(), |then| changes(&then, host)),
                })));
            }
        }
        Ok(events)
    }

    fn vanished(&self, specs: &[SpecChecks]) -> rusqlite::Result<Vec<Event>> {
        let mut before = self.connection.prepare(
            "SELECT run.name, run.started, spec.sha256, spec.checks
             FROM run_spec
             JOIN run ON run.id = run_spec.run
             JOIN spec ON spec.id = run_spec.spec
             WHERE run_spec.file = ?1 ORDER BY run.started DESC, run.id DESC LIMIT 1",
        )?;
        let now: BTreeSet<&(String, String)> = specs.iter().flat_map(|spec| &spec.checks).collect();
        let mut events = Vec::new();
        for spec in specs {
            let found = before
                .query_row([store::normal(&spec.file)], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, String>(3)?,
                    ))
                })
                .optional()?;
            let Some((run, last, sha256, checks)) = found else {
                continue;
            };
            if sha256 == spec.sha256 {
                continue;
            }
            let checks: Vec<(String, String)> = serde_json::from_str(&checks).unwrap_or_default();
            // A check that moved to another file is not gone.
            for (test, check) in checks.into_iter().filter(|check| !now.contains(check)) {
                events.push(Event::Vanished(Box::new(Vanished {
                    test,
                    check,
                    file: spec.file.clone(),
                    run: run.clone(),
                    last: last.clone(),
                })));
            }
        }
        Ok(events)
    }
}

/// What is not as it was, in words.
pub(crate) fn changes(then: &Host, now: &Host) -> Vec<String> {
    [
        ("kernel", then.kernel.clone(), now.kernel.clone()),
        ("cgroup", then.cgroup.clone(), now.cgroup.clone()),
        ("CPUs", then.cpus.to_string(), now.cpus.to_string()),
    ]
    .into_iter()
    .filter(|(_, then, now)| then != now)
    .map(|(what, then, now)| format!("{what} {then} → {now}"))
    .collect()
}
