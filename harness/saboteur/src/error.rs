//! What can go wrong in the saboteur itself.

use std::io;
use std::path::PathBuf;

/// Why a call was not handed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The saboteur's own arguments.
    #[error("{problem}")]
    Usage {
        /// What is wrong with them.
        problem: String,
    },
    /// A fault that could harm the machine was asked for where nothing holds it.
    #[error(
        "`{fault}` could harm this machine outside of a guard: run it through `plimsoll run`, or add --outside-the-guard"
    )]
    Unguarded {
        /// The fault.
        fault: &'static str,
    },
    /// The runtime cannot be started or watched.
    #[error("failed to run `{program}`")]
    Runtime {
        /// Its program.
        program: String,
        /// Cause.
        source: io::Error,
    },
    /// A file.
    #[error("failed to {act} `{}`", path.display())]
    File {
        /// What was done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A JSON document that is none.
    #[error("failed to parse `{}`", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: serde_json::Error,
    },
    /// Standard output.
    #[error("failed to write to standard output")]
    Print {
        /// Cause.
        source: io::Error,
    },
}

/// The result of a part of a call.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes a file's error of its cause.
    pub(crate) fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { act, path, source }
    }

    /// 2 for wrong usage, 3 for what failed here, so that no caller takes it for the runtime's 1.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Error::Usage { .. } | Error::Unguarded { .. } => 2,
            Error::Runtime { .. } | Error::File { .. } | Error::Parse { .. } | Error::Print { .. } => 3,
        }
    }
}
