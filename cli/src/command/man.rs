//! `plimsoll man`: the manual page, of the program or of one command.

use clap::CommandFactory;

use crate::{
    arguments::{Arguments, Man},
    error::Error,
    streams::Streams,
};

pub(super) fn man(man: &Man, streams: &mut Streams) -> Result<u8, Error> {
    let mut program = Arguments::command();
    program.build();
    let command = match &man.command {
        None => program,
        Some(name) => {
            let found = program
                .find_subcommand(name)
                .ok_or_else(|| Error::NoSuchCommand(name.clone()))?;
            found.clone().display_name(format!("plimsoll-{name}"))
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Error::Write)?;
    streams.out(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
