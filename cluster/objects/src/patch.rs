//! The four ways to change an object: merge, JSON, strategic merge, and server-side apply.

pub mod json;
pub mod merge;
pub mod strategic;

use crate::{Reason, Status};

fn undecodable(why: &str) -> Status {
    Status::new(Reason::BadRequest, format!("error decoding patch: {why}"))
}
