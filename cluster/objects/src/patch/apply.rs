//! Server-side apply: `application/apply-patch+yaml`.
//!
//! What a manager applies is merged in and its own; what it applied before and does not now goes, unless another owns it; to
//! change what another owns takes force.
//! See <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use serde_json::{Map, Value};

use super::{
    managed::{
        self, Entry, Manager, Operation,
        fields::{Element, Set, written},
    },
    typed,
};
use crate::{
    Cause, Kind, Reason, Status, meta,
    quantity::Quantity,
    schema::{self, Message, Type},
    status::Details,
    strict,
};

/// Where kubectl's client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Owns what was there before anything was applied, if nobody does.
const BEFORE: &str = "before-first-apply";
/// What an applied null does not erase.
const SERVERS: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object after `patch` was applied to `live`, or made of it where there is none.
///
/// The same object comes back if nothing has changed. Defaults are not filled in.
///
/// # Errors
/// The patch has a field that does not exist or is of another version; another manager owns what it changes and `force` is not given.
pub fn apply(
    kind: &Kind,
    live: Option<&Value>,
    patch: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value, Status> {
    let mut patch = patch.clone();
    check(kind, &patch)?;
    let message = schema::message(kind);
    canonical(message, &mut patch);
    match Application::new(kind, message, live, &patch, manager).run(force) {
        Ok(object) => Ok(object),
        Err(conflicts) => {
            let allowed = live
                .filter(|_| manager.name == "kubectl")
                .and_then(|live| applied_by_client(kind, message, live));
            let left: Vec<_> = match allowed {
                Some(allowed) => conflicts.iter().filter_map(|one| one.minus(&allowed)).collect(),
                None => return Err(refusal(&conflicts)),
            };
            if !left.is_empty() {
                return Err(refusal(&left));
            }
            // Only fields that kubectl itself had set before it applied on the server.
            Application::new(kind, message, live, &patch, manager)
                .run(true)
                .map_err(|conflicts| refusal(&conflicts))
        }
    }
}

fn check(kind: &Kind, patch: &Value) -> Result<(), Status> {
    let version = meta::api_version(patch);
    if version != kind.api_version() {
        let text = format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            kind.api_version()
        );
        return Err(Status::new(Reason::BadRequest, text));
    }
    if meta::at(patch, &["metadata", "managedFields"]).is_some_and(|entries| !entries.is_null()) {
        return Err(Status::new(Reason::BadRequest, "metadata.managedFields must be nil"));
    }
    let faults = typed::faults(schema::message(kind), patch);
    let told = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (name, namespace) = (meta::name(patch), meta::namespace(patch));
    let text = format!(
        "failed to create typed patch object ({namespace}/{name}; {}, Kind={}): {told}",
        kind.api_version(),
        kind.kind
    );
    Err(Status::new(Reason::InternalError, text))
}

/// Writes quantities as they are stored, so that `1000m` is no change of `1`.
fn canonical(message: &Message, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    for (name, value) in fields.iter_mut() {
        let Some(field) = message.field(name) else { continue };
        let items: Vec<&mut Value> = match value {
            Value::Array(items) => items.iter_mut().collect(),
            Value::Object(items) if field.shape == schema::Shape::Map => items.values_mut().collect(),
            one => vec![one],
        };
        for item in items {
            match field.ty {
                Type::Message(id) => canonical(id.message(), item),
                Type::Quantity => {
                    if let Some(quantity) = Quantity::of(item) {
                        *item = quantity.to_string().into();
                    }
                }
                _ => {}
            }
        }
    }
}

/// A manager, and those of its fields that the applied object would change.
struct Conflict {
    entry: Entry,
    set: Set,
}

impl Conflict {
    fn minus(&self, allowed: &Set) -> Option<Self> {
        let set = self.set.minus(allowed);
        let entry = self.entry.clone();
        (!set.is_empty()).then_some(Self { entry, set })
    }

    /// The manager as messages have it.
    fn who(&self) -> String {
        let mut who = format!("{:?}", self.entry.manager);
        if !self.entry.subresource.is_empty() {
            who.push_str(&format!(" with subresource {:?}", self.entry.subresource));
        }
        if self.entry.operation == Operation::Update {
            who.push_str(&format!(" using {}", self.entry.api_version));
        }
        who
    }
}

struct Application<'a> {
    kind: &'a Kind,
    message: &'static Message,
    live: Value,
    patch: &'a Value,
    manager: &'a Manager<'a>,
    entries: Vec<Entry>,
}

