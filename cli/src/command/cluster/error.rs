//! Why a cluster could not be started, asked or ended.

use std::io;
use std::path::PathBuf;

/// What went wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is not up.
    #[error("no cluster `{name}` is up")]
    NotUp {
        /// Its name.
        name: String,
    },
    /// It is up already.
    #[error("the cluster `{name}` is up already")]
    Up {
        /// Its name.
        name: String,
    },
    /// Something in the file system.
    #[error("failed to {act} `{path}`", path = path.display())]
    File {
        /// What was done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The configuration cannot be read.
    #[error("`{path}` is no configuration of a cluster: {why}", path = path.display())]
    Config {
        /// Of which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Wish(String),
    /// The address for the API.
    #[error("failed to listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The serving process.
    #[error("failed to start the cluster's process")]
    Start(#[source] io::Error),
    /// It did not come up.
    #[error("the cluster did not come up: {why}")]
    NotReady {
        /// Why.
        why: String,
    },
    /// The guard around it.
    #[error("failed to make the cluster's guard")]
    Guard(#[source] harness::guard::Error),
    /// It serves.
    #[error("failed to serve")]
    Serve(#[source] cluster::Error),
    /// A call of the operating system about its process.
    #[error("failed to {act}")]
    Process {
        /// What was done.
        act: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// It goes on.
    #[error("process {pid} of the cluster `{name}` did not end")]
    NoEnd {
        /// Its name.
        name: String,
        /// The process.
        pid: i32,
    },
    /// Something is left.
    #[error("the cluster has ended, and something of it is left:\n  {}", .0.join("\n  "))]
    Left(Vec<String>),
    /// A kubeconfig that cannot be used.
    #[error("`{path}` is no kubeconfig that can be used here: {why}", path = path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// The API does not answer.
    #[error("failed to ask `{url}`")]
    Ask {
        /// What was asked.
        url: String,
        /// Cause.
        source: Box<ureq::Error>,
    },
    /// The API refuses.
    #[error("{message} ({code})")]
    Refused {
        /// HTTP status.
        code: u16,
        /// What it says.
        message: String,
    },
}

impl Error {
    /// 2 for what the user wrote, 1 for what is left, 3 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotUp { .. }
            | Self::Up { .. }
            | Self::Config { .. }
            | Self::Wish(_)
            | Self::Kubeconfig { .. }
            | Self::Refused { .. } => 2,
            Self::Left(_) => 1,
            _ => 3,
        }
    }

    /// What a user can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotUp { .. } => Some("`plimsoll cluster up` starts one; `--name` and `--state` say which"),
            Self::Up { .. } => Some("`plimsoll cluster down` ends it; another `--name` makes a second one beside it"),
            Self::Left(_) => Some("`plimsoll gc` tries again"),
            _ => None,
        }
    }
}
