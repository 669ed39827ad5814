//! The root and what is mounted in it.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType as Kind, Mount, Spec};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use sys::launch::{Directory, Missing, MountAttr, Op, Place, Target};

use super::namespaces::Namespaces;
use super::{Compiler, c_path, c_string};
use crate::bundle::{Bundle, clean};
use crate::cgroup::{Cgroup, Layout};
use crate::error::{Error, Result, at};

pub(super) const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const ATIME: u64 = 0x70;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

const MS_REC: u32 = 0x4000;
const MS_UNBINDABLE: u32 = 1 << 17;
const MS_PRIVATE: u32 = 1 << 18;
const MS_SLAVE: u32 = 1 << 19;
const MS_SHARED: u32 = 1 << 20;

/// What the options of a mount ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    bind: bool,
    recursive_bind: bool,
    remount: bool,
    attr: MountAttr,
    recursive: MountAttr,
    propagation: Option<(u32, bool)>,
    flags: Vec<String>,
    data: Vec<(String, Option<String>)>,
    copy_up: bool,
    idmap: Option<bool>,
}

/// The attribute that an option sets or clears; the group is cleared before.
fn attribute(option: &str) -> Option<(u64, u64)> {
    Some(match option {
        "ro" => (RDONLY, 0),
        "rw" => (0, RDONLY),
        "nosuid" => (NOSUID, 0),
        "suid" => (0, NOSUID),
        "nodev" => (NODEV, 0),
        "dev" => (0, NODEV),
        "noexec" => (NOEXEC, 0),
        "exec" => (0, NOEXEC),
        "nodiratime" => (NODIRATIME, 0),
        "diratime" => (0, NODIRATIME),
        "nosymfollow" => (NOSYMFOLLOW, 0),
        "symfollow" => (0, NOSYMFOLLOW),
        "noatime" => (NOATIME, ATIME),
        "strictatime" => (STRICTATIME, ATIME),
        // Relative is what the kernel does by default; it has no bit of its own.
        "relatime" | "atime" | "norelatime" | "nostrictatime" => (0, ATIME),
        _ => return None,
    })
}

fn add(attr: &mut MountAttr, (set, clear): (u64, u64)) {
    attr.set = attr.set & !clear | set;
    attr.clear |= clear;
    // What is set now is not cleared any more, except that a group is cleared as a whole first.
    attr.clear &= !(set & !ATIME);
}

fn options(field: &str, mount: &Mount) -> Result<Options> {
    let mut parsed = Options {
        bind: mount.typ().as_deref() == Some("bind"),
        ..Options::default()
    };
    for (i, option) in mount.options().iter().flatten().enumerate() {
        let propagation = match option.trim_start_matches('r') {
            "private" => Some(MS_PRIVATE),
            "shared" => Some(MS_SHARED),
            "slave" => Some(MS_SLAVE),
            "unbindable" => Some(MS_UNBINDABLE),
            _ => None,
        };
        if let Some(kind) = propagation {
            parsed.propagation = Some((kind, option.starts_with('r')));
        } else if let Some(attr) = attribute(option) {
            add(&mut parsed.attr, attr);
        } else if let Some(attr) = option.strip_prefix('r').and_then(attribute) {
            add(&mut parsed.recursive, attr);
        } else {
            match option.as_str() {
                "defaults" | "" | "loud" | "async" | "nomand" | "nolazytime" | "noiversion" => {}
                "bind" => parsed.bind = true,
                "rbind" => (parsed.bind, parsed.recursive_bind) = (true, true),
                "remount" => parsed.remount = true,
                "tmpcopyup" => parsed.copy_up = true,
                "idmap" => parsed.idmap = Some(false),
                "ridmap" => parsed.idmap = Some(true),
                "sync" | "dirsync" | "mand" | "lazytime" | "silent" | "iversion" => parsed.flags.push(option.clone()),
                _ => match option.split_once('=') {
                    Some((key, value)) => parsed.data.push((key.into(), Some(value.into()))),
                    None => parsed.data.push((option.clone(), None)),
                },
            }
        }
        if parsed.bind && (!parsed.data.is_empty() || !parsed.flags.is_empty()) {
            let problem = format!("`{option}` cannot be used with a bind mount");
            return Err(Error::field(format!("{field}.options[{i}]"), problem));
        }
    }
    Ok(parsed)
}

