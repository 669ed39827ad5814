//! What Kubernetes objects are: their kinds, and what an API server answers about them.
//!
//! Objects are JSON values, so that no field is lost on the way through. Nothing here does IO or reads a clock.

pub mod kind;
pub mod status;

pub use kind::Kind;
pub use status::{Cause, Reason, Status};
