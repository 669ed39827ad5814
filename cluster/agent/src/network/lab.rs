//! What tests of the network share: pods without containers, servers in them, and who reaches whom.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use netfilter::Family;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{NodeNetwork, PodNetwork, connect, socket_of};
use crate::namespace::{IPC, NET, Room, Shared, UTS};

/// The next datagram. A signal, or what the kernel takes for one, ends a wait that has a timeout (`signal(7)`).
pub(crate) fn hear(socket: &UdpSocket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(datagram) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            heard => return heard,
        }
    }
}

/// Whether there can be network namespaces; says so if not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

/// A thread on a node.
pub(crate) fn room_of(node: &NodeNetwork) -> &Room {
    &node.room
}

/// The network of a pod, and a thread in it.
pub(crate) struct Pod {
    pub(crate) network: PodNetwork,
    pub(crate) room: Room,
    pub(crate) links: rtnetlink::Handle,
}

impl Pod {
    pub(crate) async fn new(node: &NodeNetwork, name: &str) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let inside = move || {
            let _entered = runtime.enter();
            connect()
        };
        let (shared, links) = Shared::create(NET | UTS | IPC, name.into(), inside).await.unwrap();
        let there = shared.net.unwrap();
        let network = node.reserve().unwrap();
        node.attach(&network, &there, &links).await.unwrap();
        let room = Room::enter(name, there).await.unwrap();
        Self { network, room, links }
    }

    /// Each address that it has.
    fn any(&self) -> IpAddr {
        match self.network.second {
            Some(_) => Ipv6Addr::UNSPECIFIED.into(),
            None => Ipv4Addr::UNSPECIFIED.into(),
        }
    }

    /// Answers every connection with these words.
    pub(crate) async fn tell(&self, words: &'static str, port: u16) {
        let listener = listen(&self.room, self.any(), port).await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _gone = stream.write_all(words.as_bytes()).await.is_err();
            }
        });
    }

    /// Answers every connection with the address that it comes from.
    pub(crate) async fn tell_peers(&self, port: u16) {
        let listener = listen(&self.room, self.any(), port).await;
        tokio::spawn(async move {
            while let Ok((mut stream, peer)) = listener.accept().await {
                let peer = peer.ip().to_canonical().to_string();
                let _gone = stream.write_all(peer.as_bytes()).await.is_err();
            }
        });
    }
}

pub(crate) async fn listen(room: &Room, address: impl Into<IpAddr>, port: u16) -> TcpListener {
    let address = address.into();
    let listener = room.run(move || std::net::TcpListener::bind((address, port)));
    let listener = listener.await.unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

/// What a pod that serves answers to one that dials; `None` if it cannot be reached.
pub(crate) async fn dial(from: &Room, to: &Room, address: impl Into<IpAddr>) -> Option<String> {
    let address = address.into();
    let listener = listen(to, address, 8080).await;
    let serve = tokio::spawn(async move {
        let (mut stream, peer) = listener.accept().await.unwrap();
        stream.write_all(peer.ip().to_string().as_bytes()).await.unwrap();
    });
    let answer = asked(from, address, 8080, Duration::from_millis(500)).await.ok();
    serve.abort();
    // The port is free when the task is gone.
    let _aborted = serve.await.is_err();
    answer
}

/// The same for up to ten seconds: the kernel may take a second to notice that a wire is whole.
pub(crate) async fn reach(from: &Room, to: &Room, address: impl Into<IpAddr>) -> Option<String> {
    let address = address.into();
    let end = Instant::now() + Duration::from_secs(10);
    let mut answer = None;
    while answer.is_none() && Instant::now() < end {
        answer = dial(from, to, address).await;
    }
    answer
}

/// All that a server says.
pub(crate) async fn ask(from: &Room, address: impl Into<IpAddr>, port: u16) -> Option<String> {
    asked(from, address.into(), port, Duration::from_secs(2)).await.ok()
}

/// Why there is no answer.
pub(crate) async fn failure(from: &Room, address: impl Into<IpAddr>, port: u16) -> ErrorKind {
    asked(from, address.into(), port, Duration::from_secs(2))
        .await
        .unwrap_err()
}

async fn asked(from: &Room, address: IpAddr, port: u16, wait: Duration) -> Result<String, ErrorKind> {
    let socket = socket_of(from, Family::of(address)).await.unwrap();
    let asked = async {
        let mut answer = String::new();
        let mut stream = socket.connect((address, port).into()).await?;
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    match tokio::time::timeout(wait, asked).await {
        Ok(told) => told.map_err(|error: std::io::Error| error.kind()),
        Err(_) => Err(ErrorKind::TimedOut),
    }
}
