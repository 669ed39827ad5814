//! Elements of sets and maps.

use std::time::Duration;

use crate::{Value, Verdict};

/// An element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its key, or the first of its range.
    pub key: Vec<Value>,
    /// The last of its range, in a set of ranges.
    pub last: Option<Value>,
    /// In a map.
    pub verdict: Option<Verdict>,
    /// How long it stays, if not as long as its set says.
    pub timeout: Option<Duration>,
}

impl Element {
    /// Of a set.
    pub fn new(key: &[Value]) -> Self {
        Self {
            key: key.to_vec(),
            last: None,
            verdict: None,
            timeout: None,
        }
    }

    /// Of a verdict map.
    pub fn to(key: &[Value], verdict: Verdict) -> Self {
        Self {
            verdict: Some(verdict),
            ..Self::new(key)
        }
    }

    /// Everything from the first to the last, in a set of ranges.
    pub fn range(first: impl Into<Value>, last: impl Into<Value>) -> Self {
        Self {
            last: Some(last.into()),
            ..Self::new(&[first.into()])
        }
    }
}
