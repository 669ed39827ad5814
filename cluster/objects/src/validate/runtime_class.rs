//! Runtime classes.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    metadata, resources, tolerations,
};
use crate::{meta, name};

pub(super) fn check(faults: &mut Faults, class: &Value) {
    let handler = meta::text(class, &["handler"]);
    faults.each(&Path::of("handler"), handler, name::dns1123_label(handler));
    // The overhead is checked as the limits of a container are, and named like them.
    resources::limits_of(
        faults,
        &Path::of("overhead").child("limits"),
        meta::map(class, &["overhead", "podFixed"]),
    );
    let path = Path::of("scheduling");
    metadata::labels(
        faults,
        &path.child("nodeSelector"),
        meta::at(class, &["scheduling", "nodeSelector"]),
    );
    tolerations::check(
        faults,
        &path.child("tolerations"),
        meta::list(class, &["scheduling", "tolerations"]),
    );
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let key = "handler";
    faults.immutable(&Path::of(key), meta::at(old, &[key]), meta::at(new, &[key]));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    #[test]
    fn a_handler_is_a_label_and_stays() {
        let (group, plural) = ("node.k8s.io", "runtimeclasses");
        assert_eq!(told(group, plural, json!({"handler": "runc"})), [""; 0]);
        assert_eq!(
            told(group, plural, json!({"handler": "a.b"})),
            ["handler: Invalid value: \"a.b\": must not contain dots"]
        );
        assert_eq!(
            updated(group, plural, json!({"handler": "a"}), json!({"handler": "b"})),
            ["handler: Invalid value: \"b\": field is immutable"]
        );
    }
}
