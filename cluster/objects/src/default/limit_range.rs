//! Defaults of a limit range: what containers get follows from what they may have.

use serde_json::{Value, json};

use super::{amounts, as_map, each, fill, inner};
use crate::meta;

pub(super) fn apply(range: &mut Value) {
    let Some(spec) = inner(range, "spec") else { return };
    for limit in each(spec, "limits") {
        for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            amounts::at(limit, &[list]);
        }
        if meta::text(limit, &["type"]) != "Container" {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let Some(amounts) = meta::map(limit, &[from]).cloned() else {
                continue;
            };
            fill(as_map(limit), to, json!({}));
            let target = meta::map_mut(limit, &[to]);
            for (name, amount) in amounts {
                target.entry(name).or_insert(amount);
            }
        }
    }
}
