//! Paths that are not Kubernetes': those below `/plimsoll/v1`.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::User;

/// What is asked below `/plimsoll/v1`.
#[derive(Debug, Clone)]
pub struct ExtensionRequest {
    /// Who asks; readers come with GET only.
    pub user: User,
    /// `GET`, `POST` …
    pub method: String,
    /// The whole path, as it was sent.
    pub path: String,
    /// Behind the question mark.
    pub query: String,
    /// No more than 3 MiB.
    pub body: Bytes,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct ExtensionResponse {
    /// HTTP status.
    pub code: u16,
    /// `application/json` …
    pub content_type: String,
    /// All of it.
    pub body: Bytes,
}

/// Answers.
pub trait Extension: Send + Sync {
    /// Whatever is asked; what is not known is answered 404.
    fn handle(&self, request: ExtensionRequest) -> BoxFuture<'_, ExtensionResponse>;
}
