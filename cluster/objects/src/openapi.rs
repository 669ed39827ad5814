//! The OpenAPI documents, made of the table.
//!
//! kubectl reads them for three things: whether the server validates fields (a parameter of `patch`), by which keys lists are
//! merged (`apply`), and what fields there are (`explain`). Everything in them serves one of these.
//! See <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3>.

pub mod v2;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    Kind,
    kind::{KINDS, Subresource},
    schema::{self, Field, List, Message, Shape, Strategy, Type},
};

const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Where the document of each group and version is. The address changes when the document may have changed.
pub fn v3_index() -> Value {
    let hash = schema::fingerprint();
    let entry = |path: String| {
        let url = json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={hash:016X}") });
        (path, url)
    };
    let paths: Map<_, _> = group_versions()
        .map(|(group, version)| entry(base(group, version)))
        .collect();
    json!({ "paths": paths })
}

/// The document of a group and version; nothing if none of its kinds is served.
pub fn v3(group: &str, version: &str) -> Option<Value> {
    let kinds: Vec<_> = KINDS
        .iter()
        .filter(|kind| (kind.group, kind.version) == (group, version))
        .collect();
    if kinds.is_empty() {
        return None;
    }
    let mut document = Document::default();
    for kind in kinds {
        document.kind(kind);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33"},
        "paths": document.paths,
        "components": {"schemas": document.schemas},
    }))
}

fn group_versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all: BTreeSet<_> = KINDS.iter().map(|kind| (kind.group, kind.version)).collect();
    all.into_iter()
}

