//! What one client may take of the server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use objects::{Reason, Status, status::Details};

/// Watches, logs and commands of one user at a time.
pub(crate) const STREAMS: usize = 512;
/// Bytes of a request's body.
pub(crate) const BODY: usize = 3 << 20;
/// Connections at a time.
pub(crate) const CONNECTIONS: usize = 1024;
/// Bodies that are being read at a time.
pub(crate) const BODIES: usize = 64;

/// The streams that are open, by user.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenStreams(Arc<Mutex<HashMap<String, usize>>>);

/// One open stream; dropping it is its end.
#[derive(Debug)]
pub(crate) struct OpenStream {
    all: OpenStreams,
    user: String,
}

impl OpenStreams {
    /// # Errors
    /// `TooManyRequests` where the user has too many.
    pub(crate) fn open(&self, user: &str) -> Result<OpenStream, Status> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(user.to_owned()).or_default();
        if *count >= STREAMS {
            return Err(too_many(format!("user \"{user}\" has {count} open streams")));
        }
        *count += 1;
        Ok(OpenStream {
            all: self.clone(),
            user: user.to_owned(),
        })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.user);
            }
        }
    }
}

pub(crate) fn too_many(why: String) -> Status {
    let mut status = Status::new(
        Reason::TooManyRequests,
        format!("too many requests, please try again later: {why}"),
    );
    status.details = Some(Box::new(Details {
        retry_after: Some(1),
        ..Details::default()
    }));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_makes_room() {
        let streams = OpenStreams::default();
        let mut open: Vec<_> = (0..STREAMS).map(|_| streams.open("a").expect("room")).collect();
        assert_eq!(streams.open("a").expect_err("full").reason.code(), 429);
        streams.open("b").expect("room for others");
        open.pop();
        streams.open("a").expect("room again");
    }
}
