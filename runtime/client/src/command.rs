//! One command: bounded in time and in what it prints.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// More than this of a stream is read and thrown away.
const KEPT: usize = 256 << 10;

/// What a command did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its command line, for people.
    pub argv: String,
    /// Exit status; `None` if a signal or the deadline ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// It was still running at its deadline and was killed.
    pub hung: bool,
    /// Standard output as far as captured, first 256 KiB.
    pub stdout: String,
    /// Standard error as far as captured, first 256 KiB.
    pub stderr: String,
    /// Wall time on the monotonic clock.
    pub took: Duration,
}

impl Outcome {
    /// The exit status as a shell gives it: 128+n after signal n.
    pub fn shell_code(&self) -> i64 {
        i64::from(self.code.unwrap_or_else(|| 128 + self.signal.unwrap_or(0)))
    }
}

/// Why a command gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be started.
    #[error("failed to start `{program}`")]
    Spawn {
        /// Program.
        program: String,
        /// Cause.
        source: io::Error,
    },
    /// The running command cannot be watched.
    #[error("failed to watch `{program}`")]
    Watch {
        /// Program.
        program: String,
        /// Cause.
        source: io::Error,
    },
}

/// Standard streams; `None` is `/dev/null` for input and captured for output.
#[derive(Debug, Default)]
pub struct Streams {
    /// Standard input.
    pub stdin: Option<File>,
    /// Standard output.
    pub stdout: Option<File>,
    /// Standard error.
    pub stderr: Option<File>,
}

impl Streams {
    /// Nothing to read, everything captured.
    pub fn captured() -> Self {
        Self::default()
    }
}

/// A descriptor that is watched while a command runs.
#[derive(Debug)]
pub struct Watched<'w> {
    /// The descriptor.
    pub fd: BorrowedFd<'w>,
    /// When it was first seen to be readable, or hung up.
    pub readable: Option<Instant>,
}

/// Runs a command to its end or its deadline.
///
/// Ends when the process does, even if a child of it still holds the other end of a pipe.
///
/// # Errors
/// [`Error`] if it cannot be started or watched.
pub fn run(argv: &[OsString], streams: Streams, deadline: Duration) -> Result<Outcome, Error> {
    run_watching(argv, streams, deadline, &mut [])
}

