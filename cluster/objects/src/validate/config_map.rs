//! ConfigMaps.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    secret,
};
use crate::{meta, name};

/// Bytes of all values together.
pub(super) const LARGEST: usize = 1024 * 1024;

pub(super) fn check(faults: &mut Faults, map: &Value) {
    let binary = meta::map(map, &["binaryData"]);
    let mut size = 0;
    let path = Path::of("data");
    for (key, value) in meta::map(map, &["data"]).into_iter().flatten() {
        faults.each(&path.key(key), key, name::config_key(key));
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            faults.invalid(&path.key(key), &key[..], "duplicate of key present in binaryData");
        }
        size += value.as_str().map_or(0, str::len);
    }
    let path = Path::of("binaryData");
    for (key, value) in binary.into_iter().flatten() {
        faults.each(&path.key(key), key, name::config_key(key));
        size += secret::decoded_size(value);
    }
    if size > LARGEST {
        faults.too_long(&Path::of("[]"), LARGEST);
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    frozen(faults, old, new, &["data", "binaryData"]);
}

/// What was made immutable stays so.
pub(super) fn frozen(faults: &mut Faults, old: &Value, new: &Value, keys: &[&str]) {
    let detail = "field is immutable when `immutable` is set";
    if !meta::flag(old, &["immutable"]) {
        return;
    }
    if !meta::flag(new, &["immutable"]) {
        faults.forbidden(&Path::of("immutable"), detail);
    }
    for key in keys {
        if meta::at(old, &[key]) != meta::at(new, &[key]) {
            faults.forbidden(&Path::of(key), detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::tests::{told, updated},
        *,
    };

    #[test]
    fn keys_are_file_names_and_the_whole_is_no_more_than_a_mebibyte() {
        assert_eq!(told("", "configmaps", json!({"data": {"a.b-C_1": "x"}})), [""; 0]);
        let faults = told("", "configmaps", json!({"data": {"a/b": "x", "..": "y"}}));
        assert!(faults[0].starts_with("data[a/b]: Invalid value: \"a/b\": a valid config key must"));
        assert_eq!(faults[1], "data[..]: Invalid value: \"..\": must not be '..'");
        assert_eq!(
            told("", "configmaps", json!({"data": {"a": "x".repeat(LARGEST)}})),
            [""; 0]
        );
        assert_eq!(
            told("", "configmaps", json!({"data": {"a": "x".repeat(LARGEST + 1)}})),
            ["[]: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn what_is_immutable_stays() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        assert_eq!(updated("", "configmaps", old.clone(), old.clone()), [""; 0]);
        assert_eq!(
            updated("", "configmaps", old, json!({"data": {"a": "2"}})),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set"
            ]
        );
    }
}
