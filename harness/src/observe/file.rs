//! A file, through the root of the target.

use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use record::Seen;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::{Target, pid_of};
use crate::drive::World;

const READ: u64 = 64 << 10;

pub(super) fn look(target: Target<'_>, path: &Path, world: &mut World<'_>) -> Seen {
    let root = match pid_of(target, world) {
        Ok(pid) => format!("/proc/{pid}/root"),
        // What is left on disk of a container that has ended.
        Err(what) => match target {
            Target::Workload(name) => match world.containers.get(name) {
                Some(container) => container.bundle.join("rootfs").display().to_string(),
                None => return Seen::Absent { what },
            },
            Target::Host | Target::Process(_) => return Seen::Absent { what },
        },
    };
    seen(&root, path).unwrap_or_else(|error| Seen::Unmeasured {
        why: format!("failed to look at `{}` below `{root}`: {error}", path.display()),
    })
}

fn seen(root: &str, path: &Path) -> std::io::Result<Seen> {
    let root = openat(
        CWD,
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // O_PATH: looking at a fifo or device must not open it.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            return Ok(Seen::File {
                exists: false,
                kind: None,
                content: None,
                mode: None,
                uid: None,
                gid: None,
                size: None,
                entries: None,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let here = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let data = std::fs::File::from(file.try_clone()?).metadata()?;
    let kind = data.file_type();
    let word = match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "symlink",
        () if kind.is_char_device() => "character",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "fifo",
        () => "socket",
    };
    let content = if kind.is_file() {
        let mut bytes = Vec::new();
        std::fs::File::open(&here)?.take(READ).read_to_end(&mut bytes)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    } else {
        None
    };
    let entries = if kind.is_dir() {
        let mut names: Vec<String> = std::fs::read_dir(&here)?
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Some(names)
    } else {
        None
    };
    Ok(Seen::File {
        exists: true,
        kind: Some(word.into()),
        content,
        mode: Some(format!("{:04o}", data.mode() & 0o7777)),
        uid: Some(data.uid()),
        gid: Some(data.gid()),
        size: Some(data.size()),
        entries,
    })
}
