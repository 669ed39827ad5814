//! The environment and command line of a container.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use objects::meta;
use serde_json::Value;

use crate::field::{self, Facts};

/// What a container needs is not there; it waits until it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Missing(pub(crate) String);

/// Where values come from.
pub(crate) trait Sources {
    /// A config map by namespace and name.
    fn config_map(&self, namespace: &str, name: &str) -> Option<std::sync::Arc<Value>>;
    /// A secret.
    fn secret(&self, namespace: &str, name: &str) -> Option<std::sync::Arc<Value>>;
}

/// The entries of a config map or a secret as bytes, `data` over `binaryData`.
pub(crate) fn entries(object: &Value) -> BTreeMap<String, Vec<u8>> {
    let secret = meta::kind(object) == "Secret";
    let mut all = BTreeMap::new();
    for (key, encoded) in [("binaryData", true), ("data", secret)] {
        for (name, value) in meta::map(object, &[key]).into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let bytes = if encoded {
                BASE64.decode(text).unwrap_or_default()
            } else {
                text.as_bytes().to_vec()
            };
            all.insert(name.clone(), bytes);
        }
    }
    all
}

/// The environment of a container: what the image says, what the node says, `envFrom`, `env`, each over those before it.
pub(crate) fn variables(
    pod: &Value,
    container: &Value,
    image: &[String],
    given: &[(String, String)],
    facts: &Facts<'_>,
    sources: &dyn Sources,
) -> Result<Vec<(String, String)>, Missing> {
    let namespace = meta::namespace(pod);
    let mut all = Variables::default();
    for entry in image {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        all.put(name, value.into());
    }
    for (name, value) in given {
        all.put(name, value.clone());
    }
    for from in meta::list(container, &["envFrom"]) {
        let prefix = meta::text(from, &["prefix"]);
        let kinds = [("configMapRef", "configmap"), ("secretRef", "secret")];
        for (key, kind) in kinds {
            let Some(reference) = from.get(key) else { continue };
            let name = meta::text(reference, &["name"]);
            match object(sources, kind, namespace, name) {
                Some(object) => {
                    for (key, value) in entries(&object) {
                        all.put(&format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
                    }
                }
                None if meta::flag(reference, &["optional"]) => {}
                None => return Err(Missing(format!("{kind} \"{name}\" not found"))),
            }
        }
    }
    for entry in meta::list(container, &["env"]) {
        let name = meta::text(entry, &["name"]);
        let value = match entry.get("valueFrom") {
            None => expand(meta::text(entry, &["value"]), &|name| all.get(name).map(String::from)),
            Some(from) => match value_from(from, pod, container, facts, sources)? {
                Some(value) => value,
                None => continue,
            },
        };
        all.put(name, value);
    }
    Ok(all.0)
}

fn object(sources: &dyn Sources, kind: &str, namespace: &str, name: &str) -> Option<std::sync::Arc<Value>> {
    match kind {
        "configmap" => sources.config_map(namespace, name),
        _ => sources.secret(namespace, name),
    }
}

fn value_from(
    from: &Value,
    pod: &Value,
    container: &Value,
    facts: &Facts<'_>,
    sources: &dyn Sources,
) -> Result<Option<String>, Missing> {
    if let Some(reference) = from.get("fieldRef") {
        let path = meta::text(reference, &["fieldPath"]);
        let value = field::of_pod(pod, path, facts);
        return value
            .map(Some)
            .ok_or_else(|| Missing(format!("unsupported fieldPath: {path}")));
    }
    if let Some(reference) = from.get("resourceFieldRef") {
        let value = field::of_resources(pod, container, reference, facts);
        return value
            .map(Some)
            .ok_or_else(|| Missing("unsupported container resource".to_string()));
    }
    for (key, kind) in [("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")] {
        let Some(reference) = from.get(key) else { continue };
        let (name, key) = (meta::text(reference, &["name"]), meta::text(reference, &["key"]));
        let namespace = meta::namespace(pod);
        let optional = meta::flag(reference, &["optional"]);
        let word = if kind == "secret" { "Secret" } else { "ConfigMap" };
        return match object(sources, kind, namespace, name) {
            None if optional => Ok(None),
            None => Err(Missing(format!("{kind} \"{name}\" not found"))),
            Some(object) => match entries(&object).remove(key) {
                Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
                None if optional => Ok(None),
                None => Err(Missing(format!("couldn't find key {key} in {word} {namespace}/{name}"))),
            },
        };
    }
    Ok(None)
}

#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn put(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.into(), value)),
        }
    }
}

