//! Bodies of requests: bounded, and read as what they say they are.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, body::Body, header::CONTENT_TYPE};
use objects::{
    Kind, Reason, Status, protobuf, schema,
    strict::{self, Decoded, Mode},
};
use serde_json::Value;

use super::limits::BODY;
use crate::{metadata::bad, patch::unknown_type};

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// # Errors
/// `RequestEntityTooLarge` past 3 MiB, `Timeout` for one that does not come.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        Status::new(
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: limit is {BODY}"),
        )
    };
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, Limited::new(body, BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(bad(format!("cannot read the body: {error}"))),
        Err(_) => Err(Status::new(Reason::Timeout, "the body did not come in time")),
    }
}

/// `Content-Type` without its parameters; JSON where there is none, as some clients leave it out.
pub(crate) fn media(headers: &HeaderMap) -> &str {
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match said.split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        media => media,
    }
}

/// YAML, or JSON, which is YAML too.
///
/// # Errors
/// `BadRequest` with the place of the fault.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body).map_err(|error| bad(format!("error decoding YAML: {error}")))?;
    serde_saphyr::from_str(text).map_err(|error| bad(format!("error decoding YAML: {error}")))
}

const MEDIA: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// An object of a kind.
///
/// # Errors
/// `UnsupportedMediaType`, or `BadRequest` for what cannot be read as the kind.
pub(crate) fn object(kind: &Kind, headers: &HeaderMap, body: &[u8], mode: Mode) -> Result<Decoded, Status> {
    message(&kind.api_version(), kind.kind, headers, body, mode)
}

/// The same for what is no kind of its own, such as a Scale.
///
/// # Errors
/// As [`object`].
pub(crate) fn message(
    version: &str,
    kind: &str,
    headers: &HeaderMap,
    body: &[u8],
    mode: Mode,
) -> Result<Decoded, Status> {
    let message = schema::named(version, kind)
        .ok_or_else(|| Status::new(Reason::InternalError, format!("{version} {kind} is not known")))?;
    match media(headers) {
        "application/json" => strict::decode_as(message, body, mode),
        "application/yaml" => strict::settle(message, yaml(body)?, Vec::new(), mode),
        "application/vnd.kubernetes.protobuf" => {
            let (_, _, object) = protobuf::decode_or(body, version, kind)
                .map_err(|error| bad(format!("the body cannot be decoded: {error}")))?;
            strict::settle(message, object, Vec::new(), mode)
        }
        _ => Err(unknown_type(MEDIA)),
    }
}

/// A message that clients may leave out, or send without its kind.
///
/// # Errors
/// As [`object`].
pub(crate) fn optional(version: &str, kind: &str, headers: &HeaderMap, body: &[u8]) -> Result<Value, Status> {
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    message(version, kind, headers, body, Mode::Ignore).map(|decoded| decoded.object)
}
