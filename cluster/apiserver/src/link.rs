//! The way between a client in this process and the API, which can be cut as a network can.

use std::sync::Arc;

use objects::{Reason, Status};
use tokio::sync::watch;

/// A way to the API. Clones are the same way.
#[derive(Debug, Clone)]
pub struct Link(Arc<watch::Sender<bool>>);

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// A way that is open.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// From now on every call fails, and every watch ends.
    pub fn cut(&self) {
        self.0.send_replace(true);
    }

    /// Calls go through again; watches that ended stay ended.
    pub fn heal(&self) {
        self.0.send_replace(false);
    }

    /// Whether nothing goes through.
    pub fn is_cut(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) fn check(&self) -> Result<(), Status> {
        if self.is_cut() {
            return Err(Status::new(
                Reason::ServiceUnavailable,
                "the server is currently unable to handle the request: the link to it is cut",
            ));
        }
        Ok(())
    }

    /// Returns when the link is cut.
    pub(crate) async fn ended(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so that waiting ends with the cut only.
        let _closed = state.wait_for(|cut| *cut).await;
    }
}
