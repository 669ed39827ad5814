//! Volumes of a pod: made before its containers, kept up to date while they run, taken away after them.

pub(crate) mod atomic;
pub(crate) mod confined;
pub(crate) mod payload;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use objects::meta;
use objects::quantity::Quantity;
use rustix::fs::FileType;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use crate::env::{Missing, expand};
use crate::fault::Faults;
use crate::security::fs_group;
use confined::{Bound, Found};
use payload::{Material, Payload};

/// Directories of the machine that a `hostPath` may show where the node has nothing of the name. What it may write is the
/// node's own.
const MACHINE: [&str; 9] = ["dev", "etc", "lib", "lib64", "bin", "sbin", "usr", "sys", "proc"];

/// A volume that is there.
#[derive(Debug)]
enum Kind {
    /// A directory of the pod.
    Own { read_only: bool },
    /// Something of the node.
    Host(Bound),
}

#[derive(Debug)]
struct Volume {
    directory: PathBuf,
    kind: Kind,
    mounted: bool,
}

/// The volumes of a pod.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    volumes: BTreeMap<String, Volume>,
    /// Fault: nothing is read-only.
    writable: bool,
}

/// Why there is no volume.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// Something that it is made of is not there yet.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {missing}")]
    Missing { volume: String, missing: Missing },
    /// The file system refused.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {what}: {source}")]
    File {
        volume: String,
        what: String,
        source: io::Error,
    },
    /// The type is none that is served.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : volume type {kind} is not served")]
    Unknown { volume: String, kind: String },
    /// `hostPath.type` is not what is there.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : hostPath type check failed: {path} is not a {wanted}")]
    Type {
        volume: String,
        path: String,
        wanted: String,
    },
}