impl<'a> Application<'a> {
    fn new(
        kind: &'a Kind,
        message: &'static Message,
        live: Option<&Value>,
        patch: &'a Value,
        manager: &'a Manager<'a>,
    ) -> Self {
        let mut entries = live.and_then(managed::decode).unwrap_or_default();
        let empty = Value::Object(Map::new());
        let mut object = live.cloned().unwrap_or_else(|| empty.clone());
        managed::forget(&mut object);
        if entries.is_empty() && live.is_some() {
            let before = Manager {
                name: BEFORE,
                ..*manager
            };
            managed::take(kind, message, &mut entries, &empty, &object, &before);
        }
        Self {
            kind,
            message,
            live: object,
            patch,
            manager,
            entries,
        }
    }

    /// The new object, or what stands against it.
    fn run(mut self, force: bool) -> Result<Value, Vec<Conflict>> {
        let mut own = Entry::new(self.kind, self.manager, Operation::Apply);
        let last = match self.entries.iter().position(|entry| entry.is_of(&own)) {
            Some(at) => Some(self.entries.remove(at)),
            None => None,
        };
        let mut set = typed::fields(self.message, self.patch);
        if let Some(field) = managed::out_of_reach(self.kind, self.manager.subresource) {
            set = set.without_field(field);
        }
        own.set = set;
        let mut merged = typed::merge(self.message, &self.live, self.patch);
        for field in SERVERS {
            let path = ["metadata", field];
            if let Some(old) =
                meta::at(&self.live, &path).filter(|_| meta::at(&merged, &path).is_none_or(Value::is_null))
            {
                meta::set(&mut merged, &path, old.clone());
            }
        }
        let mut object = match &last {
            Some(last) if !last.set.is_empty() => self.without_abandoned(merged, &own.set, &last.set),
            _ => merged,
        };
        if let Some(field) = managed::out_of_reach(self.kind, self.manager.subresource) {
            match self.live.get(field) {
                Some(old) => meta::set(&mut object, &[field], old.clone()),
                None => drop(meta::remove(&mut object, &[field])),
            }
        }
        let changes = typed::compare(self.message, &self.live, &object);
        let changes = managed::scoped(self.kind, self.manager.subresource, changes);
        let changed = changes.modified.union(&changes.added);
        let conflicts: Vec<_> = self
            .entries
            .iter()
            .map(|entry| Conflict {
                entry: entry.clone(),
                set: entry.set.common(&changed),
            })
            .filter(|conflict| !conflict.set.is_empty())
            .collect();
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        for entry in &mut self.entries {
            entry.set = entry.set.minus(&changed).minus(&changes.removed);
        }
        own.set = managed::stripped(own.set);
        strict::prune_as(self.message, &mut object);
        let unchanged = object == self.live && last.as_ref().is_some_and(|last| last.set == own.set);
        own.time = match last {
            Some(last) if unchanged => last.time,
            _ => Some(crate::time::seconds(self.manager.now)),
        };
        self.entries.push(own);
        self.remember(&mut object);
        managed::encode(&mut object, self.entries);
        Ok(object)
    }

    /// Without what the manager applied last and does not now, unless somebody owns it.
    fn without_abandoned(&self, merged: Value, now: &Set, last: &Set) -> Value {
        let whole = |set: &Set| typed::with_parents(self.message, set);
        let set_of = |object: &Value| whole(&typed::fields(self.message, object));
        let owned = self
            .entries
            .iter()
            .fold(now.clone(), |all, entry| all.union(&entry.set));
        let all = set_of(&merged);
        let last = whole(last);
        let pruned = typed::remove(self.message, &merged, &last);
        // What others own comes back, …
        let kept = set_of(&pruned).union(&whole(&owned));
        let pruned = typed::remove(self.message, &merged, &all.minus(&kept));
        // … and what nobody owns, and only stood in something that went.
        typed::remove(self.message, &merged, &all.minus(&set_of(&pruned)).common(&last))
    }

    /// Keeps the annotation of client-side apply true, so that kubectl may go back to it.
    fn remember(&self, object: &mut Value) {
        if self.manager.name != "kubectl" || meta::annotation(object, LAST_APPLIED).is_none_or(str::is_empty) {
            return;
        }
        let mut applied = self.patch.clone();
        meta::remove(&mut applied, &["metadata", "annotations", LAST_APPLIED]);
        meta::set_annotation(object, LAST_APPLIED, &format!("{applied}\n"));
    }
}

/// Fields that kubectl set by client-side apply and that are still as it set them.
fn applied_by_client(kind: &Kind, message: &'static Message, live: &Value) -> Option<Set> {
    let text = meta::annotation(live, LAST_APPLIED)?;
    let mut applied: Value = serde_json::from_str(text).ok()?;
    if meta::api_version(&applied) != kind.api_version() || !typed::faults(message, &applied).is_empty() {
        return None;
    }
    canonical(message, &mut applied);
    let since = typed::compare(message, &applied, live);
    Some(
        typed::fields(message, &applied)
            .minus(&since.modified)
            .minus(&since.added)
            .minus(&since.removed),
    )
}

