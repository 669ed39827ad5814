//! Secrets, some types of which must hold certain keys.

use serde_json::Value;

use super::{
    config_map::{self, LARGEST},
    faults::{Faults, Path},
};
use crate::{meta, name};

const DATA: Path<'_> = Path::of("data");
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn check(faults: &mut Faults, secret: &Value) {
    let data = meta::map(secret, &["data"]);
    let mut size = 0;
    for (key, value) in data.into_iter().flatten() {
        faults.each(&DATA.key(key), key, name::config_key(key));
        size += decoded_size(value);
    }
    if size > LARGEST {
        faults.too_long(&DATA, LARGEST);
    }
    let has = |key: &str| data.is_some_and(|data| data.contains_key(key));
    let needed: &[&str] = match meta::text(secret, &["type"]) {
        "kubernetes.io/service-account-token" => {
            if meta::annotation(secret, ACCOUNT).unwrap_or("").is_empty() {
                let path = Path::of("metadata");
                let path = path.child("annotations");
                faults.required(&path.key(ACCOUNT), "");
            }
            &[]
        }
        "kubernetes.io/basic-auth" if has("username") || has("password") => &[],
        "kubernetes.io/basic-auth" => &["username", "password"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    };
    for key in needed.iter().filter(|key| !has(key)) {
        faults.required(&DATA.key(key), "");
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    faults.immutable(&Path::of("type"), meta::at(old, &["type"]), meta::at(new, &["type"]));
    config_map::frozen(faults, old, new, &["data"]);
}

/// Bytes that base64 text stands for.
pub(super) fn decoded_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or("").trim_end_matches('=');
    text.len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    #[test]
    fn a_type_asks_for_its_keys_and_stays() {
        assert_eq!(told("", "secrets", json!({"data": {"a": "eA=="}})), [""; 0]);
        assert_eq!(
            told(
                "",
                "secrets",
                json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}})
            ),
            ["data[tls.key]: Required value"]
        );
        assert_eq!(
            updated("", "secrets", json!({}), json!({"type": "a/b"})),
            ["type: Invalid value: \"a/b\": field is immutable"]
        );
        let large = "A".repeat(super::LARGEST * 4 / 3 + 8);
        assert_eq!(
            told("", "secrets", json!({"data": {"a": large}})),
            ["data: Too long: may not be more than 1048576 bytes"]
        );
    }
}
