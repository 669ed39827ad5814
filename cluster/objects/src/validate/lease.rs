//! Leases.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::meta;

const SPEC: Path<'_> = Path::of("spec");

pub(super) fn check(faults: &mut Faults, lease: &Value) {
    let number = |key| meta::number(lease, &["spec", key]);
    if let Some(seconds) = number("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        faults.invalid(&SPEC.child("leaseDurationSeconds"), &seconds, "must be greater than 0");
    }
    faults.not_negative(&SPEC.child("leaseTransitions"), number("leaseTransitions"));
    let text = |key| meta::text(lease, &["spec", key]);
    let strategy = text("strategy");
    if !strategy.is_empty() && !strategy.contains('/') && strategy != "OldestEmulationVersion" {
        let path = SPEC.child("strategy");
        faults.unsupported(&path.child("strategy"), strategy, &["OldestEmulationVersion"]);
    }
    if !text("preferredHolder").is_empty() && strategy.is_empty() {
        faults.forbidden(
            &SPEC.child("preferredHolder"),
            "may only be specified if `strategy` is defined",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;

    #[test]
    fn a_lease_lasts() {
        let told = |spec| told("coordination.k8s.io", "leases", json!({"spec": spec}));
        assert_eq!(
            told(json!({"leaseDurationSeconds": 40, "leaseTransitions": 0})),
            [""; 0]
        );
        assert_eq!(
            told(json!({"leaseDurationSeconds": 0, "leaseTransitions": -1})),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
            ]
        );
    }
}
