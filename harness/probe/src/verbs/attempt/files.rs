//! Operations on files and mounts.

use alloc::{format, vec::Vec};

use sys::freestanding::rustix::{
    fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount},
    process::{chdir, chroot, pivot_root},
};

use super::{Act, Run, Words, first_bytes};
use crate::{
    call::{Failure, write_all},
    facts::descriptors,
    file,
    json::Json,
};

/// Runs `verb` if it is one of these.
pub(super) fn run(verb: &str, words: &Words<'_>, run: Run<'_>) -> Result<bool, Failure> {
    let path = words.get(0);
    let mode = |index| {
        u32::from_str_radix(words.get(index), 8)
            .map(Mode::from_raw_mode)
            .map_err(|_| Failure::usage(format!("`{}` is not an octal mode", words.get(index))))
    };
    let id = |index| {
        words
            .number::<u32>(index)
            .ok_or_else(|| Failure::usage(format!("`{}` is not a number", words.get(index))))
    };
    let mut copy = |work: &dyn Fn(&mut Json) -> Result<(), Errno>| run(Act::Copy(work));
    match verb {
        "open" => {
            let flags = match words.get(1) {
                "" | "r" => OFlags::RDONLY,
                "w" => OFlags::WRONLY,
                "rw" => OFlags::RDWR,
                "a" => OFlags::WRONLY | OFlags::APPEND,
                "create" => OFlags::WRONLY | OFlags::CREATE,
                other => return Err(Failure::usage(format!("`{other}` is none of r, w, rw, a, create"))),
            };
            // A fifo or a terminal would otherwise wait for somebody.
            let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            copy(&|_| fs::open(path, flags, Mode::from_raw_mode(0o644)).map(drop))?;
        }
        "read" => copy(&|json| {
            let opened = fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
            json.bytes(&first_bytes(&opened, 4096)?);
            Ok(())
        })?,
        "write" => {
            let text = words.0.get(1..).unwrap_or(&[]).join(":");
            copy(&|_| {
                let opened = fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
                write_all(&opened, text.as_bytes())
            })?;
        }
        "mkdir" => copy(&|_| fs::mkdir(path, Mode::from_raw_mode(0o755)))?,
        "unlink" => copy(&|_| fs::unlink(path))?,
        "rmdir" => copy(&|_| fs::rmdir(path))?,
        "symlink" => copy(&|_| fs::symlink(path, words.get(1)))?,
        "link" => copy(&|_| fs::link(path, words.get(1)))?,
        "rename" => copy(&|_| fs::rename(path, words.get(1)))?,
        "chmod" => {
            let mode = mode(1)?;
            copy(&|_| fs::chmod(path, mode))?;
        }
        "chown" => {
            let (user, group) = (id(1)?, id(2)?);
            copy(&|_| fs::chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group))))?;
        }
        "mknod" => {
            let kind = match words.get(1) {
                "c" => FileType::CharacterDevice,
                "b" => FileType::BlockDevice,
                "p" => FileType::Fifo,
                other => return Err(Failure::usage(format!("`{other}` is none of c, b, p"))),
            };
            let device = if kind == FileType::Fifo {
                0
            } else {
                fs::makedev(id(2)?, id(3)?)
            };
            copy(&|_| fs::mknodat(fs::CWD, path, kind, Mode::from_raw_mode(0o600), device))?;
        }
        "stat" => copy(&|json| stat(json, path))?,
        "list" => copy(&|json| {
            let (names, _) = file::names(path)?;
            json.array(|json| names.iter().for_each(|name| json.string(name)));
            Ok(())
        })?,
        "readlink" => copy(&|json| {
            json.bytes(fs::readlink(path, Vec::new())?.to_bytes());
            Ok(())
        })?,
        "mount" => {
            let (flags, data) = options(words.get(3));
            copy(&|_| {
                let data = alloc::ffi::CString::new(data.as_str()).map_err(|_| Errno::INVAL)?;
                mount(path, words.get(1), words.get(2), flags, data.as_c_str())
            })?;
        }
        "remountrw" => copy(&|_| mount_remount(path, MountFlags::BIND, ""))?,
        "umount" => copy(&|_| unmount(path, UnmountFlags::DETACH))?,
        "chroot" => copy(&|_| chroot(path))?,
        "pivot" => copy(&|_| pivot_root(path, words.get(1)))?,
        "chdir" => copy(&|_| chdir(path))?,
        "dotdot" => copy(&|json| {
            for _ in 0..64 {
                chdir("..")?;
            }
            let (names, _) = file::names(".")?;
            json.array(|json| names.iter().for_each(|name| json.string(name)));
            Ok(())
        })?,
        "escape" => copy(&|json| {
            // The classic: a root below the working directory does not hold it back.
            let below = if path.is_empty() { "tmp" } else { path };
            chdir("/")?;
            chroot(below)?;
            for _ in 0..64 {
                chdir("..")?;
            }
            chroot(".")?;
            let (names, _) = file::names("/")?;
            json.array(|json| names.iter().for_each(|name| json.string(name)));
            Ok(())
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// `{type, mode, uid, gid, size, rdev, device, inode}` of `path`, not following a link.
fn stat(json: &mut Json, path: &str) -> Result<(), Errno> {
    let stat = fs::statat(fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    json.object(|json| {
        json.key("type").string(descriptors::kind(stat.st_mode));
        json.key("mode").string(&format!("{:04o}", stat.st_mode & 0o7777));
        json.key("uid").plain(stat.st_uid);
        json.key("gid").plain(stat.st_gid);
        json.key("size").plain(stat.st_size);
        json.key("rdev")
            .string(&format!("{}:{}", fs::major(stat.st_rdev), fs::minor(stat.st_rdev)));
        json.key("device").plain(stat.st_dev);
        json.key("inode").plain(stat.st_ino);
    });
    Ok(())
}

/// Flags, and what is left for the file system, of `ro,bind,size=1m`.
fn options(text: &str) -> (MountFlags, alloc::string::String) {
    let mut flags = MountFlags::empty();
    let mut rest: Vec<&str> = Vec::new();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => flags |= MountFlags::RDONLY,
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "bind" => flags |= MountFlags::BIND,
            "rbind" => flags |= MountFlags::BIND | MountFlags::REC,
            other => rest.push(other),
        }
    }
    (flags, rest.join(","))
}
