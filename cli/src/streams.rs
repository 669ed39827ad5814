//! Standard output for the report, standard error for the progress and complaints.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::error::Error;

/// The two streams and what they lead to.
pub(crate) struct Streams {
    out: io::Stdout,
    err: io::Stderr,
    /// Colours may be written to standard output.
    pub(crate) out_colour: bool,
    /// Colours may be written to standard error.
    pub(crate) err_colour: bool,
    /// Standard error is a terminal.
    pub(crate) err_terminal: bool,
}

impl Streams {
    /// Those of the process. `NO_COLOR` and a dumb terminal are respected.
    pub(crate) fn standard() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let colourful = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            out_colour: colourful && out.is_terminal(),
            err_colour: colourful && err.is_terminal(),
            err_terminal: err.is_terminal(),
            out,
            err,
        }
    }

    /// Writes to standard output. A reader that went away wants no more, which is no error.
    pub(crate) fn out(&mut self, text: &str) -> Result<(), Error> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Write(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes a line to standard error. There is nobody to tell if that fails.
    pub(crate) fn err(&mut self, line: &str) {
        let _told = writeln!(self.err, "{line}");
    }
}
