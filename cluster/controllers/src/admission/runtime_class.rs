//! RuntimeClass: what a runtime costs by itself, and where it is to be had.
//!
//! See <https://kubernetes.io/docs/concepts/containers/runtime-class/>.

use apiserver::{Admission, Attempt};
use objects::{Status, meta};
use serde_json::Value;

use super::{forbidden, new_pod};
use crate::fault::{Act, Faults};
use crate::kinds::RUNTIME_CLASS;

pub(super) struct RuntimeClass {
    pub(super) faults: Faults,
}

impl Admission for RuntimeClass {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        let store = attempt.store;
        let Some(pod) = new_pod(attempt) else { return Ok(()) };
        let name = meta::text(pod, &["spec", "runtimeClassName"]).to_owned();
        let class = match name.as_str() {
            "" => None,
            name => match store.get(RUNTIME_CLASS, "", name) {
                Some(class) => Some(class),
                None => {
                    let why = format!("pod rejected: RuntimeClass \"{name}\" not found");
                    return Err(forbidden(attempt, &why));
                }
            },
        };
        let applied = apply(pod, class.as_deref(), self.faults.has(Act::OverheadDropped));
        applied.map_err(|why| forbidden(attempt, &why))
    }
}

fn apply(pod: &mut Value, class: Option<&Value>, drop_overhead: bool) -> Result<(), String> {
    let own = meta::map(pod, &["spec", "overhead"]).filter(|own| !own.is_empty());
    let given = class.and_then(|class| meta::map(class, &["overhead", "podFixed"]));
    match (own, given) {
        (None, Some(given)) if !drop_overhead => meta::set(pod, &["spec", "overhead"], given.clone()),
        (Some(own), Some(given)) if own != given => {
            return Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".into());
        }
        (Some(_), None) => {
            return Err("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into());
        }
        _ => {}
    }
    let Some(class) = class else { return Ok(()) };
    for (key, value) in meta::map(class, &["scheduling", "nodeSelector"]).into_iter().flatten() {
        let own = meta::at(pod, &["spec", "nodeSelector", key]);
        if let Some(own) = own.filter(|own| *own != value) {
            let text = |one: &Value| one.as_str().unwrap_or_default().to_owned();
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                text(value),
                text(own)
            ));
        }
        meta::set(pod, &["spec", "nodeSelector", key], value.clone());
    }
    let mut tolerations = meta::list(pod, &["spec", "tolerations"]).to_vec();
    let before = tolerations.len();
    for one in meta::list(class, &["scheduling", "tolerations"]) {
        if !tolerations.contains(one) {
            tolerations.push(one.clone());
        }
    }
    if tolerations.len() > before {
        meta::set(pod, &["spec", "tolerations"], tolerations);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_gives_overhead_and_a_place_unless_the_pod_says_otherwise() {
        let class = json!({
            "overhead": {"podFixed": {"cpu": "250m"}},
            "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm"}]},
        });
        let mut pod = json!({"spec": {}});
        assert_eq!(apply(&mut pod, Some(&class), false), Ok(()));
        assert_eq!(
            pod["spec"],
            json!({"overhead": {"cpu": "250m"}, "nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm"}]})
        );
        assert_eq!(apply(&mut pod.clone(), Some(&class), false), Ok(()));
        meta::set(&mut pod, &["spec", "nodeSelector", "vm"], "no");
        let conflict = "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no";
        assert_eq!(apply(&mut pod, Some(&class), false), Err(conflict.into()));
        assert!(apply(&mut pod, None, false).is_err());
    }
}
