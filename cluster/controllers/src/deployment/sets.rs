//! The ReplicaSets of a Deployment: which one is the newest, what is made of a template, and how a change of size is written.

use std::time::SystemTime;

use objects::{meta, time};
use serde_json::{Value, json};

use super::bounds::Bounds;
use crate::kinds;

pub(super) const HASH: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that a Deployment does not hand on.
const KEPT_BACK: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
];

/// A ReplicaSet as it is to be.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) object: Value,
    /// It is not there yet.
    pub(super) is_made: bool,
    pub(super) is_changed: bool,
    created: Option<SystemTime>,
}

impl Set {
    pub(super) fn of(object: Value) -> Self {
        Self {
            created: meta::creation_timestamp(&object).and_then(time::parse),
            object,
            is_made: false,
            is_changed: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        meta::name(&self.object)
    }

    /// `spec.replicas`, with what was just decided.
    pub(super) fn size(&self) -> i64 {
        meta::number(&self.object, &["spec", "replicas"]).unwrap_or(1)
    }

    pub(super) fn count(&self, key: &str) -> i64 {
        meta::number(&self.object, &["status", key]).unwrap_or_default()
    }

    /// Pods that are available and stay: what was just decided may not have been done yet.
    pub(super) fn available(&self) -> i64 {
        self.count("availableReplicas").min(self.size())
    }

    /// Pods that there are or will be.
    pub(super) fn held(&self) -> i64 {
        self.count("replicas").max(self.size())
    }

    pub(super) fn revision(&self) -> i64 {
        number(&self.object, REVISION).unwrap_or_default()
    }

    pub(super) fn desired(&self) -> Option<i64> {
        number(&self.object, DESIRED)
    }

    pub(super) fn most(&self) -> Option<i64> {
        number(&self.object, MOST)
    }

    /// By age, and by name where ages are alike.
    pub(super) fn age(&self) -> (Option<SystemTime>, &str) {
        (self.created, self.name())
    }

    /// Sets the size, and what it was meant for. Answers what to tell, if it is another size.
    pub(super) fn resize(&mut self, size: i64, bounds: &Bounds) -> Option<String> {
        let before = self.size();
        if before == size && self.desired() == Some(bounds.replicas) && self.most() == Some(bounds.most()) {
            return None;
        }
        self.is_changed = true;
        self.mean(bounds);
        meta::set(&mut self.object, &["spec", "replicas"], size);
        let way = match before.cmp(&size) {
            std::cmp::Ordering::Less => "up",
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => "down",
        };
        Some(format!(
            "Scaled {way} replica set {} from {before} to {size}",
            self.name()
        ))
    }

    fn mean(&mut self, bounds: &Bounds) {
        meta::set_annotation(&mut self.object, DESIRED, &bounds.replicas.to_string());
        meta::set_annotation(&mut self.object, MOST, &bounds.most().to_string());
    }

    /// Brings what the Deployment hands on up to date.
    pub(super) fn follow(&mut self, deployment: &Value, revision: i64) {
        let before = self.object.clone();
        hand_on_annotations(deployment, &mut self.object);
        let old = number(&self.object, REVISION);
        if old.is_none_or(|old| old < revision) {
            if let Some(old) = old {
                let history = match meta::annotation(&self.object, HISTORY) {
                    Some(history) if !history.is_empty() => format!("{history},{old}"),
                    _ => old.to_string(),
                };
                meta::set_annotation(&mut self.object, HISTORY, &history);
            }
            meta::set_annotation(&mut self.object, REVISION, &revision.to_string());
        }
        let least = meta::number(deployment, &["spec", "minReadySeconds"]);
        if least.unwrap_or_default() != meta::number(&self.object, &["spec", "minReadySeconds"]).unwrap_or_default() {
            meta::set(&mut self.object, &["spec", "minReadySeconds"], least);
        }
        self.is_changed |= before != self.object;
    }

    /// The set for the Deployment's template, of no pods yet.
    pub(super) fn make(deployment: &Value, revision: i64, bounds: &Bounds) -> Self {
        let hash = hash(deployment);
        let mut template = meta::at(deployment, &["spec", "template"]).cloned().unwrap_or_default();
        meta::set(&mut template, &["metadata", "labels", HASH], hash.as_str());
        let mut selector = meta::at(deployment, &["spec", "selector"]).cloned().unwrap_or_default();
        meta::set(&mut selector, &["matchLabels", HASH], hash.as_str());
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", meta::name(deployment)),
                "namespace": meta::namespace(deployment),
                "labels": template["metadata"]["labels"],
                "ownerReferences": [meta::controller_reference(kinds::DEPLOYMENT, deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        });
        if let Some(least) = meta::number(deployment, &["spec", "minReadySeconds"]) {
            meta::set(&mut object, &["spec", "minReadySeconds"], least);
        }
        hand_on_annotations(deployment, &mut object);
        meta::set_annotation(&mut object, REVISION, &revision.to_string());
        let mut set = Self::of(object);
        set.mean(bounds);
        set.is_made = true;
        set
    }

    pub(super) fn has_template_of(&self, deployment: &Value) -> bool {
        let template = |object: &Value| {
            let mut template = meta::at(object, &["spec", "template"]).cloned().unwrap_or_default();
            meta::remove(&mut template, &["metadata", "labels", HASH]);
            drop_empty(&mut template);
            template
        };
        template(&self.object) == template(deployment)
    }

    pub(super) fn failure(&self) -> Option<&Value> {
        meta::condition(&self.object, "ReplicaFailure").filter(|one| one["status"] == "True")
    }
}

/// An empty map and one that is not there are the same template.
fn drop_empty(template: &mut Value) {
    for key in ["labels", "annotations"] {
        if meta::map(template, &["metadata", key]).is_some_and(serde_json::Map::is_empty) {
            meta::remove(template, &["metadata", key]);
        }
    }
    if let Some(metadata) = meta::map(template, &["metadata"])
        && metadata
            .iter()
            .all(|(key, value)| key == "creationTimestamp" && value.is_null())
    {
        meta::remove(template, &["metadata"]);
    }
}

fn number(object: &Value, annotation: &str) -> Option<i64> {
    meta::annotation(object, annotation)?.parse().ok()
}

fn hand_on_annotations(deployment: &Value, set: &mut Value) {
    for (key, value) in meta::annotations(deployment).into_iter().flatten() {
        if let Some(value) = value.as_str().filter(|_| !KEPT_BACK.contains(&key.as_str())) {
            meta::set_annotation(set, key, value);
        }
    }
}

/// What tells the pods of one template from those of another.
///
/// `status.collisionCount` goes in, so that two templates with one hash can be told apart, too.
fn hash(deployment: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = 0x811c_9dc5_u32;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    write_sorted(
        meta::at(deployment, &["spec", "template"]).unwrap_or(&Value::Null),
        &mut feed,
    );
    if let Some(collisions) = meta::number(deployment, &["status", "collisionCount"]) {
        feed(&collisions.to_le_bytes());
    }
    let digits = hash.to_string();
    digits
        .bytes()
        .map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()]))
        .collect()
}

