//! `plimsoll schema`: the JSON Schema of specs, as it is committed.

use crate::{error::Error, streams::Streams};

pub(super) fn schema(streams: &mut Streams) -> Result<u8, Error> {
    streams.out(&spec::schema::text())?;
    Ok(0)
}
