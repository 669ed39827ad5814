//! The guard: where every subject runs.
//!
//! A guard is a process of its own (this executable, called again) that makes a private mount namespace with the host's
//! root read-only, its own PID, UTS, IPC, network and cgroup namespaces and a cgroup subtree with limits, and runs one
//! case in there as PID 1. Whatever happens in it ends with it: its process outside watches a pipe from the harness, a
//! deadline, and PID 1, and then removes the cgroups. The word *host* in specs means what is in here.

pub mod cgroup;
mod devices;
pub mod hold;
pub mod job;
mod mounts;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use rustix::thread::UnshareFlags;
use sys::fork::{Forked, exit_now, fork, fork_sibling};

pub use hold::{Held, Hold, hold};
pub use job::{Job, Line};

use self::mounts::Ground;

use crate::{drive, links, wait};

/// Where a guard keeps what a case needs, on a file system of its own.
pub const HOME: &str = "/run/plimsoll";

/// How often a killed guard that does not end is thawed again.
const THAW_EVERY: Duration = Duration::from_millis(20);

/// Why a guard cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job came.
    #[error("failed to read the guard's job from standard input")]
    Job {
        /// Cause.
        source: io::Error,
    },
    /// The second process.
    #[error("failed to make the guard's namespaces")]
    Fork {
        /// Cause.
        source: io::Error,
    },
    /// A step inside.
    #[error("failed to {act}")]
    Inside {
        /// What was done to what.
        act: String,
        /// Cause.
        source: io::Error,
    },
    /// Its cgroups.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
}

