//! What a workload is sent as: its own manifest, or a pod of a container in short form.

use std::path::Path;

use serde_json::{Map, Value, json};
use spec::workload::Container;

use super::nodes::Names;

/// The pod of a container in short form.
pub(super) fn of_container(name: &str, container: &Container) -> Value {
    let mut own = Map::new();
    own.insert("name".into(), json!(name));
    own.insert("image".into(), json!(container.image));
    if !container.args.is_empty() {
        own.insert("command".into(), json!(container.args));
    }
    if !container.env.is_empty() {
        let env = container
            .env
            .iter()
            .map(|(key, value)| json!({"name": key, "value": value}));
        own.insert("env".into(), env.collect());
    }
    if let Some(cwd) = &container.cwd {
        own.insert("workingDir".into(), json!(cwd));
    }
    if let Some(resources) = &container.resources {
        let mut written = Map::new();
        for (key, cpu, memory) in [
            ("limits", resources.limits.cpu, resources.limits.memory),
            ("requests", resources.requests.cpu, resources.requests.memory),
        ] {
            let mut amounts = Map::new();
            amounts.extend(cpu.map(|cpu| ("cpu".to_owned(), json!(format!("{}m", cpu.0)))));
            amounts.extend(memory.map(|memory| ("memory".to_owned(), json!(memory.0.to_string()))));
            if !amounts.is_empty() {
                written.insert(key.into(), Value::Object(amounts));
            }
        }
        own.insert("resources".into(), Value::Object(written));
    }
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [own]},
    });
    if let Some(hostname) = &container.hostname {
        pod["spec"]["hostname"] = json!(hostname);
    }
    pod
}

/// Images of a directory or archive, which are relative to the spec, as absolute paths.
pub(super) fn place_images(value: &mut Value, base: &Path) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(image) if key == "image" => {
                        for form in ["dir:", "tar:"] {
                            let placed = image.strip_prefix(form).filter(|path| !path.starts_with('/'));
                            let placed = placed.and_then(|path| std::path::absolute(base.join(path)).ok());
                            if let Some(path) = placed {
                                *image = format!("{form}{}", path.display());
                            }
                        }
                    }
                    other => place_images(other, base),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| place_images(value, base)),
        _ => {}
    }
}

/// Nodes that a manifest chooses by name, by the names they have in the cluster.
pub(super) fn place_nodes(value: &mut Value, names: &Names) {
    const HOST: &str = "kubernetes.io/hostname";
    let rename = |value: &mut Value| {
        if let Value::String(name) = value {
            *name = names.real(name).to_owned();
        }
    };
    match value {
        Value::Object(map) => {
            let chooses = matches!(map.get("key").and_then(Value::as_str), Some(HOST | "metadata.name"));
            for (key, value) in map.iter_mut() {
                match (key.as_str(), value) {
                    ("nodeName" | HOST, name @ Value::String(_)) => rename(name),
                    ("values", Value::Array(list)) if chooses => list.iter_mut().for_each(rename),
                    (_, other) => place_nodes(other, names),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| place_nodes(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_chosen_by_the_names_of_the_cluster() {
        let names = Names::of([("a", "node-7")]);
        let term = |key: &str, name: &str| json!([{"key": key, "operator": "In", "values": [name, "other"]}]);
        let mut pod = json!({
            "spec": {"nodeName": "a", "nodeSelector": {"kubernetes.io/hostname": "a", "zone": "a"}},
            "terms": [term("metadata.name", "a"), term("kubernetes.io/hostname", "a"), term("zone", "a")],
            "env": {"fieldPath": "spec.nodeName", "value": "a"},
        });
        place_nodes(&mut pod, &names);
        let expected = json!({
            "spec": {"nodeName": "node-7", "nodeSelector": {"kubernetes.io/hostname": "node-7", "zone": "a"}},
            "terms": [term("metadata.name", "node-7"), term("kubernetes.io/hostname", "node-7"), term("zone", "a")],
            "env": {"fieldPath": "spec.nodeName", "value": "a"},
        });
        assert_eq!(pod, expected);
    }

    #[test]
    fn a_container_in_short_form_is_a_pod() {
        let container: Container = serde_json::from_value(json!({
            "image": "plimsoll/probe", "args": ["sleep"], "env": {"A": "b"},
            "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
        }))
        .unwrap();
        let pod = of_container("client", &container);
        assert_eq!(
            pod["spec"]["containers"][0],
            json!({
                "name": "client", "image": "plimsoll/probe", "command": ["sleep"], "env": [{"name": "A", "value": "b"}],
                "resources": {"limits": {"cpu": "500m", "memory": "67108864"}},
            })
        );
    }

    #[test]
    fn images_are_relative_to_the_spec() {
        let mut pod = json!({"spec": {"containers": [{"image": "tar:a.tar"}, {"image": "dir:/b"}, {"image": "c"}]}});
        place_images(&mut pod, Path::new("/specs"));
        let images: Vec<&str> = (0..3)
            .map(|n| pod["spec"]["containers"][n]["image"].as_str().unwrap())
            .collect();
        assert_eq!(images, ["tar:/specs/a.tar", "dir:/b", "c"]);
    }
}
