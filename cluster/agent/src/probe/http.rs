//! As much of HTTP/1.1 as a probe needs: ask for a page, look at the first line of the answer.

use std::net::Ipv4Addr;

use objects::meta;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::context::Context;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Get {
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

/// Where a probe goes that says nothing: to the pod.
pub(crate) fn host(given: &str, pod: Ipv4Addr) -> String {
    if given.is_empty() {
        pod.to_string()
    } else {
        given.to_owned()
    }
}

/// Connects from the node, in Kubernetes' words if it cannot.
pub(crate) async fn connect(context: &Context, host: &str, port: u16) -> Result<TcpStream, String> {
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
    let socket = context.network.socket().await.map_err(failed)?;
    socket.connect((address, port).into()).await.map_err(failed)
}

impl Get {
    pub(crate) fn of(get: &Value, port: u16) -> Self {
        let path = meta::text(get, &["path"]);
        let headers = meta::list(get, &["httpHeaders"]).iter();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Self {
            host: meta::text(get, &["host"]).to_owned(),
            port,
            path: format!("{slash}{path}"),
            headers: headers
                .map(|header| {
                    let text = |key: &str| meta::text(header, &[key]).replace(['\r', '\n'], " ");
                    (text("name"), text("value"))
                })
                .collect(),
        }
    }

    pub(crate) fn url(&self, pod: Ipv4Addr) -> String {
        format!("http://{}:{}{}", host(&self.host, pod), self.port, self.path)
    }

    fn request(&self, pod: Ipv4Addr) -> String {
        let named = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let path = self.path.replace([' ', '\r', '\n'], "%20");
        let mut text = format!("GET {path} HTTP/1.1\r\n");
        if !named("host") {
            text.push_str(&format!("Host: {}:{}\r\n", host(&self.host, pod), self.port));
        }
        if !named("user-agent") {
            text.push_str("User-Agent: kube-probe/1.33\r\n");
        }
        if !named("accept") {
            text.push_str("Accept: */*\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("Connection: close\r\n\r\n");
        text
    }

    /// The status of the answer.
    pub(crate) async fn run(&self, context: &Context, pod: Ipv4Addr) -> Result<u16, String> {
        let mut stream = connect(context, &host(&self.host, pod), self.port).await?;
        stream
            .write_all(self.request(pod).as_bytes())
            .await
            .map_err(|error| error.to_string())?;
        let (mut line, mut buffer) = (Vec::new(), [0; 512]);
        while !line.contains(&b'\n') && line.len() < 4096 {
            match stream.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => line.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(error.to_string()),
            }
        }
        status(&line).ok_or_else(|| {
            if line.is_empty() {
                "EOF".to_owned()
            } else {
                "net/http: malformed HTTP response".to_owned()
            }
        })
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|status| (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_of_the_probe_go_before_ours() {
        let get = Get::of(
            &json!({"path": "health", "httpHeaders": [{"name": "Host", "value": "shop\r\nX: y"}]}),
            80,
        );
        let request = get.request(Ipv4Addr::LOCALHOST);
        assert!(
            request.starts_with("GET /health HTTP/1.1\r\nUser-Agent: kube-probe/"),
            "{request}"
        );
        assert!(request.contains("\r\nHost: shop  X: y\r\n"), "{request}");
    }

    #[test]
    fn only_http_is_an_answer() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"SSH-2.0-x\r\n"), None);
        assert_eq!(status(b"HTTP/1.0 99999\r\n"), None);
    }
}
