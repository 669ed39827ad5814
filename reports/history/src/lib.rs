//! The past of every check and of every benchmark on this machine: an embedded SQLite database, `.plimsoll/history.db`.
//!
//! It is a convenience and never an authority: verdicts are made without it, and whoever cannot open it says so and goes
//! on. The clock is not read here; times are those of the records.

mod course;
mod drift;
pub mod foreign;
mod past;
mod schema;
mod shift;
mod store;
pub mod table;

use std::{path::PathBuf, time::Duration};

use record::Host;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

pub use course::{Course, MetricName, Point, foremost};
pub use drift::{Machine, SpecChecks};
pub use past::{CheckName, Entry, Overview, Past, Rate, Series, overview};
pub use shift::{Shift, fewest};
pub use store::{KEPT_RUNS, KEPT_VERDICTS, Stored, variant};

/// How long one run waits for another that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("failed to open the history `{path}`", path = path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// Cause.
        source: rusqlite::Error,
    },
    /// It was written by a newer plimsoll.
    #[error("the history `{path}` has version {found}, this plimsoll knows up to {known}", path = path.display(), known = schema::VERSION)]
    Newer {
        /// Its path.
        path: PathBuf,
        /// Version found.
        found: i64,
    },
    /// Its tables cannot be made.
    #[error("failed to bring the history to version {}", schema::VERSION)]
    Migrate(#[source] rusqlite::Error),
    /// A run cannot be stored.
    #[error("failed to write a run into the history")]
    Write(#[source] rusqlite::Error),
    /// It cannot be read.
    #[error("failed to read the history")]
    Read(#[source] rusqlite::Error),
    /// What is to be stored is no record of a run.
    #[error("the record does not begin with a `run` event")]
    NotARun,
}

/// An open history.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

impl History {
    /// Opens the database, makes it if it is not there, and brings it to this version.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Newer`] and [`Error::Migrate`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let open = |source| Error::Open {
            path: path.clone(),
            source,
        };
        let connection = Connection::open(&path).map_err(open)?;
        connection.busy_timeout(PATIENCE).map_err(open)?;
        let found = schema::version(&connection).map_err(open)?;
        if found > schema::VERSION {
            return Err(Error::Newer { path, found });
        }
        // Readers do not wait for a writer. Where the file system cannot do it, the journal stays what it is.
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(open)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(open)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
        let mut history = Self { connection };
        schema::migrate(&mut history.connection).map_err(Error::Migrate)?;
        Ok(history)
    }
}

/// What a history calls a host: a hash of everything that a run writes down about it.
///
/// Amounts of memory are left out: they change from one boot to the next.
pub fn fingerprint(host: &Host) -> String {
    hash(&[
        &host.kernel,
        &host.machine,
        &host.cpu,
        &host.cpus.to_string(),
        &host.cgroup,
        &host.uid.to_string(),
    ])
}

fn hash(words: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update(word.as_bytes());
        hasher.update([0]);
    }
    hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_refused_with_a_sentence_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        drop(History::open(&path).unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 99).unwrap();
        drop(raw);
        let error = History::open(&path).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error:?}");
        assert!(error.to_string().contains("has version 99"), "{error}");
    }

    #[test]
    fn what_is_no_database_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        std::fs::write(&path, "not a database, and long enough to be one: ".repeat(50)).unwrap();
        assert!(History::open(&path).is_err());
        assert!(History::open(dir.path().join("nowhere/history.db")).is_err());
    }

    #[test]
    fn a_file_without_tables_is_brought_to_this_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        drop(Connection::open(&path).unwrap());
        let history = History::open(&path).unwrap();
        assert_eq!(schema::version(&history.connection).unwrap(), schema::VERSION);
    }

    #[test]
    fn hosts_are_told_apart_by_kernel_and_not_by_memory() {
        let host = Host {
            kernel: "6.1".into(),
            ..Host::default()
        };
        let more = Host {
            memory: 1,
            ..host.clone()
        };
        let other = Host {
            kernel: "6.2".into(),
            ..host.clone()
        };
        assert_eq!(fingerprint(&host), fingerprint(&more));
        assert_ne!(fingerprint(&host), fingerprint(&other));
        assert_eq!(fingerprint(&host).len(), 16);
    }
}
