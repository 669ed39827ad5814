//! Operations on sockets.

use alloc::{format, vec::Vec};
use core::net::SocketAddr;

use sys::freestanding::{
    Arg,
    rustix::{io::Errno, net::SocketType},
    syscall_number,
};

use super::{Act, Run, Words};
use crate::{call::Failure, connection};

/// How long a connection may take.
const PATIENCE: u64 = 2_000_000_000;

/// Runs `verb` if it is one of these.
pub(super) fn run(verb: &str, words: &Words<'_>, run: Run<'_>) -> Result<bool, Failure> {
    let first = words.get(0);
    let address = || -> Result<SocketAddr, Failure> {
        let text = words.0.get(1..).unwrap_or(&[]).join(":");
        text.parse()
            .map_err(|_| Failure::usage(format!("`{text}` is not ADDRESS:PORT")))
    };
    let kind = || match first {
        "tcp" => Ok(SocketType::STREAM),
        "udp" => Ok(SocketType::DGRAM),
        other => Err(Failure::usage(format!("`{other}` is neither tcp nor udp"))),
    };
    // What is bound stays bound: the descriptor is left open until the probe ends.
    let keep = |fd| {
        core::mem::forget(fd);
        Ok::<(), Errno>(())
    };
    match verb {
        "bind" => {
            let (kind, address) = (kind()?, address()?);
            run(Act::Here(&|| connection::serve(&address, kind).and_then(keep)))?;
        }
        "bindabstract" => run(Act::Here(&|| connection::serve_abstract(first).and_then(keep)))?,
        "connect" => {
            kind()?;
            let address = address()?;
            run(Act::Copy(&|_| connection::dial(&address, PATIENCE).map(drop)))?;
        }
        "connectabstract" => run(Act::Copy(&|_| connection::dial_abstract(first).map(drop)))?,
        "socket" | "rawsocket" => {
            let family = match first {
                "unix" => 1,
                "" | "inet" => 2,
                "inet6" => 10,
                "netlink" => 16,
                "packet" => 17,
                "alg" => 38,
                "vsock" => 40,
                other => other
                    .parse()
                    .map_err(|_| Failure::usage(format!("`{other}` is not a family")))?,
            };
            let (kind, protocol) = match (verb, words.get(1)) {
                ("rawsocket", _) | (_, "raw") => (3, usize::from(family == 2)),
                (_, "" | "stream") => (1, 0),
                (_, "dgram") => (2, 0),
                (_, "seqpacket") => (5, 0),
                (_, other) => (
                    other
                        .parse()
                        .map_err(|_| Failure::usage(format!("`{other}` is not a socket type")))?,
                    0,
                ),
            };
            let number = syscall_number("socket").ok_or_else(|| Failure::usage("no call `socket` here"))?;
            run(Act::Call(
                number,
                Vec::from([Arg::Number(family), Arg::Number(kind), Arg::Number(protocol)]),
            ))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
