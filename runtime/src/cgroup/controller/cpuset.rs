//! `linux.resources.cpu.cpus` and `.mems`.

use oci_spec::runtime::LinuxCpu;

use super::super::setting::{Available, Setting};
use super::super::{Error, Reason, refused};

pub(super) fn settings(available: &Available, cpu: &LinuxCpu, all: &mut Vec<Setting>) -> Result<(), Error> {
    for (field, list, file) in [
        ("linux.resources.cpu.cpus", cpu.cpus(), "cpuset.cpus"),
        ("linux.resources.cpu.mems", cpu.mems(), "cpuset.mems"),
    ] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else {
            continue;
        };
        if !list
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-' | b':' | b'/' | b' '))
        {
            let reason = Reason::Malformed {
                value: list.into(),
                expected: "a list like `0-2,4`",
            };
            return Err(refused(field, reason));
        }
        all.push(Setting::new(
            field,
            available.place("cpuset", field)?,
            "cpuset",
            file,
            list,
        ));
    }
    Ok(())
}
