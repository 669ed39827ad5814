//! What every commit passes, as any user.

use std::path::Path;
use std::process::ExitCode;

use crate::command::{self, CommandError};
use crate::{schema, tidy};

/// Why something could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program did not start.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The rules could not be checked.
    #[error(transparent)]
    Tidy(#[from] tidy::Error),
}

/// All parts, also after one failed; 1 if any did.
pub(crate) fn stage(workspace: &Path) -> Result<ExitCode, Error> {
    let cargo = |words: &[&str]| {
        let mut cargo = command::cargo(workspace);
        cargo.args(words);
        cargo
    };
    let mut failed = Vec::new();
    let mut part = |name: &'static str, passed: bool| {
        println!("check: {name} {}", if passed { "passed" } else { "failed" });
        if !passed {
            failed.push(name);
        }
    };

    part(
        "format",
        command::exit_code(&mut cargo(&["fmt", "--all", "--check"]))? == 0,
    );
    part("tidy", tidy::stage(workspace)? == ExitCode::SUCCESS);
    let mut lints = cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    part("lints", command::exit_code(&mut lints)? == 0);
    let mut documentation = cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ]);
    part(
        "documentation",
        command::exit_code(documentation.env("RUSTDOCFLAGS", "-D warnings"))? == 0,
    );
    let faults = schema::faults(workspace);
    for fault in &faults {
        println!("{fault}");
    }
    part("schema", faults.is_empty());
    if command::find("cargo-deny").is_some() || in_cargo_home("cargo-deny") {
        part("dependencies", command::exit_code(&mut cargo(&["deny", "check"]))? == 0);
    } else {
        println!("check: dependencies skipped: cargo-deny is not installed");
    }

    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("check: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn in_cargo_home(program: &str) -> bool {
    let home = std::env::var_os("CARGO_HOME").map(Into::into);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    home.is_some_and(|home: std::path::PathBuf| home.join("bin").join(program).is_file())
}
