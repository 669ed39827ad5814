//! Asking a gRPC server for its health: `grpc.health.v1.Health/Check`.
//!
//! Sources: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, `grpc/health/v1/health.proto`, and for the texts
//! `pkg/probe/grpc/grpc.go` of Kubernetes.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use objects::meta;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::http::AGENT;
use super::{Answer, dial};
use crate::network::NodeNetwork;
use crate::span;

/// How soon a connection that did not come about is tried again, as gRPC does in Go.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest answer that is read; the real one has seven bytes.
const LONGEST: usize = 64 << 10;

/// Codes of gRPC, by their number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const DEADLINE_EXCEEDED: u32 = 4;
const UNKNOWN: u32 = 2;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

/// `HealthCheckResponse.ServingStatus`, by its numbers.
const STATES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// Whose health is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    port: u16,
    /// Empty: the server's as a whole.
    service: String,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    State(u64),
    Refused { code: u32, message: String },
}

impl Check {
    pub(super) fn of(grpc: &Value, port: u16) -> Self {
        Self {
            port,
            service: meta::text(grpc, &["service"]).to_owned(),
        }
    }

    pub(super) async fn ask(&self, network: &NodeNetwork, timeout: Duration, pod: Ipv4Addr) -> Answer {
        let at = format!("{pod}:{}", self.port);
        let late = || format!("timeout: health rpc did not complete within {}", span::in_go(timeout));
        let connected = AtomicBool::new(false);
        let call = async {
            // A connection that does not come about is waited for.
            loop {
                match self.call(network, timeout, pod, &connected).await {
                    Some(told) => return told,
                    None => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        let told = match tokio::time::timeout(timeout, call).await {
            Ok(told) => told,
            Err(_) if connected.load(Ordering::Relaxed) => return Answer::Failure(late()),
            Err(_) => {
                return Answer::Failure(format!(
                    "timeout: failed to connect service \"{at}\" within {}: context deadline exceeded",
                    span::in_go(timeout)
                ));
            }
        };
        Answer::Failure(match told {
            Told::State(SERVING) => return Answer::Success,
            Told::State(other) => format!("service unhealthy (responded with \"{}\")", state(other)),
            Told::Refused {
                code: UNIMPLEMENTED,
                message,
            } => format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
            ),
            Told::Refused {
                code: DEADLINE_EXCEEDED,
                ..
            } => late(),
            Told::Refused { code, message } => {
                let code = usize::try_from(code).ok().and_then(|code| CODES.get(code).copied());
                let code = code.unwrap_or("Unknown");
                format!("error: health rpc probe failed: rpc error: code = {code} desc = {message}")
            }
        })
    }

    /// One call over one connection. `None`: it did not come about.
    async fn call(
        &self,
        network: &NodeNetwork,
        timeout: Duration,
        pod: Ipv4Addr,
        connected: &AtomicBool,
    ) -> Option<Told> {
        let stream = dial::connect(network, &pod.to_string(), self.port).await.ok()?;
        let opened = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.ok()?;
        tokio::spawn(connection);
        let mut request = Request::post(format!("http://{pod}:{}/grpc.health.v1.Health/Check", self.port))
            .body(Full::new(Bytes::from(self.message())))
            .ok()?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let limit = HeaderValue::from_str(&format!("{}m", timeout.as_millis())).ok()?;
        headers.insert("grpc-timeout", limit);
        connected.store(true, Ordering::Relaxed);
        let response = sender.send_request(request).await;
        if response.is_err() {
            // It is none of HTTP/2, or gone.
            connected.store(false, Ordering::Relaxed);
        }
        Some(told(response.ok()?).await)
    }

    /// `HealthCheckRequest`, with the five bytes that go before each message: not compressed, and its length.
    fn message(&self) -> Vec<u8> {
        /// Field 1, bytes.
        const SERVICE: u8 = 0x0a;
        let mut message = Vec::new();
        if !self.service.is_empty() {
            message.push(SERVICE);
            let mut length = self.service.len();
            while length >= 0x80 {
                message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
                length >>= 7;
            }
            message.push(u8::try_from(length).unwrap_or(0));
            message.extend_from_slice(self.service.as_bytes());
        }
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
        framed.extend_from_slice(&message);
        framed
    }
}

fn state(number: u64) -> String {
    let known = usize::try_from(number).ok().and_then(|number| STATES.get(number));
    known.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

async fn told<B>(response: Response<B>) -> Told
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let refused = |code, message: &str| Told::Refused {
        code,
        message: message.to_owned(),
    };
    let status = response.status().as_u16();
    if status != 200 {
        let text = format!(
            "unexpected HTTP status code received from server: {}",
            response.status()
        );
        return refused(of_http(status), &text);
    }
    if let Some(outcome) = outcome(response.headers()) {
        return outcome.unwrap_or_else(|| refused(INTERNAL, "an answer without a message"));
    }
    let Ok(body) = Limited::new(response.into_body(), LONGEST).collect().await else {
        return refused(UNAVAILABLE, "error reading from server: EOF");
    };
    let trailers = body.trailers().and_then(outcome);
    match trailers {
        Some(Some(refusal)) => refusal,
        Some(None) => read(&body.to_bytes()).map_or_else(
            || refused(INTERNAL, "grpc: failed to unmarshal the received message"),
            Told::State,
        ),
        None => refused(INTERNAL, "server closed the stream without sending trailers"),
    }
}

/// What headers or trailers say of a call: nothing, that it was well, or why not.
fn outcome(headers: &HeaderMap) -> Option<Option<Told>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code: u32 = text("grpc-status")?.parse().unwrap_or(UNKNOWN);
    if code == 0 {
        return Some(None);
    }
    let message = percent_decode_str(text("grpc-message").unwrap_or_default());
    Some(Some(Told::Refused {
        code,
        message: message.decode_utf8_lossy().into_owned(),
    }))
}

/// What a status of HTTP means to gRPC: <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
fn of_http(status: u16) -> u32 {
    match status {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// `status` of a framed `HealthCheckResponse`; zero if it does not say.
fn read(framed: &[u8]) -> Option<u64> {
    /// Field 1, a number.
    const STATUS: u8 = 0x08;
    let (&[compressed, a, b, c, d], rest) = framed.split_first_chunk::<5>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let message = rest.get(..length).filter(|_| compressed == 0)?;
    let Some((&STATUS, digits)) = message.split_first() else {
        return message.is_empty().then_some(0);
    };
    let end = digits.iter().position(|digit| digit & 0x80 == 0)?;
    let digits = digits[..=end].iter().take(9).enumerate();
    Some(digits.fold(0, |number, (place, digit)| {
        number | u64::from(digit & 0x7f) << (7 * place)
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use hyper::body::{Frame, Incoming};
    use hyper::service::service_fn;
    use serde_json::json;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::network::lab::{is_root, listen, room_of};
    use crate::network::{NetworkMode, Underlay};

    const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

    #[test]
    fn the_two_messages_are_as_protobuf_has_them() {
        let message = |service: &str| Check::of(&json!({"service": service}), 1).message();
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("db"), [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        assert_eq!(message(&"x".repeat(200))[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        assert_eq!(read(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(read(&[0, 0, 0, 0, 3, 8, 0x80, 1]), Some(128));
        assert_eq!(read(&[0, 0, 0, 0, 0]), Some(0), "what is not said is the first");
        for broken in [
            &[1, 0, 0, 0, 2, 8, 1][..],
            &[0, 0, 0, 0, 9, 8, 1],
            &[0, 0, 0, 0, 2, 8, 0x80],
            &[0],
        ] {
            assert_eq!(read(broken), None, "{broken:?}");
        }
    }

    type Body =
        http_body_util::StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

    fn body(frames: Vec<Frame<Bytes>>) -> Body {
        let frames: Vec<_> = frames.into_iter().map(Ok).collect();
        http_body_util::StreamBody::new(futures_util::stream::iter(frames))
    }

    /// Answers by the service that is asked for.
    async fn health(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let headers = request.headers().clone();
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["grpc-timeout"], "1000m");
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let service = String::from_utf8_lossy(asked.get(7..).unwrap_or_default()).into_owned();
        let say = |state: u8| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, state]);
            Response::new(body(vec![Frame::data(message), Frame::trailers(trailers)]))
        };
        let refuse = |code: &'static str, message: &'static str| {
            let mut response = Response::new(body(Vec::new()));
            let headers = response.headers_mut();
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers.insert("grpc-message", HeaderValue::from_static(message));
            response
        };
        Ok(match service.as_str() {
            "" => say(1),
            "ill" => say(2),
            "new" => say(9),
            "other" => refuse("5", "unknown%20service"),
            "none" => refuse("12", "unknown method"),
            "cut" => Response::new(body(Vec::new())),
            "page" => Response::builder().status(503).body(body(Vec::new())).unwrap(),
            _ => std::future::pending().await,
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_is_asked_for_its_health_as_a_kubelet_does() {
        if !is_root() {
            return;
        }
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let node = NodeNetwork::create(&underlay).await.unwrap();
        let listener = listen(room_of(&node), HOME, 50051).await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(health)));
            }
        });
        let words = listen(room_of(&node), HOME, 22).await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = words.accept().await {
                let _gone = stream.write_all(b"SSH-2.0-x\r\n").await.is_err();
            }
        });
        let rpc = "error: health rpc probe failed: rpc error: code =";
        let none =
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown method";
        let second = Duration::from_secs(1);
        for (service, why) in [
            ("ill", "service unhealthy (responded with \"NOT_SERVING\")".to_owned()),
            ("new", "service unhealthy (responded with \"9\")".into()),
            ("other", format!("{rpc} NotFound desc = unknown service")),
            ("none", none.into()),
            (
                "cut",
                format!("{rpc} Internal desc = server closed the stream without sending trailers"),
            ),
            (
                "page",
                format!(
                    "{rpc} Unavailable desc = unexpected HTTP status code received from server: 503 Service Unavailable"
                ),
            ),
            ("never", "timeout: health rpc did not complete within 1s".into()),
        ] {
            let check = Check::of(&json!({"service": service}), 50051);
            assert_eq!(check.ask(&node, second, HOME).await, Answer::Failure(why), "{service}");
        }
        let whole = Check::of(&json!({}), 50051);
        assert_eq!(whole.ask(&node, second, HOME).await, Answer::Success);
        for port in [9, 22] {
            let late =
                format!("timeout: failed to connect service \"127.0.0.1:{port}\" within 1s: context deadline exceeded");
            let nobody = Check::of(&json!({}), port).ask(&node, second, HOME).await;
            assert_eq!(nobody, Answer::Failure(late));
        }
    }
}
