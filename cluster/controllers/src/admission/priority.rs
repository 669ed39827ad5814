//! Priority: the class of a pod gives it its number.
//!
//! See <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>.

use apiserver::{Admission, Attempt, Part, View};
use objects::{Status, meta};
use serde_json::Value;

use super::{forbidden, new_pod};
use crate::fault::{Act, Faults};
use crate::kinds::PRIORITY_CLASS;
use crate::priority_class::SYSTEM;
use crate::world::Object;

const LOWER: &str = "PreemptLowerPriority";

pub(super) struct Priority {
    pub(super) faults: Faults,
}

/// What a class says.
struct Class {
    name: String,
    value: i64,
    policy: String,
}

impl Admission for Priority {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        if attempt.kind == PRIORITY_CLASS && attempt.part == Part::Main {
            return only_default(attempt);
        }
        let store = attempt.store;
        let Some(pod) = new_pod(attempt) else { return Ok(()) };
        let wanted = meta::text(pod, &["spec", "priorityClassName"]).to_owned();
        let Some(mut class) = class(store, &wanted) else {
            let why = format!("no PriorityClass with name {wanted} was found");
            return Err(forbidden(attempt, &why));
        };
        if self.faults.has(Act::PriorityDropped) {
            class.value = 0;
        }
        if let Some(said) = meta::number(pod, &["spec", "priority"]).filter(|said| *said != class.value) {
            let why = format!(
                "the integer value of priority ({said}) must not be provided in pod spec; priority admission \
                 controller computed {} from the given PriorityClass name",
                class.value
            );
            return Err(forbidden(attempt, &why));
        }
        let said = meta::text(pod, &["spec", "preemptionPolicy"]).to_owned();
        if !said.is_empty() && said != class.policy {
            let why = format!(
                "the string value of PreemptionPolicy ({said}) must not be provided in pod spec; priority admission \
                 controller computed {} from the given PriorityClass name",
                class.policy
            );
            return Err(forbidden(attempt, &why));
        }
        if !class.name.is_empty() {
            meta::set(pod, &["spec", "priorityClassName"], class.name);
        }
        meta::set(pod, &["spec", "priority"], class.value);
        meta::set(pod, &["spec", "preemptionPolicy"], class.policy);
        Ok(())
    }
}

/// The class of a name; without a name, that for pods that name none.
fn class(store: &View<'_>, name: &str) -> Option<Class> {
    if name.is_empty() {
        let all = store.list(PRIORITY_CLASS, None);
        let defaults = all.filter(|one| meta::flag(one, &["globalDefault"]));
        let lowest = defaults.min_by_key(|one| meta::number(one, &["value"]));
        let none = || Class {
            name: String::new(),
            value: 0,
            policy: LOWER.into(),
        };
        return Some(lowest.map_or_else(none, |one| read(&one)));
    }
    if let Some(found) = store.get(PRIORITY_CLASS, "", name) {
        return Some(read(&found));
    }
    // Those of the system may be on their way.
    let (name, value, _) = SYSTEM.into_iter().find(|(one, ..)| *one == name)?;
    Some(Class {
        name: name.to_owned(),
        value,
        policy: LOWER.into(),
    })
}

fn read(class: &Value) -> Class {
    let policy = match meta::text(class, &["preemptionPolicy"]) {
        "" => LOWER,
        policy => policy,
    };
    Class {
        name: meta::name(class).to_owned(),
        value: meta::number(class, &["value"]).unwrap_or_default(),
        policy: policy.to_owned(),
    }
}

fn only_default(attempt: &Attempt<'_>) -> Result<(), Status> {
    let is_default = |one: &Value| meta::flag(one, &["globalDefault"]);
    if !attempt.object.as_deref().is_some_and(is_default) {
        return Ok(());
    }
    let other = |one: &Object| is_default(one) && meta::name(one) != attempt.name;
    match attempt.store.list(PRIORITY_CLASS, None).find(other) {
        None => Ok(()),
        Some(other) => {
            let name = meta::name(&other);
            let why = format!("PriorityClass {name} is already marked as default. Only one default can exist");
            Err(forbidden(attempt, &why))
        }
    }
}
