//! A guard for something that goes on until it is told to end, instead of for one case.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use super::cgroup::{self, Limits};
use super::mounts::Ground;
use super::{Bounds, Error, Home, Role, prepare, split, watch};

/// The reason for which a long-lived guard ended, if it was told to.
pub const TOLD: &str = "it was told to end";

/// What a long-lived guard is made of.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Unique on the host; names the cgroups.
    pub token: String,
    /// A directory on disk, writable inside as `HOME/work`.
    pub work: PathBuf,
    /// A directory on disk that outlives the guard, writable inside as `HOME/keep`.
    pub keep: Option<PathBuf>,
    /// Limits of the whole.
    pub limits: Limits,
}

/// Which of a long-lived guard's two processes this is, at its end.
#[derive(Debug)]
pub enum Held {
    /// PID 1, with what its body came to: the exit status.
    Inside(i32),
    /// The one outside, which removed the control groups.
    Outside {
        /// Why the guard ended, if PID 1 did not end by itself.
        reason: Option<String>,
        /// What could not be removed.
        leftovers: Vec<String>,
    },
}

/// Makes a guard around `body`, which runs as PID 1, in it unless it is told why it is not, and comes back in both processes
/// when it is over: `body` came back, or the process outside got SIGTERM, SIGINT or SIGHUP. If that process is killed, PID 1
/// dies with it.
///
/// # Errors
/// [`Error`] outside, if the guard could not be made. `EBUSY` if this process has more than one thread.
pub fn hold(options: &Hold, body: impl FnOnce(Result<Home, Error>) -> i32) -> Result<Held, Error> {
    let mut cgroups = cgroup::Subtree::create(&cgroup::host()?, &options.token, options.limits)?;
    let ended = match split(&cgroups) {
        Ok(Role::Init { ready }) => {
            let ground = Ground {
                work: &options.work,
                image: None,
                keep: options.keep.as_deref(),
                hide_unified: false,
            };
            let home = prepare(&ground, &cgroups, &ready, &|_| true);
            return Ok(Held::Inside(body(home)));
        }
        Ok(Role::Outside { pid, pidfd, go }) => {
            // After the second process is there: it is not to inherit what is blocked here.
            let told = sys::signals::termination().map_err(|source: io::Error| Error::Inside {
                act: "watch for signals".into(),
                source,
            });
            told.and_then(|told| {
                let bounds = Bounds {
                    until: told.as_fd(),
                    reached: TOLD,
                    deadline: None,
                };
                watch(&bounds, &cgroups, pid, &pidfd, go)
            })
        }
        Err(error) => Err(error),
    };
    let leftovers = cgroups.remove(Duration::from_secs(5));
    Ok(Held::Outside {
        reason: ended?,
        leftovers,
    })
}
