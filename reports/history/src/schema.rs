//! The tables and their versions.

use rusqlite::{Connection, TransactionBehavior};

/// One for each version: what brings a file from the version before to it.
const MIGRATIONS: [&str; 2] = [FIRST, FIGURES];

/// The version that this crate writes and the newest that it reads.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

const FIRST: &str = "
-- `fingerprint` is of everything that is known of the host, `place` of what a new kernel does not change.
CREATE TABLE host (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    facts TEXT NOT NULL
) STRICT;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    started TEXT NOT NULL,
    plimsoll TEXT NOT NULL,
    host INTEGER NOT NULL REFERENCES host,
    exit INTEGER,
    took REAL,
    UNIQUE (name, started, host)
) STRICT;
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (name, version)
) STRICT;
-- A spec file as it once was. `checks` is a JSON list of [test, check].
CREATE TABLE spec (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    checks TEXT NOT NULL
) STRICT;
CREATE TABLE run_spec (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    file TEXT NOT NULL,
    spec INTEGER NOT NULL REFERENCES spec,
    PRIMARY KEY (run, file)
) STRICT, WITHOUT ROWID;
-- `variant` is what stands in brackets in the id of a case; empty without a matrix.
CREATE TABLE checked (
    id INTEGER PRIMARY KEY,
    test TEXT NOT NULL,
    variant TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (test, variant, name)
) STRICT;
CREATE TABLE verdict (
    checked INTEGER NOT NULL REFERENCES checked,
    subject INTEGER NOT NULL REFERENCES subject,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    spec INTEGER REFERENCES spec,
    word TEXT NOT NULL,
    failed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    seen TEXT NOT NULL,
    took REAL,
    PRIMARY KEY (checked, subject, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_of_run ON verdict (run);
";

const FIGURES: &str = "
-- What measured it: `plimsoll`, or the tool whose results were imported.
ALTER TABLE run ADD COLUMN origin TEXT NOT NULL DEFAULT 'plimsoll';
-- `variant` is as in `checked`; `figure` is `p50`, `mean` and the like.
CREATE TABLE metric (
    id INTEGER PRIMARY KEY,
    bench TEXT NOT NULL,
    variant TEXT NOT NULL,
    measure TEXT NOT NULL,
    figure TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (bench, variant, measure, figure, unit)
) STRICT;
-- What a run measured. No `value` is one that falls on a sample that failed, no `low` or `high` an open end.
CREATE TABLE figure (
    metric INTEGER NOT NULL REFERENCES metric,
    subject INTEGER NOT NULL REFERENCES subject,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    spec INTEGER REFERENCES spec,
    value REAL,
    low REAL,
    high REAL,
    samples INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    PRIMARY KEY (metric, subject, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX figure_of_run ON figure (run);
";

pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    // Another run may be at it: whoever comes second finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = usize::try_from(version(&transaction)?).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
