//! `plimsoll completions`: a script for a shell.

use clap::CommandFactory;

use crate::{
    arguments::{Arguments, Completions},
    error::Error,
    streams::Streams,
};

pub(super) fn completions(completions: &Completions, streams: &mut Streams) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Arguments::command(), "plimsoll", &mut script);
    streams.out(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