impl Volumes {
    /// Makes all volumes of a pod in `directory`; `view` is what the node calls `/`.
    pub(crate) fn make(
        directory: &Path,
        view: &Path,
        material: &Material<'_>,
        faults: &Faults,
    ) -> Result<Self, VolumeError> {
        let mut all = Self {
            writable: faults.has("volume-writable"),
            ..Self::default()
        };
        for volume in meta::list(material.pod, &["spec", "volumes"]) {
            let name = meta::text(volume, &["name"]).to_owned();
            match one(volume, &name, &directory.join(&name), view, material, faults) {
                Ok(made) => drop(all.volumes.insert(name, made)),
                Err(error) => {
                    all.remove();
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    /// Brings volumes that are made of API objects up to date. Answers whether anything changed.
    pub(crate) fn refresh(&self, material: &Material<'_>) -> Result<bool, VolumeError> {
        let mut changed = false;
        for volume in meta::list(material.pod, &["spec", "volumes"]) {
            let name = meta::text(volume, &["name"]);
            let (Some(known), Some(files)) = (self.volumes.get(name), payload::of(volume, material)) else {
                continue;
            };
            let files = files.map_err(|missing| VolumeError::Missing {
                volume: name.into(),
                missing,
            })?;
            changed |= write(name, &known.directory, &files, material.pod)?;
        }
        Ok(changed)
    }

    /// The mounts of a container, and what must live until it was created.
    pub(crate) fn mounts(
        &self,
        container: &Value,
        variables: &[(String, String)],
    ) -> Result<(Vec<Value>, Vec<Bound>), String> {
        let (mut mounts, mut held) = (Vec::new(), Vec::new());
        for wanted in meta::list(container, &["volumeMounts"]) {
            let name = meta::text(wanted, &["name"]);
            let volume = self
                .volumes
                .get(name)
                .ok_or_else(|| format!("volume \"{name}\" not found"))?;
            let sub_path = meta::text(wanted, &["subPath"]).to_owned();
            let by_variables = meta::text(wanted, &["subPathExpr"]);
            let sub_path = if by_variables.is_empty() {
                sub_path
            } else {
                let known = |name: &str| {
                    let found = variables.iter().find(|(known, _)| known == name);
                    found.map(|(_, value)| value.clone())
                };
                expand(by_variables, &known)
            };
            let base = match &volume.kind {
                Kind::Own { .. } => volume.directory.clone(),
                Kind::Host(bound) => bound.path().to_path_buf(),
            };
            let source = if sub_path.is_empty() {
                base
            } else {
                let failed =
                    |error: io::Error| format!("failed to prepare subPath for volumeMount \"{name}\": {error}");
                let found =
                    confined::find(&base, Path::new(&sub_path), confined::Missing::Directory).map_err(failed)?;
                let target = fresh(&volume.directory);
                let bound = found.bind(&target).map_err(failed)?;
                let path = bound.path().to_path_buf();
                held.push(bound);
                path
            };
            let asked = meta::flag(wanted, &["readOnly"]) || matches!(volume.kind, Kind::Own { read_only: true });
            let read_only = asked && !self.writable;
            let propagation = match meta::text(wanted, &["mountPropagation"]) {
                "Bidirectional" => "rshared",
                "HostToContainer" => "rslave",
                _ => "rprivate",
            };
            mounts.push(json!({
                "destination": meta::text(wanted, &["mountPath"]), "type": "bind", "source": source,
                "options": ["rbind", propagation, if read_only { "ro" } else { "rw" }],
            }));
        }
        Ok((mounts, held))
    }

    /// Unmounts what is mounted. The files go with the pod's directory.
    pub(crate) fn remove(&mut self) {
        for volume in std::mem::take(&mut self.volumes).into_values() {
            if volume.mounted {
                // What is still in use goes when its last user does.
                let _gone = unmount(&volume.directory, UnmountFlags::DETACH).is_err();
            }
        }
    }
}

/// A place to bind something to that no other has, beside a volume.
fn fresh(volume: &Path) -> PathBuf {
    volume.with_file_name("..bound").join(crate::worker::random_id())
}

fn one(
    volume: &Value,
    name: &str,
    directory: &Path,
    view: &Path,
    material: &Material<'_>,
    faults: &Faults,
) -> Result<Volume, VolumeError> {
    let own = |read_only, mounted| Volume {
        directory: directory.to_path_buf(),
        kind: Kind::Own { read_only },
        mounted,
    };
    let failed = |what: &str, path: &Path| {
        let (volume, what) = (name.to_owned(), format!("failed to {what} {}", path.display()));
        move |source: io::Error| VolumeError::File { volume, what, source }
    };
    if let Some(source) = volume.get("hostPath") {
        let found = host_path(source, name, view)?;
        return Ok(Volume {
            directory: directory.to_path_buf(),
            kind: Kind::Host(found.bind(&fresh(directory)).map_err(failed("bind", directory))?),
            mounted: false,
        });
    }
    if let Some(source) = volume.get("emptyDir") {
        let mut there = directory.exists();
        std::fs::create_dir_all(directory).map_err(failed("make", directory))?;
        let in_memory = meta::text(source, &["medium"]) == "Memory" && !faults.has("empty-dir-on-disk");
        if in_memory && there {
            let device = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
            there = directory.parent().and_then(device) != device(directory);
        }
        let limit = source
            .get("sizeLimit")
            .and_then(Quantity::of)
            .map(Quantity::value)
            .filter(|size| *size > 0);
        if !there {
            if in_memory {
                let options = match limit {
                    Some(size) => format!("mode=777,size={size}"),
                    None => "mode=777".into(),
                };
                let options = std::ffi::CString::new(options).unwrap_or_default();
                let flags = MountFlags::NOSUID | MountFlags::NODEV;
                mount("tmpfs", directory, "tmpfs", flags, Some(options.as_c_str()))
                    .map_err(|error| failed("mount", directory)(error.into()))?;
            }
            let group = fs_group(material.pod);
            if group.is_some() {
                chown(directory, None, group).map_err(failed("give away", directory))?;
            }
            let mode = if group.is_some() { 0o2777 } else { 0o777 };
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode))
                .map_err(failed("open up", directory))?;
        }
        return Ok(own(false, in_memory));
    }
    let Some(files) = payload::of(volume, material) else {
        let kind = meta::map(volume, &[])
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .find(|key| *key != "name");
        return Err(VolumeError::Unknown {
            volume: name.into(),
            kind: kind.cloned().unwrap_or_default(),
        });
    };
    let mut files = files.map_err(|missing| VolumeError::Missing {
        volume: name.into(),
        missing,
    })?;
    if faults.has("volume-mode-ignored") {
        files.values_mut().for_each(|file| file.mode = 0o644);
    }
    std::fs::create_dir_all(directory).map_err(failed("make", directory))?;
    write(name, directory, &files, material.pod)?;
    Ok(own(true, false))
}

fn write(name: &str, directory: &Path, files: &Payload, pod: &Value) -> Result<bool, VolumeError> {
    let group = fs_group(pod);
    atomic::write(directory, files, group, SystemTime::now()).map_err(|source| VolumeError::File {
        volume: name.into(),
        what: format!("failed to write {}", directory.display()),
        source,
    })
}

/// Something of the node: below its own view first, else of the machine, where that shows what every node would have.
fn host_path(source: &Value, name: &str, view: &Path) -> Result<Found, VolumeError> {
    let path = meta::text(source, &["path"]);
    let wanted = meta::text(source, &["type"]);
    let failed = |source| VolumeError::File {
        volume: name.into(),
        what: format!("failed to open {path}"),
        source,
    };
    let top = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let found = match confined::find(view, Path::new(path), confined::Missing::Fail) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let machine = MACHINE
                .contains(&top)
                .then(|| confined::find_plainly(Path::new(path)).ok());
            match (machine.flatten(), wanted) {
                (Some(found), _) => found,
                (None, "" | "DirectoryOrCreate") => {
                    confined::find(view, Path::new(path), confined::Missing::Directory).map_err(failed)?
                }
                (None, "FileOrCreate") => {
                    confined::find(view, Path::new(path), confined::Missing::File).map_err(failed)?
                }
                _ => {
                    return Err(VolumeError::Type {
                        volume: name.into(),
                        path: path.into(),
                        wanted: word(wanted).into(),
                    });
                }
            }
        }
        other => other.map_err(failed)?,
    };
    let kind = found.kind().map_err(failed)?;
    let fits = match wanted {
        "Directory" | "DirectoryOrCreate" => kind == FileType::Directory,
        "File" | "FileOrCreate" => kind == FileType::RegularFile,
        "Socket" => kind == FileType::Socket,
        "CharDevice" => kind == FileType::CharacterDevice,
        "BlockDevice" => kind == FileType::BlockDevice,
        _ => true,
    };
    if fits {
        Ok(found)
    } else {
        Err(VolumeError::Type {
            volume: name.into(),
            path: path.into(),
            wanted: word(wanted).into(),
        })
    }
}

fn word(wanted: &str) -> &str {
    match wanted {
        "DirectoryOrCreate" | "Directory" => "directory",
        "FileOrCreate" | "File" => "file",
        "Socket" => "socket file",
        "CharDevice" => "character device",
        "BlockDevice" => "block device",
        other => other,
    }
}
