//! Objects on disk: a write is acknowledged when it is kept.
//!
//! A process that is killed loses nothing. When the machine itself stops, the last writes may be missing, though never
//! one without those after it: that is SQLite's write-ahead log without a flush for each write.

use std::{
    path::Path as File,
    sync::{Mutex, PoisonError},
};

use objects::{Kind, Reason, Status};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    store::Path,
    stored::Stored,
    token::{SECRET, Secret},
};

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS object (
        grp TEXT NOT NULL, plural TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        revision INTEGER NOT NULL, text BLOB NOT NULL,
        PRIMARY KEY (grp, plural, namespace, name)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL);
";

/// The file.
#[derive(Debug)]
pub(crate) struct Keep(Mutex<Connection>);

/// What was in it.
pub(crate) struct Kept {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<KeptObject>,
    pub(crate) secret: Secret,
}

pub(crate) struct KeptObject {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) path: Path,
    pub(crate) stored: Stored,
}

fn fault(act: &str) -> impl Fn(rusqlite::Error) -> Status {
    move |error| Status::new(Reason::InternalError, format!("failed to {act}: {error}"))
}

impl Keep {
    pub(crate) fn open(file: &File) -> Result<(Self, Kept), Status> {
        let act = format!("open `{}`", file.display());
        let connection = Connection::open(file).map_err(fault(&act))?;
        connection.execute_batch(TABLES).map_err(fault(&act))?;
        let secret = secret(&connection)?;
        let (revision, objects) = read(&connection).map_err(fault(&format!("read `{}`", file.display())))?;
        let kept = Kept {
            revision,
            objects,
            secret,
        };
        Ok((Self(Mutex::new(connection)), kept))
    }

    /// Keeps a change: all of it, or nothing.
    pub(crate) fn write(&self, kind: &Kind, path: &Path, stored: &Stored, gone: bool) -> Result<(), Status> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let act = format!("keep {} \"{}\"", kind.resource(), path.1);
        write(&mut connection, kind, path, stored, gone).map_err(fault(&act))
    }
}

fn write(
    connection: &mut Connection,
    kind: &Kind,
    path: &Path,
    stored: &Stored,
    gone: bool,
) -> Result<(), rusqlite::Error> {
    let revision = stored.revision.to_string();
    let change = connection.transaction()?;
    if gone {
        change
            .prepare_cached("DELETE FROM object WHERE grp = ?1 AND plural = ?2 AND namespace = ?3 AND name = ?4")?
            .execute(params![kind.group, kind.plural, path.0, path.1])?;
    } else {
        change
            .prepare_cached("INSERT OR REPLACE INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                kind.group,
                kind.plural,
                path.0,
                path.1,
                revision,
                &stored.text[..]
            ])?;
    }
    change
        .prepare_cached("INSERT OR REPLACE INTO fact VALUES ('revision', ?1)")?
        .execute([revision.as_bytes()])?;
    change.commit()
}

fn read(connection: &Connection) -> Result<(u64, Vec<KeptObject>), rusqlite::Error> {
    let revision: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM fact WHERE name = 'revision'", [], |row| row.get(0))
        .optional()?;
    let revision = revision
        .and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok())
        .unwrap_or(0);
    let mut all = connection.prepare("SELECT grp, plural, namespace, name, revision, text FROM object")?;
    let objects = all.query_map([], |row| {
        let of: i64 = row.get(4)?;
        Ok(KeptObject {
            group: row.get(0)?,
            plural: row.get(1)?,
            path: (row.get(2)?, row.get(3)?),
            stored: Stored::loaded(u64::try_from(of).unwrap_or(0), row.get(5)?),
        })
    })?;
    Ok((revision, objects.collect::<Result<_, _>>()?))
}

/// What tokens are signed with, so that those that were given before are still good.
fn secret(connection: &Connection) -> Result<Secret, Status> {
    let act = fault("read the secret that tokens are signed with");
    let kept: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM fact WHERE name = 'secret'", [], |row| row.get(0))
        .optional()
        .map_err(&act)?;
    if let Some(bytes) = kept.and_then(|bytes| <[u8; SECRET]>::try_from(bytes).ok()) {
        return Ok(Secret::of(bytes));
    }
    let secret = Secret::new()?;
    connection
        .execute(
            "INSERT OR REPLACE INTO fact VALUES ('secret', ?1)",
            [&secret.bytes()[..]],
        )
        .map_err(&act)?;
    Ok(secret)
}