/// As [`run`], and notes when other descriptors become readable meanwhile.
///
/// # Errors
/// As [`run`].
pub fn run_watching(
    argv: &[OsString],
    streams: Streams,
    deadline: Duration,
    watched: &mut [Watched<'_>],
) -> Result<Outcome, Error> {
    let line = argv
        .iter()
        .map(|a| quoted(&a.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    let program = argv
        .first()
        .map(|p| p.to_string_lossy().into_owned())
        .unwrap_or_default();
    let spawn = |source| Error::Spawn {
        program: program.clone(),
        source,
    };
    let watch = |source| Error::Watch {
        program: program.clone(),
        source,
    };

    let Some((first, rest)) = argv.split_first() else {
        return Err(spawn(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let start = Instant::now();
    let (capture_out, capture_err) = (streams.stdout.is_none(), streams.stderr.is_none());
    let mut child = Command::new(first)
        .args(rest)
        .stdin(streams.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(streams.stdout.map_or_else(Stdio::piped, Stdio::from))
        .stderr(streams.stderr.map_or_else(Stdio::piped, Stdio::from))
        .spawn()
        .map_err(spawn)?;
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|e| watch(e.into()))?;
    let mut pipes: Vec<(OwnedFd, Vec<u8>)> = Vec::new();
    pipes.extend(child.stdout.take().map(|p| (OwnedFd::from(p), Vec::new())));
    pipes.extend(child.stderr.take().map(|p| (OwnedFd::from(p), Vec::new())));
    for (pipe, _) in &pipes {
        rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK).map_err(|e| watch(e.into()))?;
    }

    let mut open = vec![true; pipes.len()];
    let mut hung = false;
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        if left.is_zero() && !hung {
            hung = true;
            // Already gone is as good.
            let _gone = pidfd_send_signal(&pidfd, Signal::KILL);
        }
        let ended = {
            let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
            fds.extend(
                pipes
                    .iter()
                    .zip(&open)
                    .filter(|(_, open)| **open)
                    .map(|((p, _), _)| PollFd::new(p, PollFlags::IN)),
            );
            let own = fds.len();
            let mut quiet: Vec<_> = watched.iter_mut().filter(|w| w.readable.is_none()).collect();
            fds.extend(quiet.iter().map(|w| PollFd::from_borrowed_fd(w.fd, PollFlags::IN)));
            let timeout = if hung { None } else { Timespec::try_from(left).ok() };
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(watch(e.into())),
            }
            let now = Instant::now();
            for (watched, fd) in quiet.iter_mut().zip(&fds[own..]) {
                watched.readable = (!fd.revents().is_empty()).then_some(now);
            }
            fds[0].revents().contains(PollFlags::IN)
        };
        for ((pipe, kept), open) in pipes.iter_mut().zip(&mut open) {
            *open = *open && drain(pipe, kept).map_err(watch)?;
        }
        if ended {
            break;
        }
    }
    let status = child.wait().map_err(watch)?;
    let mut texts = pipes
        .into_iter()
        .map(|(_, kept)| String::from_utf8_lossy(&kept).into_owned());
    let stdout = if capture_out {
        texts.next().unwrap_or_default()
    } else {
        String::new()
    };
    let stderr = if capture_err {
        texts.next().unwrap_or_default()
    } else {
        String::new()
    };
    Ok(Outcome {
        argv: line,
        code: status.code(),
        signal: status.signal(),
        hung,
        stdout,
        stderr,
        took: start.elapsed(),
    })
}

/// Reads what is there. False when the other end is closed.
fn drain(pipe: &OwnedFd, kept: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    // A pipe holds less than this: whoever refills it meanwhile waits for the next turn, and so the deadline is seen.
    for _ in 0..8 {
        match rustix::io::read(pipe.as_fd(), &mut buffer[..]) {
            Ok(0) => return Ok(false),
            Ok(n) => kept.extend_from_slice(&buffer[..n.min(KEPT.saturating_sub(kept.len()))]),
            Err(rustix::io::Errno::AGAIN) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(true)
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Outcome {
        run(
            &["/bin/sh".into(), "-c".into(), script.into()],
            Streams::captured(),
            deadline,
        )
        .unwrap()
    }

    #[test]
    fn an_outcome_has_code_and_both_streams() {
        let outcome = shell("echo out; echo err >&2; exit 7", Duration::from_secs(10));
        assert_eq!(
            (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
            (Some(7), "out\n", "err\n")
        );
        assert_eq!(shell("kill -9 $$", Duration::from_secs(10)).shell_code(), 137);
    }

    #[test]
    fn a_command_that_hangs_is_killed_at_its_deadline() {
        let outcome = shell("exec sleep 60", Duration::from_millis(200));
        assert!(outcome.hung);
        assert_eq!(outcome.signal, Some(9));
        assert!(outcome.took < Duration::from_secs(10));
    }

    #[test]
    fn a_child_that_keeps_the_pipe_does_not_keep_the_caller() {
        let outcome = shell("sleep 5 & exit 3", Duration::from_secs(30));
        assert_eq!(outcome.code, Some(3));
        assert!(outcome.took < Duration::from_secs(4));
    }

    #[test]
    fn endless_garbage_is_bounded() {
        let outcome = shell("exec cat /dev/zero", Duration::from_millis(300));
        assert!(outcome.hung);
        assert_eq!(outcome.stdout.len(), KEPT);
    }

    #[test]
    fn what_becomes_readable_meanwhile_is_noted() {
        let (early, writer) = rustix::pipe::pipe().unwrap();
        let (never, _held) = rustix::pipe::pipe().unwrap();
        let mut watched = [&early, &never].map(|fd| Watched {
            fd: fd.as_fd(),
            readable: None,
        });
        let streams = Streams {
            stdout: Some(File::from(writer)),
            ..Streams::captured()
        };
        let argv = ["/bin/sh", "-c", "echo out; sleep 0.3"].map(OsString::from);
        let start = Instant::now();
        let outcome = run_watching(&argv, streams, Duration::from_secs(10), &mut watched).unwrap();
        let [early, never] = watched.map(|w| w.readable);
        assert!(early.is_some_and(|at| at - start < outcome.took), "{early:?}");
        assert_eq!(never, None);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = run(
            &["/no/such/runtime".into()],
            Streams::captured(),
            Duration::from_secs(1),
        );
        assert_eq!(missing.unwrap_err().to_string(), "failed to start `/no/such/runtime`");
    }
}
