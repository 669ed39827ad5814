//! Servers of a node's own, on an address that every node has.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use rtnetlink::packet_route::address::AddressScope;

use super::{LOOPBACK, NetworkError, NodeNetwork, link, namespace};

impl NodeNetwork {
    /// Sockets for datagrams and for connections on an address of the loopback. Processes of the node and pods on it reach
    /// it, and nobody else: pods send everything to their node, and for the node it is its own address.
    ///
    /// # Errors
    /// A port that is taken; [`NetworkError`].
    pub(crate) async fn listen(&self, address: Ipv4Addr, port: u16) -> Result<(UdpSocket, TcpListener), NetworkError> {
        let mut add = self.links.address().add(LOOPBACK, IpAddr::V4(address), 32).replace();
        // Of any wider scope, it would be the sender's address of whatever the node sends to its pods.
        add.message_mut().header.scope = AddressScope::Host;
        add.execute().await.map_err(link(format!("add address {address}")))?;
        let bind = move || Ok((UdpSocket::bind((address, port))?, TcpListener::bind((address, port))?));
        let bound = self.room.run(bind).await.and_then(|bound| bound);
        bound.map_err(namespace("bind the sockets of a server"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::namespace::Room;
    use crate::network::lab::{Pod, hear, is_root};
    use crate::network::{NetworkMode, Underlay};

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

    /// Who answers a datagram that is sent from there, and whom it saw as the sender.
    async fn ask(from: &Room) -> (SocketAddr, String) {
        let told = from.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.send_to(b"who?", (ADDRESS, 53)).unwrap();
            let mut answer = [0; 64];
            let (length, by) = hear(&socket, &mut answer).unwrap();
            (by, String::from_utf8_lossy(&answer[..length]).into_owned())
        });
        told.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_node_answers_its_own_pods_on_the_same_address() {
        if !is_root() {
            return;
        }
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let mut pods = Vec::new();
        let mut nodes = Vec::new();
        for number in 1..3 {
            let node = NodeNetwork::create(&underlay).await.unwrap();
            let (udp, tcp) = node.listen(ADDRESS, 53).await.unwrap();
            assert_eq!(tcp.local_addr().unwrap(), (ADDRESS, 53).into());
            assert!(node.listen(ADDRESS, 53).await.is_err(), "the port is taken");
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((_, from)) = udp.recv_from(&mut buffer) {
                    let answer = format!("node {number} to {}", from.ip());
                    udp.send_to(answer.as_bytes(), from).unwrap();
                }
            });
            pods.push(Pod::new(&node, "pod").await);
            nodes.push(node);
        }
        let server = SocketAddr::from((ADDRESS, 53));
        assert_eq!(ask(&pods[0].room).await, (server, "node 1 to 10.244.1.2".into()));
        assert_eq!(ask(&pods[1].room).await, (server, "node 2 to 10.244.2.2".into()));
        assert_eq!(
            ask(&nodes[0].room).await.0,
            server,
            "for what runs on the node's own network"
        );

        // What the node sends to a pod, such as a probe, comes from the node's own address all the same.
        let listener = pods[0]
            .room
            .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap())
            .await;
        let listener = listener.unwrap();
        let to = pods[0].network.address;
        nodes[0]
            .room
            .run(move || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                socket.send_to(b"probe", (to, 8080)).unwrap();
            })
            .await
            .unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (_, from) = hear(&listener, &mut [0; 64]).unwrap();
        assert_eq!(from.ip(), IpAddr::V4(nodes[0].address()));
    }
}
