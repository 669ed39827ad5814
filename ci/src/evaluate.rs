//! How often the judge and the gate err: the programs are `benches/false_alarms.rs` and `benches/gate_eval.rs`.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::command;
use crate::executable::{self, Profile};
use crate::root::Error;

/// Words for the program.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// `--help` tells which there are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Builds plimsoll and a program of `benches`, and runs it.
pub(crate) fn stage(workspace: &Path, program: &str, options: &Options) -> Result<ExitCode, Error> {
    let plimsoll = executable::build(workspace, Profile::Release, None, "plimsoll")?;
    let program = executable::build(workspace, Profile::Release, Some("benches"), program)?;
    let mut run = Command::new(program);
    run.current_dir(workspace)
        .arg("--plimsoll")
        .arg(plimsoll)
        .args(&options.arguments);
    Ok(ExitCode::from(command::exit_code(&mut run)?))
}
