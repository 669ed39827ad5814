//! Root file systems: the embedded probe image, directories, tar archives, overlay.
//!
//! [`Image::parse`] reads how an image is named, [`Image::unpack`] brings it into a directory, [`probe_bundle`] makes an
//! OCI bundle of the probe, and [`overlay`](rootfs::overlay) and [`bind`](rootfs::bind) mount roots inside a mount
//! namespace that the caller already made his own.

mod archive;
mod bundle;
mod probe;
pub mod rootfs;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use archive::LARGEST;
pub use bundle::{CAPABILITIES, config, probe_bundle};
pub use probe::{PROBE, VERBS};

/// Where a root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// `plimsoll/probe`: the embedded probe, with a link for each verb.
    Probe,
    /// `dir:PATH`: a directory, used as it is and never written to.
    Directory(PathBuf),
    /// `tar:PATH`: a tar archive, plain or compressed by gzip.
    Tar(PathBuf),
}

/// A root file system that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// The directory that is the root.
    pub path: PathBuf,
    /// Whether the directory belongs to somebody else: mount it read-only, or put an overlay above it.
    pub shared: bool,
}

/// Why there is no root file system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none that is known.
    #[error("unknown image `{name}`")]
    Name {
        /// As it was written.
        name: String,
    },
    /// What the name leads to is not there, or is something else.
    #[error("failed to find image `{name}`")]
    Find {
        /// As it was written.
        name: String,
        /// What the file system said.
        source: io::Error,
    },
    /// A file could not be made in the new root.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The archive could not be read.
    #[error("failed to read archive `{}`", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// What was wrong with it.
        source: io::Error,
    },
    /// An entry could not be brought into the new root.
    #[error("failed to extract `{}` of archive `{}`", entry.display(), path.display())]
    Extract {
        /// The archive.
        path: PathBuf,
        /// The entry's name in it.
        entry: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// An entry would have been written outside the new root.
    #[error("refused to extract `{}` of archive `{}`: it leads out of the root", entry.display(), path.display())]
    Escape {
        /// The archive.
        path: PathBuf,
        /// The entry's name in it.
        entry: PathBuf,
    },
    /// The archive holds more than is allowed.
    #[error("refused to extract archive `{}`: it holds more than {limit} bytes", path.display())]
    Large {
        /// The archive.
        path: PathBuf,
        /// How many bytes are allowed.
        limit: u64,
    },
    /// A mount could not be made.
    #[error("failed to {act} at `{}`", path.display())]
    Mount {
        /// What was done, such as `mount an overlay`.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// What can be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Name { name } => Some(format!(
                "images are `plimsoll/probe`, which is built in, `dir:PATH` and `tar:PATH`; to bring `{name}`, export it \
                 where it is: `docker export $(docker create {name}) > image.tar`, and write `tar:image.tar`"
            )),
            Error::Find { name, .. } if name.starts_with("tar:") => Some(String::from(
                "the path is taken from the working directory; make the archive with `docker export CONTAINER > \
                 image.tar` or `tar -C ROOT -cf image.tar .`",
            )),
            Error::Find { .. } => Some(String::from(
                "the path is taken from the working directory and must be a directory that holds a root file system; \
                 make one with `mkdir root && tar -C root -xf image.tar`",
            )),
            Error::Large { .. } => Some(String::from("unpack it by hand and use `dir:PATH`")),
            _ => None,
        }
    }
}

impl Image {
    /// Reads `plimsoll/probe`, `dir:PATH` or `tar:PATH`, and looks whether what it names is there.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Find`], both with a [hint](Error::hint).
    pub fn parse(name: &str) -> Result<Image, Error> {
        let find = |source| Error::Find {
            name: name.to_owned(),
            source,
        };
        if name == "plimsoll/probe" {
            return Ok(Image::Probe);
        }
        if let Some(path) = name.strip_prefix("dir:") {
            let kind = fs_err::metadata(path).map_err(find)?;
            if !kind.is_dir() {
                return Err(find(io::ErrorKind::NotADirectory.into()));
            }
            return Ok(Image::Directory(PathBuf::from(path)));
        }
        if let Some(path) = name.strip_prefix("tar:") {
            let kind = fs_err::metadata(path).map_err(find)?;
            if !kind.is_file() {
                return Err(find(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
            }
            return Ok(Image::Tar(PathBuf::from(path)));
        }
        Err(Error::Name { name: name.to_owned() })
    }

    /// Brings the image into the directory `dest`, which is made if it is not there. A `dir:` image stays where it is.
    ///
    /// # Errors
    /// The file that could not be written, or what is wrong with the archive.
    pub fn unpack(&self, dest: &Path) -> Result<Rootfs, Error> {
        match self {
            Image::Probe => {
                probe::unpack(dest)?;
                Ok(Rootfs {
                    path: dest.to_owned(),
                    shared: false,
                })
            }
            Image::Directory(path) => Ok(Rootfs {
                path: fs_err::canonicalize(path).map_err(|source| Error::Find {
                    name: format!("dir:{}", path.display()),
                    source,
                })?,
                shared: true,
            }),
            Image::Tar(path) => {
                archive::extract(path, dest, LARGEST)?;
                Ok(Rootfs {
                    path: dest.to_owned(),
                    shared: false,
                })
            }
        }
    }
}
