//! Being told that the kernel killed a process of the container for want of memory.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::{OFlags, inotify};
use rustix::io::Errno;

use super::directory::{Directory, keyed};
use super::processes::timespec;
use super::{Cgroup, Error};

/// What a watch saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// The container ran out of its memory.
    Oom,
    /// The container's cgroup is gone or empty: nothing more will come.
    Gone,
    /// Nothing until the deadline.
    Nothing,
}

/// A watch over one container's memory.
#[derive(Debug)]
pub struct OomWatch {
    source: Source,
    path: PathBuf,
    seen: u64,
}

#[derive(Debug)]
enum Source {
    /// The kernel adds one to it for every time (v1), and once when the cgroup is removed.
    Eventfd { event: OwnedFd, _control: OwnedFd },
    /// `memory.events` and `cgroup.events` were changed (v2).
    Inotify(OwnedFd),
}

/// Starts to watch; what happened before is not told.
///
/// # Errors
/// [`Error::Absent`] without a cgroup for memory, [`Error::Watch`].
pub fn oom_watch(cgroup: &Cgroup) -> Result<OomWatch, Error> {
    if let Some(member) = cgroup.v1_member("memory") {
        let directory = member.directory()?;
        let path = directory.file("memory.oom_control");
        let control = directory.open_file("memory.oom_control", OFlags::RDONLY)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| Error::Watch {
            path: path.clone(),
            source: errno.into(),
        })?;
        directory.write(
            "cgroup.event_control",
            &format!("{} {}", number(&event), number(&control)),
        )?;
        return Ok(OomWatch {
            source: Source::Eventfd {
                event,
                _control: control,
            },
            path,
            seen: 0,
        });
    }
    let Some(member) = &cgroup.unified else {
        return Err(Error::Absent { needed: "for memory" });
    };
    let directory = member.directory()?;
    let path = directory.file("memory.events");
    let failed = |errno: Errno| Error::Watch {
        path: path.clone(),
        source: errno.into(),
    };
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed)?;
    inotify::add_watch(&watch, &path, inotify::WatchFlags::MODIFY).map_err(failed)?;
    inotify::add_watch(&watch, directory.file("cgroup.events"), inotify::WatchFlags::MODIFY).map_err(failed)?;
    let seen = kills(&directory.read("memory.events")?);
    Ok(OomWatch {
        source: Source::Inotify(watch),
        path,
        seen,
    })
}

fn number(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

/// Times that the limit could not be kept: v2 counts those of the cgroups below too.
fn kills(events: &str) -> u64 {
    keyed(events, "oom")
        .unwrap_or(0)
        .max(keyed(events, "oom_kill").unwrap_or(0))
}

impl AsFd for OomWatch {
    /// Readable when there is something to [`OomWatch::wait`] for.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match &self.source {
            Source::Eventfd { event, .. } => event.as_fd(),
            Source::Inotify(watch) => watch.as_fd(),
        }
    }
}

impl OomWatch {
    /// Waits for the next event, at most for `limit`.
    ///
    /// # Errors
    /// [`Error::Watch`].
    pub fn wait(&mut self, limit: Duration) -> Result<OomEvent, Error> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut wanted = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)];
            match poll(&mut wanted, Some(&timespec(left))) {
                Ok(0) => return Ok(OomEvent::Nothing),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(self.failed(errno)),
            }
            if let Some(event) = self.next()? {
                return Ok(event);
            }
        }
    }

    fn next(&mut self) -> Result<Option<OomEvent>, Error> {
        let mut buffer = [0_u8; 4096];
        match rustix::io::read(self.as_fd(), &mut buffer) {
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(self.failed(errno)),
        }
        let parent = self.path.parent().unwrap_or(&self.path);
        let directory = match Directory::open(parent) {
            Ok(directory) => directory,
            Err(Error::Open { .. }) => return Ok(Some(OomEvent::Gone)),
            Err(error) => return Err(error),
        };
        if matches!(self.source, Source::Eventfd { .. }) {
            return Ok(Some(OomEvent::Oom));
        }
        let Some(events) = directory.read_if_there("memory.events")? else {
            return Ok(Some(OomEvent::Gone));
        };
        let now = kills(&events);
        if now > self.seen {
            self.seen = now;
            return Ok(Some(OomEvent::Oom));
        }
        let empty = directory
            .read_if_there("cgroup.events")?
            .is_none_or(|text| keyed(&text, "populated") == Some(0));
        Ok(empty.then_some(OomEvent::Gone))
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::Watch {
            path: self.path.clone(),
            source: errno.into(),
        }
    }
}
