//! Which namespaces are made by the clone, joined by path, or unshared later.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType as Kind, Spec};
use rustix::fs::{Mode, OFlags};
use sys::launch::{Op, Place};

use super::Compiler;
use crate::bundle::namespace_name;
use crate::error::{Error, Result, at};

/// The namespaces of a configuration.
pub(crate) struct Namespaces {
    new: Vec<Kind>,
    joined: Vec<(usize, Kind, OwnedFd)>,
    pid: Option<OwnedFd>,
    held_in_outer: Vec<(usize, Kind, Place)>,
}

/// Opens the namespaces to be joined.
pub(super) fn plan(spec: &Spec) -> Result<Namespaces> {
    let mut plan = Namespaces {
        new: Vec::new(),
        joined: Vec::new(),
        pid: None,
        held_in_outer: Vec::new(),
    };
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    for (i, namespace) in namespaces.into_iter().flatten().enumerate() {
        let kind = namespace.typ();
        let Some(path) = namespace.path() else {
            if kind == Kind::Time && !time_changes_at_exec() {
                let problem = "a process enters a new time namespace at exec from Linux 6.3 on, and this one is older";
                return Err(Error::field(format!("linux.namespaces[{i}].type"), problem));
            }
            plan.new.push(kind);
            continue;
        };
        let field = || format!("linux.namespaces[{i}].path");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::Apply {
            field: field(),
            act: at("open", path),
            source: errno.into(),
        })?;
        check_kind(&fd, kind, path).map_err(|problem| Error::field(field(), problem))?;
        plan.joined.push((i, kind, fd));
    }
    if plan.user_joined() {
        return Ok(plan);
    }
    if let Some(at) = plan.joined.iter().position(|(_, kind, _)| *kind == Kind::Pid) {
        plan.pid = Some(plan.joined.remove(at).2);
    }
    Ok(plan)
}

/// A file that is not a namespace of the kind it is given for is refused before anything is made.
fn check_kind(fd: &OwnedFd, kind: Kind, path: &Path) -> Result<(), String> {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    let magic = rustix::fs::fstatfs(fd).map(|s| s.f_type);
    if magic != Ok(NSFS_MAGIC) {
        return Err(format!("`{}` is not a namespace", path.display()));
    }
    match sys::namespace::kind(fd) {
        Ok(found) if found == kind as u32 => Ok(()),
        Ok(found) => Err(format!(
            "`{}` is a namespace of kind {}, not {}",
            path.display(),
            name_of(found),
            namespace_name(kind)
        )),
        Err(error) => Err(format!("`{}` does not say its kind: {error}", path.display())),
    }
}

fn name_of(flag: u32) -> &'static str {
    let all = [
        Kind::Mount,
        Kind::Cgroup,
        Kind::Uts,
        Kind::Ipc,
        Kind::User,
        Kind::Pid,
        Kind::Network,
        Kind::Time,
    ];
    all.into_iter()
        .find(|k| *k as u32 == flag)
        .map_or("different", namespace_name)
}

impl Namespaces {
    pub(crate) fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    pub(crate) fn new_user(&self) -> bool {
        self.is_new(Kind::User)
    }

    pub(crate) fn user_joined(&self) -> bool {
        self.joined.iter().any(|(_, kind, _)| *kind == Kind::User)
            || self.held_in_outer.iter().any(|(_, kind, _)| *kind == Kind::User)
    }

    pub(crate) fn new_mount(&self) -> bool {
        self.is_new(Kind::Mount)
    }

    /// Whether a time namespace is made or joined: that needs memory of one's own.
    pub(crate) fn time(&self) -> bool {
        self.is_new(Kind::Time) || self.joined.iter().any(|(_, kind, _)| *kind == Kind::Time)
    }

    /// What the clone makes. The cgroup namespace comes after the cgroup is joined, and the time namespace after its
    /// offsets are written.
    pub(crate) fn clone_flags(&self) -> u32 {
        let later = [Kind::Cgroup, Kind::Time];
        self.new
            .iter()
            .filter(|k| !later.contains(k))
            .fold(0, |flags, kind| flags | *kind as u32)
    }

