//! Priority classes, whose value cannot change and the highest of which are the system's own.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::meta;

const HIGHEST: i64 = 1_000_000_000;
const SYSTEM: [(&str, i64); 2] = [
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];

pub(super) fn check(faults: &mut Faults, class: &Value) {
    let value = meta::number(class, &["value"]).unwrap_or(0);
    let own = meta::name(class);
    if own.starts_with("system-") {
        let is_default = meta::flag(class, &["globalDefault"]);
        let error = match SYSTEM.iter().find(|(name, _)| *name == own) {
            None => Some(format!("{own} is not a known system priority class")),
            Some((_, known)) if *known != value => Some(format!("value of {own} PriorityClass must be {known}")),
            Some(_) if is_default => Some(format!("globalDefault of {own} PriorityClass must be false")),
            Some(_) => None,
        };
        if let Some(error) = error {
            let detail =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {error}");
            faults.forbidden(&Path::of("metadata").child("name"), &detail);
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        faults.forbidden(&Path::of("value"), &detail);
    }
    faults.word(
        &Path::of("preemptionPolicy"),
        meta::text(class, &["preemptionPolicy"]),
        &["PreemptLowerPriority", "Never"],
    );
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let value = |class| meta::number(class, &["value"]).unwrap_or(0);
    if value(old) != value(new) {
        faults.forbidden(&Path::of("value"), "may not be changed in an update.");
    }
    let key = "preemptionPolicy";
    faults.immutable(&Path::of(key), meta::at(old, &[key]), meta::at(new, &[key]));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    const KIND: (&str, &str) = ("scheduling.k8s.io", "priorityclasses");

    #[test]
    fn the_highest_priorities_are_the_systems_own() {
        let told = |object| told(KIND.0, KIND.1, object);
        assert_eq!(told(json!({"value": 1_000_000_000})), [""; 0]);
        assert_eq!(
            told(json!({"value": 1_000_000_001})),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
        );
        let system = |value: i64| json!({"metadata": {"name": "system-node-critical"}, "value": value});
        assert_eq!(told(system(2_000_001_000)), [""; 0]);
        assert_eq!(
            told(system(1)),
            [
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000"
            ]
        );
    }

    #[test]
    fn a_value_stays() {
        assert_eq!(
            updated(
                KIND.0,
                KIND.1,
                json!({"value": 1}),
                json!({"value": 2, "preemptionPolicy": "Never"})
            ),
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable"
            ]
        );
    }
}
