//! Device nodes and links that every container has, and those that are asked for.

use std::ffi::CString;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, Spec};
use sys::launch::{Directory, Missing, Op, Place, Target};

use super::{Compiler, c_path, c_string};
use crate::bundle::clean;
use crate::error::{Error, Result};

const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// Name, major and minor number of the devices that the specification lists.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub(super) fn all(c: &mut Compiler, spec: &Spec, linux: &Linux, root: Place, bind: bool, terminal: bool) -> Result<()> {
    // A /dev that is bound from elsewhere has what its owner put there.
    let bound = spec.mounts().iter().flatten().any(|mount| {
        let binds = mount.options().iter().flatten().any(|o| o == "bind" || o == "rbind");
        clean(mount.destination()) == Path::new("/dev") && (binds || mount.typ().as_deref() == Some("bind"))
    });
    if bound {
        return Ok(());
    }
    let devices = linux.devices().as_deref().unwrap_or_default();
    c.op("linux.devices", "clear the umask", Op::Umask(0));
    let dev = c.program.place();
    let resolve = Op::Resolve {
        target: dev_below(root),
        missing: Missing::Directory,
        into: dev,
    };
    c.op("linux.devices", "open `/dev`", resolve);
    for (name, major, minor) in DEFAULT {
        let replaced = devices.iter().any(|d| clean(d.path()) == Path::new("/dev").join(name));
        if replaced {
            continue;
        }
        let (field, act) = ("linux.devices", format!("make `/dev/{name}`"));
        let dir = Directory::At(dev);
        let file = c_string(field, name)?;
        if bind {
            let from = c_string(field, format!("/dev/{name}"))?;
            c.op(field, act, Op::BindNode { dir, name: file, from });
        } else {
            let mode = CHARACTER | 0o666;
            c.op(
                field,
                act,
                Op::Node {
                    dir,
                    name: file,
                    mode,
                    major,
                    minor,
                    owner: None,
                },
            );
        }
    }
    for (i, device) in devices.iter().enumerate() {
        one(c, &format!("linux.devices[{i}]"), device, root, bind, terminal)?;
    }
    for (name, to) in LINKS {
        // The terminal multiplexer and standard streams are the container's own.
        let op = Op::Symlink {
            dir: Directory::At(dev),
            name: c_string("linux.devices", name)?,
            to: c_string("linux.devices", to)?,
        };
        c.op("linux.devices", format!("link `/dev/{name}`"), op);
    }
    c.op("linux.devices", "restore the umask", Op::Umask(0o022));
    Ok(())
}

/// `/dev` itself, which may not be a link (CVE-2026-41579).
fn dev_below(root: Place) -> Target {
    Target {
        root,
        path: CString::from(c"/dev"),
        no_symlinks: true,
        not_proc: true,
    }
}

fn one(c: &mut Compiler, field: &str, device: &LinuxDevice, root: Place, bind: bool, terminal: bool) -> Result<()> {
    let path = clean(device.path());
    let name_field = format!("{field}.path");
    if !device.path().is_absolute() {
        return Err(Error::field(
            name_field,
            format!("`{}` is not absolute", device.path().display()),
        ));
    }
    // These two belong to the container's own terminals, whatever is asked for.
    if path == Path::new("/dev/ptmx") || (terminal && path == Path::new("/dev/console")) {
        return Ok(());
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::field(name_field, "is not the path of a file"));
    };
    let no_symlinks = above.starts_with("/dev");
    let dir = Directory::Below(Target {
        root,
        path: c_path(&name_field, above)?,
        no_symlinks,
        not_proc: true,
    });
    let name = c_path(&name_field, Path::new(name))?;
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => CHARACTER,
        LinuxDeviceType::B => BLOCK,
        LinuxDeviceType::P => FIFO,
        LinuxDeviceType::A => return Err(Error::field(format!("{field}.type"), "`a` is not the type of a node")),
    };
    let act = format!("make `{}`", path.display());
    if bind && kind != FIFO {
        let from = c_path(&name_field, &path)?;
        c.op(field.to_string(), act, Op::BindNode { dir, name, from });
        return Ok(());
    }
    let number = |what: &str, value: i64| {
        u32::try_from(value)
            .map_err(|_| Error::field(format!("{field}.{what}"), format!("{value} is not a device number")))
    };
    let (major, minor) = if kind == FIFO {
        (0, 0)
    } else {
        (number("major", device.major())?, number("minor", device.minor())?)
    };
    let mode = kind | device.file_mode().unwrap_or(0o666) & 0o7777;
    let owner = match (device.uid(), device.gid()) {
        (None | Some(0), None | Some(0)) => None,
        (uid, gid) => Some((uid.unwrap_or(0), gid.unwrap_or(0))),
    };
    c.op(
        field.to_string(),
        act,
        Op::Node {
            dir,
            name,
            mode,
            major,
            minor,
            owner,
        },
    );
    Ok(())
}
