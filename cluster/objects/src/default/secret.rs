//! Defaults of a secret: plain text that was sent is kept as base64, like the rest.

use serde_json::Value;

use super::{as_map, fill};
use crate::meta;

pub(super) fn apply(secret: &mut Value) {
    fill(as_map(secret), "type", "Opaque");
    let Some(Value::Object(plain)) = meta::remove(secret, &["stringData"]) else {
        return;
    };
    let data = meta::map_mut(secret, &["data"]);
    for (key, text) in plain {
        data.insert(key, base64(text.as_str().unwrap_or("").as_bytes()).into());
    }
}

/// See <https://www.rfc-editor.org/rfc/rfc4648#section-4>.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let sign = SIGNS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { sign as char } else { '=' });
        }
    }
    text
}
