//! Answers by the sockets that it is given.

mod tcp;
mod udp;

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::fault::Act;
use crate::message::Forward;
use crate::names::Names;
use crate::upstream::Upstream;

/// How long an upstream may take. A client asks again after five seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a socket is left alone that cannot be read, for want of memory as a rule.
const PAUSE: Duration = Duration::from_millis(50);

/// Where a server listens: sockets that are bound already, for they may be in a network namespace that is not ours.
#[derive(Debug)]
pub struct Sockets {
    /// For datagrams. Bound to one address and not to all, or responses may come from another than was asked.
    pub udp: std::net::UdpSocket,
    /// For connections.
    pub tcp: std::net::TcpListener,
}

/// A server at work, until it is dropped.
#[derive(Debug)]
pub struct Server(#[expect(dead_code, reason = "its end is what it is held for")] JoinSet<()>);

impl Server {
    /// Answers for these names. Must be called where a tokio runtime with IO and time is entered.
    ///
    /// # Errors
    /// A socket that cannot be made non-blocking.
    pub fn start(names: &Names, sockets: Sockets) -> io::Result<Self> {
        sockets.udp.set_nonblocking(true)?;
        sockets.tcp.set_nonblocking(true)?;
        let udp = UdpSocket::from_std(sockets.udp)?;
        let tcp = TcpListener::from_std(sockets.tcp)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(udp::serve(names.clone(), udp));
        // A listener that is dropped refuses.
        if !names.faults().has(Act::UdpOnly) {
            tasks.spawn(tcp::serve(names.clone(), tcp));
        }
        Ok(Self(tasks))
    }
}

/// What to send to a client whose query goes to an upstream.
async fn forwarded(upstream: &dyn Upstream, query: Vec<u8>, forward: Forward) -> Vec<u8> {
    match tokio::time::timeout(PATIENCE, upstream.ask(query)).await {
        Ok(Some(answer)) if answer.len() <= forward.limit => answer,
        Ok(Some(_)) => forward.cut,
        Ok(None) | Err(_) => forward.failed,
    }
}
