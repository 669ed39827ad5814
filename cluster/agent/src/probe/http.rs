//! Asking for a page as a kubelet does: HTTP/1.1 with or without TLS, redirects followed while they lead to the same host.
//!
//! Source of the texts: `pkg/probe/http/http.go` of Kubernetes and Go's `net/http`.

use std::error::Error as _;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use objects::meta;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::{Answer, dial, tls};
use crate::causes;
use crate::network::NodeNetwork;

/// Who asks.
pub(super) const AGENT: &str = "kube-probe/1.33";
/// As many redirects are followed.
const REDIRECTS: usize = 10;
/// As much of an answer is looked at.
const BODY: usize = 10 << 10;
/// What may not stand in a request's path as it is.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Get {
    secure: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

/// Where one request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    secure: bool,
    host: String,
    port: u16,
    /// With its query.
    path: String,
}

/// Why there is no answer, and to which request.
struct Lost {
    url: String,
    why: String,
}

impl Get {
    pub(super) fn of(get: &Value, port: u16) -> Self {
        let path = meta::text(get, &["path"]);
        let headers = meta::list(get, &["httpHeaders"]).iter();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Self {
            secure: meta::text(get, &["scheme"]).eq_ignore_ascii_case("https"),
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

    fn target(&self, pod: Ipv4Addr) -> Target {
        Target {
            secure: self.secure,
            host: dial::host(&self.host, pod),
            port: self.port,
            path: self.path.clone(),
        }
    }

    /// Asks, as a probe: what is neither an error nor a redirect elsewhere is good.
    pub(super) async fn ask(&self, network: &NodeNetwork, timeout: Duration, pod: Ipv4Addr) -> Answer {
        let end = Instant::now() + timeout;
        let response = match self.answer(network, end, pod).await {
            Ok(response) => response,
            Err(Lost { url, why }) => return Answer::Failure(format!("Get \"{url}\": {why}")),
        };
        let status = response.status().as_u16();
        let Ok(body) = timeout_at(end, beginning(response.into_body())).await else {
            let why = "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
            return Answer::Error("failure", why.into());
        };
        match status {
            200..300 => Answer::Success,
            300..400 => Answer::Warning(format!("Probe terminated redirects, Response body: {body}")),
            _ => Answer::Failure(format!("HTTP probe failed with statuscode: {status}")),
        }
    }

    /// Asks, as a hook: any answer is as good as another.
    pub(super) async fn call(&self, network: &NodeNetwork, timeout: Duration, pod: Ipv4Addr) -> Result<(), String> {
        let answer = self.answer(network, Instant::now() + timeout, pod).await;
        answer
            .map(drop)
            .map_err(|lost| format!("Get \"{}\": {}", lost.url, lost.why))
    }

    /// The answer to the last of the requests that one leads to.
    async fn answer(&self, network: &NodeNetwork, end: Instant, pod: Ipv4Addr) -> Result<Response<Incoming>, Lost> {
        let mut target = self.target(pod);
        let lost = |target: &Target, why: String| Lost { url: target.url(), why };
        let mut keeps_host = true;
        for _ in 0..REDIRECTS {
            let asked = timeout_at(end, target.ask(network, self.headers(&target, keeps_host))).await;
            let response = match asked {
                Ok(asked) => asked.map_err(|why| lost(&target, why))?,
                Err(_) => {
                    let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                    return Err(lost(&target, why.into()));
                }
            };
            let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.filter(|location| moved && !location.is_empty());
            let Some(location) = location.map(str::to_owned) else {
                return Ok(response);
            };
            match target.moved(&location) {
                Some(next) if next.host == target.host => {
                    keeps_host &= elsewhere(&location).is_none();
                    target = next;
                }
                _ => return Ok(response),
            }
        }
        Err(lost(&target, format!("stopped after {REDIRECTS} redirects")))
    }

    /// Headers of the probe go before ours; an empty one of these two is not sent.
    fn headers(&self, target: &Target, keeps_host: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        for (name, usual) in [(USER_AGENT, AGENT), (ACCEPT, "*/*")] {
            match headers.get(&name).map(HeaderValue::is_empty) {
                Some(true) => drop(headers.remove(name)),
                Some(false) => {}
                None => drop(headers.insert(name, HeaderValue::from_static(usual))),
            }
        }
        let named = headers.get(HOST).is_some_and(|host| !host.is_empty());
        if !(named && keeps_host)
            && let Ok(host) = HeaderValue::from_str(&format!("{}:{}", target.host, target.port))
        {
            headers.insert(HOST, host);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers
    }
}

impl Target {
    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// As it is sent.
    fn path(&self) -> String {
        let path = self.path.split('#').next().unwrap_or_default();
        utf8_percent_encode(path, UNFIT).to_string()
    }

    fn url(&self) -> String {
        format!("{}://{}:{}{}", self.scheme(), self.host, self.port, self.path())
    }

    /// What a `Location` means here (RFC 9110, 10.2.2). `None`: nothing that can be asked.
    fn moved(&self, location: &str) -> Option<Self> {
        let Some((scheme, rest)) = elsewhere(location) else {
            return Some(self.beside(location));
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "" => self.secure,
            "http:" => false,
            "https:" => true,
            _ => return None,
        };
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            secure,
            host: host.to_owned(),
            port,
            path: format!("{slash}{path}"),
        })
    }

    /// Another path on the same host.
    fn beside(&self, location: &str) -> Self {
        let own = self.path.split('?').next().unwrap_or_default();
        let path = match location.chars().next() {
            None => self.path.clone(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{own}{location}"),
            Some(_) => format!(
                "{}/{location}",
                own.rsplit_once('/').map_or("", |(directory, _)| directory)
            ),
        };
        Self { path, ..self.clone() }
    }

    /// Sends one request. Answers when the headers of the answer are there.
    async fn ask(&self, network: &NodeNetwork, headers: HeaderMap) -> Result<Response<Incoming>, String> {
        let mut request = Request::get(self.path())
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        let stream = dial::connect(network, &self.host, self.port).await?;
        match self.secure {
            true => send(tls::begin(stream, &self.host).await?, request).await,
            false => send(stream, request).await,
        }
    }
}

/// The scheme, which may be missing, and what is behind `//` in a `Location` that names a host.
fn elsewhere(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once("//")?;
    (scheme.is_empty() || scheme.ends_with(':')).then_some((scheme, rest))
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| why(&error))?;
    // It ends by itself when nobody holds the answer any more.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| why(&error))
}

fn why(error: &hyper::Error) -> String {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let cut = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
    if cut || error.is_incomplete_message() || error.is_canceled() {
        "EOF".into()
    } else if error.is_parse() {
        "net/http: HTTP/1.x transport connection broken: malformed HTTP response".into()
    } else {
        causes::chain(error)
    }
}

/// As much of the body as is looked at. A connection that breaks meanwhile has said enough.
async fn beginning(mut body: Incoming) -> String {
    let mut text = Vec::new();
    while text.len() < BODY
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            text.extend_from_slice(data);
        }
    }
    text.truncate(BODY);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;

    use super::*;
    use crate::network::lab::{is_root, listen, room_of};
    use crate::network::{NetworkMode, Underlay};

    const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn get(of: Value, port: u16) -> Get {
        Get::of(&of, port)
    }

    fn header(get: &Get, name: &str) -> Option<String> {
        let headers = get.headers(&get.target(HOME), true);
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn headers_of_the_probe_go_before_ours() {
        let plain = get(json!({"path": "health"}), 80);
        assert_eq!(header(&plain, "host").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(header(&plain, "user-agent").as_deref(), Some(AGENT));
        assert_eq!(header(&plain, "accept").as_deref(), Some("*/*"));
        let own = json!({"httpHeaders": [
            {"name": "Host", "value": "shop\r\nX: y"}, {"name": "User-Agent", "value": "me"}, {"name": "accept", "value": ""},
        ]});
        let own = get(own, 80);
        assert_eq!(header(&own, "host").as_deref(), Some("shop  X: y"));
        assert_eq!(header(&own, "user-agent").as_deref(), Some("me"));
        assert_eq!(header(&own, "accept"), None);
    }

    #[test]
    fn a_location_is_read_from_where_it_was_told() {
        let target = get(json!({"path": "/a/b?c"}), 8080).target(HOME);
        let moved = |location: &str| target.moved(location).map(|moved| moved.url());
        for (location, url) in [
            ("/x", "http://127.0.0.1:8080/x"),
            ("x#y", "http://127.0.0.1:8080/a/x"),
            ("/a//b", "http://127.0.0.1:8080/a//b"),
            ("?x", "http://127.0.0.1:8080/a/b?x"),
            ("https://127.0.0.1/x", "https://127.0.0.1:443/x"),
            ("//shop:81?x", "http://shop:81/?x"),
        ] {
            assert_eq!(moved(location).as_deref(), Some(url), "{location}");
        }
        assert_eq!(moved("ftp://shop/x"), None);
    }

    /// Answers each request by its path, until it is dropped.
    async fn web(stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = stream;
        let (mut asked, mut buffer) = (Vec::new(), [0; 1024]);
        while !asked.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(length @ 1..) => asked.extend_from_slice(&buffer[..length]),
                _ => return,
            }
        }
        let asked = String::from_utf8(asked).unwrap();
        let path = asked.split(' ').nth(1).unwrap();
        let answer = match path {
            "/ok%20" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "/told" => {
                let told = asked.contains("x-who: me\r\n") && asked.contains("host: shop\r\n");
                format!("HTTP/1.1 {} X\r\n\r\n", if told { 200 } else { 400 })
            }
            "/home" => "HTTP/1.1 302 Found\r\nLocation: /ok%20\r\n\r\n".into(),
            "/away" => "HTTP/1.1 302 Found\r\nLocation: http://shop/\r\nContent-Length: 2\r\n\r\nby".into(),
            "/round" => "HTTP/1.1 302 Found\r\nLocation: round\r\n\r\n".into(),
            "/ill" => "HTTP/1.1 503 Service Unavailable\r\n\r\n".into(),
            "/ssh" => "SSH-2.0-x\r\n\r\n".into(),
            "/body" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx".into(),
            "/never" => String::new(),
            _ => return,
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        if ["/body", "/never"].contains(&path) {
            std::future::pending::<()>().await;
        }
        let _gone = stream.shutdown().await.is_err();
    }

    fn acceptor() -> TlsAcceptor {
        let own = rcgen::generate_simple_self_signed(["somebody-else".to_owned()]).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = own.signing_key.serialize_der().try_into().unwrap();
        let config = config.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A node with a server on 80 and another, with a certificate of nobody's, on 443.
    async fn node() -> NodeNetwork {
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let node = NodeNetwork::create(&underlay).await.unwrap();
        for secure in [false, true] {
            let listener = listen(room_of(&node), HOME, if secure { 443 } else { 80 }).await;
            let acceptor = acceptor();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        match secure {
                            true => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    web(stream).await;
                                }
                            }
                            false => web(stream).await,
                        }
                    });
                }
            });
        }
        node
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pages_are_asked_for_as_a_kubelet_does() {
        if !is_root() {
            return;
        }
        let node = node().await;
        let second = Duration::from_secs(1);
        let failure = |why: &str| Answer::Failure(why.to_owned());
        let far = "Probe terminated redirects, Response body: by";
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        for (scheme, port) in [("HTTP", 80), ("HTTPS", 443)] {
            let base = format!("{}://127.0.0.1:{port}", scheme.to_lowercase());
            let lost = |path: &str, why: &str| failure(&format!("Get \"{base}{path}\": {why}"));
            let cases = [
                ("/ok ", Answer::Success),
                ("/home", Answer::Success),
                ("/away", Answer::Warning(far.into())),
                ("/ill", failure("HTTP probe failed with statuscode: 503")),
                ("/round", lost("/round", "stopped after 10 redirects")),
                ("/never", lost("/never", late)),
                ("/gone", lost("/gone", "EOF")),
            ];
            for (path, answer) in cases {
                let get = get(json!({"path": path, "scheme": scheme}), port);
                assert_eq!(get.ask(&node, second, HOME).await, answer, "{base}{path}");
            }
        }
        let told = json!({"path": "/told", "httpHeaders": [
            {"name": "X-Who", "value": "me"}, {"name": "Host", "value": "shop"},
        ]});
        assert_eq!(get(told, 80).ask(&node, second, HOME).await, Answer::Success);
        let cut = get(json!({"path": "/body"}), 80).ask(&node, second, HOME).await;
        assert!(matches!(cut, Answer::Error("failure", _)), "{cut:?}");
        let no_http = get(json!({"path": "/ssh"}), 80).ask(&node, second, HOME).await;
        assert!(
            matches!(&no_http, Answer::Failure(why) if why.contains("malformed HTTP response")),
            "{no_http:?}"
        );

        let nobody = get(json!({"path": "/", "scheme": "HTTPS"}), 9)
            .ask(&node, second, HOME)
            .await;
        let refused = "Get \"https://127.0.0.1:9/\": dial tcp 127.0.0.1:9: connect: connection refused";
        assert_eq!(nobody, failure(refused));
        let plain = get(json!({"path": "/ok ", "scheme": "HTTPS"}), 80);
        let Answer::Failure(why) = plain.ask(&node, second, HOME).await else {
            panic!("TLS without TLS");
        };
        assert!(why.starts_with("Get \"https://127.0.0.1:80/ok%20\": "), "{why}");
        let hook = get(json!({"path": "/ill"}), 80);
        assert_eq!(
            hook.call(&node, second, HOME).await,
            Ok(()),
            "a hook wants no more than an answer"
        );
    }
}
