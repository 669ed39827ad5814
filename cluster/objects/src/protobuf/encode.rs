//! An encoder by the same table, for tests: nobody asks the server for protobuf.

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::MAGIC;
use super::wire::{bytes, tagged};
use crate::schema::{self, Field, Message, Shape, Type, Wire};

pub(super) fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, raw)].concat()
}

pub(super) fn body(object: &Value) -> Vec<u8> {
    let (api_version, kind) = (crate::meta::api_version(object), crate::meta::kind(object));
    let of = schema::named(api_version, kind).expect("served");
    envelope(api_version, kind, &message(of, object))
}

fn message(of: &Message, object: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 1..64 {
        match of.wire(number) {
            Some(Wire::Field(at)) => {
                let field = &of.fields[at];
                match (field.shape, object.get(field.name)) {
                    (_, None) => {}
                    (Shape::One, Some(one)) => out.extend(value(number, field, one)),
                    (Shape::List, Some(items)) => {
                        items
                            .as_array()
                            .expect("a list")
                            .iter()
                            .for_each(|item| out.extend(value(number, field, item)));
                    }
                    (Shape::Map, Some(items)) => {
                        for (key, item) in items.as_object().expect("a map") {
                            out.extend(bytes(
                                number,
                                &[bytes(1, key.as_bytes()), value(2, field, item)].concat(),
                            ));
                        }
                    }
                }
            }
            Some(Wire::Inline(id)) => out.extend(bytes(number, &message(id.message(), object))),
            None => {}
        }
    }
    out
}

fn value(number: u32, field: &Field, value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    match field.ty {
        Type::String => bytes(number, text.as_bytes()),
        Type::Bool => tagged(number, value.as_bool().expect("a bool").into()),
        Type::Int32 | Type::Int64 => tagged(number, value.as_i64().expect("an integer") as u64),
        Type::Bytes => bytes(number, &STANDARD.decode(text).expect("base64")),
        Type::Time | Type::MicroTime => {
            let since = crate::time::parse(text).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let since: Duration = since.expect("a time");
            bytes(
                number,
                &[tagged(1, since.as_secs()), tagged(2, since.subsec_nanos().into())].concat(),
            )
        }
        Type::Quantity => bytes(number, &bytes(1, text.as_bytes())),
        Type::FieldsV1 => bytes(number, &bytes(1, value.to_string().as_bytes())),
        Type::IntOrString => match value.as_i64() {
            Some(int) => bytes(number, &[tagged(1, 0), tagged(2, int as u64)].concat()),
            None => bytes(number, &[tagged(1, 1), bytes(3, text.as_bytes())].concat()),
        },
        Type::Message(id) => bytes(number, &message(id.message(), value)),
    }
}
