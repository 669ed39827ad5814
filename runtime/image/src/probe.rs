//! The image `plimsoll/probe`.

use std::{
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use crate::Error;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Directories of the root, and their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("work", 0o755),
];

/// Files of the root.
const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

/// Writes the root of the probe image into `dest`.
pub(crate) fn unpack(dest: &Path) -> Result<(), Error> {
    fs_err::create_dir_all(dest).map_err(written(dest))?;
    for (name, mode) in DIRECTORIES {
        let path = dest.join(name);
        fs_err::create_dir_all(&path).map_err(written(&path))?;
        set_mode(&path, *mode)?;
    }
    for (name, text) in FILES {
        let path = dest.join(name);
        fs_err::write(&path, text).map_err(written(&path))?;
    }
    let probe = dest.join("bin/probe");
    // Another name first: a probe that runs from an older unpacking keeps its file.
    let fresh = dest.join("bin/.probe");
    fs_err::write(&fresh, PROBE).map_err(written(&fresh))?;
    set_mode(&fresh, 0o755)?;
    fs_err::rename(&fresh, &probe).map_err(written(&probe))?;
    for verb in VERBS {
        link("probe", &dest.join("bin").join(verb))?;
    }
    link("../bin", &dest.join("usr/bin"))
}

fn link(target: &str, path: &Path) -> Result<(), Error> {
    match symlink(target, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(written(path)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(written(path))
}

fn written(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
