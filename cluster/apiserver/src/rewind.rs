//! Taking every object back to how it was.

use std::{collections::BTreeMap, sync::Arc};

use objects::{Kind, Status, kind::KINDS, meta};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Api,
    metadata::{clear, now, set},
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
        let mut written = 0;
        for (kind, then) in to.shelves.iter().filter(|(kind, _)| kind.kind != "Lease") {
            let current = {
                let state = self.shared.store.read();
                state.shelf(kind).map(|shelf| shelf.objects.clone()).unwrap_or_default()
            };
            for (path, stored) in &current {
                let same = |one: &Arc<Stored>| meta::uid(&one.value()) == meta::uid(&stored.value());
                if !then.get(path).is_some_and(same) {
                    remove(&writer, kind, path, stored)?;
                    written += 1;
                }
            }
            for (path, stored) in then {
                let old = current
                    .get(path)
                    .filter(|old| meta::uid(&old.value()) == meta::uid(&stored.value()));
                written += back(&writer, kind, path, stored, old)?;
            }
        }
        Ok(written)
    }
}

fn remove(writer: &Writer<'_>, kind: &Kind, path: &Path, stored: &Stored) -> Result<(), Status> {
    let mut last = Value::clone(&stored.value());
    set(&mut last, "resourceVersion", writer.next().to_string());
    writer.commit(kind, path.clone(), &Write::Remove(&Arc::new(last)))
}

/// Puts an object back; `current` is the same one as it is now. Answers how many writes that took.
fn back(
    writer: &Writer<'_>,
    kind: &Kind,
    path: &Path,
    then: &Arc<Stored>,
    current: Option<&Arc<Stored>>,
) -> Result<usize, Status> {
    if current.is_some_and(|current| current.revision == then.revision) {
        return Ok(0);
    }
    let mut object = Value::clone(&then.value());
    let mut writes = 1;
    match (kind.kind, current) {
        ("Pod", Some(current)) => {
            let value = current.value();
            if value.get("spec") == object.get("spec") && meta::is_deleting(&value) == meta::is_deleting(&object) {
                return Ok(0);
            }
            remove(writer, kind, path, current)?;
            writes = 2;
            renew(&mut object);
        }
        ("Pod", None) => renew(&mut object),
        ("Node", Some(current)) => {
            let status = current.value().get("status").cloned();
            object["status"] = status.unwrap_or_default();
        }
        _ => {}
    }
    if let Some(current) = current.filter(|_| writes == 1) {
        let mut as_now = object.clone();
        let value = current.value();
        set(
            &mut as_now,
            "resourceVersion",
            meta::resource_version(&value).to_owned(),
        );
        if as_now == *value {
            return Ok(0);
        }
    }
    set(&mut object, "resourceVersion", writer.next().to_string());
    writer.commit(kind, path.clone(), &Write::Put(&Arc::new(object)))?;
    Ok(writes)
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
