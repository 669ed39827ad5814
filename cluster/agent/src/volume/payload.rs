//! The files of volumes that are made of API objects: config maps, secrets, facts about the pod, tokens, and mixtures.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use objects::meta;
use serde_json::Value;

use crate::env::{Missing, Sources, entries};
use crate::field::{self, Facts};

/// A file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

/// Files by their path in the volume.
pub(crate) type Payload = BTreeMap<String, File>;

/// A token that a volume asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) audience: String,
    pub(crate) seconds: i64,
}

/// What the files are made of.
pub(crate) struct Material<'a> {
    pub(crate) pod: &'a Value,
    pub(crate) facts: Facts<'a>,
    pub(crate) sources: &'a dyn Sources,
    pub(crate) tokens: &'a BTreeMap<Asked, String>,
}

const DEFAULT_MODE: u32 = 0o644;

fn mode_of(source: &Value, key: &str, otherwise: u32) -> u32 {
    let number = meta::number(source, &[key]).and_then(|mode| u32::try_from(mode).ok());
    number.map_or(otherwise, |mode| mode & 0o777)
}

/// The tokens that the volumes of a pod ask for.
pub(crate) fn tokens(volume: &Value) -> Vec<Asked> {
    let sources = meta::list(volume, &["projected", "sources"]).iter();
    sources
        .filter_map(|one| one.get("serviceAccountToken"))
        .map(|token| Asked {
            audience: meta::text(token, &["audience"]).to_owned(),
            seconds: meta::number(token, &["expirationSeconds"]).unwrap_or(3600),
        })
        .collect()
}

/// The files of a volume; `None` if it is not of this kind.
pub(crate) fn of(volume: &Value, material: &Material<'_>) -> Option<Result<Payload, Missing>> {
    let one = |key: &str, mode_key: &str| {
        let source = volume.get(key)?;
        let mode = mode_of(source, mode_key, DEFAULT_MODE);
        Some((source, mode))
    };
    if let Some((source, mode)) = one("configMap", "defaultMode") {
        return Some(object(source, "configmap", "name", mode, material));
    }
    if let Some((source, mode)) = one("secret", "defaultMode") {
        return Some(object(source, "secret", "secretName", mode, material));
    }
    if let Some((source, mode)) = one("downwardAPI", "defaultMode") {
        return Some(downward(source, mode, material));
    }
    let (source, mode) = one("projected", "defaultMode")?;
    let mut all = Payload::new();
    for part in meta::list(source, &["sources"]) {
        let files = if let Some(part) = part.get("configMap") {
            object(part, "configmap", "name", mode, material)
        } else if let Some(part) = part.get("secret") {
            object(part, "secret", "name", mode, material)
        } else if let Some(part) = part.get("downwardAPI") {
            downward(part, mode, material)
        } else if let Some(part) = part.get("serviceAccountToken") {
            token(part, mode, material)
        } else {
            Err(Missing("a projected source of a kind that is not served".into()))
        };
        match files {
            Ok(files) => all.extend(files),
            Err(missing) => return Some(Err(missing)),
        }
    }
    Some(Ok(all))
}

fn object(source: &Value, kind: &str, name_key: &str, mode: u32, material: &Material<'_>) -> Result<Payload, Missing> {
    let (namespace, name) = (meta::namespace(material.pod), meta::text(source, &[name_key]));
    let optional = meta::flag(source, &["optional"]);
    let object = match kind {
        "configmap" => material.sources.config_map(namespace, name),
        _ => material.sources.secret(namespace, name),
    };
    let Some(object) = object else {
        return if optional {
            Ok(Payload::new())
        } else {
            Err(Missing(format!("{kind} \"{name}\" not found")))
        };
    };
    let mut entries = entries(&object);
    let items = meta::list(source, &["items"]);
    if items.is_empty() {
        let files = entries
            .into_iter()
            .map(|(name, bytes)| Ok((inside(&name)?, File { bytes, mode })));
        return files.collect();
    }
    let mut files = Payload::new();
    for item in items {
        let key = meta::text(item, &["key"]);
        match entries.remove(key) {
            Some(bytes) => {
                let mode = mode_of(item, "mode", mode);
                files.insert(inside(meta::text(item, &["path"]))?, File { bytes, mode });
            }
            None if optional => {}
            None => return Err(Missing(format!("references non-existent {kind} key: {key}"))),
        }
    }
    Ok(files)
}

