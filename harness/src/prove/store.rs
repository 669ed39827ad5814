//! What was proven before, kept with what it depends on, so that it is not run again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fold::Seen;
use crate::host;
use crate::plan::Case;
use crate::subject::Subject;

/// A directory with one file for each case: what it and its faulted siblings came to.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Hash of what all cases of a subject depend on: plimsoll, the subject, the host.
    base: BTreeMap<String, String>,
}

/// What one case came to, and on what that depends.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    key: String,
    seen: Seen,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program whose hash is part of every key.
    #[error("failed to read `{path}` for its hash", path = path.display())]
    Program {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A file of the store.
    #[error("failed to write the proof `{path}`", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

impl Store {
    /// Opens the store below `state`. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Program`] if this program or a subject cannot be read.
    pub fn open(state: &Path, own: &Path, subjects: &[Subject]) -> Result<Self, Error> {
        let plimsoll = of_file(own)?;
        let host = serde_json::to_string(&host::fingerprint()).unwrap_or_default();
        let mut base = BTreeMap::new();
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        for subject in subjects {
            // The name, too: the bundled cluster has several, and one command line.
            let mut parts = vec![plimsoll.clone(), host.clone(), subject.name.clone()];
            for word in &subject.argv {
                // Every file that the command line names: a wrapper and what it wraps.
                if Path::new(word).is_file() && Path::new(word) != own {
                    let hash = match known.get(word.as_str()) {
                        Some(hash) => hash.clone(),
                        None => of_file(Path::new(word))?,
                    };
                    known.insert(word, hash.clone());
                    parts.push(hash);
                }
                parts.push(word.clone());
            }
            base.insert(subject.name.clone(), of_text(&parts.join("\n")));
        }
        base.insert(crate::plan::HOST.to_owned(), of_text(&format!("{plimsoll}\n{host}")));
        Ok(Self {
            dir: state.join("proofs"),
            base,
        })
    }

    /// Whether nothing was ever kept below `state`.
    pub fn is_empty(state: &Path) -> bool {
        !state.join("proofs").is_dir()
    }

    /// What is stored of cases and still holds, by their ids.
    pub fn find(&self, cases: &[Case]) -> BTreeMap<String, Seen> {
        let mut files: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for case in cases {
            let healthy = case.header.healthy();
            let rows = files.entry(healthy).or_insert_with_key(|id| self.read(id));
            if let Some(row) = rows.get(&case.header.id)
                && row.key == self.key(case)
            {
                found.insert(case.header.id.clone(), row.seen.clone());
            }
        }
        found
    }

    /// Keeps what cases came to. What was stored of their siblings stays; what could not be measured or decided is not
    /// kept, so that it is looked at again.
    ///
    /// # Errors
    /// [`Error::Write`] for the first file that cannot be written.
    pub fn keep(&self, cases: &[Case], seen: &BTreeMap<String, Seen>) -> Result<(), Error> {
        let mut files: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
        for case in cases {
            let Some(seen) = seen.get(&case.header.id).filter(|seen| decided(case, seen)) else {
                continue;
            };
            let rows = files
                .entry(case.header.healthy())
                .or_insert_with_key(|id| self.read(id));
            let row = Row {
                key: self.key(case),
                seen: seen.clone(),
            };
            rows.insert(case.header.id.clone(), row);
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        if !files.is_empty() {
            std::fs::create_dir_all(&self.dir).map_err(failed(&self.dir))?;
        }
        for (id, rows) in files {
            let path = self.path(&id);
            let text = serde_json::to_vec(&rows).unwrap_or_default();
            // Renamed into place: a reader sees the old file or the new one.
            let unborn = path.with_extension(format!("{}.new", std::process::id()));
            std::fs::write(&unborn, text).map_err(failed(&unborn))?;
            std::fs::rename(&unborn, &path).map_err(failed(&path))?;
        }
        Ok(())
    }

    fn path(&self, healthy: &str) -> PathBuf {
        self.dir.join(format!("{}.json", &of_text(healthy)[..24]))
    }

    /// A file that is not there or that nobody can read holds nothing.
    fn read(&self, healthy: &str) -> BTreeMap<String, Row> {
        std::fs::read(self.path(healthy))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// What the outcome of a case depends on.
    fn key(&self, case: &Case) -> String {
        let base = self.base.get(&case.header.subject).map_or("", String::as_str);
        let spec = serde_json::to_string(&case.spec).unwrap_or_default();
        let known = serde_json::to_string(&case.known).unwrap_or_default();
        let measured = serde_json::to_string(&case.measured).unwrap_or_default();
        let fault = case.header.fault.as_deref().unwrap_or_default();
        of_text(&format!(
            "{base}\n{}\n{fault}\n{known}\n{spec}\n{measured}",
            case.header.id
        ))
    }
}

/// Whether every check of the case came to pass, fail or skip; without a fault, to pass or skip.
fn decided(case: &Case, seen: &Seen) -> bool {
    let broken = case.header.broken_on_purpose();
    seen.checks.values().all(|said| match said.verdict.as_str() {
        "pass" | "skip" => true,
        "fail" => broken,
        // Nothing to look at is what a payload that does nothing leaves, each time.
        "error" => broken && said.absent,
        _ => false,
    })
}

fn of_file(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Program {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(failed)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
