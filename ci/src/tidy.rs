//! Rules of the repository that the compiler does not know. Each is a pure function from files to faults.

mod bans;
mod catalogue;
mod code;
mod names;
mod packages;
mod paths;
mod ranks;
mod safety;
mod tree;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use cargo_metadata::MetadataCommand;

pub(crate) use tree::{File, Tree};

/// Why the rules could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The files could not be read.
    #[error("failed to read the repository")]
    Read(#[source] std::io::Error),
    /// The packages could not be listed.
    #[error("failed to ask cargo for the packages")]
    Metadata(#[source] cargo_metadata::Error),
}

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// Where: a path and often a line.
    place: String,
    /// What is wrong, and what would be right.
    complaint: String,
}

impl Fault {
    fn new(place: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            complaint: complaint.into(),
        }
    }

    /// In a line of a file, counted from 1.
    fn at(file: &File, line: usize, complaint: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", file.path), complaint)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.complaint)
    }
}

/// All rules on the working tree; 1 if one is broken.
pub(crate) fn stage(workspace: &Path) -> Result<ExitCode, Error> {
    let tree = Tree::read(workspace).map_err(Error::Read)?;
    let manifest = workspace.join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .map_err(Error::Metadata)?;

    let rules = [
        ("crate ranks", ranks::faults(&ranks::arrows(&metadata))),
        ("packages", packages::faults(&metadata, &tree)),
        ("file names", names::faults(&tree)),
        ("paths in documents", paths::faults(&tree)),
        ("unsafe code", safety::faults(&tree)),
        ("banned code", bans::faults(&tree)),
        ("catalogue", catalogue::faults(&tree)),
    ];
    let mut broken = 0;
    for (rule, mut faults) in rules {
        faults.sort();
        faults.dedup();
        for fault in &faults {
            println!("{fault} [{rule}]");
        }
        broken += faults.len();
    }
    println!("tidy: {} files, {broken} faults", tree.files.len());
    Ok(if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