pub(crate) fn inside(act: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Error {
    let act = act.into();
    move |errno| Error::Inside {
        act,
        source: errno.into(),
    }
}

pub(crate) fn inside_io(act: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let act = act.into();
    move |source| Error::Inside { act, source }
}

/// Runs a guard: reads [`Job`]s from standard input, one after the other, and writes [`Line`]s to standard output. The exit
/// status says only whether the guard itself worked.
pub fn main() -> i32 {
    let mut stdin = BufReader::new(io::stdin());
    let mut text = String::new();
    let mut code = 0;
    let mut hierarchies = None;
    loop {
        text.clear();
        match stdin.read_line(&mut text) {
            Ok(0) => return code,
            Ok(_) => {}
            Err(source) => return closed(Err(Error::Job { source }), Vec::new()),
        }
        match one(&text, &mut hierarchies) {
            // PID 1 of a case: it ends with the case.
            Ended::Inside(status) => return status,
            Ended::Outside(status) => code = status,
        }
    }
}

/// Which of a case's two processes came to its end, with its exit status so far.
enum Ended {
    Inside(i32),
    Outside(i32),
}

/// One case. `hierarchies` are the host's, once they are known.
fn one(text: &str, hierarchies: &mut Option<Vec<cgroup::Hierarchy>>) -> Ended {
    let job: Job = match serde_json::from_str(text) {
        Ok(job) => job,
        Err(error) => return Ended::Outside(closed(Err(Error::Job { source: error.into() }), Vec::new())),
    };
    if job.subject.kube.is_some() {
        return elsewhere(&job);
    }
    let cgroups = match hierarchies.take().map_or_else(cgroup::host, Ok) {
        Ok(all) => cgroup::Subtree::create(hierarchies.insert(all), &job.token, job.limits),
        Err(error) => Err(error),
    };
    let mut cgroups = match cgroups {
        Ok(cgroups) => cgroups,
        Err(error) => return Ended::Outside(closed(Err(error.into()), Vec::new())),
    };
    let role = match split(&cgroups) {
        Ok(role) => role,
        Err(error) => {
            let leftovers = cgroups.remove(Duration::from_secs(1));
            return Ended::Outside(closed(Err(error), leftovers));
        }
    };
    let ended = match role {
        // PID 1: the directories are its parent's to remove.
        Role::Init { ready } => return Ended::Inside(init(&job, &cgroups, &ready)),
        Role::Outside { pid, pidfd, go } => {
            let stdin = io::stdin();
            let bounds = Bounds {
                until: stdin.as_fd(),
                reached: "the harness is gone",
                deadline: Some(job.deadline),
            };
            watch(&bounds, &cgroups, pid, &pidfd, go)
        }
    };
    let leftovers = cgroups.remove(Duration::from_secs(5));
    Ended::Outside(closed(ended, leftovers))
}

/// A case on a cluster that is not of this machine: nothing of it runs here, and it needs the network. A second process
/// runs it, so that a deadline can end it.
fn elsewhere(job: &Job) -> Ended {
    match fork(0, None) {
        Err(source) => Ended::Outside(closed(Err(Error::Fork { source }), Vec::new())),
        Ok(Forked::Child) => {
            // Without its harness nobody would hear of it; the namespace is then removed by the next run that has it.
            let _alone = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
            drive_case(
                job,
                &Home {
                    cgroups: Vec::new(),
                    no_cgroups: Some("the cluster is not of this machine".into()),
                    work: job.work.clone(),
                    by_root: rustix::process::geteuid().is_root(),
                },
            );
            Ended::Inside(0)
        }
        Ok(Forked::Parent { pidfd, .. }) => {
            let stdin = io::stdin();
            let bounds = Bounds {
                until: stdin.as_fd(),
                reached: "the harness is gone",
                deadline: Some(job.deadline),
            };
            let ended = await_end(&bounds, None, &pidfd);
            let leftovers = match &ended {
                Ok(None) => Vec::new(),
                _ => drive::cluster::remove(job),
            };
            Ended::Outside(closed(ended, leftovers))
        }
    }
}

fn drive_case(job: &Job, home: &Home) {
    let start = Instant::now();
    let mut emit = |event| write_line(&Line::Event(Box::new(event)));
    let (waited, leftovers) = drive::run(job, home, &mut emit);
    // The kernel ends this namespace only after everything in it, and what is frozen does not die.
    for hierarchy in &home.cgroups {
        cgroup::thaw(&hierarchy.mount);
    }
    write_line(&Line::Done {
        took: start.elapsed(),
        waited,
        leftovers,
    });
}

fn closed(ended: Result<Option<String>, Error>, leftovers: Vec<String>) -> i32 {
    let (code, reason) = match ended {
        Ok(reason) => (0, reason),
        Err(error) => (3, Some(crate::chain(&error))),
    };
    write_line(&Line::Closed { reason, leftovers });
    code
}

fn write_line(line: &Line) {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    // A harness that is gone reads nothing; the guard then ends by its pipe.
    let _gone = io::stdout().write_all(&text);
}

/// Which of the guard's two processes this is.
enum Role {
    /// PID 1 inside.
    Init {
        /// Readable when the id maps are written.
        ready: OwnedFd,
    },
    /// The one that watches from outside.
    Outside {
        /// PID 1, seen from here.
        pid: i32,
        /// PID 1.
        pidfd: OwnedFd,
        /// Lets PID 1 go on.
        go: OwnedFd,
    },
}

fn split(cgroups: &cgroup::Subtree) -> Result<Role, Error> {
    let mut flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWNET;
    if !cgroups.by_root() {
        flags |= UnshareFlags::NEWUSER;
    }
    let (ready, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(inside("make a pipe"))?;
    if let Some(leaf) = cgroups.leaf() {
        return split_into(cgroups, leaf, u64::from(flags.bits()), ready, go);
    }
    match fork(u64::from(flags.bits()), cgroups.version_2()).map_err(|source| Error::Fork { source })? {
        Forked::Child => Ok(Role::Init { ready }),
        Forked::Parent { pid, pidfd } => Ok(Role::Outside { pid, pidfd, go }),
    }
}

/// PID 1 in the leaf of a version 2 subtree, with a cgroup namespace rooted at the subtree: made by a process that is in
/// the root just long enough to make that namespace.
fn split_into(
    cgroups: &cgroup::Subtree,
    leaf: BorrowedFd<'_>,
    flags: u64,
    ready: OwnedFd,
    go: OwnedFd,
) -> Result<Role, Error> {
    let fork_error = |source| Error::Fork { source };
    let (told, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(inside("make a pipe"))?;
    let helper = match fork(0, cgroups.version_2()).map_err(fork_error)? {
        Forked::Child => {
            let made = sys::fork::unshare_cgroup().and_then(|()| fork_sibling(flags, Some(leaf)));
            let (pid, status) = match made {
                Ok(None) => return Ok(Role::Init { ready }),
                Ok(Some(pid)) => (pid, 0),
                Err(error) => (error.raw_os_error().unwrap_or(0), 1),
            };
            // Who reads it will not wait longer than for the end of this process.
            let _told = rustix::io::write(&tell, &pid.to_ne_bytes());
            exit_now(status)
        }
        Forked::Parent { pidfd, .. } => pidfd,
    };
    drop(tell);
    let mut number = [0; 4];
    let heard = rustix::io::read(&told, &mut number).map_err(inside("hear of the guard's PID 1"))?;
    let status = waitid(WaitId::PidFd(helper.as_fd()), WaitIdOptions::EXITED)
        .map_err(inside("wait for the maker of the guard's PID 1"))?;
    let number = i32::from_ne_bytes(number);
    if heard != 4 || status.is_none_or(|s| s.exit_status() != Some(0)) {
        return Err(fork_error(io::Error::from_raw_os_error(number)));
    }
    // Its parent is this process: nobody else can have waited for it, so the number is still its own.
    let pid = Pid::from_raw(number).ok_or_else(|| fork_error(io::Error::other("there is no such process")))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(inside("open the guard's PID 1"))?;
    Ok(Role::Outside { pid: number, pidfd, go })
}

/// What ends a guard whose PID 1 does not end by itself.
struct Bounds<'b> {
    /// Readable when it is to end.
    until: BorrowedFd<'b>,
    /// What that means.
    reached: &'static str,
    /// How long it may take.
    deadline: Option<Duration>,
}

/// Lets PID 1 go on and waits for its end or one of the bounds. Answers why it ended, if not by itself.
fn watch(
    bounds: &Bounds<'_>,
    cgroups: &cgroup::Subtree,
    pid: i32,
    pidfd: &OwnedFd,
    go: OwnedFd,
) -> Result<Option<String>, Error> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    if !rustix::process::geteuid().is_root() {
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {} 1", uid.as_raw())),
            ("gid_map", format!("0 {} 1", gid.as_raw())),
        ] {
            fs_err::write(format!("/proc/{pid}/{file}"), text).map_err(|source| Error::Fork { source })?;
        }
    }
    rustix::io::write(&go, b"1").map_err(inside("let the case begin"))?;
    drop(go);
    await_end(bounds, Some(cgroups), pidfd)
}

