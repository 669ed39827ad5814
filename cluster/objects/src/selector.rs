//! Choosing objects: by their labels, and by a few of their fields.

mod fields;
mod labels;

pub use fields::Fields;
pub use labels::{Labels, Operator, Requirement};

use crate::{Reason, Status};

/// A selector that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);

impl From<SelectorError> for Status {
    fn from(error: SelectorError) -> Self {
        Self::new(Reason::BadRequest, error.0)
    }
}
