//! `start`: the program of a created container runs.

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::Verb;
use crate::Global;
use crate::arguments::Arguments;
use crate::bring_up;
use crate::compile;
use crate::container::{Container, SOCKET, Status};
use crate::error::{Attempt, Error, Result, at};
use crate::hooks;

pub(super) const VERB: Verb = Verb {
    name: "start",
    words: "ID",
    help: "start the program of a created container",
    flags: &[],
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    if container.status() != Status::Created {
        return Err(container.not("start", "created"));
    }
    let path = container.dir.join(SOCKET);
    let act = || at("connect to", &path);
    let (_dir, short) = bring_up::socket_path(&container.dir, SOCKET)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .attempt(act)?;
    let address = SocketAddrUnix::new(&short).attempt(act)?;
    match rustix::net::connect(&socket, &address) {
        // Somebody else started it, or killed it.
        Err(Errno::CONNREFUSED | Errno::NOENT) => return Err(container.not("start", "created")),
        other => other.attempt(act)?,
    }
    let mut buffer = [0_u8; 8];
    let mut receive = || loop {
        match rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => break Ok((0, buffer)),
            other => break other.map(|(count, _)| (count, buffer)),
        }
    };
    // The first word says that it was this call that is heard, the second what went wrong; the end that all went well.
    if receive().attempt(act)?.0 != 1 {
        return Err(container.not("start", "created"));
    }
    let (count, word) = receive().attempt(act)?;
    let _ = rustix::fs::unlink(&path);
    if count == 8 {
        // Its process is about to end: whoever deletes the container next should not find it running.
        if let Some(pidfd) = container.pidfd() {
            hooks::ends_within(&pidfd, &Timespec { tv_sec: 10, tv_nsec: 0 });
        }
        let [a, b, c, d, e, f, g, h] = word;
        let op = u32::from_ne_bytes([a, b, c, d]) as usize;
        let errno = Errno::from_raw_os_error(i32::from_ne_bytes([e, f, g, h]));
        let late = container.saved.late.iter().find(|late| late.op == op);
        return Err(match late {
            Some(late) => compile::tag_error(&late.field, &late.act, &container.saved.program, errno.into()),
            None => Error::Died,
        });
    }
    container.settle();
    let bundle = container.bundle()?;
    bring_up::run_poststart(global, &container, &bundle);
    Ok(0)
}
