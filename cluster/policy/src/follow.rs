//! The loop: objects in, transactions out.

use std::error::Error as _;
use std::time::Duration;

use apiserver::{Api, Change, Informer, ListQuery};
use netfilter::Error;
use objects::{Kind, kind};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::pod::Object;
use crate::tables::Tables;

/// Changes that come so close together become one transaction.
const TOGETHER: Duration = Duration::from_millis(1);
/// None waits for longer than this.
const LATEST: Duration = Duration::from_millis(10);
/// How often it is looked whether somebody else changed the table.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Who tells of failures.
const COMPONENT: &str = "network-policy";
/// How late a change is under the fault `policy-update-late`.
const LATE: Duration = Duration::from_secs(5);

/// Policies that follow the API. When it is dropped it follows no more, and its rules stay, so that another can take over
/// and no packet passes meanwhile.
#[derive(Debug)]
pub struct Enforcer {
    task: JoinHandle<()>,
}

impl Enforcer {
    /// Begins to follow on that node; rules are written once all policies, and if there are any all pods and namespaces, are
    /// known. There are tables for each family. Must be called where a tokio runtime is entered.
    pub fn start(api: Api, node: &str, tables: Vec<Tables>) -> Self {
        Self {
            task: tokio::spawn(follow(api, node.to_owned(), tables)),
        }
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Objects of one kind.
struct Followed {
    informer: Informer,
    is_synced: bool,
}

impl Followed {
    fn new(api: &Api, kind: &'static Kind) -> Self {
        Self {
            informer: Informer::start(api, kind, ListQuery::default()),
            is_synced: false,
        }
    }

    fn took(&mut self, change: Change, tables: &mut [Tables], [put, remove]: [Take; 2]) {
        match change {
            Change::Synced => self.is_synced = true,
            Change::Put { new, .. } => tables.iter_mut().for_each(|tables| put(tables, &new)),
            Change::Gone(object) => tables.iter_mut().for_each(|tables| remove(tables, &object)),
        }
    }
}

/// What is done about an object that is there, or is gone.
type Take = fn(&mut Tables, &Object);

const POLICY: [Take; 2] = [Tables::put_policy, Tables::remove_policy];
const POD: [Take; 2] = [Tables::put_pod, Tables::remove_pod];
const NAMESPACE: [Take; 2] = [Tables::put_namespace, Tables::remove_namespace];

struct Source {
    api: Api,
    kinds: [&'static Kind; 2],
    policies: Followed,
    /// Pods and namespaces, from the first policy on.
    others: Option<[Followed; 2]>,
}

/// Whether there is any policy, which every family is told of.
fn has_policies(tables: &[Tables]) -> bool {
    tables.iter().any(Tables::has_policies)
}

async fn follow(api: Api, node: String, mut tables: Vec<Tables>) {
    let Some(mut source) = Source::new(api) else {
        return;
    };
    let delay = match tables.iter().any(Tables::is_late) {
        true => LATE,
        false => Duration::ZERO,
    };
    let mut due: Option<Instant> = None;
    let mut look = Instant::now() + LOOK;
    loop {
        let at = due.unwrap_or(look);
        tokio::select! {
            () = source.next(&mut tables) => {
                source.more(&mut tables).await;
                if source.is_synced(&tables) {
                    due = due.or(Some(Instant::now() + delay));
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
                source
                    .api
                    .record(&about, "Warning", "PolicyFailed", &told(&error), COMPONENT);
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

impl Source {
    /// `None` if something of it is not served.
    fn new(api: Api) -> Option<Self> {
        let served = |group, plural| kind::find(group, "v1", plural);
        Some(Self {
            policies: Followed::new(&api, served("networking.k8s.io", "networkpolicies")?),
            kinds: [served("", "pods")?, served("", "namespaces")?],
            others: None,
            api,
        })
    }

    /// Whether enough is known to write rules.
    fn is_synced(&self, tables: &[Tables]) -> bool {
        let others = self.others.iter().flatten();
        self.policies.is_synced
            && match has_policies(tables) {
                true => self.others.is_some() && others.into_iter().all(|one| one.is_synced),
                false => true,
            }
    }

    /// Takes the next change.
    async fn next(&mut self, tables: &mut [Tables]) {
        if has_policies(tables) && self.others.is_none() {
            self.others = Some(self.kinds.map(|kind| Followed::new(&self.api, kind)));
        }
        let policies = &mut self.policies;
        let Some([pods, namespaces]) = &mut self.others else {
            let change = policies.informer.recv().await;
            return policies.took(change, tables, POLICY);
        };
        tokio::select! {
            change = policies.informer.recv() => policies.took(change, tables, POLICY),
            change = pods.informer.recv() => pods.took(change, tables, POD),
            change = namespaces.informer.recv() => namespaces.took(change, tables, NAMESPACE),
        }
    }

    /// Takes what comes close behind.
    async fn more(&mut self, tables: &mut [Tables]) {
        let latest = Instant::now() + LATEST;
        while Instant::now() < latest && timeout(TOGETHER, self.next(tables)).await.is_ok() {}
    }
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
