//! The agent of a node: which pods are to be there, and a worker for each. It can die and be begun again; pods go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apiserver::{Change, Informer, ListQuery, Object};
use objects::meta;
use objects::selector::Fields;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::context::{Context, served};
use crate::heartbeat;
use crate::worker::{Event, Worker};

struct Working {
    namespace: String,
    tell: mpsc::UnboundedSender<Event>,
    task: JoinHandle<()>,
}

/// An agent at work. Dropping it kills it, and only it.
#[derive(Debug)]
pub(crate) struct Agent {
    task: JoinHandle<()>,
    beat: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
        self.beat.abort();
    }
}

/// Workers die with whoever began them.
struct Workers(HashMap<String, Working>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.values().for_each(|one| one.task.abort());
    }
}

impl Agent {
    /// Begins. `ready` tells when the node was told to be Ready.
    pub(crate) fn begin(context: Arc<Context>) -> (Self, watch::Receiver<bool>) {
        let (tell, ready) = watch::channel(false);
        let beat = tokio::spawn(heartbeat::run(context.clone(), tell));
        let task = tokio::spawn(run(context));
        (Self { task, beat }, ready)
    }
}

fn informer(context: &Context, plural: &str, fields: &str) -> Option<Informer> {
    let kind = served(plural)?;
    let query = ListQuery {
        fields: Fields::parse(kind, fields).ok()?,
        ..ListQuery::default()
    };
    Some(Informer::start(&context.api, kind, query))
}

async fn run(context: Arc<Context>) {
    let mine = format!("spec.nodeName={}", context.config.name);
    let (Some(mut pods), Some(mut config_maps), Some(mut secrets)) = (
        informer(&context, "pods", &mine),
        informer(&context, "configmaps", ""),
        informer(&context, "secrets", ""),
    ) else {
        return;
    };
    let mut workers = Workers(HashMap::new());
    let mut sweep = tokio::time::interval(Duration::from_secs(60));
    loop {
        context.go_on().await;
        tokio::select! {
            change = pods.recv() => match change {
                Change::Put { new, .. } => put(&context, &mut workers, new),
                Change::Gone(old) => {
                    if let Some(working) = workers.0.get(meta::uid(&old)) {
                        let _over = working.tell.send(Event::Gone).is_err();
                    }
                }
                Change::Synced => take_orphans(&context, &workers).await,
            },
            change = config_maps.recv() => changed(&workers, &change),
            change = secrets.recv() => changed(&workers, &change),
            _ = sweep.tick() => {
                workers.0.retain(|_, working| !working.task.is_finished());
                // Tokens and fields of the pod itself change without telling.
                workers.0.values().for_each(|working| drop(working.tell.send(Event::Sources)));
            }
        }
    }
}

fn put(context: &Arc<Context>, workers: &mut Workers, pod: Object) {
    let uid = meta::uid(&pod).to_owned();
    if !names_are_plain(&pod) {
        let why = "a name in the pod could be a path";
        context.tell(&pod, "Warning", "FailedValidation", why);
        return;
    }
    if let Some(working) = workers.0.get(&uid)
        && working.tell.send(Event::Pod(pod.clone())).is_ok()
    {
        return;
    }
    let namespace = meta::namespace(&pod).to_owned();
    let (tell, task) = Worker::begin(context.clone(), pod);
    workers.0.insert(uid, Working { namespace, tell, task });
}

/// Whether nothing that becomes part of a path could lead elsewhere. The API has looked already; it is not believed.
fn names_are_plain(pod: &Value) -> bool {
    let plain = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !name.is_empty() && name.len() < 254 && name.chars().all(fits)
    };
    let lists = ["containers", "initContainers", "volumes"];
    let mut named = lists.iter().flat_map(|key| meta::list(pod, &["spec", key]));
    let dotted = |name: &str| name.split('.').all(plain);
    plain(meta::uid(pod))
        && dotted(meta::name(pod))
        && plain(meta::namespace(pod))
        && named.all(|one| plain(meta::text(one, &["name"])))
}

/// A config map or a secret is another now: volumes of its namespace are looked at, and containers that wait for it.
fn changed(workers: &Workers, change: &Change) {
    let object = match change {
        Change::Put { new, .. } => new,
        Change::Gone(old) => old,
        Change::Synced => return,
    };
    let namespace = meta::namespace(object);
    for working in workers.0.values().filter(|working| working.namespace == namespace) {
        let _over = working.tell.send(Event::Sources).is_err();
    }
}

/// What an earlier agent left of pods that are no more.
async fn take_orphans(context: &Arc<Context>, workers: &Workers) {
    let known: Vec<String> = workers.0.keys().cloned().collect();
    let context = context.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let entries = std::fs::read_dir(context.directory.join("pods"))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let uid = entry.file_name().to_string_lossy().into_owned();
            if known.contains(&uid) {
                continue;
            }
            for class in ["", "burstable", "besteffort"] {
                let group = std::path::Path::new("kubepods").join(class).join(format!("pod{uid}"));
                let _left = context.tree.remove(&group, Duration::from_secs(5));
            }
            unmount_below(&entry.path());
            let _left = std::fs::remove_dir_all(entry.path()).is_err();
        }
    });
    let _done = taken.await.is_err();
}

/// Unmounts all that is mounted below a directory, the last first.
pub(crate) fn unmount_below(directory: &std::path::Path) {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().rev().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| std::path::Path::new(point).starts_with(directory)) {
        let _busy = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH).is_err();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_could_be_a_path_begins_nothing() {
        let pod = |uid: &str, container: &str| {
            json!({"metadata": {"name": "a.b", "namespace": "d", "uid": uid},
                "spec": {"containers": [{"name": container}]}})
        };
        assert!(names_are_plain(&pod("1-2", "app")));
        for (uid, container) in [("..", "app"), ("1", "../x"), ("1", "a/b"), ("1", "")] {
            assert!(!names_are_plain(&pod(uid, container)), "{uid} {container}");
        }
    }
}