/// The order of keys does not change what a template is.
fn write_sorted(value: &Value, feed: &mut impl FnMut(&[u8])) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            feed(b"{");
            for key in keys {
                feed(key.as_bytes());
                feed(b":");
                write_sorted(&map[key.as_str()], feed);
            }
            feed(b"}");
        }
        Value::Array(list) => {
            feed(b"[");
            for one in list {
                write_sorted(one, feed);
                feed(b",");
            }
            feed(b"]");
        }
        plain => feed(plain.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_change_a_hash_and_a_collision_does() {
        let one = json!({"spec": {"template": {"a": 1, "b": [1, 2]}}});
        let other = json!({"spec": {"template": {"b": [1, 2], "a": 1}}});
        let collided = json!({"spec": {"template": {"a": 1, "b": [1, 2]}}, "status": {"collisionCount": 1}});
        assert_eq!(hash(&one), hash(&other));
        assert_ne!(hash(&one), hash(&collided));
        assert!(hash(&one).len() <= 10);
    }

    #[test]
    fn a_set_that_becomes_the_newest_again_remembers_what_it_was() {
        let mut set = Set::of(json!({"metadata": {"annotations": {REVISION: "1", "note": "old"}}}));
        let deployment = json!({"metadata": {"annotations": {"note": "new", REVISION: "2"}}});
        set.follow(&deployment, 3);
        assert_eq!(meta::annotation(&set.object, REVISION), Some("3"));
        assert_eq!(meta::annotation(&set.object, HISTORY), Some("1"));
        assert_eq!(meta::annotation(&set.object, "note"), Some("new"));
        set.is_changed = false;
        set.follow(&deployment, 3);
        assert!(!set.is_changed);
    }
}
