//! Executables of the workspace.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cargo_metadata::Message;

use crate::command::{self, CommandError};

/// Why there is no executable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CommandError),
    /// What cargo said is not what it says.
    #[error("failed to read what cargo built")]
    Answer(#[source] io::Error),
    /// It built, but not this.
    #[error("cargo built no executable `{0}`")]
    Missing(String),
}

/// How it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the tests are, so that nothing is built for it that they have not built: for verdicts.
    Dev,
    /// For measuring.
    Release,
}

/// Builds an executable; where it is. One of the packages that cargo takes without being told is not asked for by its
/// package: for a selection cargo would choose other features of dependencies than for `cargo test`, and build these again.
pub(crate) fn build(
    workspace: &Path,
    profile: Profile,
    package: Option<&str>,
    executable: &str,
) -> Result<PathBuf, Error> {
    let mut cargo = command::cargo(workspace);
    cargo.args(["build", "--bin", executable]);
    if let Some(package) = package {
        cargo.args(["--package", package]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let answer = command::output(&mut cargo)?;
    for message in Message::parse_stream(answer.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message.map_err(Error::Answer)?
            && artifact.target.name == executable
            && let Some(path) = artifact.executable
        {
            return Ok(path.into());
        }
    }
    Err(Error::Missing(executable.to_owned()))
}
