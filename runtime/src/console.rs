//! The container's terminal: who gets its master, and passing bytes between it and the caller's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::termios::{OptionalActions, Termios};

use crate::error::{Attempt, Error, Result, at};

/// Where the master goes.
#[derive(Debug, Default)]
pub(crate) struct Arrangement {
    /// What the child sends the master over.
    pub(crate) for_child: Option<OwnedFd>,
    ours: Option<OwnedFd>,
}

/// Checks that terminal and console socket go together, and opens what is needed.
pub(crate) fn arrange(terminal: bool, socket: Option<&Path>, foreground: bool) -> Result<Arrangement> {
    match (terminal, socket) {
        (false, None) => Ok(Arrangement::default()),
        (false, Some(_)) => Err(Error::usage(
            "--console-socket is given, but process.terminal is false: there is no terminal to send",
        )),
        (true, Some(path)) => {
            let act = || at("connect to console socket", path);
            let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .attempt(act)?;
            let address = SocketAddrUnix::new(path).attempt(act)?;
            rustix::net::connect(&fd, &address).attempt(act)?;
            Ok(Arrangement {
                for_child: Some(fd),
                ours: None,
            })
        }
        (true, None) if foreground => {
            let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
            let (ours, theirs) = pair.attempt(|| "make a socket for the terminal".into())?;
            Ok(Arrangement {
                for_child: Some(theirs),
                ours: Some(ours),
            })
        }
        (true, None) => Err(Error::field(
            "process.terminal",
            "needs --console-socket when the caller does not stay",
        )),
    }
}

impl Arrangement {
    /// The master, if it was sent to us.
    pub(crate) fn receive(self) -> Result<Option<OwnedFd>> {
        let Some(ours) = self.ours else { return Ok(None) };
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0_u8; 64];
        let mut buffer = [std::io::IoSliceMut::new(&mut bytes)];
        let act = || "receive the container's terminal".into();
        rustix::net::recvmsg(&ours, &mut buffer, &mut control, RecvFlags::CMSG_CLOEXEC).attempt(act)?;
        let mut rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        Ok(rights.next())
    }
}

/// The caller's terminal in raw mode, given back as it was.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Option<Termios>,
}

impl Raw {
    pub(crate) fn new() -> Raw {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = rustix::termios::tcgetattr(stdin) else {
            return Raw { before: None };
        };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw);
        Raw { before: Some(before) }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// Gives the container's terminal the size of the caller's.
pub(crate) fn same_size(master: &OwnedFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// Copies what is there from one descriptor to the other; false at the end.
pub(crate) fn pass(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0_u8; 4096];
    match rustix::io::read(from, &mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match rustix::io::write(to, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => return false,
                }
            }
            true
        }
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => true,
        // A master whose last terminal is closed says EIO.
        Err(_) => false,
    }
}

/// Copies what is left in the master to standard output.
pub(crate) fn drain(master: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec};
    loop {
        let mut poll = [PollFd::new(master, PollFlags::IN)];
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = rustix::event::poll(&mut poll, Some(&none));
        if !ready.is_ok_and(|n| n > 0) || !poll[0].revents().contains(PollFlags::IN) {
            return;
        }
        if !pass(master.as_fd(), rustix::stdio::stdout()) {
            return;
        }
    }
}