/// Replaces `$(NAME)`; `$$` is a dollar, and a name that is unknown stays as it is written.
///
/// See <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.
pub(crate) fn expand(text: &str, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(literal) = after.strip_prefix('$') {
            out.push('$');
            rest = literal;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|open| open.split_once(')')) {
            match known(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&rest[at..at + name.len() + 3]),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The argument vector: `command` replaces what the image runs and its arguments, `args` only the arguments.
pub(crate) fn command(
    container: &Value,
    entrypoint: &[String],
    cmd: &[String],
    variables: &[(String, String)],
) -> Vec<String> {
    let known = |name: &str| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let words = |key: &str| -> Vec<String> {
        let list = meta::list(container, &[key]).iter();
        list.map(|word| expand(word.as_str().unwrap_or_default(), &known))
            .collect()
    };
    let (command, args) = (words("command"), words("args"));
    match (command.is_empty(), args.is_empty()) {
        (false, _) => [command, args].concat(),
        (true, false) => [entrypoint.to_vec(), args].concat(),
        (true, true) => [entrypoint, cmd].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    struct Two;

    impl Sources for Two {
        fn config_map(&self, _: &str, name: &str) -> Option<Arc<Value>> {
            (name == "settings")
                .then(|| Arc::new(json!({"kind": "ConfigMap", "data": {"COLOR": "red", "SIZE": "small"}})))
        }

        fn secret(&self, _: &str, name: &str) -> Option<Arc<Value>> {
            (name == "keys").then(|| Arc::new(json!({"kind": "Secret", "data": {"TOKEN": "cGxpbXNvbGw="}})))
        }
    }

    fn facts() -> Facts<'static> {
        Facts {
            node: "n1",
            host_ips: "172.30.0.1",
            pod_ips: "10.244.1.2",
            cpu: 4000,
            memory: 8 << 30,
        }
    }

    #[test]
    fn dollars_and_parentheses_are_read_as_kubernetes_reads_them() {
        let known = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, wanted) in [
            ("$(A)", "1"),
            ("$$(A)", "$(A)"),
            ("$(B)x", "$(B)x"),
            ("$(A", "$(A"),
            ("a$", "a$"),
            ("$A", "$A"),
            ("$$$(A)", "$1"),
        ] {
            assert_eq!(expand(text, &known), wanted, "{text}");
        }
    }

    #[test]
    fn later_sources_win_and_earlier_variables_are_known() {
        let pod = json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {}});
        let container = json!({
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "CM_"}, {"secretRef": {"name": "keys"}},
                {"configMapRef": {"name": "none", "optional": true}}],
            "env": [{"name": "CM_SIZE", "value": "large"}, {"name": "BOTH", "value": "$(CM_COLOR)-$(CM_SIZE)"},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "T", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "TOKEN"}}},
                {"name": "NO", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x", "optional": true}}}],
        });
        let all = variables(&pod, &container, &["PATH=/bin".into()], &[], &facts(), &Two).unwrap();
        let find = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(find("BOTH"), Some("red-large"));
        assert_eq!((find("ME"), find("T")), (Some("p"), Some("plimsoll")));
        assert_eq!((find("TOKEN"), find("NO")), (Some("plimsoll"), None));
        assert_eq!(
            command(&json!({"args": ["$(BOTH)"]}), &["e".into()], &["c".into()], &all),
            ["e", "red-large"]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let pod = json!({"metadata": {"namespace": "d"}});
        let asks = |env: Value| {
            variables(&pod, &json!({"env": [env]}), &[], &[], &facts(), &Two)
                .unwrap_err()
                .0
        };
        let key =
            |name: &str, key: &str| json!({"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}});
        assert_eq!(asks(key("none", "k")), "configmap \"none\" not found");
        assert_eq!(
            asks(key("settings", "k")),
            "couldn't find key k in ConfigMap d/settings"
        );
    }
}
