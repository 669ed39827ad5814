//! `serve`: answers whoever asks.

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
            RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, accept_with, getpeername, recv, recvfrom,
            send, sendto,
        },
        system::uname,
    },
};

use crate::{
    call::{Call, Failure},
    connection, init, trial,
};

/// How long a client may take to ask.
const PATIENCE: u64 = 5_000_000_000;

/// What HTTP requests are answered with.
enum Body {
    Text(String),
    /// The address of who asks.
    Peer,
}

/// Answers HTTP requests with its host name, the address of who asks or a text, and datagrams with themselves. With
/// `--tell` each that was answered is a line: the other side's view of what a client measures.
pub(super) fn serve(call: &Call) -> Result<u8, Failure> {
    call.only(&["port", "body", "udp", "tell"])?;
    let tells = call.has("tell");
    let port = u16::try_from(call.number("port", 8080)?).map_err(|_| Failure::usage("`--port` is above 65535"))?;
    let body = match call.option("body") {
        None | Some("hostname") => Body::Text(uname().nodename().to_string_lossy().into_owned()),
        Some("peer") => Body::Peer,
        Some(text) => Body::Text(text.to_string()),
    };
    let any = |kind| {
        // Also for IPv4, where IPv6 is there.
        connection::serve(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), kind)
            .or_else(|_| connection::serve(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), kind))
            .map_err(Failure::of(format!("listen on port {port}")))
    };
    let server = any(SocketType::STREAM)?;
    let bound = trial::own_end(&server);
    let datagrams = if call.has("udp") {
        Some(any(SocketType::DGRAM)?)
    } else {
        None
    };
    call.line(|json| {
        json.key("listening").plain_or_null(bound.map(|address| address.port()));
    })?;
    let (mut requests, mut echoes) = (0, 0);
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
            if answer(&client, &body).is_ok() {
                requests += 1;
                if tells {
                    tell(call, requests, echoes, peer(&client))?;
                }
            }
        }
        if datagram
            && let Some(socket) = &datagrams
            && let Ok(from) = echo(socket)
        {
            echoes += 1;
            if tells {
                tell(call, requests, echoes, Some(from))?;
            }
        }
    }
}

/// Who is at the other end; an IPv4 address as such, also on a socket for both.
fn peer(client: &OwnedFd) -> Option<SocketAddr> {
    let address: SocketAddr = getpeername(client).ok()??.try_into().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn tell(call: &Call, requests: u64, datagrams: u64, peer: Option<SocketAddr>) -> Result<(), Failure> {
    call.line(|json| {
        json.key("served").object(|json| {
            json.key("requests").plain(requests);
            json.key("datagrams").plain(datagrams);
            let peer = peer.map(|peer| peer.ip().to_string());
            json.key("peer").bytes_or_null(peer.as_deref().map(str::as_bytes));
        });
    })
}

/// Reads a request's head and answers it.
fn answer(client: &OwnedFd, body: &Body) -> Result<(), Errno> {
    let deadline = clock::monotonic() + PATIENCE;
    let mut head = Vec::new();
    let mut part = [0_u8; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16 << 10 {
        let left = deadline.saturating_sub(clock::monotonic());
        if left == 0 || !connection::ready(client, PollFlags::IN, left)? {
            return Err(Errno::TIMEDOUT);
        }
        match recv(client, &mut part, RecvFlags::empty())?.0 {
            // Somebody who only wanted to connect.
            0 => return Err(Errno::NODATA),
            count => head.extend_from_slice(&part[..count]),
        }
    }
    let body = match body {
        Body::Text(text) => text.clone(),
        Body::Peer => peer(client).map_or_else(String::new, |peer| peer.ip().to_string()),
    };
    let text = if head.starts_with(b"HEAD ") { "" } else { body.as_str() };
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
fn echo(socket: &OwnedFd) -> Result<SocketAddr, Errno> {
    let mut buffer = [0_u8; 2048];
    let (count, _, from) = recvfrom(socket, &mut buffer, RecvFlags::empty())?;
    let from: SocketAddrAny = from.ok_or(Errno::DESTADDRREQ)?;
    sendto(socket, &buffer[..count], SendFlags::NOSIGNAL, &from)?;
    let from: SocketAddr = from.try_into()?;
    Ok(SocketAddr::new(from.ip().to_canonical(), from.port()))
}
