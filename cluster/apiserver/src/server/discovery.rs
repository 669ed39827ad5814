//! What is served, told in the old form (one answer per group and version) and in the new one (one for all).

use objects::{Kind, kind::KINDS};
use serde_json::{Value, json};

/// Groups but the core one, in the order of the table of kinds, each with its version.
fn groups() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = KINDS
        .iter()
        .map(|kind| (kind.group, kind.version))
        .filter(|(group, _)| !group.is_empty())
        .collect();
    all.dedup();
    all
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    if kind.kind == "Namespace" {
        // They go one by one.
        &["create", "delete", "get", "list", "patch", "update", "watch"]
    } else if kind.stored {
        &[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ]
    } else {
        &["create"]
    }
}

/// `/`
pub(crate) fn paths() -> Value {
    let groups = groups()
        .into_iter()
        .flat_map(|(group, version)| [format!("/apis/{group}"), format!("/apis/{group}/{version}")]);
    let fixed = [
        "/api",
        "/api/v1",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    let mut paths: Vec<String> = fixed.map(str::to_owned).into_iter().chain(groups).collect();
    paths.sort();
    json!({"paths": paths})
}

/// `/api`
pub(crate) fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(crate) fn all_groups() -> Value {
    let groups: Vec<Value> = groups()
        .into_iter()
        .map(|(name, version)| api_group(name, version))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(crate) fn group(name: &str) -> Value {
    let version = groups()
        .into_iter()
        .find(|(group, _)| *group == name)
        .map_or("v1", |(_, version)| version);
    let mut group = api_group(name, version);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

fn api_group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// `/api/VERSION` and `/apis/GROUP/VERSION`
pub(crate) fn resources(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in KINDS
        .iter()
        .filter(|kind| kind.group == group && kind.version == version)
    {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for sub in kind.subresources {
            let (group, version, name) = sub.gvk;
            let mut resource = json!({
                "name": format!("{}/{}", kind.plural, sub.name), "singularName": "", "namespaced": kind.namespaced,
                "kind": name, "verbs": sub.verbs,
            });
            if (group, version) != (kind.group, kind.version) {
                resource["group"] = group.into();
                resource["version"] = version.into();
            }
            resources.push(resource);
        }
    }
    let version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources})
}

/// `/api` or `/apis` for clients that take everything at once.
pub(crate) fn aggregated(core: bool, version: &str) -> Value {
    let groups = if core { vec![("", "v1")] } else { groups() };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(name, version)| {
            let kinds = KINDS
                .iter()
                .filter(|kind| kind.group == name && kind.version == version);
            let resources: Vec<Value> = kinds.map(aggregated_resource).collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !name.is_empty() {
                metadata["name"] = name.into();
            }
            json!({"metadata": metadata, "versions": [
                {"version": version, "resources": resources, "freshness": "Current"},
            ]})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(kind: &Kind) -> Value {
    let of = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": of((kind.group, kind.version, kind.kind)),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    if !kind.subresources.is_empty() {
        let subs = kind.subresources.iter();
        let subs = subs.map(|sub| json!({"subresource": sub.name, "responseKind": of(sub.gvk), "verbs": sub.verbs}));
        resource["subresources"] = subs.collect();
    }
    resource
}

/// `/version`
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": concat!("v1.33.0+plimsoll-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc", "platform": format!("linux/{}", std::env::consts::ARCH),
    })
}
