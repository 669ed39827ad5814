//! One version of an object, as it is remembered.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use serde_json::Value;

/// JSON text, because a parsed pod takes ten times its room. Whoever looks at it shares one parsed form as long as
/// somebody holds it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    pub(crate) text: Bytes,
    parsed: Mutex<Weak<Value>>,
}

impl Stored {
    /// A version that is about to be written; its resource version must say `revision` already.
    pub(crate) fn new(revision: u64, value: &Arc<Value>) -> Self {
        let text = serde_json::to_vec(&**value).unwrap_or_default();
        Self {
            revision,
            text: Bytes::from(text.into_boxed_slice()),
            parsed: Mutex::new(Arc::downgrade(value)),
        }
    }

    /// A version that is in no store.
    pub(crate) fn kept(revision: u64, value: &Value) -> Self {
        Self::loaded(revision, serde_json::to_vec(value).unwrap_or_default())
    }

    /// A version that was read from where it was kept.
    pub(crate) fn loaded(revision: u64, text: Vec<u8>) -> Self {
        Self {
            revision,
            text: Bytes::from(text.into_boxed_slice()),
            parsed: Mutex::new(Weak::new()),
        }
    }

    pub(crate) fn value(&self) -> Arc<Value> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = parsed.upgrade() {
            return value;
        }
        // What is stored was written by `new`, or checked when it was loaded.
        let value = Arc::new(serde_json::from_slice(&self.text).unwrap_or_default());
        *parsed = Arc::downgrade(&value);
        value
    }
}
