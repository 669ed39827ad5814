//! When a network namespace is gone.
//!
//! The kernel takes a network namespace apart after its last process has ended, in a work queue and with waits for RCU grace
//! periods (`cleanup_net` in `net/core/net_namespace.c`), and tells nobody. What can be seen is that its loopback interface
//! goes, which is among the last that is taken from it: a sysfs that was mounted in the namespace does not keep it alive, and
//! reading an attribute of the interface is refused with `ENODEV` from then on.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, pread};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::thread::UnshareFlags;

/// A network namespace whose end is watched. It is not kept alive.
#[derive(Debug)]
pub struct NetnsEnd {
    /// The loopback interface's `ifindex`.
    attribute: OwnedFd,
}

impl NetnsEnd {
    /// Watches the namespace of a process that lives.
    ///
    /// # Errors
    /// A sentence that says what cannot be done.
    pub fn of(pid: i32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).map_err(|error| format!("failed to open `{path}`: {error}"))?;
        // A thread of its own, because it does not come back from there.
        let inside = std::thread::spawn(move || attribute(&namespace));
        let inside = inside
            .join()
            .map_err(|_| "the thread that looks into a network namespace ended early".to_owned())?;
        Ok(Self { attribute: inside? })
    }

    /// Whether it is gone.
    pub fn is_gone(&self) -> bool {
        let mut number = [0; 16];
        pread(&self.attribute, &mut number, 0) == Err(Errno::NODEV)
    }
}

fn attribute(namespace: &File) -> Result<OwnedFd, String> {
    let failed = |what: &'static str| move |errno: Errno| format!("failed to {what}: {errno}");
    sys::namespace::join(namespace.as_fd(), UnshareFlags::NEWNET.bits())
        .map_err(|error| format!("failed to enter a network namespace: {error}"))?;
    let fs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open a sysfs"))?;
    fsconfig_create(&fs).map_err(failed("make a sysfs"))?;
    let tree = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
        .map_err(failed("mount a sysfs"))?;
    openat(
        &tree,
        "class/net/lo/ifindex",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed("open the loopback interface's `ifindex`"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::wait::{Waited, until};

    #[test]
    fn a_namespace_is_there_as_long_as_its_process_and_gone_some_time_after() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: a network namespace needs root");
            return;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let entered = until(Duration::from_secs(60), Duration::from_millis(1), || {
            let of = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
            if of == own { Err(()) } else { Ok(()) }
        });
        assert_eq!(entered, Waited::Done(()));
        let end = NetnsEnd::of(pid).unwrap();
        assert!(!end.is_gone());
        drop(child.stdin.take());
        child.wait().unwrap();
        let gone = until(Duration::from_secs(60), Duration::from_millis(1), || {
            if end.is_gone() { Ok(()) } else { Err(()) }
        });
        assert_eq!(gone, Waited::Done(()));
    }
}
