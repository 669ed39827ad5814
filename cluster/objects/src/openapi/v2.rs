//! The version 2 document, as far as anybody reads it: kubectl before 1.27 looks there whether a kind can be changed without
//! being changed (a `dryRun` parameter of its `patch`), which `kubectl diff` and `--dry-run=server` need. There are no schemas
//! in it, so fields are checked by nobody but the server.
//!
//! It is a message `openapi.v2.Document` of gnostic's `OpenAPIv2.proto`: old clients read no JSON here.

use std::sync::LazyLock;

use super::{base, gvk_object};
use crate::Kind;
use crate::kind::KINDS;
use crate::protobuf::wire::bytes;

/// With `@` in place of the dot before `v1.0`, as Kubernetes writes it, clients in Go cannot parse it.
pub const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Always the same.
pub fn document() -> &'static [u8] {
    static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let info = [text(1, "Kubernetes"), text(2, "v1.33")].concat();
        let items = KINDS.iter().filter(|kind| kind.stored).map(item);
        let paths: Vec<u8> = items.flat_map(|item| bytes(2, &item)).collect();
        [text(1, "2.0"), bytes(2, &info), bytes(8, &paths)].concat()
    });
    &DOCUMENT
}

/// `NamedPathItem`: an object's path, with what its `patch` takes.
fn item(kind: &Kind) -> Vec<u8> {
    let place = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let path = format!("/{}/{place}{}/{{name}}", base(kind.group, kind.version), kind.plural);
    // `ParametersItem.parameter.non_body_parameter.query_parameter_sub_schema`
    let parameter = |name| bytes(1, &bytes(2, &bytes(3, &[text(3, "query"), text(4, name)].concat())));
    let mut patch: Vec<u8> = ["dryRun", "fieldManager", "force"]
        .iter()
        .flat_map(|name| bytes(8, &parameter(name)))
        .collect();
    // `NamedAny`, whose value is text in YAML, of which JSON is a part.
    let gvk = gvk_object((kind.group, kind.version, kind.kind)).to_string();
    let extension = [text(1, "x-kubernetes-group-version-kind"), bytes(2, &text(2, &gvk))].concat();
    patch.extend(bytes(13, &extension));
    [text(1, &path), bytes(2, &bytes(8, &patch))].concat()
}

fn text(number: u32, text: &str) -> Vec<u8> {
    bytes(number, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protobuf::wire::{Reader, Word};

    /// The fields of a message by this number, which are messages or texts.
    fn all(message: &[u8], number: u32) -> Vec<&[u8]> {
        let mut reader = Reader::new(message);
        let mut found = Vec::new();
        while let Some((at, word)) = reader.next().unwrap() {
            if let (true, Word::Bytes(bytes)) = (at == number, word) {
                found.push(bytes);
            }
        }
        found
    }

    fn one(message: &[u8], path: &[u32]) -> Vec<u8> {
        path.iter()
            .fold(message.to_vec(), |message, number| all(&message, *number)[0].to_vec())
    }

    #[test]
    fn every_stored_kind_can_be_tried() {
        let paths = one(document(), &[8]);
        let items = all(&paths, 2);
        assert_eq!(items.len(), KINDS.iter().filter(|kind| kind.stored).count());
        let pod = items
            .into_iter()
            .find(|item| all(item, 1)[0] == b"/api/v1/namespaces/{namespace}/pods/{name}")
            .unwrap();
        let patch = one(pod, &[2, 8]);
        let names: Vec<_> = all(&patch, 8).iter().map(|item| one(item, &[1, 2, 3, 4])).collect();
        assert!(names.contains(&b"dryRun".to_vec()), "{names:?}");
        assert_eq!(one(&patch, &[13, 1]), b"x-kubernetes-group-version-kind");
        let gvk: serde_json::Value = serde_json::from_slice(&one(&patch, &[13, 2, 2])).unwrap();
        assert_eq!(gvk, json!({"group": "", "version": "v1", "kind": "Pod"}));
    }
}
