//! All specs on the reference runtimes: what does not pass there may not judge ours.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::command;
use crate::executable::{self, Profile};
use crate::root::Error;

/// The runtimes that are asked, where they are installed.
const REFERENCES: [&str; 2] = ["runc", "crun"];

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A runtime that is not installed is an error, not a skip.
    #[arg(long)]
    require: bool,
    /// Words for `plimsoll run`; without any, the whole catalogue.
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Ends with the first exit code that is not 0.
pub(crate) fn stage(workspace: &Path, options: &Options) -> Result<ExitCode, Error> {
    let plimsoll = executable::build(workspace, Profile::Dev, None, "plimsoll")?;
    let mut worst = 0;
    for name in REFERENCES {
        if command::find(name).is_none() {
            println!("skip: `{name}` is not installed, so the specs were not judged on it");
            if options.require && worst == 0 {
                worst = 3;
            }
            continue;
        }
        let mut run = Command::new(&plimsoll);
        run.current_dir(workspace)
            .args(["run", "--subject", &format!("oci:{name}")]);
        if options.arguments.is_empty() {
            run.arg("specs/");
        }
        println!("oracle: {name}");
        let code = command::exit_code(run.args(&options.arguments))?;
        println!("oracle: {name} ended with {code}");
        if worst == 0 {
            worst = code;
        }
    }
    Ok(ExitCode::from(worst))
}
