//! Staying with a container's process until it ends: signals go to it, and its terminal comes here.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use sys::signal_fd::SignalFd;

use crate::console;
use crate::error::{Attempt, Result};

const SIGCHLD: i32 = 17;
const SIGPIPE: i32 = 13;
const SIGWINCH: i32 = 28;

/// Waits for the end of the process and returns its exit code.
pub(crate) fn wait(signals: &SignalFd, pidfd: &OwnedFd, terminal: Option<OwnedFd>) -> Result<i32> {
    let raw = terminal.as_ref().map(|master| {
        console::same_size(master);
        console::Raw::new()
    });
    let stdin = rustix::stdio::stdin();
    let (mut reads_input, mut reads_output) = (terminal.is_some(), terminal.is_some());
    loop {
        let mut polls = Vec::with_capacity(4);
        polls.push(PollFd::new(pidfd, PollFlags::IN));
        polls.push(PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN));
        if let Some(master) = &terminal {
            polls.push(PollFd::new(
                master,
                if reads_output {
                    PollFlags::IN
                } else {
                    PollFlags::empty()
                },
            ));
            if reads_input {
                polls.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
        }
        match rustix::event::poll(&mut polls, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.attempt(|| "wait for the container".into())?,
        };
        let ready: Vec<bool> = polls.iter().map(|p| !p.revents().is_empty()).collect();
        drop(polls);
        if let Some(master) = &terminal {
            if ready[2] && reads_output {
                reads_output = console::pass(master.as_fd(), rustix::stdio::stdout());
            }
            if ready.get(3) == Some(&true) {
                reads_input = console::pass(stdin, master.as_fd());
            }
        }
        if ready[1] {
            while let Some(signal) = signals.next() {
                match signal {
                    SIGCHLD | SIGPIPE => {}
                    SIGWINCH if terminal.is_some() => {
                        if let Some(master) = &terminal {
                            console::same_size(master);
                        }
                    }
                    // A process that is gone by now needs no signal.
                    _ => drop(sys::signal_fd::send(pidfd, signal)),
                }
            }
        }
        if ready[0] {
            if let Some(master) = &terminal {
                console::drain(master);
            }
            drop(raw);
            return crate::bring_up::exit_code(pidfd);
        }
    }
}