fn refusal(conflicts: &[Conflict]) -> Status {
    let mut told: Vec<(String, Vec<Vec<Element>>)> = conflicts
        .iter()
        .map(|conflict| (conflict.who(), conflict.set.paths()))
        .collect();
    told.sort_by(|(a, _), (b, _)| a.cmp(b));
    let causes: Vec<_> = told
        .iter()
        .flat_map(|(who, paths)| {
            paths.iter().map(move |path| Cause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {who}"),
                field: written(path),
            })
        })
        .collect();
    let text = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => {
            let mut lines = Vec::new();
            for (who, paths) in &told {
                lines.push(format!("conflicts with {who}:"));
                lines.extend(paths.iter().map(|path| format!("- {}", written(path))));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let mut status = Status::new(Reason::Conflict, text);
    status.details = Some(Box::new(Details {
        causes,
        ..Details::default()
    }));
    status
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::kind::find;

    fn deployment() -> &'static Kind {
        find("apps", "v1", "deployments").expect("served")
    }

    fn by(name: &str, second: u64) -> Manager<'_> {
        Manager {
            name,
            subresource: "",
            now: UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    fn applied(live: Option<&Value>, spec: Value, manager: &Manager) -> Result<Value, Status> {
        let patch = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "creationTimestamp": null}, "spec": spec});
        apply(deployment(), live, &patch, manager, false)
    }

    #[test]
    fn what_is_applied_is_owned_and_what_is_no_longer_applied_goes() {
        let spec = json!({"replicas": 1, "paused": true, "template": {"spec": {"containers": [
            {"name": "c", "image": "i", "env": [], "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1000m"}}}, {"name": "d"}]}}});
        let first = applied(None, spec.clone(), &by("x", 1)).expect("new");
        let entries = &first["metadata"]["managedFields"];
        assert_eq!(entries[0]["operation"], "Apply");
        assert_eq!(
            entries[0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"],
            json!({"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                "f:resources": {"f:limits": {"f:cpu": {}}}}, "k:{\"name\":\"d\"}": {".": {}, "f:name": {}}})
        );
        assert_eq!(
            first["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"],
            "1"
        );
        assert_eq!(
            applied(Some(&first), spec, &by("x", 2)).expect("again"),
            first,
            "no change, no time"
        );

        // Defaults, which nobody owns, and a field of another's.
        let mut live = first.clone();
        live["spec"]["revisionHistoryLimit"] = 10.into();
        live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP".into();
        live["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00Z".into();
        let mut changed = live.clone();
        changed["spec"]["template"]["spec"]["containers"][1]["tty"] = true.into();
        managed::update(deployment(), Some(&live), &mut changed, &by("y", 3));

        let less = json!({"template": {"spec": {"containers": [{"name": "c", "image": "j", "ports": [{"containerPort": 80}]}]}}});
        let next = applied(Some(&changed), less, &by("x", 4)).expect("own fields");
        assert_eq!(
            next["spec"],
            json!({"revisionHistoryLimit": 10, "template": {"spec": {"containers": [
                {"name": "c", "image": "j", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}})
        );
        assert_eq!(next["metadata"]["creationTimestamp"], "2024-01-01T00:00:00Z");
    }

    #[test]
    fn what_another_owns_takes_force() {
        let live = applied(None, json!({"replicas": 1, "paused": true}), &by("first", 1)).expect("new");
        let mut scaled = live.clone();
        scaled["spec"]["minReadySeconds"] = 5.into();
        let updater = Manager {
            subresource: "scale",
            ..by("hpa", 2)
        };
        managed::update(deployment(), Some(&live), &mut scaled, &updater);

        let status = applied(Some(&scaled), json!({"replicas": 2}), &by("second", 3)).expect_err("conflict");
        assert_eq!(status.reason, Reason::Conflict);
        assert_eq!(
            status.message,
            r#"Apply failed with 1 conflict: conflict with "first": .spec.replicas"#
        );
        let causes = status.details.expect("details").causes;
        assert_eq!(
            (causes[0].reason.as_str(), causes[0].field.as_str()),
            ("FieldManagerConflict", ".spec.replicas")
        );

        let spec = json!({"replicas": 2, "minReadySeconds": 6, "paused": true});
        let status = applied(Some(&scaled), spec.clone(), &by("second", 3)).expect_err("conflicts");
        assert_eq!(
            status.message,
            "Apply failed with 2 conflicts: conflicts with \"first\":\n- .spec.replicas\n\
             conflicts with \"hpa\" with subresource \"scale\" using apps/v1:\n- .spec.minReadySeconds"
        );

        let patch = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec});
        let forced = apply(deployment(), Some(&scaled), &patch, &by("second", 3), true).expect("force");
        assert_eq!(forced["spec"]["replicas"], 2);
        let entries = managed::decode(&forced).expect("entries");
        let owners: Vec<_> = entries
            .iter()
            .map(|entry| (entry.manager.as_str(), entry.set.encode()))
            .collect();
        assert_eq!(
            owners,
            [
                ("first", json!({"f:spec": {"f:paused": {}}})),
                (
                    "second",
                    json!({"f:spec": {"f:minReadySeconds": {}, "f:paused": {}, "f:replicas": {}}})
                ),
            ]
        );
        // Shared fields stay when one owner lets go.
        let without = applied(Some(&forced), json!({"replicas": 2}), &by("second", 4)).expect("own fields");
        assert_eq!(without["spec"], json!({"replicas": 2, "paused": true}));
    }

    #[test]
    fn what_was_there_before_is_somebodys() {
        let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "uid": "u"}, "spec": {"replicas": 1}});
        let status = applied(Some(&live), json!({"replicas": 2}), &by("x", 1)).expect_err("conflict");
        assert_eq!(
            status.message,
            r#"Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas"#
        );
        let same = applied(Some(&live), json!({"replicas": 1}), &by("x", 1)).expect("shared");
        assert_eq!(same["metadata"]["managedFields"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn kubectl_goes_over_from_client_side_apply_without_force() {
        let client =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1}});
        let mut live = client.clone();
        live["metadata"]["annotations"][LAST_APPLIED] = client.to_string().into();
        managed::update(deployment(), None, &mut live, &by("kubectl-client-side-apply", 1));
        assert!(applied(Some(&live), json!({"replicas": 2}), &by("other", 2)).is_err());
        let next = applied(Some(&live), json!({"replicas": 2}), &by("kubectl", 2)).expect("its own");
        assert_eq!(next["spec"]["replicas"], 2);
        let annotation = meta::annotation(&next, LAST_APPLIED).expect("kept");
        assert!(annotation.contains(r#""replicas":2"#), "{annotation}");

        // Not what somebody else has changed since.
        let mut scaled = live.clone();
        scaled["spec"]["replicas"] = 5.into();
        managed::update(deployment(), Some(&live), &mut scaled, &by("hpa", 3));
        assert!(applied(Some(&scaled), json!({"replicas": 2}), &by("kubectl", 4)).is_err());
    }

    #[test]
    fn what_cannot_be_applied_is_told_as_kubernetes_tells_it() {
        let told = |patch: Value| {
            apply(deployment(), None, &patch, &by("x", 1), false)
                .expect_err("refused")
                .message
        };
        let of = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}, "spec": spec});
        let prefix = "failed to create typed patch object (n/a; apps/v1, Kind=Deployment): ";
        assert_eq!(
            told(of(json!({"foo": 1}))),
            format!("{prefix}.spec.foo: field not declared in schema")
        );
        let containers = |items: Value| of(json!({"template": {"spec": {"containers": items}}}));
        assert_eq!(
            told(containers(json!([{"name": "a"}, {"name": "a"}]))),
            format!("{prefix}.spec.template.spec.containers: duplicate entries for key [name=\"a\"]")
        );
        assert!(
            told(of(json!({"replicas": "x", "y": 1})))
                .starts_with(&format!("{prefix}errors:\n  .spec.replicas: expected numeric"))
        );
        assert!(told(json!({"apiVersion": "v1"})).starts_with("Incorrect version specified in apply patch."));
    }

    #[test]
    fn status_belongs_to_its_own_part() {
        let patch = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1}, "status": {"replicas": 7}});
        let made = apply(deployment(), None, &patch, &by("x", 1), false).expect("new");
        assert_eq!(made.get("status"), None);
        let part = Manager {
            subresource: "status",
            ..by("x", 2)
        };
        let told = apply(deployment(), Some(&made), &patch, &part, false).expect("status");
        assert_eq!(told["status"]["replicas"], 7);
        assert_eq!(
            told["metadata"]["managedFields"][1]["fieldsV1"],
            json!({"f:status": {"f:replicas": {}}})
        );
        assert_eq!(told["metadata"]["managedFields"][1]["subresource"], "status");
    }

    #[test]
    fn the_order_of_items_is_that_of_the_applier_among_the_others() {
        let list = |names: &[&str]| {
            let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"template": {"spec": {"containers": items}}})
        };
        let message = schema::message(deployment());
        for (old, new, merged) in [
            (vec!["a", "b", "c"], vec!["c", "a"], vec!["b", "c", "a"]),
            (vec!["a", "b"], vec!["b", "d"], vec!["a", "b", "d"]),
            (vec!["a"], vec!["b", "a"], vec!["b", "a"]),
            (vec![], vec!["x"], vec!["x"]),
        ] {
            let merge = typed::merge(message, &json!({"spec": list(&old)}), &json!({"spec": list(&new)}));
            assert_eq!(merge["spec"], list(&merged), "{old:?} and {new:?}");
        }
    }
}
