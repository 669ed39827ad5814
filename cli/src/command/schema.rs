//! `plimsoll schema`: the JSON Schema of specs.

use crate::{error::Error, streams::Streams};

pub(super) fn schema(streams: &mut Streams) -> Result<u8, Error> {
    let schema = schemars::schema_for!(spec::Document);
    let mut text = serde_json::to_string_pretty(&schema).map_err(Error::Schema)?;
    text.push('\n');
    streams.out(&text)?;
    Ok(0)
}
