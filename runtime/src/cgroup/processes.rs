//! Who is in a cgroup, and signals to all of them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::directory::{Directory, children, keyed};
use super::{Cgroup, Error};

impl Cgroup {
    /// The processes of the container, those in cgroups that it made for itself too, by their number here.
    ///
    /// # Errors
    /// [`Error::Read`]; a cgroup that is gone has no processes.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        let mut found = Vec::new();
        // A hierarchy that a process may have left by itself does not hide it in the others.
        for member in self
            .unified
            .iter()
            .chain(self.v1.iter().filter(|member| !member.controllers.is_empty()))
        {
            collect(&member.path, &mut found)?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Whether any process is in the cgroup or below it.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn is_populated(&self) -> Result<bool, Error> {
        for member in self.members() {
            if any_below(&member.path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends `signal` to every process of the container.
    ///
    /// `SIGKILL` also reaches frozen processes, and those that are forked meanwhile.
    ///
    /// # Errors
    /// [`Error::Signal`]; [`Error::Late`] if a fork bomb outruns the killing for ten seconds.
    pub fn kill_all(&self, signal: Signal) -> Result<(), Error> {
        if signal != Signal::KILL {
            return self.signal_each(signal).map(drop);
        }
        if let Some(member) = &self.unified {
            match Directory::open(&member.path).and_then(|directory| directory.write("cgroup.kill", "1")) {
                Ok(()) => {}
                // Gone, or before Linux 5.14.
                Err(Error::Open { .. } | Error::Write { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let limit = Duration::from_secs(10);
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(50);
        loop {
            let killed = self.signal_each(signal)?;
            // v1 delivers the signal to frozen processes only when they thaw.
            if self.v1_member("freezer").is_some() {
                self.thaw()?;
            }
            if killed == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.late("empty", limit));
            }
            pause_for(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Signals those that are in the cgroup now; says how many they are.
    fn signal_each(&self, signal: Signal) -> Result<usize, Error> {
        let handles: Vec<(i32, OwnedFd)> = self
            .pids()?
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)))
            .collect();
        if handles.is_empty() {
            return Ok(0);
        }
        // A number may have gone to another process before it was opened. If it is a member now, then either it is the
        // process behind the descriptor, or that one is dead and signalling it does nothing.
        let now = self.pids()?;
        let mut count = 0;
        for (pid, handle) in &handles {
            if now.binary_search(pid).is_err() {
                continue;
            }
            match pidfd_send_signal(handle, signal) {
                Ok(()) => count += 1,
                Err(Errno::SRCH) => {}
                Err(errno) => {
                    return Err(Error::Signal {
                        pid: *pid,
                        source: errno.into(),
                    });
                }
            }
        }
        Ok(count)
    }

    /// Waits until nobody is in the cgroup or below it.
    ///
    /// # Errors
    /// [`Error::Late`] if that is not so within `limit`.
    pub fn wait_empty(&self, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        if let Some(member) = &self.unified {
            wait_for_event(&member.path, "populated", 0, deadline)?;
        }
        let mut pause = Duration::from_micros(50);
        while self.is_populated()? {
            if Instant::now() >= deadline {
                return Err(self.late("empty", limit));
            }
            pause_for(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
        Ok(())
    }

    pub(super) fn late(&self, state: &'static str, limit: Duration) -> Error {
        let path = self
            .members()
            .next()
            .map(|member| member.path.clone())
            .unwrap_or_default();
        Error::Late {
            path,
            state,
            milliseconds: limit.as_millis(),
        }
    }
}

/// Waits until `key` in `cgroup.events` has `value`, or the cgroup is gone, or `deadline`; says whether it came to that.
pub(super) fn wait_for_event(path: &Path, key: &str, value: u64, deadline: Instant) -> Result<bool, Error> {
    let file = path.join("cgroup.events");
    let failed = |errno: Errno| Error::Watch {
        path: file.clone(),
        source: errno.into(),
    };
    let events = match rustix::fs::open(&file, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty()) {
        Ok(events) => events,
        Err(Errno::NOENT) => return Ok(true),
        Err(errno) => return Err(failed(errno)),
    };
    loop {
        let mut text = [0; 256];
        match rustix::io::pread(&events, &mut text, 0) {
            Ok(length) => {
                if keyed(&String::from_utf8_lossy(&text[..length]), key) == Some(value) {
                    return Ok(true);
                }
            }
            Err(Errno::NODEV) => return Ok(true),
            Err(errno) => return Err(failed(errno)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut wanted = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)];
        match poll(&mut wanted, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A step of a bounded wait for what the kernel tells nobody about: v1 has no event for *frozen* and *empty*.
pub(super) fn pause_for(duration: Duration) {
    // An interrupted pause only makes the next look come earlier.
    match poll(&mut [], Some(&timespec(duration))) {
        Ok(_) | Err(_) => {}
    }
}

fn collect(path: &Path, found: &mut Vec<i32>) -> Result<(), Error> {
    let directory = match Directory::open(path) {
        Ok(directory) => directory,
        Err(Error::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A threaded cgroup does not tell its processes; its domain, which is above it, does.
    if let Some(text) = directory.read_if_there("cgroup.procs")? {
        found.extend(
            text.lines()
                .filter_map(|line| line.parse::<i32>().ok())
                .filter(|&pid| pid > 0),
        );
    }
    for child in children_if_there(path)? {
        collect(&child, found)?;
    }
    Ok(())
}

/// Whether there is a process at `path` or below.
pub(super) fn any_below(path: &Path) -> Result<bool, Error> {
    let directory = match Directory::open(path) {
        Ok(directory) => directory,
        Err(Error::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if let Some(events) = directory.read_if_there("cgroup.events")? {
        return Ok(keyed(&events, "populated") == Some(1));
    }
    if directory
        .read_if_there("cgroup.procs")?
        .is_some_and(|text| !text.trim().is_empty())
    {
        return Ok(true);
    }
    for child in children_if_there(path)? {
        if any_below(&child)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The cgroups in `path`, none if it is gone.
pub(super) fn children_if_there(path: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    match children(path) {
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}
