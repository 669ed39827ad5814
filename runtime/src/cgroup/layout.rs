//! Which cgroup hierarchies this host has, and where this process is in them.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::directory::Directory;

const CGROUP2_MAGIC: i128 = 0x6367_7270;
const CGROUP1_MAGIC: i128 = 0x0027_e0eb;
const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// The hierarchies that are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The v1 hierarchies, those without a controller (`name=systemd`) too.
    pub v1: Vec<Hierarchy>,
    /// The unified (v2) hierarchy; its `controllers` are those that no v1 hierarchy has taken.
    pub unified: Option<Hierarchy>,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// `memory`, `cpu`, …, or `name=systemd`.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The cgroup of this process, relative to `mount`, without a leading slash.
    pub own: PathBuf,
}

impl Layout {
    /// The hierarchies of this host.
    ///
    /// They are looked for where they always are, below `/sys/fs/cgroup`; only if one is not there,
    /// `/proc/self/mountinfo` is read, which is slow on hosts with many mounts.
    ///
    /// # Errors
    /// [`Error::Read`] if `/proc/self` cannot be read.
    pub fn detect() -> Result<Self, Error> {
        let membership = read("/proc/self/cgroup")?;
        if let Some(layout) = Self::at_usual_places(&membership) {
            return Ok(layout);
        }
        Self::parse(Path::new("/"), &read("/proc/self/mountinfo")?, &membership)
    }

    /// The hierarchies that `mountinfo` tells of (proc_pid_mountinfo(5)), with their mount points below `root`, and
    /// the place in them that `membership` tells of (`/proc/PID/cgroup`, cgroups(7)).
    ///
    /// # Errors
    /// [`Error::Read`] if the `cgroup.controllers` of the unified hierarchy cannot be read.
    pub fn parse(root: &Path, mountinfo: &str, membership: &str) -> Result<Self, Error> {
        let mut layout = Self::default();
        let taken: Vec<Line<'_>> = membership.lines().filter_map(Line::parse).collect();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut left = left.split(' ').skip(3);
            let (Some(top), Some(point)) = (left.next(), left.next()) else {
                continue;
            };
            let mut right = right.split(' ');
            let kind = right.next();
            let options = right.nth(1).unwrap_or_default();
            let point = unescape(point);
            let mount = root.join(point.strip_prefix('/').unwrap_or(&point));
            match kind {
                Some("cgroup2") if layout.unified.is_none() => {
                    let own = taken.iter().find(|line| line.id == "0").map_or("/", |line| line.path);
                    layout.unified = Some(unified(mount, below(top, own))?);
                }
                Some("cgroup") => {
                    let found = taken.iter().find(|line| {
                        line.id != "0"
                            && line
                                .controllers()
                                .all(|name| options.split(',').any(|option| option == name))
                    });
                    let Some(found) = found else { continue };
                    let controllers: Vec<String> = found.controllers().map(String::from).collect();
                    // The same hierarchy may be mounted twice.
                    if !layout.v1.iter().any(|known| known.controllers == controllers) {
                        layout.v1.push(Hierarchy {
                            controllers,
                            mount,
                            own: below(top, found.path),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(layout)
    }

    fn at_usual_places(membership: &str) -> Option<Self> {
        let top = Path::new(MOUNT_POINT);
        let mut layout = Self::default();
        let whole = magic(top) == Some(CGROUP2_MAGIC);
        for line in membership.lines() {
            let line = Line::parse(line)?;
            let own = below("/", line.path);
            if line.id == "0" {
                let mount = if whole { top.into() } else { top.join("unified") };
                if magic(&mount) == Some(CGROUP2_MAGIC) {
                    layout.unified = Some(unified(usual(mount, &own)?, own).ok()?);
                }
                // On a v1 host the line is there without a mount.
                continue;
            }
            if whole {
                return None;
            }
            let name = line.names.strip_prefix("name=").unwrap_or(line.names);
            let mount = top.join(name);
            if magic(&mount) != Some(CGROUP1_MAGIC) {
                return None;
            }
            layout.v1.push(Hierarchy {
                controllers: line.controllers().map(String::from).collect(),
                mount: usual(mount, &own)?,
                own,
            });
        }
        (layout.unified.is_some() || !layout.v1.is_empty()).then_some(layout)
    }

    /// Whether no hierarchy is mounted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v1.is_empty() && self.unified.is_none()
    }
}

/// `mount`, if this process' own cgroup is to be found there: it is not where only a part of a hierarchy is mounted.
fn usual(mount: PathBuf, own: &Path) -> Option<PathBuf> {
    (own.as_os_str().is_empty() || mount.join(own).is_dir()).then_some(mount)
}

fn unified(mount: PathBuf, own: PathBuf) -> Result<Hierarchy, Error> {
    let controllers = Directory::open(&mount)?.read("cgroup.controllers")?;
    Ok(Hierarchy {
        controllers: controllers.split_whitespace().map(String::from).collect(),
        mount,
        own,
    })
}

/// One line of `/proc/PID/cgroup`.
struct Line<'a> {
    id: &'a str,
    names: &'a str,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        Some(Self {
            id: parts.next()?,
            names: parts.next()?,
            path: parts.next()?,
        })
    }

    fn controllers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names.split(',').filter(|name| !name.is_empty())
    }
}

/// `own` as seen from a mount whose root is `top`: the part below it, or nothing if it is not below it.
fn below(top: &str, own: &str) -> PathBuf {
    let (top, own) = (Path::new(top), Path::new(own));
    let inside = own
        .strip_prefix(top)
        .or_else(|_| own.strip_prefix("/"))
        .unwrap_or(Path::new(""));
    if own.strip_prefix(top).is_ok() && inside.components().all(|part| matches!(part, Component::Normal(_))) {
        inside.into()
    } else {
        PathBuf::new()
    }
}

/// The octal escapes of mountinfo: space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

fn magic(path: &Path) -> Option<i128> {
    rustix::fs::statfs(path).ok().map(|stat| i128::from(stat.f_type))
}

fn read(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source: io::Error| Error::Read {
        path: path.into(),
        source,
    })
}
