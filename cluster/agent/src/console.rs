//! Pseudo terminals: the master that a runtime sends, as something to read, write and resize.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::termios::Winsize;
use tokio::io::unix::AsyncFd;

/// The socket that a runtime connects to. Its path is short however deep its directory lies.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    directory: OwnedFd,
    name: String,
}

impl Socket {
    /// Listens at `name` in `directory`.
    pub(crate) fn listen(directory: &Path, name: &str) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let held = rustix::fs::open(directory, flags, rustix::fs::Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{name}", held.as_raw_fd());
        let listener = UnixListener::bind(path)?;
        Ok(Self {
            listener,
            directory: held,
            name: name.into(),
        })
    }

    /// For `--console-socket`.
    pub(crate) fn path(&self) -> PathBuf {
        let (process, directory) = (std::process::id(), self.directory.as_raw_fd());
        PathBuf::from(format!("/proc/{process}/fd/{directory}/{}", self.name))
    }

    /// The master, once it is sent. Blocks, five seconds at most.
    pub(crate) fn receive(&self) -> io::Result<OwnedFd> {
        let five = Timespec { tv_sec: 5, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        if poll(&mut fds, Some(&five))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (stream, _) = self.listener.accept()?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0u8; 64];
        let mut buffer = [io::IoSliceMut::new(&mut bytes)];
        rustix::net::recvmsg(&stream, &mut buffer, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut sent = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        sent.next()
            .ok_or_else(|| io::Error::other("the runtime sent no terminal"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _gone = rustix::fs::unlinkat(&self.directory, &*self.name, rustix::fs::AtFlags::empty()).is_err();
    }
}

/// The master of a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Master(Arc<AsyncFd<OwnedFd>>);

impl Master {
    #[expect(
        deprecated,
        reason = "an OwnedFd has one number for as long as it lives, which is all that is asked for"
    )]
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self(Arc::new(AsyncFd::new(fd)?)))
    }

    /// Reads what is there; 0 at the end.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            let done = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?));
            match done {
                // A master whose last terminal is closed says EIO.
                Ok(Err(error)) if error.raw_os_error() == Some(5) => return Ok(0),
                Ok(done) => return done,
                Err(_would_block) => {}
            }
        }
    }

    /// Writes all of it.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    /// Sets columns and rows.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // A terminal that is gone has no size.
        let _gone = rustix::termios::tcsetwinsize(self.0.get_ref(), size).is_err();
    }
}
