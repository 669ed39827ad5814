//! The guard's mount namespace: the host's root read-only, and what a subject may write elsewhere.

use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change, mount_remount,
    move_mount, open_tree,
};

use super::cgroup::{Mounted, Subtree};
use super::{Error, HOME, devices, inside, inside_io};

/// What of the host's files is writable in here, or lies at another place.
#[derive(Debug)]
pub(super) struct Ground<'g> {
    /// The disk-backed directory, writable as `HOME/work`.
    pub(super) work: &'g Path,
    /// The probe's image, read-only as `HOME/image`.
    pub(super) image: Option<&'g Path>,
    /// What outlives the guard, writable as `HOME/keep`.
    pub(super) keep: Option<&'g Path>,
    /// Do not show the unified hierarchy.
    pub(super) hide_unified: bool,
}

impl<'g> Ground<'g> {
    fn trees(&self) -> impl Iterator<Item = (&'g Path, &'static str)> {
        let all = [(Some(self.work), "work"), (self.image, "image"), (self.keep, "keep")];
        all.into_iter().filter_map(|(path, name)| Some((path?, name)))
    }
}

pub(super) fn prepare(ground: &Ground<'_>, cgroups: &Subtree) -> Result<Vec<Mounted>, Error> {
    // By id and not by name: an ordinary user is root in here.
    let root = cgroups.by_root();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(inside("make mounts private"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let trees = ground.trees().map(|(path, name)| {
        let tree = open_tree(CWD, path, clone).map_err(inside(format!("open `{}`", path.display())))?;
        Ok((tree, name))
    });
    let trees: Vec<_> = trees.collect::<Result<_, Error>>()?;
    // Root makes nodes of its own; a copy that nobody attaches would wait for an RCU grace period when it is closed.
    let nodes = (!root).then(devices::borrow);
    sys::mount_attr::read_only_recursively(CWD, c"/").map_err(inside_io("make the host's root read-only"))?;

    mount("tmpfs", "/run", "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=2g")).map_err(inside("mount `/run`"))?;
    for name in [
        "",
        "/work",
        "/image",
        "/keep",
        "/containers",
        "/dirs",
        "/state",
        "/tmp",
        "/pristine",
        "/pristine/proc",
        "/pristine/sys",
    ] {
        let directory = format!("{HOME}{name}");
        fs_err::create_dir_all(&directory).map_err(inside_io(format!("make `{directory}`")))?;
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(inside_io(format!("open up `{directory}`")))?;
    }
    for (tree, name) in trees {
        move_mount(
            tree,
            "",
            CWD,
            format!("{HOME}/{name}"),
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(inside(format!("bind `{HOME}/{name}`")))?;
    }
    if ground.image.is_some() {
        let image = format!("{HOME}/image");
        mount_remount(&image, MountFlags::BIND | MountFlags::RDONLY, c"")
            .map_err(inside("make the image read-only"))?;
    }

    proc()?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // A container in a user namespace gets a proc and a sysfs only if a whole one, nothing mounted over it, is in sight
    // (mount_too_revealing in fs/namespace.c).
    mount("proc", format!("{HOME}/pristine/proc"), "proc", plain, None).map_err(inside("mount a second `/proc`"))?;
    mount("sysfs", format!("{HOME}/pristine/sys"), "sysfs", plain, None).map_err(inside("mount a second `/sys`"))?;
    // What an ordinary user mounted over the host's would still be listed below it, cgroups and all.
    if root {
        mount("sysfs", "/sys", "sysfs", plain | MountFlags::RDONLY, None).map_err(inside("mount `/sys`"))?;
    }
    let mounted = cgroups.mount(ground.hide_unified)?;
    devices::prepare(nodes)?;
    Ok(mounted)
}

/// A proc of the guard's own PID namespace, in which only the network's kernel parameters can be written.
fn proc() -> Result<(), Error> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", plain, None).map_err(inside("mount `/proc`"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let network = open_tree(CWD, "/proc/sys/net", clone).map_err(inside("open `/proc/sys/net`"))?;
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"] {
        if Path::new(path).exists() {
            mount_bind(path, path).map_err(inside(format!("bind `{path}`")))?;
            mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | plain, c"")
                .map_err(inside(format!("make `{path}` read-only")))?;
        }
    }
    move_mount(
        network,
        "",
        CWD,
        "/proc/sys/net",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(inside("bind `/proc/sys/net`"))
}
