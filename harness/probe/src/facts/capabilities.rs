//! The five capability sets, no-new-privileges and seccomp, asked by system call.

use alloc::{
    format,
    string::{String, ToString as _},
};

use sys::{
    capability::NAMES,
    freestanding::{process, rustix::thread::capabilities},
};

use crate::json::Json;

/// The number of a capability by its name, with or without `CAP_`.
pub(crate) fn number(name: &str) -> Option<u32> {
    let short = name.strip_prefix("CAP_").unwrap_or(name);
    NAMES
        .iter()
        .position(|known| known.strip_prefix("CAP_") == Some(short))
        .map(|index| index as u32)
}

fn name(number: u32) -> String {
    NAMES
        .get(number as usize)
        .map_or_else(|| format!("CAP_{number}"), |name| (*name).to_string())
}

/// Writes the names of the capabilities that `has`, in the order of the alphabet.
fn names(json: &mut Json, has: impl Fn(u32) -> bool) {
    let mut held: alloc::vec::Vec<String> = (0..64).filter(|number| has(*number)).map(name).collect();
    held.sort_unstable();
    json.array(|json| held.iter().for_each(|name| json.string(name)));
}

/// `caps: {effective, permitted, inheritable, bounding, ambient}`.
pub(crate) fn sets(json: &mut Json) {
    json.key("caps").object(|json| {
        let sets = capabilities(None).ok();
        let parts: [(&str, Option<u64>); 3] = [
            ("effective", sets.as_ref().map(|sets| sets.effective.bits())),
            ("permitted", sets.as_ref().map(|sets| sets.permitted.bits())),
            ("inheritable", sets.as_ref().map(|sets| sets.inheritable.bits())),
        ];
        for (key, bits) in parts {
            match bits {
                Some(bits) => names(json.key(key), |number| bits >> number & 1 == 1),
                None => json.key(key).null(),
            }
        }
        names(json.key("bounding"), |number| {
            process::in_bounding_set(number) == Ok(true)
        });
        names(json.key("ambient"), |number| {
            process::in_ambient_set(number) == Ok(true)
        });
    });
}

/// `noNewPrivs`, and `seccomp` as a mode: 0 off, 1 strict, 2 filter.
pub(crate) fn confinement(json: &mut Json) {
    json.key("noNewPrivs").plain_or_null(process::no_new_privileges().ok());
    json.key("seccomp").plain_or_null(process::seccomp_mode().ok());
}
