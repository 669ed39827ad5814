//! Removing what runs and clusters left that were killed before they could.
//!
//! A guard cleans up after itself when the harness is gone, and its namespaces end with its PID 1. What can be left is
//! what lies on disk, in cgroup file systems and in the clusters of others; all of it carries a token.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::guard::cgroup;
use crate::subject::Kube;

/// Why nothing could be collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runs cannot be listed.
    #[error("failed to list `{path}`", path = path.display())]
    List {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The hierarchies cannot be found.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
}

/// What a run or a cluster says of itself in its lock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// What all that it makes is named after.
    pub(crate) token: String,
    /// The clusters of others in which a run makes namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kube: Vec<Kube>,
}

/// What of a run's directory, and of a cluster's, is worth nothing when it has ended.
const TRANSIENT: [(&str, &[&str]); 2] = [
    ("runs", &["images", "lock"]),
    ("clusters", &["kubeconfig", "config.json", "log", "lock"]),
];

/// Collects what ended runs and clusters left below `state` and in the cgroup hierarchies. Answers what was removed. Those
/// that hold their lock are spared.
///
/// # Errors
/// [`Error`].
pub fn collect(state: &Path) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for (folder, transient) in TRANSIENT {
        let folder = state.join(folder);
        if folder.is_dir() {
            removed.extend(collect_in(&folder, transient)?);
        }
    }
    removed.sort();
    Ok(removed)
}

fn collect_in(folder: &Path, transient: &[&str]) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let hierarchies = cgroup::host()?;
    let entries = std::fs::read_dir(folder).map_err(|source| Error::List {
        path: folder.to_owned(),
        source,
    })?;
    for dir in entries.flatten().map(|e| e.path()) {
        let path = dir.join("lock");
        // A run that ended in order has no lock any more.
        let Ok(lock) = File::open(&path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut asked_in_vain = false;
        if let Ok(owner) = serde_json::from_str::<Owner>(&text) {
            for hierarchy in &hierarchies {
                removed.extend(groups_of(&hierarchy.mount, &owner.token));
            }
            for kube in &owner.kube {
                match crate::drive::cluster::remove_of_run(kube, &owner.token) {
                    Ok(gone) => removed.extend(gone),
                    // Without its kubeconfig nobody finds it again.
                    Err(why) => {
                        asked_in_vain |= kube.kubeconfig.exists();
                        removed.push(format!("could not remove namespaces plimsoll-{}-*: {why}", owner.token));
                    }
                }
            }
        }
        if asked_in_vain {
            continue;
        }
        for name in transient {
            let path = dir.join(name);
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            if gone.is_ok() {
                removed.push(path.display().to_string());
            }
        }
        // A run's record stays; of a cluster there is nothing more.
        let _kept = std::fs::remove_dir(&dir);
    }
    Ok(removed)
}

fn groups_of(root: &Path, token: &str) -> Vec<String> {
    let prefix = format!("plimsoll-{token}-");
    let mut removed = Vec::new();
    let mut stack = vec![root.to_path_buf()];
    // An ordinary user's groups lie below a delegated one, a few levels down.
    while let Some(directory) = stack.pop() {
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        for path in entries
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .map(|e| e.path())
        {
            if path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(&prefix))
            {
                removed.push(match cgroup::remove_tree(&path, Duration::from_secs(5)) {
                    None => path.display().to_string(),
                    Some(left) => format!("could not remove {left}"),
                });
            } else {
                stack.push(path);
            }
        }
    }
    removed
}
