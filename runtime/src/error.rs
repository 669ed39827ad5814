//! What can go wrong, in sentences that name the object.

use std::io;
use std::path::{Path, PathBuf};

use crate::{cgroup, seccomp};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is not understood.
    #[error("{problem}")]
    Usage {
        /// What is wrong with it.
        problem: String,
    },
    /// A field of the configuration has a value that is not allowed, or asks for something that cannot be done here.
    #[error("{field}: {problem}")]
    Field {
        /// Its path in `config.json`.
        field: String,
        /// What stands against it.
        problem: String,
    },
    /// A field of the configuration could not be applied.
    #[error("{field}: failed to {act}")]
    Apply {
        /// Its path in `config.json`.
        field: String,
        /// What was tried.
        act: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program of a container could not be found or executed.
    #[error("{field}: executable file `{program}` not found in $PATH")]
    NotFound {
        /// Its path in `config.json`.
        field: String,
        /// The first argument.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something that is not a field failed.
    #[error("failed to {act}")]
    Act {
        /// What was tried.
        act: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A JSON document is not what it should be.
    #[error("failed to parse `{path}`")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// A container of this name is there already.
    #[error("container `{id}` exists already")]
    Exists {
        /// Its name.
        id: String,
    },
    /// No container has this name.
    #[error("container `{id}` does not exist")]
    Missing {
        /// The name.
        id: String,
    },
    /// The container is not in a state in which this can be done.
    #[error("cannot {verb} container `{id}`: it is {status}, not {wanted}")]
    State {
        /// What was asked.
        verb: &'static str,
        /// The container.
        id: String,
        /// What it is.
        status: &'static str,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A hook failed.
    #[error("{field}: hook `{path}` {problem}")]
    Hook {
        /// Its path in `config.json`.
        field: String,
        /// The program.
        path: PathBuf,
        /// How it ended.
        problem: String,
    },
    /// The container's process ended before it could execute its program.
    #[error("the container's process ended before it executed its program")]
    Died,
    /// About control groups.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// About the seccomp profile.
    #[error(transparent)]
    Seccomp(#[from] seccomp::Error),
}

/// The result of a verb's part.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Field {
            field: field.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn usage(problem: impl Into<String>) -> Error {
        Error::Usage {
            problem: problem.into(),
        }
    }
}

/// Says what was tried when something failed.
pub(crate) trait Attempt<T> {
    /// Adds the act to the cause.
    fn attempt(self, act: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Act {
            act: act(),
            source: source.into(),
        })
    }
}

/// A path as the text of a message.
pub(crate) fn at(what: &str, path: &Path) -> String {
    format!("{what} `{}`", path.display())
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
