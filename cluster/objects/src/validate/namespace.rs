//! Namespaces.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    metadata,
};
use crate::{meta, name};

pub(super) fn check(faults: &mut Faults, namespace: &Value) {
    let path = Path::of("spec");
    let path = path.child("finalizers");
    for finalizer in meta::list(namespace, &["spec", "finalizers"]) {
        let finalizer = finalizer.as_str().unwrap_or("");
        faults.each(&path, finalizer, name::qualified(finalizer));
        metadata::known_finalizer(faults, &path, finalizer);
    }
}

pub(super) fn status(faults: &mut Faults, namespace: &Value) {
    let phase = meta::text(namespace, &["status", "phase"]);
    let (wanted, is_empty) = if meta::is_deleting(namespace) {
        ("Terminating", "is not empty")
    } else {
        ("Active", "is empty")
    };
    if phase != wanted {
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` {is_empty}");
        faults.invalid(&Path::of("status").child("Phase"), phase, &detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::told, *};

    #[test]
    fn a_finalizer_is_the_systems_own_or_has_a_domain() {
        let told = |finalizer| told("", "namespaces", json!({"spec": {"finalizers": [finalizer]}}));
        assert_eq!(told("kubernetes"), [""; 0]);
        assert_eq!(
            told("x"),
            [
                "spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified"
            ]
        );
    }

    #[test]
    fn only_a_namespace_that_goes_is_terminating() {
        let mut faults = Faults::default();
        status(&mut faults, &json!({"status": {"phase": "Terminating"}}));
        assert_eq!(
            faults.causes[0].message,
            "Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        );
    }
}
