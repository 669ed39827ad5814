//! Taking every object back to how it was.

use std::{collections::BTreeMap, sync::Arc};

use objects::{Kind, Status, kind::KINDS, meta};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Api,
    metadata::{clear, keep, keep_part, now, set},
    store::{Path, Write, Writer},
    stored::Stored,
};

/// Every object as it was at one moment. It shares with the store what did not change since.
#[derive(Debug, Clone)]
pub struct Snapshot {
    revision: u64,
    shelves: Vec<(&'static Kind, BTreeMap<Path, Arc<Stored>>)>,
}

impl Snapshot {
    /// Of the last write before it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many objects it has.
    pub fn len(&self) -> usize {
        self.shelves.iter().map(|(_, objects)| objects.len()).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Api {
    /// Every object as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.shared.store.read();
        let shelf = |kind: &'static Kind| Some((kind, state.shelf(kind)?.objects.clone()));
        Snapshot {
            revision: state.revision,
            shelves: KINDS.iter().filter_map(shelf).collect(),
        }
    }

    /// Takes every object back to how it was, without asking admission or finalizers. Answers how many were written.
    ///
    /// Revisions go on: watchers see deletions, additions and changes as of any other writer. What the world outside of
    /// the store decides stays as it is: leases, the status of nodes, and pods that go on as they did; a pod that was
    /// running then and is gone comes back as one that its node has yet to start.
    ///
    /// # Errors
    /// If a change cannot be kept on disk; those before it are made.
    pub fn rewind(&self, to: &Snapshot) -> Result<usize, Status> {
        let writer = self.shared.store.writer();
        // Pods go first and come back last: what belongs to nobody is collected.
        let (pods, others): (Vec<_>, Vec<_>) = to.shelves.iter().partition(|(kind, _)| kind.kind == "Pod");
        let others = others.into_iter().filter(|(kind, _)| kind.kind != "Lease");
        let others: Vec<_> = others.collect();
        let mut written = 0;
        for (kind, then) in pods.iter().chain(&others).copied() {
            for (path, current) in self.shelf(kind) {
                if !then.get(&path).is_some_and(|then| stays(kind, then, &current)) {
                    remove(&writer, kind, &path, &current)?;
                    written += 1;
                }
            }
        }
        for (kind, then) in others.iter().chain(&pods).copied() {
            let current = self.shelf(kind);
            for (path, stored) in then {
                written += usize::from(back(&writer, kind, path, stored, current.get(path))?);
            }
        }
        Ok(written)
    }

    fn shelf(&self, kind: &Kind) -> BTreeMap<Path, Arc<Stored>> {
        let state = self.shared.store.read();
        state.shelf(kind).map(|shelf| shelf.objects.clone()).unwrap_or_default()
    }
}

/// Whether what is there now can be changed to what was there then. Else it goes, and another comes.
fn stays(kind: &Kind, then: &Arc<Stored>, now: &Arc<Stored>) -> bool {
    let (then, now) = (then.value(), now.value());
    meta::uid(&then) == meta::uid(&now)
        && (kind.kind != "Pod"
            || (then.get("spec") == now.get("spec") && meta::is_deleting(&then) == meta::is_deleting(&now)))
}

fn remove(writer: &Writer<'_>, kind: &Kind, path: &Path, stored: &Stored) -> Result<(), Status> {
    let mut last = Value::clone(&stored.value());
    set(&mut last, "resourceVersion", writer.next().to_string());
    writer.commit(kind, path.clone(), &Write::Remove(&Arc::new(last)))
}

/// Puts an object back in place of what is there. Answers whether that took a write.
fn back(
    writer: &Writer<'_>,
    kind: &Kind,
    path: &Path,
    then: &Arc<Stored>,
    current: Option<&Arc<Stored>>,
) -> Result<bool, Status> {
    let mut object = Value::clone(&then.value());
    match (kind.kind, current) {
        ("Pod", Some(_)) => return Ok(false),
        ("Pod", None) => renew(&mut object),
        ("Node", Some(current)) => keep_part(&mut object, &current.value(), "status"),
        _ => {}
    }
    if let Some(current) = current {
        let current = current.value();
        keep(&mut object, &current, "resourceVersion");
        if object == *current {
            return Ok(false);
        }
    }
    set(&mut object, "resourceVersion", writer.next().to_string());
    writer.commit(kind, path.clone(), &Write::Put(&Arc::new(object)))?;
    Ok(true)
}

/// A pod that is yet to be started where it was. One that had ended stays as it is.
fn renew(pod: &mut Value) {
    if matches!(
        pod.pointer("/status/phase").and_then(Value::as_str),
        Some("Succeeded" | "Failed")
    ) {
        return;
    }
    // Its node may still be busy with the end of the one that it was.
    set(pod, "uid", Uuid::new_v4().to_string());
    set(pod, "creationTimestamp", now());
    clear(pod, "deletionTimestamp");
    clear(pod, "deletionGracePeriodSeconds");
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let scheduled = |condition: &&Value| condition.get("type").and_then(Value::as_str) == Some("PodScheduled");
    let conditions: Vec<Value> = conditions.into_iter().flatten().filter(scheduled).cloned().collect();
    let mut status = json!({"phase": "Pending"});
    if let Some(class) = pod.pointer("/status/qosClass") {
        status["qosClass"] = class.clone();
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    pod["status"] = status;
}

#[cfg(test)]
mod tests {
    use objects::kind;

    use super::*;
    use crate::{DeleteOptions, Part, Settings, WatchQuery};

    fn map(api: &Api, name: &str) -> Option<String> {
        let maps = kind::find("", "v1", "configmaps").expect("served");
        let map = api.get(maps, "default", name).ok()?;
        map.pointer("/data/a").and_then(Value::as_str).map(str::to_owned)
    }

    #[tokio::test]
    async fn what_was_changed_made_or_deleted_is_as_it_was_and_watchers_see_it() {
        let api = Api::new(Settings::default()).expect("an API");
        let maps = kind::find("", "v1", "configmaps").expect("served");
        for name in ["changed", "deleted", "replaced", "same"] {
            let object = json!({"metadata": {"name": name}, "data": {"a": "1"}});
            api.create(maps, "default", object).expect("made");
        }
        let snapshot = api.snapshot();
        api.edit(maps, "default", "changed", Part::Main, |map| {
            map["data"]["a"] = json!("2")
        })
        .expect("changed");
        for name in ["deleted", "replaced"] {
            api.delete(maps, "default", name, &DeleteOptions::now())
                .expect("deleted");
        }
        for name in ["replaced", "made"] {
            let object = json!({"metadata": {"name": name}, "data": {"a": "3"}});
            api.create(maps, "default", object).expect("made");
        }
        let before = api.revision();
        let mut query = WatchQuery::default();
        query.list.resource_version = before.to_string();
        let mut watch = api.watch(maps, None, &query).expect("a watch");

        let written = api.rewind(&snapshot).expect("taken back");

        assert_eq!(map(&api, "changed").as_deref(), Some("1"));
        assert_eq!(map(&api, "deleted").as_deref(), Some("1"));
        assert_eq!(map(&api, "replaced").as_deref(), Some("1"));
        assert_eq!(map(&api, "made"), None);
        assert_eq!(api.revision(), before + written as u64);
        let mut seen = Vec::new();
        for _ in 0..written {
            let event = watch.next().await.expect("an event");
            seen.push((event.kind, meta::name(&event.object).to_owned()));
        }
        use crate::EventKind::{Added, Deleted, Modified};
        let want = [
            (Deleted, "made"),
            (Deleted, "replaced"),
            (Modified, "changed"),
            (Added, "deleted"),
            (Added, "replaced"),
        ];
        assert_eq!(seen, want.map(|(kind, name)| (kind, name.to_owned())));
        assert_eq!(api.rewind(&snapshot).expect("taken back"), 0, "nothing is left to do");
    }

    #[test]
    fn a_pod_that_is_gone_comes_back_as_one_to_be_started() {
        let api = Api::new(Settings::default()).expect("an API");
        let pods = kind::find("", "v1", "pods").expect("served");
        let pod =
            json!({"metadata": {"name": "p"}, "spec": {"nodeName": "a", "containers": [{"name": "c", "image": "i"}]}});
        let made = api.create(pods, "default", pod).expect("made");
        let running = |pod: &mut Value| pod["status"] = json!({"phase": "Running", "podIP": "10.244.0.2"});
        api.edit(pods, "default", "p", Part::Status, running).expect("running");
        let snapshot = api.snapshot();
        assert_eq!(api.rewind(&snapshot).expect("taken back"), 0);
        api.delete(pods, "default", "p", &DeleteOptions::now())
            .expect("deleted");
        assert_eq!(api.rewind(&snapshot).expect("taken back"), 1);
        let back = api.get(pods, "default", "p").expect("it is back");
        assert_eq!(back.pointer("/status/phase"), Some(&json!("Pending")));
        assert_eq!(back.pointer("/status/podIP"), None);
        assert_eq!(back.pointer("/spec/nodeName"), Some(&json!("a")));
        assert_ne!(meta::uid(&back), meta::uid(&made));
    }
}
