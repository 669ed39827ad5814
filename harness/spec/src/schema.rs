//! The JSON Schema of a spec, made of the types, for editors.

use serde_json::{Value, json};

use crate::{API_VERSION, benchmark::BenchmarkDocument, document::Document, requirement::NamespaceKind};

/// Where the schema is committed, below the root of the repository.
pub const PATH: &str = "schema/plimsoll-v1.schema.json";

/// The schema, draft 2020-12. It says less than [`crate::load()`]: a file that it refuses is wrong, but not all that is
/// wrong can be told by it.
pub fn json_schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut generator = settings.into_generator();
    let kinds = [
        ("Test", generator.subschema_for::<Document>()),
        ("Benchmark", generator.subschema_for::<BenchmarkDocument>()),
    ];
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let [(_, test), (benchmark_name, benchmark)] = &kinds;
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plimsoll spec",
        "description": "A whole document.",
        "type": "object",
        "properties": {"kind": {"enum": names}},
        // Not `oneOf`: an editor then shows what is wrong with the kind that is meant, and not with the other.
        "if": {"properties": {"kind": {"const": benchmark_name}}, "required": ["kind"]},
        "then": benchmark,
        "else": test,
        "$defs": generator.take_definitions(true),
    });
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        // The header is what it is; only the body is substituted.
        let bodies = definitions.iter_mut().filter(|(name, _)| !name.ends_with("Document"));
        for (_, definition) in bodies {
            admit_references(definition);
        }
        if let Some(kinds) = definitions.get_mut("NamespaceKind") {
            let mut names: Vec<&str> = NamespaceKind::ALL
                .iter()
                .flat_map(|k| [k.oci_name(), k.proc_name()])
                .collect();
            names.dedup();
            *kinds = json!({"type": "string", "enum": names, "description": "A kind of namespace."});
        }
        definitions.insert(
            "Reference".into(),
            json!({
                "type": "string",
                "pattern": r"^\$\{[^}]+\}$",
                "description": "A value from elsewhere: `${matrix.NAME}`, `${vars.NAME}`.",
            }),
        );
    }
    for (definition, kind) in [("Document", names[0]), ("BenchmarkDocument", names[1])] {
        let path = format!("/$defs/{definition}/properties");
        let Some(Value::Object(properties)) = schema.pointer_mut(&path) else {
            continue;
        };
        for (key, value) in [("apiVersion", API_VERSION), ("kind", kind)] {
            if let Some(Value::Object(property)) = properties.get_mut(key) {
                property.insert("const".into(), json!(value));
            }
        }
    }
    schema
}

/// Lets a reference stand for each field, element and value of a definition.
fn admit_references(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
        for inner in schema.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            admit_references(inner);
        }
    }
    let mut fields: Vec<&mut Value> = Vec::new();
    for (key, inner) in schema.iter_mut() {
        match (key.as_str(), inner) {
            ("properties", Value::Object(properties)) => fields.extend(properties.values_mut()),
            ("items" | "additionalProperties", inner) => fields.push(inner),
            _ => {}
        }
    }
    for field in fields {
        admit_references(field);
        let Value::Object(own) = &mut *field else { continue };
        let is_free = own
            .get("type")
            .is_none_or(|kind| kind == "string" || kind == &json!(["string", "null"]));
        let is_bound = ["$ref", "anyOf", "oneOf", "enum", "const", "pattern"]
            .iter()
            .any(|key| own.contains_key(*key));
        if is_free && !is_bound {
            continue;
        }
        let description = own.remove("description");
        let mut wrapped = json!({"anyOf": [own, {"$ref": "#/$defs/Reference"}]});
        if let (Some(description), Some(wrapped)) = (description, wrapped.as_object_mut()) {
            wrapped.insert("description".into(), description);
        }
        *field = wrapped;
    }
}

/// The schema as it is committed.
pub fn text() -> String {
    // A `Value` without keys that are not text always has a text.
    let text = serde_json::to_string_pretty(&json_schema()).unwrap_or_default();
    text + "\n"
}
