//! Tar archives, which may come from anywhere and are believed nothing.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rustix::fs::{FileType, Mode};
use tar::{Archive, Entry, EntryType};

use crate::Error;

/// How many bytes of contents an archive may hold: 8 GiB.
pub const LARGEST: u64 = 8 << 30;

/// The gzip magic.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Extracts `path` into the directory `dest`, `limit` bytes of contents at most.
///
/// Modes, links, and as root owners and device nodes are kept. No entry is written through a link that leads out of
/// `dest`, because no entry is written through a link at all.
pub(crate) fn extract(path: &Path, dest: &Path, limit: u64) -> Result<(), Error> {
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut magic = [0; 2];
    let compressed = match file.read_exact(&mut magic) {
        Ok(()) => magic == GZIP,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(read(error)),
    };
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let bytes: Box<dyn Read> = if compressed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };

    fs_err::create_dir_all(dest).map_err(|source| Error::Write {
        path: dest.to_owned(),
        source,
    })?;
    let root = fs_err::canonicalize(dest).map_err(|source| Error::Write {
        path: dest.to_owned(),
        source,
    })?;
    let mut archive = Archive::new(bytes);
    let mut left = limit;
    let mut directories = Vec::new();
    for entry in archive.entries().map_err(read)? {
        let mut entry = entry.map_err(read)?;
        let name = entry.path().map_err(read)?.into_owned();
        let Some(relative) = inside(&name) else {
            return Err(Error::Escape {
                path: path.to_owned(),
                entry: name,
            });
        };
        left = left.checked_sub(entry.size()).ok_or_else(|| Error::Large {
            path: path.to_owned(),
            limit,
        })?;
        place(&mut entry, &root, &relative, &mut directories).map_err(|fault| match fault {
            Fault::Escape => Error::Escape {
                path: path.to_owned(),
                entry: name.clone(),
            },
            Fault::Io(source) => Error::Extract {
                path: path.to_owned(),
                entry: name.clone(),
                source,
            },
        })?;
    }
    // Last, and the deepest first: a directory that may not be written to is filled by then.
    for (path, mode) in directories.into_iter().rev() {
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

enum Fault {
    Escape,
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// `name` without leading slashes and dots; `None` if it climbs.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Whether each directory above `relative` is a real directory of the root; missing ones are made.
fn parents(root: &Path, relative: &Path) -> Result<(), Fault> {
    let mut path = root.to_owned();
    for part in relative.parent().unwrap_or(Path::new("")) {
        path.push(part);
        match std::fs::symlink_metadata(&path) {
            Ok(kind) if kind.is_dir() => {}
            Ok(_) => return Err(Fault::Escape),
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::create_dir(&path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes one entry.
fn place<R: Read>(
    entry: &mut Entry<'_, R>,
    root: &Path,
    relative: &Path,
    directories: &mut Vec<(PathBuf, u32)>,
) -> Result<(), Fault> {
    let kind = entry.header().entry_type();
    let mode = entry.header().mode()? & 0o7777;
    parents(root, relative)?;
    let path = root.join(relative);
    match kind {
        EntryType::Directory => {
            match std::fs::symlink_metadata(&path) {
                Ok(kind) if kind.is_dir() => {}
                Ok(_) => return Err(Fault::Escape),
                Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::create_dir(&path)?,
                Err(error) => return Err(error.into()),
            }
            directories.push((path.clone(), mode));
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            vacate(&path)?;
            let mut file = File::options().write(true).create_new(true).open(&path)?;
            io::copy(entry, &mut file)?;
        }
        EntryType::Symlink => {
            let target = entry.link_name()?.ok_or(Fault::Escape)?;
            vacate(&path)?;
            std::os::unix::fs::symlink(target, &path)?;
        }
        EntryType::Link => {
            let target = entry
                .link_name()?
                .and_then(|target| inside(&target))
                .ok_or(Fault::Escape)?;
            parents(root, &target)?;
            vacate(&path)?;
            std::fs::hard_link(root.join(target), &path)?;
            return Ok(());
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            let (kind, device) = match kind {
                EntryType::Fifo => (FileType::Fifo, 0),
                _ if !rustix::process::geteuid().is_root() => return Ok(()),
                kind => {
                    let major = entry.header().device_major()?.unwrap_or(0);
                    let minor = entry.header().device_minor()?.unwrap_or(0);
                    let kind = if kind == EntryType::Char {
                        FileType::CharacterDevice
                    } else {
                        FileType::BlockDevice
                    };
                    (kind, rustix::fs::makedev(major, minor))
                }
            };
            vacate(&path)?;
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::from_raw_mode(mode), device)
                .map_err(io::Error::from)?;
        }
        // Global headers and the like describe the archive.
        _ => return Ok(()),
    }
    own(entry, &path)?;
    if !matches!(kind, EntryType::Symlink | EntryType::Directory) {
        // After the owner, because changing that takes set-user-id bits away.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Gives the file to its owner in the archive, if that is ours to give.
fn own<R: Read>(entry: &Entry<'_, R>, path: &Path) -> Result<(), Fault> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let id = |value: u64| u32::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let (user, group) = (id(entry.header().uid()?)?, id(entry.header().gid()?)?);
    Ok(std::os::unix::fs::lchown(path, Some(user), Some(group))?)
}

/// Removes what an earlier entry left at `path`; a directory stays and is an error later.
fn vacate(path: &Path) -> Result<(), Fault> {
    match std::fs::symlink_metadata(path) {
        Ok(kind) if !kind.is_dir() => Ok(std::fs::remove_file(path)?),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}
