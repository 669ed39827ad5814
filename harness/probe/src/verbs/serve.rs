//! `serve` and `dial`.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use sys::freestanding::{
    clock,
    rustix::{
        event::{PollFd, PollFlags, poll},
        fd::OwnedFd,
        io::Errno,
        net::{
            RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, accept_with, getsockname, recv, recvfrom,
            send, sendto,
        },
        system::uname,
    },
};

use super::resolve;
use crate::{
    call::{Call, Failure},
    connection, errno, init, quantity,
};

/// How long a client may take to ask.
const PATIENCE: u64 = 5_000_000_000;

/// Answers HTTP requests with its host name or a text, and datagrams with themselves.
pub(super) fn serve(call: &Call) -> Result<u8, Failure> {
    call.only(&["port", "body", "udp"])?;
    let port = u16::try_from(call.number("port", 8080)?).map_err(|_| Failure::usage("`--port` is above 65535"))?;
    let body = match call.option("body") {
        None | Some("hostname") => uname().nodename().to_string_lossy().into_owned(),
        Some(text) => text.to_string(),
    };
    let any = |kind| {
        // Also for IPv4, where IPv6 is there.
        connection::serve(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), kind)
            .or_else(|_| connection::serve(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), kind))
            .map_err(Failure::of(format!("listen on port {port}")))
    };
    let server = any(SocketType::STREAM)?;
    let bound = getsockname(&server)
        .ok()
        .and_then(|address| SocketAddr::try_from(address).ok());
    let datagrams = if call.has("udp") {
        Some(
            connection::serve(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketType::DGRAM)
                .map_err(Failure::of(format!("listen on udp port {port}")))?,
        )
    } else {
        None
    };
    call.line(|json| {
        json.key("listening").plain_or_null(bound.map(|address| address.port()));
    })?;
    loop {
        let mut waiting = Vec::from([PollFd::new(&server, PollFlags::IN)]);
        waiting.extend(datagrams.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        match poll(&mut waiting, None) {
            Err(Errno::INTR) => {
                if init::is_first() {
                    init::reap();
                }
                continue;
            }
            other => other.map_err(Failure::of("wait for requests"))?,
        };
        let (stream, datagram) = (
            !waiting[0].revents().is_empty(),
            waiting.get(1).is_some_and(|fd| !fd.revents().is_empty()),
        );
        if stream && let Ok(client) = accept_with(&server, SocketFlags::CLOEXEC) {
            // A client that goes away is the client's affair.
            let _answered = answer(&client, &body);
        }
        if datagram && let Some(socket) = &datagrams {
            let _echoed = echo(socket);
        }
    }
}

/// Reads a request's head and answers it.
fn answer(client: &OwnedFd, body: &str) -> Result<(), Errno> {
    let deadline = clock::monotonic() + PATIENCE;
    let mut head = Vec::new();
    let mut part = [0_u8; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16 << 10 {
        let left = deadline.saturating_sub(clock::monotonic());
        if left == 0 || !connection::ready(client, PollFlags::IN, left)? {
            return Err(Errno::TIMEDOUT);
        }
        match recv(client, &mut part, RecvFlags::empty())?.0 {
            0 => return Ok(()),
            count => head.extend_from_slice(&part[..count]),
        }
    }
    let text = if head.starts_with(b"HEAD ") { "" } else { body };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        body.len()
    );
    let mut rest = answer.as_bytes();
    while !rest.is_empty() {
        rest = &rest[send(client, rest, SendFlags::NOSIGNAL)?..];
    }
    Ok(())
}

/// Sends one datagram back.
fn echo(socket: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = [0_u8; 2048];
    let (count, _, from) = recvfrom(socket, &mut buffer, RecvFlags::empty())?;
    let from: SocketAddrAny = from.ok_or(Errno::DESTADDRREQ)?;
    sendto(socket, &buffer[..count], SendFlags::NOSIGNAL, &from).map(drop)
}

/// Connects, and tells how that ended.
pub(super) fn dial(call: &Call) -> Result<u8, Failure> {
    call.only(&["timeout"])?;
    let target = call.word(0, "HOST:PORT")?;
    let patience = quantity::nanoseconds(call.option("timeout").unwrap_or("2s"))?;
    let address = match target.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let (host, port) = target
                .rsplit_once(':')
                .ok_or_else(|| Failure::usage(format!("`{target}` is not HOST:PORT")))?;
            let port: u16 = port
                .parse()
                .map_err(|_| Failure::usage(format!("`{port}` is not a port")))?;
            resolve::first_address(host).map(|address| SocketAddr::new(address, port))
        }
    };
    let begun = clock::monotonic();
    let result = address.map(|address| connection::dial(&address, patience).map(drop));
    let word = match result {
        None => "unresolved",
        Some(Ok(())) => "connected",
        Some(Err(Errno::CONNREFUSED)) => "refused",
        Some(Err(Errno::TIMEDOUT)) => "timeout",
        Some(Err(Errno::CONNRESET)) => "reset",
        Some(Err(Errno::NETUNREACH | Errno::HOSTUNREACH)) => "unreachable",
        Some(Err(_)) => "error",
    };
    let name: Option<String> = result.and_then(Result::err).map(errno::name);
    call.line(|json| {
        json.key("target").string(target);
        json.key("address")
            .bytes_or_null(address.map(|address| address.to_string()).as_deref().map(str::as_bytes));
        json.key("connection").string(word);
        json.key("errno").bytes_or_null(name.as_deref().map(str::as_bytes));
        json.key("wall_ns").plain(clock::monotonic() - begun);
    })?;
    Ok(u8::from(word != "connected"))
}
