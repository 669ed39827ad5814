//! Events of the core group: those with `eventTime` are held to more than the old ones.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::{meta, name};

pub(super) fn check(faults: &mut Faults, event: &Value) {
    let about = meta::text(event, &["involvedObject", "namespace"]);
    let own = meta::namespace(event);
    let is_new = meta::at(event, &["eventTime"]).is_some();
    let matches = match (about, is_new) {
        ("", false) => matches!(own, "" | "default"),
        ("", true) => matches!(own, "default" | "kube-system"),
        (about, false) => own == about,
        (_, true) => true,
    };
    if !matches {
        faults.invalid(
            &Path::of("involvedObject").child("namespace"),
            about,
            "does not match event.namespace",
        );
    }
    if !is_new {
        return;
    }
    let text = |key| meta::text(event, &[key]);
    // The wire name of this field is `reportingComponent`; Kubernetes complains by its other name.
    let controller = text("reportingComponent");
    let path = Path::of("reportingController");
    if controller.is_empty() {
        faults.required(&path, "");
    }
    faults.each(&path, controller, name::qualified(controller));
    for (key, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        if text(key).is_empty() {
            faults.required(&Path::of(key), "");
        }
        long(faults, key, text(key), most);
    }
    long(faults, "message", text("message"), 1024);
}

fn long(faults: &mut Faults, key: &str, text: &str, most: usize) {
    if text.len() > most {
        faults.invalid(&Path::of(key), "", &format!("can have at most {most} characters"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;

    #[test]
    fn an_event_lives_with_what_it_is_about() {
        let event = |namespace: &str| json!({"involvedObject": {"kind": "Pod", "name": "a", "namespace": namespace}});
        assert_eq!(told("", "events", event("n")), [""; 0]);
        assert_eq!(
            told("", "events", event("m")),
            ["involvedObject.namespace: Invalid value: \"m\": does not match event.namespace"]
        );
        let mut new = event("n");
        new["eventTime"] = json!("2026-01-01T00:00:00.000000Z");
        new["reportingComponent"] = json!("x");
        new["reportingInstance"] = json!("y");
        new["reason"] = json!("z");
        assert_eq!(told("", "events", new), ["action: Required value"]);
    }
}
