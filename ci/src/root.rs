//! All specs on the bundled runtime.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::command::{self, CommandError};
use crate::executable::{self, Profile};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Words for `plimsoll run`; without any, the whole catalogue.
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No executable.
    #[error("failed to build plimsoll")]
    Build(#[from] executable::Error),
    /// It did not start.
    #[error(transparent)]
    Run(#[from] CommandError),
}

/// Ends with the exit code of the run: known failures are listed in the specs, an unexpected pass is told there too.
pub(crate) fn stage(workspace: &Path, options: &Options) -> Result<ExitCode, Error> {
    let plimsoll = executable::build(workspace, Profile::Dev, None, "plimsoll")?;
    let mut run = Command::new(plimsoll);
    run.current_dir(workspace).arg("run");
    if options.arguments.is_empty() {
        run.arg("specs/");
    }
    Ok(ExitCode::from(command::exit_code(run.args(&options.arguments))?))
}