/// Where a mount goes.
#[derive(Clone, Copy)]
enum Onto<'a> {
    /// A path of the container, made if need be.
    Path(&'a Path, Missing),
    /// A new directory of this name in a file system that nobody else knows yet.
    New(Place, &'a str),
}

/// The mounts of one container under construction.
pub(super) struct Mounting<'a> {
    c: &'a mut Compiler,
    bundle: &'a Bundle,
    names: &'a Namespaces,
    layout: &'a Layout,
    cgroup: &'a Cgroup,
    userns: bool,
    /// The container's root, as it is before it becomes the root.
    pub(super) root: Place,
    /// A `/dev` that becomes read-only when it is filled.
    pub(super) read_only_dev: Option<Place>,
    /// The root directory in the parent, to look at what is there.
    seen: OwnedFd,
}

impl<'a> Mounting<'a> {
    pub(super) fn new(
        c: &'a mut Compiler,
        bundle: &'a Bundle,
        names: &'a Namespaces,
        layout: &'a Layout,
        cgroup: &'a Cgroup,
        userns: bool,
    ) -> Result<Mounting<'a>> {
        let path = c_path("root.path", &bundle.rootfs)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let seen = rustix::fs::open(&bundle.rootfs, flags, Mode::empty()).map_err(|errno| Error::Apply {
            field: "root.path".into(),
            act: at("open", &bundle.rootfs),
            source: errno.into(),
        })?;
        let root = c.program.place();
        if names.new_mount() {
            let propagation = bundle
                .spec
                .linux()
                .as_ref()
                .and_then(|l| l.rootfs_propagation().as_deref());
            let kind = match propagation.unwrap_or("rslave") {
                "slave" | "rslave" | "" => MS_SLAVE,
                "private" | "rprivate" | "unbindable" | "runbindable" => MS_PRIVATE,
                "shared" | "rshared" => MS_SHARED,
                other => {
                    let problem = format!("`{other}` is not a kind of propagation");
                    return Err(Error::field("linux.rootfsPropagation", problem));
                }
            };
            c.op(
                "linux.rootfsPropagation",
                "change the propagation of all mounts",
                Op::Propagation(c"/".into(), kind | MS_REC),
            );
            if kind == MS_SHARED {
                // What is attached to a shared mount would appear on the host.
                let above = c_path("root.path", &mount_point_of(&bundle.rootfs)?)?;
                c.op(
                    "root.path",
                    "make the mount above private",
                    Op::Propagation(above, MS_PRIVATE),
                );
            }
            c.op(
                "root.path",
                at("open", &bundle.rootfs),
                Op::OpenTree {
                    path: path.clone(),
                    recursive: true,
                    into: root,
                },
            );
            if kind == MS_SHARED {
                // Nothing that is mounted in the root may go out before the container runs.
                let attr = MountAttr {
                    propagation: MS_PRIVATE.into(),
                    ..MountAttr::default()
                };
                c.op(
                    "root.path",
                    "make the root private",
                    Op::MountAttr {
                        mount: root,
                        attr,
                        recursive: false,
                    },
                );
            }
            c.op("root.path", "mount the root", Op::AttachPath { mount: root, to: path });
        } else {
            let flags = (OFlags::PATH | OFlags::DIRECTORY).bits();
            c.op(
                "root.path",
                at("open", &bundle.rootfs),
                Op::Open {
                    path,
                    flags,
                    into: root,
                },
            );
        }
        Ok(Mounting {
            c,
            bundle,
            names,
            layout,
            cgroup,
            userns,
            root,
            read_only_dev: None,
            seen,
        })
    }

    /// All mounts of the configuration, in its order.
    pub(super) fn all(&mut self, spec: &Spec) -> Result<()> {
        for (i, mount) in spec.mounts().iter().flatten().enumerate() {
            self.one(&format!("mounts[{i}]"), mount)?;
        }
        Ok(())
    }

    fn one(&mut self, field: &str, mount: &Mount) -> Result<()> {
        let parsed = options(field, mount)?;
        let destination = clean(mount.destination());
        if destination == Path::new("/") {
            return Err(Error::field(
                format!("{field}.destination"),
                "the root itself cannot be mounted over",
            ));
        }
        let kind = mount.typ().as_deref().unwrap_or(if parsed.bind { "bind" } else { "" });
        if parsed.remount {
            return self.remount(field, &destination, &parsed);
        }
        if parsed.bind {
            return self.bind(field, mount, &destination, &parsed);
        }
        let mapped = mount.uid_mappings().is_some() || mount.gid_mappings().is_some() || parsed.idmap.is_some();
        if mapped {
            return Err(Error::field(
                format!("{field}.uidMappings"),
                "only a bind mount can be id-mapped",
            ));
        }
        match kind {
            "" => Err(Error::field(format!("{field}.type"), "is missing")),
            "cgroup" | "cgroup2" => self.cgroup(field, &destination, &parsed),
            // Without a network namespace of its own a user namespace may not mount sysfs, but bind the host's.
            "sysfs" if self.userns && !self.names.is_new(Kind::Network) => {
                let mut mount = mount.clone();
                mount.set_source(Some("/sys".into()));
                let parsed = Options {
                    bind: true,
                    recursive_bind: true,
                    ..parsed
                };
                self.bind(field, &mount, &destination, &parsed)
            }
            _ => self.file_system(field, kind, mount, &destination, &parsed),
        }
    }

    fn target(&self, field: &str, destination: &Path) -> Result<Target> {
        let path = c_path(&format!("{field}.destination"), destination)?;
        // These must be what they look like (CVE-2019-19921, CVE-2023-27561).
        let no_symlinks = ["/proc", "/sys", "/dev"].iter().any(|p| destination == Path::new(p));
        Ok(Target {
            root: self.root,
            path,
            no_symlinks,
            not_proc: !destination.starts_with("/proc"),
        })
    }

    fn attach(&mut self, field: &str, mount: Place, onto: Onto<'_>) -> Result<()> {
        let (destination, missing) = match onto {
            Onto::Path(destination, missing) => (destination, missing),
            Onto::New(directory, name) => {
                let op = Op::AttachIn {
                    mount,
                    directory,
                    name: c_string(field, name)?,
                };
                self.c
                    .op(format!("{field}.destination"), format!("mount on `{name}` in it"), op);
                return Ok(());
            }
        };
        let target = self.target(field, destination)?;
        let into = self.c.program.place();
        let field = format!("{field}.destination");
        self.c.op(
            field.clone(),
            at("open", destination),
            Op::Resolve { target, missing, into },
        );
        self.c
            .op(field, at("mount on", destination), Op::Attach { mount, to: into });
        Ok(())
    }

    fn file_system(
        &mut self,
        field: &str,
        kind: &str,
        mount: &Mount,
        destination: &Path,
        parsed: &Options,
    ) -> Result<()> {
        let fs = self.c.program.place();
        let name = c_string(&format!("{field}.type"), kind)?;
        self.c.op(
            format!("{field}.type"),
            format!("open file system `{kind}`"),
            Op::FsOpen { name, into: fs },
        );
        let source = mount.source().as_deref().unwrap_or(Path::new(kind));
        let value = c_path(&format!("{field}.source"), source)?;
        self.fs_string(format!("{field}.source"), fs, "source", value)?;
        for flag in &parsed.flags {
            let key = c_string(field, flag)?;
            self.c.op(
                format!("{field}.options"),
                format!("set `{flag}`"),
                Op::FsFlag { fs, key },
            );
        }
        for (key, value) in &parsed.data {
            let field = format!("{field}.options");
            match value {
                Some(value) => {
                    let value = c_string(&field, value)?;
                    self.fs_string(field, fs, key, value)?;
                }
                None => {
                    let flag = c_string(&field, key)?;
                    self.c.op(field, format!("set `{key}`"), Op::FsFlag { fs, key: flag });
                }
            }
        }
        let there = self.look(destination);
        if kind == "tmpfs" && !parsed.data.iter().any(|(key, _)| key == "mode") {
            // A directory that is there keeps its mode; otherwise the default of tmpfs holds.
            if let Some(mode) = there {
                let value = c_string(field, format!("{:o}", mode & 0o7777))?;
                self.fs_string(format!("{field}.options"), fs, "mode", value)?;
            }
        }
        let mut attr = parsed.attr.set;
        let later = kind == "tmpfs" && destination == Path::new("/dev") && attr & RDONLY != 0;
        if later || parsed.copy_up {
            attr &= !RDONLY;
        }
        let made = self.c.program.place();
        self.c.op(
            format!("{field}.type"),
            format!("mount `{kind}`"),
            Op::FsMount { fs, attr, into: made },
        );
        if later {
            self.read_only_dev = Some(made);
        }
        if parsed.copy_up {
            if kind != "tmpfs" {
                return Err(Error::field(
                    format!("{field}.options"),
                    "`tmpcopyup` is only for tmpfs",
                ));
            }
            if there.is_some() {
                let from = self.c.program.place();
                let target = self.target(field, destination)?;
                let field = format!("{field}.options");
                self.c.op(
                    field.clone(),
                    at("open", destination),
                    Op::Resolve {
                        target,
                        missing: Missing::Directory,
                        into: from,
                    },
                );
                self.c.op(field, "copy up", Op::CopyUp { from, to: made });
            }
            if parsed.attr.set & RDONLY != 0 {
                let attr = MountAttr {
                    set: RDONLY,
                    ..MountAttr::default()
                };
                let op = Op::MountAttr {
                    mount: made,
                    attr,
                    recursive: false,
                };
                self.c.op(format!("{field}.options"), "make read-only", op);
            }
        }
        self.propagation(field, made, parsed);
        self.attach(field, made, Onto::Path(destination, Missing::Directory))?;
        self.recursive(field, made, parsed);
        Ok(())
    }

    fn fs_string(&mut self, field: String, fs: Place, key: &str, value: CString) -> Result<()> {
        let act = format!("set `{key}` to `{}`", value.to_string_lossy());
        let key = c_string(&field, key)?;
        self.c.op(field, act, Op::FsString { fs, key, value });
        Ok(())
    }

    fn propagation(&mut self, field: &str, mount: Place, parsed: &Options) {
        let Some((kind, recursive)) = parsed.propagation else {
            return;
        };
        let attr = MountAttr {
            propagation: kind.into(),
            ..MountAttr::default()
        };
        self.c.op(
            format!("{field}.options"),
            "change the propagation",
            Op::MountAttr { mount, attr, recursive },
        );
    }

    fn recursive(&mut self, field: &str, mount: Place, parsed: &Options) {
        if parsed.recursive == MountAttr::default() {
            return;
        }
        let op = Op::MountAttr {
            mount,
            attr: parsed.recursive,
            recursive: true,
        };
        self.c.op(format!("{field}.options"), "set attributes recursively", op);
    }

    fn remount(&mut self, field: &str, destination: &Path, parsed: &Options) -> Result<()> {
        if !parsed.data.is_empty() || !parsed.flags.is_empty() {
            return Err(Error::field(
                format!("{field}.options"),
                "a remount can change attributes only",
            ));
        }
        let target = self.target(field, destination)?;
        let into = self.c.program.place();
        let resolve = Op::Resolve {
            target,
            missing: Missing::Fail,
            into,
        };
        self.c
            .op(format!("{field}.destination"), at("open", destination), resolve);
        let op = Op::MountAttr {
            mount: into,
            attr: parsed.attr,
            recursive: false,
        };
        self.c.op(format!("{field}.options"), at("remount", destination), op);
        self.propagation(field, into, parsed);
        self.recursive(field, into, parsed);
        Ok(())
    }

    fn bind(&mut self, field: &str, mount: &Mount, destination: &Path, parsed: &Options) -> Result<()> {
        let source_field = format!("{field}.source");
        let Some(source) = mount.source() else {
            return Err(Error::field(source_field, "a bind mount needs one"));
        };
        let source = self.bundle.path.join(source);
        let missing = match std::fs::metadata(&source) {
            Ok(metadata) if metadata.is_dir() => Missing::Directory,
            Ok(_) => Missing::File,
            // It may be made by an earlier mount.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && source.starts_with(&self.bundle.rootfs) => {
                Missing::Directory
            }
            Err(source_error) => {
                return Err(Error::Apply {
                    field: source_field,
                    act: at("open", &source),
                    source: source_error,
                });
            }
        };
        let tree = self.c.program.place();
        let mapped = mount.uid_mappings().is_some() || mount.gid_mappings().is_some() || parsed.idmap.is_some();
        if self.userns && (mapped || !readable_by_all(&source)) {
            // The container's root may not be able to reach it, the caller is.
            let held =
                sys::mount_tree::open_tree(&source, parsed.recursive_bind).map_err(|source_error| Error::Apply {
                    field: source_field.clone(),
                    act: at("open", &source),
                    source: source_error,
                })?;
            if mapped {
                self.map_tree(field, mount, parsed, &held)?;
            }
            let held = self.c.program.hold(held);
            return self.bound(field, parsed, held, Onto::Path(destination, missing));
        }
        let path = c_path(&source_field, &source)?;
        let recursive = parsed.recursive_bind;
        self.c.op(
            source_field,
            at("open", &source),
            Op::OpenTree {
                path,
                recursive,
                into: tree,
            },
        );
        if mapped {
            let userns = self.mapping(field, mount, parsed)?;
            let userns = self.c.program.hold(userns);
            let recursive = parsed.idmap == Some(true);
            self.c.op(
                format!("{field}.uidMappings"),
                "map ids",
                Op::Idmap {
                    mount: tree,
                    userns,
                    recursive,
                },
            );
        }
        self.bound(field, parsed, tree, Onto::Path(destination, missing))
    }

    fn bound(&mut self, field: &str, parsed: &Options, tree: Place, onto: Onto<'_>) -> Result<()> {
        if parsed.attr != MountAttr::default() {
            let op = Op::MountAttr {
                mount: tree,
                attr: parsed.attr,
                recursive: false,
            };
            self.c.op(format!("{field}.options"), "set attributes", op);
        }
        self.recursive(field, tree, parsed);
        self.propagation(field, tree, parsed);
        self.attach(field, tree, onto)
    }

    /// A user namespace that has the maps of a mount.
    fn mapping(&self, field: &str, mount: &Mount, parsed: &Options) -> Result<OwnedFd> {
        let linux = self.bundle.spec.linux().clone().unwrap_or_default();
        let pick = |own: &Option<Vec<LinuxIdMapping>>, container: &Option<Vec<LinuxIdMapping>>| {
            own.clone()
                .or_else(|| parsed.idmap.is_some().then(|| container.clone()).flatten())
                .unwrap_or_default()
        };
        let uid = pick(mount.uid_mappings(), linux.uid_mappings());
        let gid = pick(mount.gid_mappings(), linux.gid_mappings());
        if uid.is_empty() || gid.is_empty() {
            let missing = if uid.is_empty() { "uidMappings" } else { "gidMappings" };
            return Err(Error::field(
                format!("{field}.{missing}"),
                "an id-mapped mount needs it",
            ));
        }
        crate::idmap::user_namespace(&uid, &gid).map_err(|source| Error::Apply {
            field: format!("{field}.uidMappings"),
            act: "make a user namespace for the maps".into(),
            source,
        })
    }

    fn map_tree(&self, field: &str, mount: &Mount, parsed: &Options, tree: &OwnedFd) -> Result<()> {
        let userns = self.mapping(field, mount, parsed)?;
        sys::mount_tree::idmap(tree, &userns, parsed.idmap == Some(true)).map_err(|source| Error::Apply {
            field: format!("{field}.uidMappings"),
            act: "map ids".into(),
            source,
        })
    }

    /// The container's view of control groups: its own subtree of each hierarchy.
    fn cgroup(&mut self, field: &str, destination: &Path, parsed: &Options) -> Result<()> {
        let onto = Onto::Path(destination, Missing::Directory);
        let own = self.names.is_new(Kind::Cgroup);
        if self.layout.v1.is_empty() {
            let Some(unified) = &self.layout.unified else {
                return Err(Error::field(
                    format!("{field}.type"),
                    "this host has no cgroup file system",
                ));
            };
            if own && (!self.userns || self.names.is_new(Kind::Network) || self.names.is_new(Kind::Cgroup)) {
                return self.cgroup_fs(field, "cgroup2", None, onto, parsed);
            }
            let source = self.cgroup.v2_path().unwrap_or(&unified.mount).to_path_buf();
            return self.cgroup_bind(field, &source, onto, parsed);
        }
        // v1: a small tmpfs with one mount for every hierarchy, and links for the names of those that share one.
        let fs = self.c.program.place();
        let kind = format!("{field}.type");
        self.c.op(
            kind.clone(),
            "open file system `tmpfs`",
            Op::FsOpen {
                name: c"tmpfs".into(),
                into: fs,
            },
        );
        for (key, value) in [("mode", "755"), ("size", "64k")] {
            self.fs_string(kind.clone(), fs, key, c_string(field, value)?)?;
        }
        let top = self.c.program.place();
        let attr = NOSUID | NODEV | NOEXEC;
        self.c
            .op(kind.clone(), "mount `tmpfs`", Op::FsMount { fs, attr, into: top });
        self.attach(field, top, onto)?;
        let hierarchies: Vec<_> = self.layout.v1.iter().chain(&self.layout.unified).collect();
        for (index, hierarchy) in hierarchies.iter().enumerate() {
            let unified = index == self.layout.v1.len();
            let name = if unified {
                "unified".into()
            } else {
                hierarchy.controllers.join(",")
            };
            let name = name.strip_prefix("name=").map_or(name.clone(), String::from);
            let below = Onto::New(top, &name);
            if own && !self.userns {
                let (fs, data) = if unified {
                    ("cgroup2", None)
                } else {
                    ("cgroup", Some(&hierarchy.controllers))
                };
                self.cgroup_fs(field, fs, data, below, parsed)?;
            } else {
                let source = self
                    .container_directory(&hierarchy.mount)
                    .unwrap_or(hierarchy.mount.join(&hierarchy.own));
                self.cgroup_bind(field, &source, below, parsed)?;
            }
            if !unified && hierarchy.controllers.len() > 1 {
                for alias in &hierarchy.controllers {
                    let dir = Directory::At(top);
                    let (link, to) = (c_string(field, alias)?, c_string(field, &name)?);
                    self.c.op(
                        kind.clone(),
                        format!("link `{alias}`"),
                        Op::Symlink { dir, name: link, to },
                    );
                }
            }
        }
        if parsed.attr.set & RDONLY != 0 {
            let attr = MountAttr {
                set: RDONLY,
                ..MountAttr::default()
            };
            let op = Op::MountAttr {
                mount: top,
                attr,
                recursive: false,
            };
            self.c.op(format!("{field}.options"), "make read-only", op);
        }
        Ok(())
    }

    /// The container's directory in the hierarchy that is mounted there.
    fn container_directory(&self, mount: &Path) -> Option<PathBuf> {
        let v1 = self
            .cgroup
            .v1_tasks_paths()
            .filter_map(|tasks| tasks.parent().map(Path::to_path_buf));
        v1.chain(self.cgroup.v2_path().map(Path::to_path_buf))
            .find(|path| path.starts_with(mount))
    }

    fn cgroup_fs(
        &mut self,
        field: &str,
        kind: &str,
        controllers: Option<&Vec<String>>,
        onto: Onto<'_>,
        parsed: &Options,
    ) -> Result<()> {
        let fs = self.c.program.place();
        let name = c_string(field, kind)?;
        let kind_field = format!("{field}.type");
        self.c.op(
            kind_field.clone(),
            format!("open file system `{kind}`"),
            Op::FsOpen { name, into: fs },
        );
        self.fs_string(kind_field.clone(), fs, "source", c_string(field, "cgroup")?)?;
        for controller in controllers.into_iter().flatten() {
            match controller.split_once('=') {
                Some((key, value)) => {
                    let none = Op::FsFlag {
                        fs,
                        key: c"none".into(),
                    };
                    self.c.op(kind_field.clone(), "set `none`", none);
                    self.fs_string(kind_field.clone(), fs, key, c_string(field, value)?)?;
                }
                None => {
                    let key = c_string(field, controller)?;
                    self.c.op(
                        kind_field.clone(),
                        format!("set `{controller}`"),
                        Op::FsFlag { fs, key },
                    );
                }
            }
        }
        let into = self.c.program.place();
        let attr = parsed.attr.set;
        self.c
            .op(kind_field, format!("mount `{kind}`"), Op::FsMount { fs, attr, into });
        self.propagation(field, into, parsed);
        self.attach(field, into, onto)
    }

    fn cgroup_bind(&mut self, field: &str, source: &Path, onto: Onto<'_>, parsed: &Options) -> Result<()> {
        let tree = self.c.program.place();
        let path = c_path(field, source)?;
        self.c.op(
            format!("{field}.type"),
            at("open", source),
            Op::OpenTree {
                path,
                recursive: true,
                into: tree,
            },
        );
        self.bound(field, parsed, tree, onto)
    }

    /// The mode of a directory that the root has already.
    fn look(&self, destination: &Path) -> Option<u32> {
        let relative = destination.strip_prefix("/").unwrap_or(destination);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(&self.seen, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        rustix::fs::fstat(&fd).ok().map(|stat| stat.st_mode)
    }
}

