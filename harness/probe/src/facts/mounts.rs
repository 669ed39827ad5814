//! The mount table.

use alloc::{string::String, vec::Vec};

use crate::{file, json::Json};

/// Undoes the octal escapes of mountinfo.
fn unescaped(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) if bytes[at] == b'\\' => {
                plain.push(
                    digits
                        .iter()
                        .fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
                );
                at += 4;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// `mounts: [{id, parent, root, dest, options, propagation, type, source, superOptions}]`; null without /proc.
pub(crate) fn table(json: &mut Json) {
    let Ok(text) = file::text("/proc/self/mountinfo") else {
        json.key("mounts").null();
        return;
    };
    json.key("mounts")
        .array(|json| text.lines().for_each(|line| entry(json, line)));
}

fn entry(json: &mut Json, line: &str) {
    let (before, after) = line.split_once(" - ").unwrap_or((line, ""));
    let before: Vec<&str> = before.split(' ').collect();
    let after: Vec<&str> = after.split(' ').collect();
    let field = |fields: &[&str], index: usize| fields.get(index).map_or(String::new(), |field| unescaped(field));
    json.object(|json| {
        json.key("id")
            .plain(before.first().and_then(|id| id.parse().ok()).unwrap_or(0_u64));
        json.key("parent")
            .plain(before.get(1).and_then(|id| id.parse().ok()).unwrap_or(0_u64));
        json.key("device").string(&field(&before, 2));
        json.key("root").string(&field(&before, 3));
        json.key("dest").string(&field(&before, 4));
        json.key("options")
            .array(|json| field(&before, 5).split(',').for_each(|option| json.string(option)));
        json.key("propagation")
            .array(|json| before.iter().skip(6).for_each(|tag| json.string(tag)));
        json.key("type").string(&field(&after, 0));
        json.key("source").string(&field(&after, 1));
        json.key("superOptions")
            .array(|json| field(&after, 2).split(',').for_each(|option| json.string(option)));
    });
}
