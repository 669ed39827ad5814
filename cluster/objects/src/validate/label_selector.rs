//! Label selectors inside of objects.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    metadata,
};
use crate::{meta, name};

pub(super) fn check(faults: &mut Faults, path: &Path<'_>, selector: Option<&Value>) {
    let Some(selector) = selector else { return };
    metadata::labels(faults, &path.child("matchLabels"), meta::at(selector, &["matchLabels"]));
    let expressions = path.child("matchExpressions");
    for (index, one) in meta::list(selector, &["matchExpressions"]).iter().enumerate() {
        let path = expressions.index(index);
        let values = meta::list(one, &["values"]);
        let operator = meta::text(one, &["operator"]);
        match operator {
            "In" | "NotIn" if values.is_empty() => faults.required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => faults.forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => faults.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
        let key = meta::text(one, &["key"]);
        faults.each(&path.child("key"), key, name::qualified(key));
        let values_path = path.child("values");
        for (index, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or("");
            faults.each(&values_path.index(index), value, name::label_value(value));
        }
    }
}

/// Keys that a selector asks about.
pub(super) fn keys(selector: &Value) -> Vec<&str> {
    let labels = meta::map(selector, &["matchLabels"]).into_iter().flatten();
    let expressions = meta::list(selector, &["matchExpressions"]).iter();
    labels
        .map(|(key, _)| key.as_str())
        .chain(expressions.map(|one| meta::text(one, &["key"])))
        .collect()
}
