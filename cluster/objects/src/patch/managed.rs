//! Who owns which fields: `metadata.managedFields`.
//!
//! See <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.

pub(crate) mod fields;

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::typed::{self, Comparison};
use crate::{
    Kind, meta,
    schema::{self, Message},
    time,
};
use fields::{Element, Set};

/// Managers by update that are told apart; older ones become one.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// Fields of `metadata` that nobody owns: the server sets them.
const NOBODYS: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Who changes an object, through which part of it, and when.
#[derive(Debug, Clone, Copy)]
pub struct Manager<'a> {
    /// Of the query parameter `fieldManager`, or of the user agent up to its first `/`.
    pub name: &'a str,
    /// `status`, `scale` …, empty for the object itself.
    pub subresource: &'a str,
    /// What the clock shows.
    pub now: SystemTime,
}

/// How fields were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// Fields of one manager.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    pub(crate) time: Option<String>,
    pub(crate) set: Set,
}

impl Entry {
    pub(crate) fn new(kind: &Kind, manager: &Manager, operation: Operation) -> Self {
        Self {
            manager: if manager.name.is_empty() {
                "unknown"
            } else {
                manager.name
            }
            .into(),
            operation,
            api_version: kind.api_version(),
            subresource: manager.subresource.into(),
            time: None,
            set: Set::default(),
        }
    }

    /// Whether both are entries of one manager. One that applies is the same in every version.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn decode(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let operation = match entry["operation"].as_str()? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry["time"].as_str().map(Into::into),
            set: Set::decode(&entry["fieldsV1"]),
        })
    }

    fn encode(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": format!("{:?}", self.operation),
            "apiVersion": self.api_version,
        });
        if let Some(time) = &self.time {
            entry["time"] = time.as_str().into();
        }
        entry["fieldsType"] = "FieldsV1".into();
        entry["fieldsV1"] = self.set.encode();
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}

/// The managers of an object; nothing if an entry is none.
pub(crate) fn decode(object: &Value) -> Option<Vec<Entry>> {
    meta::list(object, &["metadata", "managedFields"])
        .iter()
        .map(Entry::decode)
        .collect()
}

/// Writes the managers into an object.
pub(crate) fn encode(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    if entries.is_empty() {
        forget(object);
        return;
    }
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    let encoded: Vec<_> = entries.iter().map(Entry::encode).collect();
    meta::set(object, &["metadata", "managedFields"], encoded);
}

fn order(entry: &Entry) -> (Operation, Option<&str>, &str, &str, &str) {
    (
        entry.operation,
        entry.time.as_deref(),
        &entry.manager,
        &entry.api_version,
        &entry.subresource,
    )
}

/// Drops `managedFields`.
pub fn forget(object: &mut Value) {
    meta::remove(object, &["metadata", "managedFields"]);
}

/// After a create (no `live`), update or patch: what the manager has changed is its own, and no longer another's.
///
/// `object` is what is to be stored. A client may set `managedFields` itself; an empty list clears them, after which the
/// object's fields are nobody's until somebody applies.
pub fn update(kind: &Kind, live: Option<&Value>, object: &mut Value, manager: &Manager) {
    let message = schema::message(kind);
    let mut entries = before(live, object, manager);
    forget(object);
    if entries.is_empty() && live.is_some() {
        return;
    }
    let mut old = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    forget(&mut old);
    take(kind, message, &mut entries, &old, object, manager);
    cap(&mut entries);
    encode(object, entries);
}

/// The managers before an update: those that the client sends, else those of the live object.
fn before(live: Option<&Value>, object: &Value, manager: &Manager) -> Vec<Entry> {
    let lives = || live.and_then(decode).unwrap_or_default();
    if !manager.subresource.is_empty() {
        return lives();
    }
    match meta::at(object, &["metadata", "managedFields"])
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([]) => Vec::new(),
        Some([only]) if only.as_object().is_some_and(Map::is_empty) => Vec::new(),
        Some(_) => decode(object).unwrap_or_else(lives),
        None => lives(),
    }
}

/// Gives to an updating manager what differs between two objects.
pub(crate) fn take(
    kind: &Kind,
    message: &'static Message,
    entries: &mut Vec<Entry>,
    old: &Value,
    new: &Value,
    manager: &Manager,
) {
    let changes = scoped(kind, manager.subresource, typed::compare(message, old, new));
    let changed = changes.modified.union(&changes.added);
    for entry in entries.iter_mut() {
        entry.set = entry.set.minus(&changed).minus(&changes.removed);
    }
    entries.retain(|entry| !entry.set.is_empty());
    let taken = stripped(changed);
    if taken.is_empty() {
        return;
    }
    let mut own = Entry::new(kind, manager, Operation::Update);
    own.set = taken;
    own.time = Some(time::seconds(manager.now));
    match entries.iter_mut().find(|entry| entry.is_of(&own)) {
        Some(entry) => {
            own.set = own.set.union(&entry.set);
            *entry = own;
        }
        None => entries.push(own),
    }
}

