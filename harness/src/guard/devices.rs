//! The guard's own `/dev`, so that nothing a subject does to a device node is done to the host's.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};

use super::{Error, inside, inside_io};

/// Name, major, minor, and whether every Linux has it (`Documentation/admin-guide/devices.txt`).
const NODES: [(&str, u32, u32, bool); 8] = [
    ("null", 1, 3, true),
    ("zero", 1, 5, true),
    ("full", 1, 7, true),
    ("random", 1, 8, true),
    ("urandom", 1, 9, true),
    ("tty", 5, 0, true),
    ("fuse", 10, 229, false),
    ("net/tun", 10, 200, false),
];

/// Copies of the host's nodes, taken while they can still be reached: an ordinary user may not make nodes, but may bind.
#[derive(Debug)]
pub(super) struct Borrowed(Vec<(&'static str, OwnedFd)>);

pub(super) fn borrow() -> Borrowed {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Borrowed(
        NODES
            .iter()
            .filter_map(|(name, ..)| Some((*name, open_tree(CWD, format!("/dev/{name}"), flags).ok()?)))
            .collect(),
    )
}

/// Mounts the guard's `/dev` over the host's: with nodes that were borrowed, or that root makes.
pub(super) fn prepare(borrowed: Option<Borrowed>) -> Result<(), Error> {
    let there: Vec<&str> = NODES
        .iter()
        .map(|n| n.0)
        .filter(|name| Path::new("/dev").join(name).exists())
        .collect();
    mount("tmpfs", "/dev", "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=64m")).map_err(inside("mount `/dev`"))?;
    for directory in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/net"] {
        fs_err::create_dir(directory).map_err(inside_io(format!("make `{directory}`")))?;
    }
    let root = borrowed.is_none();
    if root {
        for (name, major, minor, always) in NODES {
            if always || there.contains(&name) {
                let path = format!("/dev/{name}");
                mknodat(
                    CWD,
                    &path,
                    FileType::CharacterDevice,
                    Mode::from_raw_mode(0o666),
                    makedev(major, minor),
                )
                .map_err(inside(format!("make `{path}`")))?;
            }
        }
    }
    for (name, node) in borrowed.into_iter().flat_map(|b| b.0) {
        let path = format!("/dev/{name}");
        fs_err::write(&path, "").map_err(inside_io(format!("make `{path}`")))?;
        move_mount(node, "", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(inside(format!("bind `{path}`")))?;
    }
    let pts = if root {
        c"newinstance,ptmxmode=0666,mode=0620,gid=5"
    } else {
        c"newinstance,ptmxmode=0666,mode=0620"
    };
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(pts),
    )
    .map_err(inside("mount `/dev/pts`"))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("shm", "/dev/shm", "tmpfs", plain, Some(c"mode=1777,size=64m")).map_err(inside("mount `/dev/shm`"))?;
    mount("mqueue", "/dev/mqueue", "mqueue", plain, None).map_err(inside("mount `/dev/mqueue`"))?;
    for (link, target) in [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        fs_err::os::unix::fs::symlink(target, link).map_err(inside_io(format!("make `{link}`")))?;
    }
    Ok(())
}