fn base(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

#[derive(Default)]
struct Document {
    paths: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Document {
    fn kind(&mut self, kind: &'static Kind) {
        let base = base(kind.group, kind.version);
        let place = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("/{base}/{place}{}", kind.plural);
        let gvk = (kind.group, kind.version, kind.kind);
        let own = self.schema(schema::message(kind), Some(gvk));
        if !kind.stored {
            self.path(collection, kind, &["post"], gvk, &own);
            return;
        }
        let list = self.list(kind, &own);
        if kind.namespaced {
            self.path(format!("/{base}/{}", kind.plural), kind, &["get"], gvk, &list);
        }
        let item = format!("{collection}/{{name}}");
        self.path(collection.clone(), kind, &["get"], gvk, &list);
        self.path(collection, kind, &["post", "delete"], gvk, &own);
        self.path(item.clone(), kind, &["get", "put", "patch", "delete"], gvk, &own);
        for sub in kind.subresources {
            self.subresource(&item, kind, sub);
        }
    }

    fn subresource(&mut self, item: &str, kind: &Kind, sub: &Subresource) {
        let methods: Vec<_> = sub.verbs.iter().map(|verb| method(verb)).collect();
        let (group, version, name) = sub.gvk;
        let Some(message) = schema::find(group, version, name) else {
            return;
        };
        let body = self.schema(message, Some(sub.gvk));
        self.path(format!("{item}/{}", sub.name), kind, &methods, sub.gvk, &body);
    }

    fn path(&mut self, path: String, kind: &Kind, methods: &[&str], gvk: (&str, &str, &str), body: &Value) {
        let mut common = Vec::new();
        for name in ["namespace", "name"] {
            if path.contains(&format!("{{{name}}}")) {
                common.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}));
            }
        }
        let entry = self
            .paths
            .entry(path)
            .or_insert_with(|| json!({ "parameters": common }));
        for method in methods {
            entry[*method] = operation(method, kind, gvk, body);
        }
    }

    /// The list of a kind, which no message of the table is.
    fn list(&mut self, kind: &Kind, item: &Value) -> Value {
        let name = format!("{}List", kind.kind);
        let key = format!("{}{name}", package(schema::message(kind)));
        let meta = schema::find("meta", "v1", "ListMeta").map(|meta| self.schema(meta, None));
        let schema = json!({
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"allOf": [meta], "default": {}},
                "items": {"type": "array", "items": {"allOf": [item], "default": {}}},
            },
            "x-kubernetes-group-version-kind": [gvk_object((kind.group, kind.version, &name))],
        });
        let reference = reference(&key);
        self.schemas.insert(key, schema);
        reference
    }

    /// Adds the schema of a message, and of all that is in it; answers a reference to it.
    fn schema(&mut self, message: &'static Message, gvk: Option<(&str, &str, &str)>) -> Value {
        let key = format!("{}{}", package(message), message.short());
        let reference = reference(&key);
        if self.schemas.contains_key(&key) {
            return reference;
        }
        // Before its fields, so that a message within itself would end.
        self.schemas.insert(key.clone(), Value::Null);
        let mut properties = Map::new();
        for field in &message.fields {
            let mut property = self.field(field);
            if let Some(words) = words::field(field.name).filter(|_| message.object) {
                property["description"] = words.into();
            }
            properties.insert(field.name.into(), property);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if let Some(words) = words::message(message.name) {
            schema["description"] = words.into();
        }
        let required: Vec<_> = message
            .fields
            .iter()
            .filter(|field| field.required)
            .map(|field| field.name)
            .collect();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if message.atomic {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        if let Some(gvk) = gvk {
            schema["x-kubernetes-group-version-kind"] = json!([gvk_object(gvk)]);
        }
        self.schemas.insert(key, schema);
        reference
    }

    fn field(&mut self, field: &Field) -> Value {
        let item = self.item(field);
        let mut schema = match field.shape {
            Shape::One => item,
            Shape::List => json!({"type": "array", "items": item}),
            Shape::Map => json!({"type": "object", "additionalProperties": item}),
        };
        let mut say = |name: &str, value: Value| schema[name] = value;
        match (field.shape, &field.list) {
            (Shape::List, List::Atomic) => say("x-kubernetes-list-type", "atomic".into()),
            (Shape::List, List::Set) => say("x-kubernetes-list-type", "set".into()),
            (Shape::List, List::Map(keys)) => {
                say("x-kubernetes-list-type", "map".into());
                say("x-kubernetes-list-map-keys", keys.clone().into());
            }
            _ if field.atomic => say("x-kubernetes-map-type", "atomic".into()),
            _ => {}
        }
        let mut strategies = Vec::new();
        if let Strategy::Merge(key) = field.strategy {
            strategies.push("merge");
            if let Some(key) = key {
                say("x-kubernetes-patch-merge-key", key.into());
            }
        }
        if field.retain_keys {
            strategies.push("retainKeys");
        }
        if !strategies.is_empty() {
            say("x-kubernetes-patch-strategy", strategies.join(",").into());
        }
        if let Some(default) = field.default.filter(|_| field.ty == Type::String) {
            say("default", default.into());
        }
        schema
    }

    fn item(&mut self, field: &Field) -> Value {
        match field.ty {
            Type::String => json!({"type": "string"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::Time => self.named(
                "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
                json!({"type": "string", "format": "date-time"}),
            ),
            Type::MicroTime => self.named(
                "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
                json!({"type": "string", "format": "date-time"}),
            ),
            Type::Quantity => self.named(
                "io.k8s.apimachinery.pkg.api.resource.Quantity",
                json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            ),
            Type::IntOrString => self.named(
                "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
            ),
            Type::FieldsV1 => self.named(
                "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
                json!({"type": "object"}),
            ),
            Type::Message(id) => {
                let inner = self.schema(id.message(), None);
                if field.pointer {
                    json!({"allOf": [inner]})
                } else {
                    json!({"allOf": [inner], "default": {}})
                }
            }
        }
    }

    fn named(&mut self, key: &str, schema: Value) -> Value {
        self.schemas.entry(key.into()).or_insert(schema);
        json!({ "allOf": [reference(key)] })
    }
}

fn method(verb: &str) -> &'static str {
    match verb {
        "create" => "post",
        "update" => "put",
        "patch" => "patch",
        "delete" => "delete",
        _ => "get",
    }
}

fn operation(method: &str, kind: &Kind, gvk: (&str, &str, &str), body: &Value) -> Value {
    let action = match method {
        "post" => "post",
        "put" => "put",
        "patch" => "patch",
        "delete" => "delete",
        _ => "get",
    };
    let text = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let mut operation = json!({
        "tags": [kind.plural],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk_object(gvk),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": body}}}},
    });
    if matches!(method, "post" | "put" | "patch") {
        let mut parameters = vec![text("dryRun"), text("fieldManager"), text("fieldValidation")];
        if method == "patch" {
            parameters
                .push(json!({"name": "force", "in": "query", "schema": {"type": "boolean", "uniqueItems": true}}));
        }
        let content: Map<_, _> = match method {
            "patch" => PATCHES
                .iter()
                .map(|form| (String::from(*form), json!({"schema": {"type": "object"}})))
                .collect(),
            _ => Map::from_iter([("*/*".to_owned(), json!({ "schema": body }))]),
        };
        operation["parameters"] = parameters.into();
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn gvk_object((group, version, kind): (&str, &str, &str)) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn reference(key: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{key}") })
}

/// What comes before the name of a message in the documents: `io.k8s.api.apps.v1.`.
fn package(message: &Message) -> String {
    match message.group_version() {
        ("meta", version) => format!("io.k8s.apimachinery.pkg.apis.meta.{version}."),
        ("", version) => format!("io.k8s.api.core.{version}."),
        (group, version) => {
            let group = group.split_once('.').map_or(group, |(first, _)| first);
            format!("io.k8s.api.{group}.{version}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each `$ref` of a document.
    fn references<'a>(value: &'a Value, all: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                all.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, all));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, all)),
            _ => {}
        }
    }

    #[test]
    fn every_document_of_the_index_is_whole() {
        let index = v3_index();
        let paths = index["paths"].as_object().expect("paths");
        assert!(
            paths.contains_key("api/v1") && paths.contains_key("apis/apps/v1"),
            "{index}"
        );
        for (group, version) in group_versions() {
            let document = v3(group, version).expect("in the index");
            let mut all = BTreeSet::new();
            references(&document, &mut all);
            for reference in all {
                let key = reference.strip_prefix("#/components/schemas/").expect("a component");
                assert!(document["components"]["schemas"][key].is_object(), "{reference}");
            }
        }
        assert_eq!(v3("batch", "v1"), None);
    }

    /// What makes kubectl leave validation to the server, and what it explains by.
    #[test]
    fn every_kind_can_be_patched_with_validation_of_fields() {
        for kind in KINDS.iter().filter(|kind| kind.stored) {
            let document = v3(kind.group, kind.version).expect("served");
            let place = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
            let path = format!("/{}/{place}{}/{{name}}", base(kind.group, kind.version), kind.plural);
            let patch = &document["paths"][&path]["patch"];
            let gvk = &patch["x-kubernetes-group-version-kind"];
            assert_eq!(gvk["kind"], kind.kind);
            let parameters = patch["parameters"].as_array().expect("parameters");
            assert!(
                parameters
                    .iter()
                    .any(|one| one["name"] == "fieldValidation" && one["in"] == "query")
            );
            assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            let own = schemas
                .values()
                .filter(|one| one["x-kubernetes-group-version-kind"] == json!([gvk]));
            assert_eq!(own.count(), 1, "{}", kind.kind);
        }
    }

    #[test]
    fn lists_tell_by_what_they_are_merged() {
        let document = v3("apps", "v1").expect("served");
        let containers = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        assert_eq!(
            containers["items"]["allOf"][0]["$ref"],
            "#/components/schemas/io.k8s.api.core.v1.Container"
        );
    }
}
