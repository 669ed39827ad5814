//! What contenders need in the guard: writable places over a root that is read-only, and the probe as a bundle and as an image.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, mount};

use super::contender::{Contender, IMAGE, Places};
use crate::start_latency::{Error, act, bundle, failed, refused};

/// Directories of the machine that engines write to; what they write goes to a tmpfs over them.
const WRITTEN: &[&str] = &["/etc", "/var", "/opt"];

/// Lays writable overlays over what engines write to. The root is read-only and `home` is on a tmpfs already.
pub(super) fn overlays(home: &Path) -> Result<(), Error> {
    for directory in WRITTEN {
        let beside = home.join("over").join(directory.trim_start_matches('/'));
        let (upper, work) = (beside.join("upper"), beside.join("work"));
        for made in [&upper, &work] {
            fs_err::create_dir_all(made).map_err(act("make a directory"))?;
        }
        let options = format!(
            "lowerdir={directory},upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
        let options = std::ffi::CString::new(options).map_err(|error| act("name a directory")(error.into()))?;
        mount(
            "overlay",
            *directory,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .map_err(refused(format!("mount an overlay at `{directory}`")))?;
    }
    // conmon and docker make temporary files.
    mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None).map_err(refused("mount a tmpfs at `/tmp`"))
}

/// The bundle of a runtime's container, with control groups of its own; engines make theirs while the clock runs.
pub(super) fn bundle(places: &Places, who: Contender, id: &str, arguments: &[&str]) -> Result<(), Error> {
    if who.is_engine() {
        return Ok(());
    }
    let cgroup = format!("{}/{id}", places.cgroup(who));
    bundle::write(&places.bundle(id), &places.home.join("rootfs"), &cgroup, arguments)
}

/// Gives an engine the probe as an image.
pub(super) fn import(places: &Places, who: Contender) -> Result<(), Error> {
    let subject = who.name();
    let mut archive = Command::new("tar")
        .args(["--create", "--directory"])
        .arg(places.home.join("rootfs"))
        .arg(".")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(act("call `tar`"))?;
    let words = places.call(who);
    let mut import = Command::new(&words[0]);
    import.args(&words[1..]).args(["import", "-", IMAGE]);
    if let Some(output) = archive.stdout.take() {
        import.stdin(output);
    }
    let imported = import.output().map_err(act(format!("call `{subject}`")))?;
    let archived = archive.wait().map_err(act("wait for `tar`"))?;
    if !archived.success() {
        let ended = io::Error::other(archived.to_string());
        return Err(act("write an image")(ended));
    }
    if !imported.status.success() {
        return Err(failed(subject, imported.status, &imported.stderr));
    }
    Ok(())
}
