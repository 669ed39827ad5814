//! Watches over HTTP: one line of JSON for each event.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use objects::Status;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    answer::{self, Answer, JSON},
    limits::OpenStream,
    negotiation::Form,
    shape::Shape,
};
use crate::{EventKind, Watch, watch::Seen};

/// How long a watch lives where nothing is said, at least; at most twice as long.
const LIFE: Duration = Duration::from_secs(1800);
/// Between two bookmarks while nothing happens.
const BOOKMARKS: Duration = Duration::from_secs(60);

pub(crate) struct Watching {
    watch: Watch,
    shape: Shape,
    bookmarks: bool,
    ends: Instant,
    next_bookmark: Instant,
    first: bool,
    done: bool,
    _open: OpenStream,
}

impl Watching {
    pub(crate) fn new(
        watch: Watch,
        shape: Shape,
        bookmarks: bool,
        timeout: Option<Duration>,
        open: OpenStream,
    ) -> Self {
        let now = Instant::now();
        let life = timeout.unwrap_or_else(|| {
            // Not all at once.
            let random = Uuid::new_v4().as_u64_pair().1 % LIFE.as_secs();
            LIFE + Duration::from_secs(random)
        });
        Self {
            watch,
            shape,
            bookmarks,
            ends: now + life,
            next_bookmark: now + BOOKMARKS,
            first: true,
            done: false,
            _open: open,
        }
    }

    pub(crate) fn answer(self) -> Answer {
        let lines = stream::unfold(self, |mut watching| async move {
            let line = watching.line().await?;
            Some((line, watching))
        });
        answer::streamed(200, JSON, lines)
    }

    async fn line(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let seen = tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.ends) => {
                self.done = true;
                // The last word, so that the client need not list again.
                let last = self.bookmarks && self.watch.is_settled();
                return last.then(|| self.event(&self.watch.bookmark(self.watch.revision(), false)));
            }
            seen = self.watch.next_stored() => seen,
            () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks && self.watch.is_settled() => {
                Some(self.watch.bookmark(self.watch.revision(), false))
            }
        };
        match seen {
            Some(seen) => {
                self.next_bookmark = Instant::now() + BOOKMARKS;
                let line = self.event(&seen);
                self.first = false;
                Some(line)
            }
            None => {
                self.done = true;
                self.watch.ended().map(error)
            }
        }
    }

    fn event(&self, seen: &Seen) -> Bytes {
        let kind = match seen.kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
            EventKind::Bookmark => "BOOKMARK",
        };
        if self.shape.form == Form::Whole {
            return line(kind, &seen.stored.text);
        }
        let object: Value = self.shape.object(&seen.stored.value(), self.first);
        line(kind, &serde_json::to_vec(&object).unwrap_or_default())
    }
}

fn error(status: &Status) -> Bytes {
    line("ERROR", &serde_json::to_vec(&status.object()).unwrap_or_default())
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}
