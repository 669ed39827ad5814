//! Namespaces, by the inode numbers of `/proc/PID/ns` (`namespaces(7)`).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use record::Seen;
use spec::requirement::NamespaceKind;

use super::{Target, pid_of};
use crate::drive::World;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let pid = match pid_of(target, world) {
        Ok(pid) => pid,
        Err(what) => return Seen::Absent { what },
    };
    let mine = of(pid);
    if mine.is_empty() {
        return Seen::Unmeasured {
            why: format!("failed to read `/proc/{pid}/ns`"),
        };
    }
    let mut others = BTreeMap::from([("host".to_owned(), of(1))]);
    let names: Vec<String> = world.containers.keys().cloned().collect();
    for name in names {
        if let Ok(pid) = pid_of(Target::Workload(&name), world) {
            others.insert(name, of(pid));
        }
    }
    Seen::Namespaces {
        target: mine,
        others,
        source: format!("/proc/{pid}/ns"),
    }
}

/// `kind → inode`. Of PID and time, that of the children counts: it is what `/proc/PID/ns/pid` means for an init.
pub(crate) fn of(pid: i32) -> BTreeMap<String, u64> {
    NamespaceKind::ALL
        .iter()
        .filter_map(|kind| {
            let data = std::fs::metadata(format!("/proc/{pid}/ns/{}", kind.proc_name())).ok()?;
            Some((kind.oci_name().to_owned(), data.ino()))
        })
        .collect()
}