fn await_end(bounds: &Bounds<'_>, cgroups: Option<&cgroup::Subtree>, pidfd: &OwnedFd) -> Result<Option<String>, Error> {
    let end = bounds.deadline.map(|deadline| (Instant::now() + deadline, deadline));
    let mut reason = None;
    loop {
        let left = end.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        let ready = wait::readable(&[pidfd.as_fd(), bounds.until], left);
        if ready[0] {
            break;
        }
        if ready[1] {
            reason = Some(bounds.reached.to_owned());
        } else if let Some((_, deadline)) = end
            && left.is_some_and(|left| left.is_zero())
        {
            reason = Some(format!(
                "the case did not end by its deadline of {deadline:?} and was killed"
            ));
        } else {
            continue;
        }
        // With PID 1 every process of its namespace dies.
        let _gone = pidfd_send_signal(pidfd, Signal::KILL);
        // On version 1 a frozen process dies when it is thawed, and PID 1 waits for it.
        while !wait::readable(&[pidfd.as_fd()], Some(THAW_EVERY))[0] {
            cgroups.iter().for_each(|cgroups| cgroups.thaw());
        }
        break;
    }
    let status = loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(status) => break status,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::Fork { source: e.into() }),
        }
    };
    if reason.is_none() {
        reason = match status.as_ref().map(|s| (s.exit_status(), s.terminating_signal())) {
            Some((Some(0), _)) => None,
            Some((_, Some(signal))) => Some(format!("the process that runs the case was ended by signal {signal}")),
            other => Some(format!("the process that runs the case ended with {other:?}")),
        };
    }
    Ok(reason)
}

/// PID 1 of the guard.
fn init(job: &Job, cgroups: &cgroup::Subtree, ready: &OwnedFd) -> i32 {
    let ground = Ground {
        work: &job.work,
        image: Some(&job.image),
        keep: None,
        hide_unified: job.hide_unified,
    };
    let specs: Vec<_> = job.case.all().map(|case| &case.spec).collect();
    let spec = serde_json::to_string(&specs).unwrap_or_default();
    // The runtime spec calls huge pages by another name than their controller.
    let needs = |controller: &str| {
        spec.contains(controller) || spec.contains("unified") || (controller == "hugetlb" && spec.contains("hugepage"))
    };
    match prepare(&ground, cgroups, ready, &needs) {
        Ok(home) => {
            drive_case(job, &home);
            0
        }
        Err(error) => {
            write_line(&Line::Failed {
                message: crate::chain(&error),
            });
            0
        }
    }
}

/// What PID 1 knows of its surroundings.
#[derive(Debug)]
pub struct Home {
    /// Control group hierarchies as they are mounted in here.
    pub cgroups: Vec<cgroup::Mounted>,
    /// Why limits cannot be had, if they cannot.
    pub no_cgroups: Option<String>,
    /// The disk-backed directory of the case.
    pub work: PathBuf,
    /// Root made it, and not an ordinary user who is root only in here.
    pub by_root: bool,
}

/// `needs` says which controllers of a version 2 hierarchy beside version 1 hierarchies are to be handed on.
fn prepare(
    ground: &Ground<'_>,
    cgroups: &cgroup::Subtree,
    ready: &OwnedFd,
    needs: &dyn Fn(&str) -> bool,
) -> Result<Home, Error> {
    let mut byte = [0; 1];
    let n = rustix::io::read(ready, &mut byte).map_err(inside("wait for the id maps"))?;
    if n == 0 {
        return Err(inside("get id maps from the guard's outside")(rustix::io::Errno::PIPE));
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(inside("ask to die with the harness"))?;
    cgroups.enter()?;
    let null = File::open("/dev/null").map_err(inside_io("open `/dev/null`"))?;
    rustix::stdio::dup2_stdin(&null).map_err(inside("replace standard input"))?;
    if cgroups.is_some() && cgroups.leaf().is_none() {
        sys::fork::unshare_cgroup().map_err(inside_io("make a cgroup namespace"))?;
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    let mounted = mounts::prepare(ground, cgroups)?;
    cgroups.settle(&mounted, needs)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::system::sethostname(b"plimsoll-guard").map_err(inside("set the guard's host name"))?;
    links::up(links::LOOPBACK).map_err(inside_io("set `lo` up"))?;
    Ok(Home {
        cgroups: mounted,
        no_cgroups: cgroups.unavailable().map(str::to_owned),
        work: PathBuf::from(format!("{HOME}/work")),
        by_root: cgroups.by_root(),
    })
}
