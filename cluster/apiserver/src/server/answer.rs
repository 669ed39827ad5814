//! Answers.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Frame,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING},
};
use objects::Status;
use serde_json::Value;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(crate) type Answer = Response<Body>;

pub(crate) const JSON: &str = "application/json";
/// Bytes of a long list that are made at once.
const CHUNK: usize = 64 << 10;

pub(crate) fn bytes(code: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    with_body(code, content_type, Full::new(body.into()).boxed_unsync())
}

pub(crate) fn json(code: u16, object: &Value) -> Answer {
    bytes(code, JSON, serde_json::to_vec(object).unwrap_or_default())
}

pub(crate) fn with_body(code: u16, content_type: &str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(answer.headers_mut(), CONTENT_TYPE, content_type);
    answer
}

pub(crate) fn refusal(status: &Status) -> Answer {
    let mut answer = json(status.reason.code(), &status.object());
    if let Some(seconds) = status.details.as_ref().and_then(|details| details.retry_after) {
        set(answer.headers_mut(), RETRY_AFTER, &seconds.to_string());
    }
    answer
}

/// One `Warning` header for each text, which kubectl prints.
pub(crate) fn warn(answer: &mut Answer, warnings: &[String]) {
    for text in warnings {
        let quoted: String = text.chars().filter(|c| !c.is_control()).collect();
        let quoted = quoted.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            answer.headers_mut().append(WARNING, value);
        }
    }
}

pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A body that is sent as it comes.
pub(crate) fn streamed(code: u16, content_type: &str, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    let frames = futures_util::StreamExt::map(chunks, |chunk| Ok(Frame::data(chunk)));
    with_body(code, content_type, StreamBody::new(frames).boxed_unsync())
}

/// A list whose items are texts already: it is never in memory as a whole.
pub(crate) fn list(head: String, items: Vec<Bytes>) -> Answer {
    let end = Bytes::from_static(b"]}\n");
    let first = Bytes::from(head);
    let separated = items.into_iter().enumerate().flat_map(|(index, item)| {
        let comma = (index > 0).then_some(Bytes::from_static(b","));
        comma.into_iter().chain([item])
    });
    let mut pieces = std::iter::once(first).chain(separated).chain([end]);
    let chunks = std::iter::from_fn(move || {
        let mut chunk = BytesMut::new();
        for piece in pieces.by_ref() {
            chunk.extend_from_slice(&piece);
            if chunk.len() >= CHUNK {
                break;
            }
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    });
    streamed(200, JSON, stream::iter(chunks))
}