fn downward(source: &Value, mode: u32, material: &Material<'_>) -> Result<Payload, Missing> {
    let mut files = Payload::new();
    for item in meta::list(source, &["items"]) {
        let text = if let Some(reference) = item.get("fieldRef") {
            field::of_pod(material.pod, meta::text(reference, &["fieldPath"]), &material.facts)
        } else {
            let reference = item.get("resourceFieldRef").unwrap_or(&Value::Null);
            field::of_resources(material.pod, &Value::Null, reference, &material.facts)
        };
        let path = inside(meta::text(item, &["path"]))?;
        let text = text.ok_or_else(|| Missing(format!("nothing is known for the downward file {path}")))?;
        let mode = mode_of(item, "mode", mode);
        files.insert(
            path,
            File {
                bytes: text.into_bytes(),
                mode,
            },
        );
    }
    Ok(files)
}

fn token(source: &Value, mode: u32, material: &Material<'_>) -> Result<Payload, Missing> {
    let asked = Asked {
        audience: meta::text(source, &["audience"]).to_owned(),
        seconds: meta::number(source, &["expirationSeconds"]).unwrap_or(3600),
    };
    let token = material.tokens.get(&asked);
    let token = token.ok_or_else(|| Missing("failed to fetch token: there is none yet".into()))?;
    let path = inside(meta::text(source, &["path"]))?;
    let bytes = token.clone().into_bytes();
    Ok(Payload::from([(path, File { bytes, mode })]))
}

/// A relative path that does not climb. What the API let through is not believed.
fn inside(path: &str) -> Result<String, Missing> {
    let mut parts = Path::new(path).components();
    let plain = !path.is_empty() && !path.starts_with("..") && parts.all(|part| matches!(part, Component::Normal(_)));
    if plain {
        Ok(path.to_owned())
    } else {
        Err(Missing(format!("invalid path: {path}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    struct One;

    impl Sources for One {
        fn config_map(&self, _: &str, name: &str) -> Option<Arc<Value>> {
            (name == "c").then(|| Arc::new(json!({"kind": "ConfigMap", "data": {"a": "1", "b": "2"}})))
        }

        fn secret(&self, _: &str, _: &str) -> Option<Arc<Value>> {
            None
        }
    }

    fn files(volume: Value) -> Result<Vec<(String, String, u32)>, String> {
        let pod = json!({"metadata": {"name": "p", "namespace": "d", "labels": {"x": "y"}}});
        let asked = Asked {
            audience: "api".into(),
            seconds: 600,
        };
        let tokens = BTreeMap::from([(asked, "t0k".to_owned())]);
        let facts = Facts {
            node: "n",
            host_ips: "1.1.1.1",
            pod_ips: "2.2.2.2",
            cpu: 1000,
            memory: 1 << 30,
        };
        let material = Material {
            pod: &pod,
            facts,
            sources: &One,
            tokens: &tokens,
        };
        let files = of(&volume, &material).expect("made of objects").map_err(|m| m.0)?;
        let shown = |(path, file): (String, File)| (path, String::from_utf8(file.bytes).unwrap(), file.mode);
        Ok(files.into_iter().map(shown).collect())
    }

    #[test]
    fn a_mixture_has_the_files_of_all_its_sources() {
        let mixture = json!({"projected": {"defaultMode": 0o440, "sources": [
            {"configMap": {"name": "c", "items": [{"key": "a", "path": "deep/a", "mode": 0o400}]}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"serviceAccountToken": {"path": "token", "audience": "api", "expirationSeconds": 600}},
        ]}});
        assert_eq!(
            files(mixture).unwrap(),
            [
                ("deep/a".into(), "1".into(), 0o400),
                ("labels".into(), "x=\"y\"".into(), 0o440),
                ("token".into(), "t0k".into(), 0o440)
            ]
        );
    }

    #[test]
    fn what_is_not_there_is_an_error_unless_optional() {
        assert_eq!(
            files(json!({"secret": {"secretName": "s"}})).unwrap_err(),
            "secret \"s\" not found"
        );
        assert_eq!(
            files(json!({"secret": {"secretName": "s", "optional": true}})).unwrap(),
            []
        );
        let key = json!({"configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}});
        assert_eq!(files(key).unwrap_err(), "references non-existent configmap key: z");
    }

    #[test]
    fn no_path_climbs_out_of_the_volume() {
        for path in ["../x", "/etc/passwd", "a/../../b", "..data", ""] {
            let volume = json!({"configMap": {"name": "c", "items": [{"key": "a", "path": path}]}});
            assert_eq!(files(volume).unwrap_err(), format!("invalid path: {path}"));
        }
    }
}