    pub(crate) fn take_pid(&mut self) -> Option<OwnedFd> {
        self.pid.take()
    }

    /// A user namespace to be joined comes first, in a process of its own: only a child of it can be first in a new pid
    /// namespace that belongs to it.
    pub(super) fn outer(&mut self, c: &mut Compiler) -> usize {
        if !self.user_joined() {
            return 0;
        }
        let (early, joined) = std::mem::take(&mut self.joined)
            .into_iter()
            .partition(|(_, k, _)| matches!(k, Kind::User | Kind::Pid));
        self.joined = joined;
        let mut early: Vec<(usize, Kind, OwnedFd)> = early;
        early.sort_by_key(|(_, kind, _)| *kind != Kind::User);
        for (i, kind, fd) in early {
            let place = c.program.hold(fd);
            self.held_in_outer.push((i, kind, place));
            c.op(field(i), act(kind), Op::Setns(place, kind as u32));
            if kind == Kind::User {
                c.op(field(i), "become root of the user namespace", Op::Ids(0, 0));
            }
        }
        c.program.len()
    }

    /// Joins by path, and what has to be unshared after the cgroup was joined.
    pub(super) fn join(&mut self, c: &mut Compiler, linux: &Linux) -> Result<()> {
        let mut joined = std::mem::take(&mut self.joined);
        // The mount namespace last: it changes what paths mean.
        joined.sort_by_key(|(_, kind, _)| *kind == Kind::Mount);
        if self.is_new(Kind::Cgroup) {
            c.op(
                "linux.namespaces",
                "unshare the cgroup namespace",
                Op::Unshare(Kind::Cgroup as u32),
            );
        }
        if self.is_new(Kind::Time) {
            c.op(
                "linux.namespaces",
                "unshare the time namespace",
                Op::Unshare(Kind::Time as u32),
            );
            for (clock, offset) in linux.time_offsets().iter().flatten() {
                let field = format!("linux.timeOffsets.{clock}");
                if !matches!(clock.as_str(), "monotonic" | "boottime") {
                    return Err(Error::field(field, "is neither `monotonic` nor `boottime`"));
                }
                let (secs, nanos) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
                let line = format!("{clock} {secs} {nanos}\n");
                let op = Op::WriteFile(c"/proc/self/timens_offsets".into(), line.into_bytes().into());
                c.op(field, format!("set {secs} s {nanos} ns"), op);
            }
        }
        for (i, kind, fd) in joined {
            let place = c.program.hold(fd);
            c.op(field(i), act(kind), Op::Setns(place, kind as u32));
        }
        Ok(())
    }
}

fn field(i: usize) -> String {
    format!("linux.namespaces[{i}].path")
}

fn act(kind: Kind) -> String {
    format!("join the {} namespace", namespace_name(kind))
}

/// The id maps of a new user namespace.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) uid: Vec<LinuxIdMapping>,
    pub(crate) gid: Vec<LinuxIdMapping>,
    pub(crate) privileged: bool,
}

impl Maps {
    pub(super) fn of(linux: &Linux, privileged: bool) -> Maps {
        let list = |maps: &Option<Vec<LinuxIdMapping>>| maps.clone().unwrap_or_default();
        Maps {
            uid: list(linux.uid_mappings()),
            gid: list(linux.gid_mappings()),
            privileged,
        }
    }

    /// The lines of `uid_map` and `gid_map`.
    pub(crate) fn lines(maps: &[LinuxIdMapping]) -> String {
        let line = |m: &LinuxIdMapping| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size());
        maps.iter().map(line).collect()
    }
}

/// Whether the user namespace that this process is in has `setgroups(2)` switched off, as one without a second id has.
pub(super) fn groups_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny")
}

/// `execve(2)` takes a process into the time namespace that it made for its children: Linux 6.3. Before that the clocks
/// of the container would silently stay the host's.
fn time_changes_at_exec() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(3))
}
