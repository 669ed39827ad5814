//! Datagrams: one in, one out.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::{PAUSE, forwarded};
use crate::message::{Forward, Over, Reply, reply};
use crate::names::Names;

/// Bytes of the longest query that is read. One has a name of 255 bytes and a few options.
const LONGEST: usize = 4096;
/// Queries that wait for an upstream. More are left unanswered, as if they had been lost.
const WAITING: usize = 256;

/// Answers until it is dropped.
pub(super) async fn serve(names: Names, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let waiting = Arc::new(Semaphore::new(WAITING));
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let packet = buffer.get(..length).unwrap_or_default();
        match reply(&names, packet, Over::Udp) {
            Reply::Nothing => {}
            // What the socket has no room for is lost, as datagrams are.
            Reply::Packet(answer) => drop(socket.try_send_to(&answer, from)),
            Reply::Forward(forward) => ask(&names, &socket, &waiting, (packet.to_vec(), from), forward),
        }
    }
}

fn ask(
    names: &Names,
    socket: &Arc<UdpSocket>,
    waiting: &Arc<Semaphore>,
    (query, from): (Vec<u8>, SocketAddr),
    forward: Forward,
) {
    let (Some(upstream), Ok(place)) = (names.upstream().cloned(), waiting.clone().try_acquire_owned()) else {
        return;
    };
    let socket = socket.clone();
    tokio::spawn(async move {
        let answer = forwarded(upstream.as_ref(), query, forward).await;
        drop(socket.try_send_to(&answer, from));
        drop(place);
    });
}