/// Whether every user may walk to a path.
fn readable_by_all(path: &Path) -> bool {
    path.ancestors().skip(1).all(|above| {
        rustix::fs::stat(above)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_mode & 0o001 != 0)
    })
}

/// Where the mount begins that a path lies in. Only asked where propagation is shared: reading all mounts takes time.
fn mount_point_of(path: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").map_err(|source| Error::Act {
        act: "read `/proc/self/mountinfo`".into(),
        source,
    })?;
    let points = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)));
    let longest = points
        .filter(|point| path.starts_with(point))
        .max_by_key(|point| point.as_os_str().len());
    Ok(longest.unwrap_or_else(|| "/".into()))
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Masked and read-only paths.
pub(super) fn hidden(c: &mut Compiler, linux: &Linux, root: Place) -> Result<()> {
    let target = |field: &str, path: &str| -> Result<Target> {
        Ok(Target {
            root,
            path: c_string(field, path)?,
            no_symlinks: false,
            not_proc: false,
        })
    };
    for (i, path) in linux.readonly_paths().iter().flatten().enumerate() {
        let field = format!("linux.readonlyPaths[{i}]");
        let target = target(&field, path)?;
        c.op(field, format!("make `{path}` read-only"), Op::ReadOnly { target });
    }
    let masked = linux.masked_paths().as_deref().unwrap_or_default();
    if masked.is_empty() {
        return Ok(());
    }
    let (null, fs, empty) = (c.program.place(), c.program.place(), c.program.place());
    let field = "linux.maskedPaths";
    // The host's own, not what a container's file system has under that name (CVE-2025-31133).
    c.op(
        field,
        "open `/dev/null`",
        Op::Open {
            path: c"/dev/null".into(),
            flags: OFlags::PATH.bits(),
            into: null,
        },
    );
    c.op(
        field,
        "use `/dev/null`: it is not the null device",
        Op::CheckDevice {
            fd: null,
            major: 1,
            minor: 3,
        },
    );
    c.op(
        field,
        "open file system `tmpfs`",
        Op::FsOpen {
            name: c"tmpfs".into(),
            into: fs,
        },
    );
    let size = Op::FsString {
        fs,
        key: c"size".into(),
        value: c"0".into(),
    };
    // A size of 0 means no limit; one inode is the directory itself.
    c.op(field, "limit the empty directory", size);
    c.op(
        field,
        "limit the empty directory",
        Op::FsString {
            fs,
            key: c"nr_inodes".into(),
            value: c"1".into(),
        },
    );
    let attr = RDONLY | NOSUID | NODEV | NOEXEC;
    c.op(field, "mount `tmpfs`", Op::FsMount { fs, attr, into: empty });
    for (i, path) in masked.iter().enumerate() {
        let field = format!("linux.maskedPaths[{i}]");
        let target = target(&field, path)?;
        c.op(field, format!("mask `{path}`"), Op::Mask { target, null, empty });
    }
    Ok(())
}

