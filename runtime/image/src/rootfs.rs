//! Mounting roots. To be called inside a mount namespace that nobody else looks at.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_bind_recursive, mount_change, mount_remount, move_mount,
};

use crate::Error;

/// `fsopen("overlay")`, `fsconfig`, `fsmount`, `move_mount`: `upper` above `lower`, seen at `merged`.
///
/// All directories must be there; `work` must be empty and on the file system of `upper`.
/// See <https://docs.kernel.org/filesystems/overlayfs.html>.
///
/// # Errors
/// [`Error::Mount`] when the kernel refuses: without overlayfs, without privilege, or when `upper` lies on a file system
/// that cannot carry one.
pub fn overlay(lower: &Path, upper: &Path, work: &Path, merged: &Path) -> Result<(), Error> {
    let at = |source: rustix::io::Errno| Error::Mount {
        act: "mount an overlay",
        path: merged.to_owned(),
        source: source.into(),
    };
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at)?;
    for (key, path) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
        let value = if key == "lowerdir" {
            escaped(path)
        } else {
            path.as_os_str().as_bytes().to_vec()
        };
        let value = CString::new(value).map_err(|error| Error::Mount {
            act: "mount an overlay",
            path: merged.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })?;
        fsconfig_set_string(&context, key, value.as_c_str()).map_err(at)?;
    }
    fsconfig_create(&context).map_err(at)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(at)?;
    move_mount(
        &mount,
        "",
        rustix::fs::CWD,
        merged,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(at)
}

/// A colon in `lowerdir` separates layers unless a backslash stands before it.
fn escaped(path: &Path) -> Vec<u8> {
    let special = |byte: &u8| matches!(byte, b':' | b'\\');
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte]))
        .collect()
}

/// `mount(src, dst, MS_BIND|MS_REC)`: `src` and all that is mounted below it, seen at `dst`, without propagation.
///
/// # Errors
/// [`Error::Mount`] when the kernel refuses.
pub fn bind(src: &Path, dst: &Path) -> Result<(), Error> {
    let at = |source: rustix::io::Errno| Error::Mount {
        act: "bind a directory",
        path: dst.to_owned(),
        source: source.into(),
    };
    mount_bind_recursive(src, dst).map_err(at)?;
    mount_change(dst, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(at)
}

/// [`bind`], then `mount(NULL, dst, MS_REMOUNT|MS_BIND|MS_RDONLY)`: the top mount cannot be written to through `dst`.
///
/// # Errors
/// [`Error::Mount`] when the kernel refuses.
pub fn bind_read_only(src: &Path, dst: &Path) -> Result<(), Error> {
    bind(src, dst)?;
    mount_remount(dst, MountFlags::BIND | MountFlags::RDONLY, "").map_err(|source| Error::Mount {
        act: "make read-only what is bound",
        path: dst.to_owned(),
        source: source.into(),
    })
}
