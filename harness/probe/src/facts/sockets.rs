//! Sockets of the network namespace that wait for somebody.

use alloc::{format, string::String, vec::Vec};

use super::network;
use crate::{file, json::Json};

/// The address of /proc/net/tcp and its kin: words of the host's byte order in hexadecimal, and a port.
fn address(field: &str) -> Option<String> {
    let (hex, port) = field.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        bytes.extend_from_slice(&u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    let text = network::address_text(&bytes);
    Some(if bytes.len() == 16 {
        format!("[{text}]:{port}")
    } else {
        format!("{text}:{port}")
    })
}

/// Local addresses in the files of /proc/net, where `state` is the wanted one.
fn local(files: [&str; 2], state: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut found = false;
    for path in files {
        let Ok(text) = file::text(path) else { continue };
        found = true;
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3) == Some(&state) {
                all.extend(fields.get(1).and_then(|field| address(field)));
            }
        }
    }
    found.then_some(all)
}

/// `listening: {tcp, udp: ["address:port"], unix, abstract: [names]}`, each null without /proc.
pub(crate) fn listening(json: &mut Json) {
    json.key("listening").object(|json| {
        let unix = file::text("/proc/net/unix").ok().map(|text| {
            text.lines()
                .skip(1)
                .filter_map(|line| line.split_whitespace().nth(7).map(String::from))
                .collect::<Vec<_>>()
        });
        let (named, hidden) = match unix {
            Some(all) => {
                let (hidden, named): (Vec<String>, Vec<String>) =
                    all.into_iter().partition(|name| name.starts_with('@'));
                (Some(named), Some(hidden))
            }
            None => (None, None),
        };
        for (key, sockets) in [
            ("tcp", local(["/proc/net/tcp", "/proc/net/tcp6"], "0A")),
            ("udp", local(["/proc/net/udp", "/proc/net/udp6"], "07")),
            ("unix", named),
            ("abstract", hidden),
        ] {
            match sockets {
                Some(sockets) => json
                    .key(key)
                    .array(|json| sockets.iter().for_each(|socket| json.string(socket))),
                None => json.key(key).null(),
            }
        }
    });
}