/// The propagation that the root keeps.
pub(super) fn final_propagation(c: &mut Compiler, linux: &Linux) {
    let kind = match linux.rootfs_propagation().as_deref() {
        Some("shared") => MS_SHARED,
        Some("rshared") => MS_SHARED | MS_REC,
        Some("slave") => MS_SLAVE,
        Some("rslave") => MS_SLAVE | MS_REC,
        Some("private") => MS_PRIVATE,
        Some("rprivate") => MS_PRIVATE | MS_REC,
        Some("unbindable") => MS_UNBINDABLE,
        Some("runbindable") => MS_UNBINDABLE | MS_REC,
        _ => return,
    };
    c.op(
        "linux.rootfsPropagation",
        "change the propagation of the root",
        Op::Propagation(c"/".into(), kind),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, words: &[&str]) -> Options {
        let mut mount = Mount::default();
        mount.set_typ(Some(kind.into()));
        mount.set_options(Some(words.iter().map(ToString::to_string).collect()));
        options("mounts[0]", &mount).unwrap()
    }

    #[test]
    fn later_options_win() {
        let parsed = parse("tmpfs", &["ro", "rw", "nosuid"]);
        assert_eq!((parsed.attr.set, parsed.attr.clear), (NOSUID, RDONLY));
        let parsed = parse("tmpfs", &["rw", "ro"]);
        assert_eq!((parsed.attr.set, parsed.attr.clear), (RDONLY, 0));
    }

    #[test]
    fn access_times_are_one_group() {
        let parsed = parse("bind", &["noatime", "strictatime"]);
        assert_eq!((parsed.attr.set, parsed.attr.clear), (STRICTATIME, ATIME));
    }

    #[test]
    fn words_that_begin_with_r_are_recursive_only_where_they_should_be() {
        let parsed = parse("bind", &["rro", "rbind", "rslave", "relatime"]);
        assert_eq!(parsed.recursive.set, RDONLY);
        assert!(parsed.recursive_bind);
        assert_eq!(parsed.propagation, Some((MS_SLAVE, true)));
        assert_eq!((parsed.attr.set, parsed.attr.clear), (0, ATIME));
        assert_eq!(parse("tmpfs", &["rw"]).recursive, MountAttr::default());
    }

    #[test]
    fn what_is_no_known_word_goes_to_the_file_system() {
        let parsed = parse("tmpfs", &["size=64k", "nr_inodes=5"]);
        assert_eq!(parsed.data[0], ("size".into(), Some("64k".into())));
    }

    #[test]
    fn a_bind_mount_with_data_is_refused_by_name() {
        let mut mount = Mount::default();
        mount.set_typ(Some("bind".into()));
        mount.set_options(Some(vec!["ro".into(), "size=5".into()]));
        let error = options("mounts[3]", &mount).unwrap_err();
        assert_eq!(
            error.to_string(),
            "mounts[3].options[1]: `size=5` cannot be used with a bind mount"
        );
    }

    #[test]
    fn mount_points_with_spaces_are_read_back() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
    }
}
