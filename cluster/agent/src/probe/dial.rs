//! Connections of a node to its pods, and why there is none, in the words of Go's net package, which events quote.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;

use crate::network::NodeNetwork;

/// Where a probe goes that says nothing: to the pod.
pub(super) fn host(given: &str, pod: Ipv4Addr) -> String {
    if given.is_empty() {
        pod.to_string()
    } else {
        given.to_owned()
    }
}

/// Connects from the node.
pub(super) async fn connect(network: &NodeNetwork, host: &str, port: u16) -> Result<TcpStream, String> {
    let at = format!("{host}:{port}");
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            _ => format!("connect: {error}"),
        };
        format!("dial tcp {at}: {why}")
    };
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let address: Ipv4Addr = host
        .parse()
        .map_err(|_| format!("dial tcp: lookup {host}: no such host"))?;
    let socket = network.socket().await.map_err(failed)?;
    socket.connect((address, port).into()).await.map_err(failed)
}
