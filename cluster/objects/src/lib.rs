//! What Kubernetes objects are: their kinds, and what an API server answers about them.
//!
//! Objects are JSON values, so that no field is lost on the way through. Nothing here does IO or reads a clock.

pub mod default;
pub mod kind;
pub mod meta;
pub mod name;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod qos;
pub mod quantity;
pub mod requests;
pub mod schema;
pub mod selector;
pub mod status;
pub mod strict;
pub mod table;
pub mod time;
pub mod validate;

pub use kind::Kind;
pub use status::{Cause, Reason, Status};
