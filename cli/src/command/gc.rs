//! `plimsoll gc`: removing what killed runs left.

use std::path::Path;

use crate::{error::Error, streams::Streams};

pub(super) fn gc(state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    for what in harness::gc::collect(state)? {
        streams.out(&format!("{what}\n"))?;
    }
    Ok(0)
}
