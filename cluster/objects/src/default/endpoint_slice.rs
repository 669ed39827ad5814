//! Defaults of an endpoint slice.

use serde_json::Value;

use super::{as_map, each, fill};

pub(super) fn apply(slice: &mut Value) {
    for port in each(slice, "ports") {
        let map = as_map(port);
        map.entry("name").or_insert_with(|| "".into());
        fill(map, "protocol", "TCP");
    }
}
