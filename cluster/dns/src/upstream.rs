//! Who is asked for names that are not the cluster's.

use std::fmt;

use futures_util::future::BoxFuture;

/// Answers what the cluster does not know. There is none unless somebody brings one.
pub trait Upstream: fmt::Debug + Send + Sync {
    /// The answer to this query, both as they travel over UDP. `None` makes the client hear of a failure (SERVFAIL).
    /// The future is given up after some seconds.
    fn ask(&self, query: Vec<u8>) -> BoxFuture<'static, Option<Vec<u8>>>;
}
