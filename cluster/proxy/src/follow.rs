//! The loop: objects in, transactions out.

use std::error::Error as _;
use std::time::Duration;

use apiserver::{Api, Change, Informer, ListQuery};
use netfilter::Error;
use objects::{Kind, kind};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::tables::Tables;

/// Changes that come so close together become one transaction.
const TOGETHER: Duration = Duration::from_millis(2);
/// None waits for longer than this.
const LATEST: Duration = Duration::from_millis(20);
/// How often it is looked whether somebody else changed the table.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A proxy that follows the API. When it is dropped it follows no more, and its rules stay, so that another can take over
/// and no connection notices.
#[derive(Debug)]
pub struct Proxy {
    task: JoinHandle<()>,
}

impl Proxy {
    /// Begins to follow on that node; rules are written once all Services and their endpoints are known. There are tables for
    /// each family. Must be called where a tokio runtime is entered.
    pub fn start(api: Api, node: &str, tables: Vec<Tables>) -> Self {
        Self {
            task: tokio::spawn(follow(api, node.to_owned(), tables)),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Followed {
    services: Informer,
    slices: Informer,
    synced: [bool; 2],
}

async fn follow(api: Api, node: String, mut tables: Vec<Tables>) {
    let (Some(services), Some(slices)) = (served("", "services"), served("discovery.k8s.io", "endpointslices")) else {
        return;
    };
    let mut followed = Followed {
        services: Informer::start(&api, services, ListQuery::default()),
        slices: Informer::start(&api, slices, ListQuery::default()),
        synced: [false; 2],
    };
    let mut due: Option<Instant> = None;
    let mut look = Instant::now() + LOOK;
    loop {
        let at = due.unwrap_or(look);
        tokio::select! {
            () = followed.next(&mut tables) => {
                followed.more(&mut tables).await;
                if followed.synced == [true; 2] {
                    due = due.filter(|due| *due > Instant::now()).or(Some(Instant::now()));
                }
                continue;
            }
            () = sleep_until(at) => {}
        }
        let (kept, done) = work(tables, due.is_some()).await;
        let Some(kept) = kept else {
            return;
        };
        tables = kept;
        due = match done {
            Ok(true) => None,
            // Somebody else was at the table: it is written anew.
            Ok(false) => Some(Instant::now()),
            Err(error) => {
                let about = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
                api.record(&about, "Warning", "ProxyFailed", &told(&error), "kube-proxy");
                Some(Instant::now() + AGAIN)
            }
        };
        look = Instant::now() + LOOK;
    }
}

/// Writes what changed, or else looks whether all is as it was. Netfilter is not waited for by a thread that others need.
async fn work(mut tables: Vec<Tables>, write: bool) -> (Option<Vec<Tables>>, Result<bool, Error>) {
    let done = tokio::task::spawn_blocking(move || {
        let each = tables.iter_mut().map(|tables| match write {
            true => tables.sync().map(|()| true),
            false => tables.is_whole().inspect(|whole| {
                if !whole {
                    tables.forget();
                }
            }),
        });
        // What one family has to say keeps no other from being written.
        let each: Vec<Result<bool, Error>> = each.collect();
        let done = each.into_iter().try_fold(true, |all, one| Ok(all & one?));
        (tables, done)
    });
    match done.await {
        Ok((tables, done)) => (Some(tables), done),
        // The runtime is going down.
        Err(_) => (None, Ok(true)),
    }
}

impl Followed {
    /// Takes the next change.
    async fn next(&mut self, tables: &mut [Tables]) {
        tokio::select! {
            change = self.services.recv() => match change {
                Change::Synced => self.synced[0] = true,
                Change::Put { new, .. } => tables.iter_mut().for_each(|tables| tables.put_service(new.clone())),
                Change::Gone(service) => tables.iter_mut().for_each(|tables| tables.remove_service(&service)),
            },
            change = self.slices.recv() => match change {
                Change::Synced => self.synced[1] = true,
                Change::Put { new, old } => {
                    let put = |tables: &mut Tables| tables.put_slice(new.clone(), old.as_ref());
                    tables.iter_mut().for_each(put);
                }
                Change::Gone(slice) => tables.iter_mut().for_each(|tables| tables.remove_slice(&slice)),
            },
        }
    }

    /// Takes what comes close behind.
    async fn more(&mut self, tables: &mut [Tables]) {
        let latest = Instant::now() + LATEST;
        while Instant::now() < latest && timeout(TOGETHER, self.next(tables)).await.is_ok() {}
    }
}

fn served(group: &str, plural: &str) -> Option<&'static Kind> {
    kind::find(group, "v1", plural)
}

/// The error and its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
