//! Executables of the workspace, built for release.

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

/// Builds an executable of a package; where it is.
pub(crate) fn build(workspace: &Path, package: &str, executable: &str) -> Result<PathBuf, Error> {
    let mut cargo = command::cargo(workspace);
    cargo.args(["build", "--release", "--package", package, "--bin", executable]);
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
