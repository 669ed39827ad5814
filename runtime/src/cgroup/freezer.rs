//! Stopping and continuing all processes of a container.

use std::time::{Duration, Instant};

use super::processes::{pause_for, wait_for_event};
use super::{Cgroup, Error, Member};

/// How long freezing and thawing may take: a process in an uninterruptible system call holds it up.
const LIMIT: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Stops all processes of the container, and returns when they have stopped.
    ///
    /// # Errors
    /// [`Error::Late`] if they have not within ten seconds (they are thawed again then), [`Error::Absent`] without a
    /// cgroup that can freeze, [`Error::Write`].
    pub fn freeze(&self) -> Result<(), Error> {
        let done = self.set_frozen(true);
        if matches!(done, Err(Error::Late { .. })) {
            self.set_frozen(false)?;
        }
        done
    }

    /// Lets the processes of the container go on.
    ///
    /// # Errors
    /// As [`Cgroup::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.set_frozen(false)
    }

    /// Whether the processes of the container have been stopped, or are being stopped.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        if let Some(member) = self.v1_member("freezer") {
            let state = member.directory()?.read_if_there("freezer.state")?;
            return Ok(state.is_some_and(|state| state.trim() != "THAWED"));
        }
        match &self.unified {
            Some(member) => Ok(member
                .directory()?
                .read_if_there("cgroup.freeze")?
                .is_some_and(|state| state.trim() == "1")),
            None => Ok(false),
        }
    }

    fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        let deadline = Instant::now() + LIMIT;
        if let Some(member) = self.v1_member("freezer") {
            return self.set_v1(member, frozen, deadline);
        }
        let Some(member) = &self.unified else {
            return Err(Error::Absent { needed: "to freeze" });
        };
        member
            .directory()?
            .write("cgroup.freeze", if frozen { "1" } else { "0" })?;
        if wait_for_event(&member.path, "frozen", u64::from(frozen), deadline)? {
            return Ok(());
        }
        Err(self.late(if frozen { "frozen" } else { "thawed" }, LIMIT))
    }

    fn set_v1(&self, member: &Member, frozen: bool, deadline: Instant) -> Result<(), Error> {
        let wanted = if frozen { "FROZEN" } else { "THAWED" };
        let directory = match member.directory() {
            // A group that is gone has nobody to thaw.
            Err(Error::Open { source, .. }) if !frozen && source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            directory => directory?,
        };
        let mut pause = Duration::from_micros(50);
        loop {
            // Written again each time: a process forked while the group was freezing is caught by that.
            match directory.write("freezer.state", wanted) {
                // A group that is gone is neither.
                Err(Error::Write { source, .. }) if !frozen && source.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(());
                }
                done => done?,
            }
            if directory.read("freezer.state")?.trim() == wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.late(if frozen { "frozen" } else { "thawed" }, LIMIT));
            }
            pause_for(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
    }
}