/// Without what a part of an object cannot change: its status through itself, and all but the status through that.
pub(crate) fn scoped(kind: &Kind, subresource: &str, changes: Comparison) -> Comparison {
    match out_of_reach(kind, subresource) {
        Some(field) => changes.without_field(field),
        None => changes,
    }
}

/// The field of an object that a part of it cannot change.
pub(crate) fn out_of_reach(kind: &Kind, subresource: &str) -> Option<&'static str> {
    let has_status = kind.subresources.iter().any(|sub| sub.name == "status");
    match subresource {
        "" if has_status => Some("status"),
        "status" => Some("spec"),
        _ => None,
    }
}

/// Without what nobody owns.
pub(crate) fn stripped(set: Set) -> Set {
    let mut nobodys = Set::default();
    for field in ["apiVersion", "kind", "metadata"] {
        nobodys.insert(&[Element::field(field)]);
    }
    for field in NOBODYS {
        nobodys.insert(&[Element::field("metadata"), Element::field(field)]);
    }
    set.minus(&nobodys)
}

/// Makes one of the oldest managers by update, if there are too many.
fn cap(entries: &mut Vec<Entry>) {
    let count = |entries: &[Entry]| {
        entries
            .iter()
            .filter(|entry| entry.operation == Operation::Update)
            .count()
    };
    if count(entries) <= MOST_UPDATERS {
        return;
    }
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    while count(entries) > MOST_UPDATERS {
        let Some(oldest) = entries.iter().position(|entry| entry.operation == Operation::Update) else {
            return;
        };
        let first = entries.remove(oldest);
        let Some(next) = entries[oldest..]
            .iter_mut()
            .find(|entry| entry.api_version == first.api_version)
        else {
            entries.push(first);
            return;
        };
        *next = Entry {
            manager: ANCIENT.into(),
            subresource: String::new(),
            set: std::mem::take(&mut next.set).union(&first.set),
            ..next.clone()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::kind::find;

    fn at(name: &str, subresource: &'static str, second: u64) -> Manager<'static> {
        Manager {
            name: name.to_owned().leak(),
            subresource,
            now: UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    #[test]
    fn who_changes_a_field_owns_it() {
        let kind = find("apps", "v1", "deployments").expect("served");
        let mut made = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {"x": "1"}},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        update(kind, None, &mut made, &at("kubectl-create", "", 1));
        assert_eq!(
            made["metadata"]["managedFields"],
            json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "1970-01-01T00:00:01Z",
                "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
                    "f:spec": {".": {}, "f:replicas": {}, "f:template": {".": {}, "f:spec": {".": {}, "f:containers": {".": {},
                        "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}}}])
        );
        let mut scaled = made.clone();
        scaled["spec"]["replicas"] = 2.into();
        scaled["status"] = json!({"replicas": 2});
        update(kind, Some(&made), &mut scaled, &at("hpa", "scale", 2));
        let entries = decode(&scaled).expect("entries");
        assert_eq!(entries.len(), 2);
        assert!(
            entries[0].set.encode()["f:spec"].get("f:replicas").is_none(),
            "taken from the first"
        );
        assert_eq!(
            entries[1].set.encode(),
            json!({"f:spec": {"f:replicas": {}}, "f:status": {".": {}, "f:replicas": {}}})
        );
        assert_eq!(entries[1].subresource, "scale");
        let mut same = scaled.clone();
        update(kind, Some(&scaled), &mut same, &at("other", "", 3));
        assert_eq!(same, scaled, "no change, no time");
    }

    #[test]
    fn an_empty_list_clears_and_then_nothing_is_tracked() {
        let kind = find("", "v1", "configmaps").expect("served");
        let mut made = json!({"metadata": {"name": "a"}, "data": {"x": "1"}});
        update(kind, None, &mut made, &at("a", "", 1));
        let mut cleared = made.clone();
        cleared["metadata"]["managedFields"] = json!([]);
        update(kind, Some(&made), &mut cleared, &at("a", "", 2));
        assert_eq!(cleared["metadata"], json!({"name": "a"}));
        let mut changed = cleared.clone();
        changed["data"]["x"] = "2".into();
        update(kind, Some(&cleared), &mut changed, &at("a", "", 3));
        assert_eq!(changed["metadata"], json!({"name": "a"}));
    }

    #[test]
    fn the_oldest_of_too_many_become_one() {
        let kind = find("", "v1", "configmaps").expect("served");
        let mut live = json!({"metadata": {"name": "a"}, "data": {}});
        update(kind, None, &mut live, &at("0", "", 0));
        for second in 0..15 {
            let mut next = live.clone();
            next["data"][format!("k{second}")] = "1".into();
            update(kind, Some(&live), &mut next, &at(&format!("m{second}"), "", second));
            live = next;
        }
        let entries = decode(&live).expect("entries");
        assert_eq!(entries.len(), MOST_UPDATERS);
        let owned: usize = entries
            .iter()
            .map(|entry| entry.set.encode()["f:data"].as_object().map_or(0, |one| one.len()))
            .sum();
        assert!(owned >= 15, "no field is lost");
        assert_eq!(entries.iter().filter(|entry| entry.manager == ANCIENT).count(), 1);
    }
}
