//! The four ways to change an object: merge, JSON, strategic merge, and server-side apply.

pub mod apply;
pub mod json;
pub mod managed;
pub mod merge;
pub mod strategic;
mod typed;

pub use apply::apply;
pub use json::json;
pub use managed::Manager;
pub use merge::merge;
pub use strategic::strategic;

use crate::{Reason, Status};

fn undecodable(why: &str) -> Status {
    Status::new(Reason::BadRequest, format!("error decoding patch: {why}"))
}
