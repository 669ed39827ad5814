//! What a node's agent serves: logs of containers, and commands in them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use bytes::Bytes;
use objects::Status;
use tokio::sync::{mpsc, oneshot};

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// Of the pod.
    pub namespace: String,
    /// Of the pod.
    pub pod: String,
    /// Of the pod.
    pub uid: String,
    /// Of the container within the pod.
    pub container: String,
}

/// Which part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on while the container runs.
    pub follow: bool,
    /// Of the container before the last restart.
    pub previous: bool,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only so many lines at the end.
    pub tail_lines: Option<u64>,
    /// Nothing from before.
    pub since: Option<SystemTime>,
    /// No more bytes than that.
    pub limit_bytes: Option<u64>,
}

/// Which streams of a command are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Io {
    /// It reads what is sent.
    pub stdin: bool,
    /// What it writes is sent.
    pub stdout: bool,
    /// The same; not with a terminal, which has one stream only.
    pub stderr: bool,
    /// It has a terminal.
    pub tty: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// It could not be run, or was lost.
    Error(String),
}

/// A command that runs. Dropping it hangs up.
#[derive(Debug)]
pub struct Session {
    /// What it reads, where it reads; dropping it is the end of file.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// What it writes.
    pub stdout: mpsc::Receiver<Bytes>,
    /// What it complains.
    pub stderr: mpsc::Receiver<Bytes>,
    /// Columns and rows of its terminal.
    pub resize: mpsc::Sender<(u16, u16)>,
    /// Comes when it has ended.
    pub exit: oneshot::Receiver<Exit>,
}

/// A node's agent. The calls return at once; what takes time happens behind the channels.
pub trait Streams: Send + Sync {
    /// The log of a container.
    ///
    /// # Errors
    /// `NotFound` or `BadRequest` where there is none.
    fn logs(&self, container: &ContainerRef, options: &LogOptions) -> Result<mpsc::Receiver<Bytes>, Status>;

    /// Runs a command beside the container's own.
    ///
    /// # Errors
    /// `NotFound` or `BadRequest` where the container does not run.
    fn exec(&self, container: &ContainerRef, command: &[String], io: Io) -> Result<Session, Status>;

    /// Connects to the container's own command.
    ///
    /// # Errors
    /// `NotFound` or `BadRequest` where the container does not run.
    fn attach(&self, container: &ContainerRef, io: Io) -> Result<Session, Status>;
}

/// The agents, by the name of their node.
#[derive(Default)]
pub struct StreamRegistry(RwLock<HashMap<String, Arc<dyn Streams>>>);

impl StreamRegistry {
    /// From now on this agent serves the node, in place of any other.
    pub fn register(&self, node: &str, streams: Arc<dyn Streams>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(node.to_owned(), streams);
    }

    /// Nobody serves the node any more.
    pub fn unregister(&self, node: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(node);
    }

    /// Who serves the node.
    pub fn of(&self, node: &str) -> Option<Arc<dyn Streams>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(node).cloned()
    }
}
