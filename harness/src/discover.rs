//! Finding and reading spec files: by name, or all of a folder in sorted order.

use std::{
    io,
    num::NonZero,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::plan::SpecFile;

/// Name of folders whose specs are meant to be refused; they are read only when they are named.
const BAD: &str = "bad";

/// Files for which a thread pays.
const WORTH_A_THREAD: usize = 32;

/// Why specs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// A path that was named is not there, or cannot be looked at.
    #[error("failed to find `{path}`", path = path.display())]
    Find {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder could not be listed.
    #[error("failed to list folder `{path}`", path = path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("failed to read spec `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder that was named holds no spec.
    #[error("no spec (`*.yaml` or `*.yml`) below `{path}`", path = path.display())]
    NoSpecs {
        /// The folder.
        path: PathBuf,
    },
}

impl DiscoverError {
    /// The exit code it leads to: 4 if there is nothing to run, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSpecs { .. } => 4,
            Self::Find { .. } | Self::List { .. } | Self::Read { .. } => 2,
        }
    }
}

/// Reads the specs at paths: files as they are named, folders with all below them but folders called `bad`. A file that
/// is found twice is read once. Faults of a file, text that is not UTF-8 among them, are in [`SpecFile::loaded`].
///
/// # Errors
/// The first path that is missing, unreadable, or a folder without specs.
pub fn discover(paths: &[PathBuf]) -> Result<Vec<SpecFile>, DiscoverError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        let find = |source| DiscoverError::Find {
            path: path.clone(),
            source,
        };
        let before = files.len();
        if fs_err::metadata(path).map_err(find)?.is_dir() {
            walk(path, &mut files)?;
            if files.len() == before {
                return Err(DiscoverError::NoSpecs { path: path.clone() });
            }
        } else {
            files.push(path.clone());
        }
    }
    if paths.len() > 1 {
        let mut seen = std::collections::HashSet::new();
        files.retain(|path| seen.insert(fs_err::canonicalize(path).unwrap_or_else(|_| path.clone())));
    }
    in_parallel(&files, |path| read(path)).into_iter().collect()
}

/// Does the same with each item on all CPUs; the results come in the order of the items.
pub(crate) fn in_parallel<I: Sync, O: Send>(items: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let share = items.len().div_ceil(workers);
    if workers == 1 || share < WORTH_A_THREAD {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<_>>()))
            .collect();
        let mut results = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DiscoverError> {
    let list = |source| DiscoverError::List {
        path: folder.to_owned(),
        source,
    };
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(list)? {
        let entry = entry.map_err(list)?;
        entries.push((entry.path(), entry.file_type().map_err(list)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            if name != BAD {
                walk(&path, files)?;
            }
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<SpecFile, DiscoverError> {
    let bytes = fs_err::read(path).map_err(|source| DiscoverError::Read {
        path: path.to_owned(),
        source,
    })?;
    let sha256 = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = path.display().to_string();
    let (text, loaded) = match String::from_utf8(bytes) {
        Ok(text) => {
            let loaded = spec::load(&text, &name);
            (text, loaded)
        }
        Err(error) => {
            let loaded = spec::Loaded {
                faults: spec::not_utf8(error.as_bytes(), &name).into_iter().collect(),
                ..spec::Loaded::default()
            };
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), loaded)
        }
    };
    Ok(SpecFile {
        path: name,
        text,
        sha256,
        loaded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yaml", "b: 1".as_bytes()),
            ("a/z.yml", b"z: 1"),
            ("a/not-utf8.yaml", b"name: \xff"),
            ("a/readme.md", b"no spec"),
            (".git/x.yaml", b"x: 1"),
            ("bad/wrong.yaml", b"x: 1"),
        ] {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        fs_err::create_dir(folder.path().join("empty")).unwrap();
        folder
    }

    fn names(folder: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
        let found = discover(&paths).unwrap().into_iter();
        found
            .map(|file| {
                let path = Path::new(&file.path).strip_prefix(folder).unwrap();
                path.display().to_string()
            })
            .collect()
    }

    #[test]
    fn folders_are_walked_in_order_without_bad_and_hidden_ones() {
        let folder = folder();
        assert_eq!(names(folder.path(), &[""]), ["a/not-utf8.yaml", "a/z.yml", "b.yaml"]);
        assert_eq!(names(folder.path(), &["bad"]), ["bad/wrong.yaml"]);
        assert_eq!(
            names(folder.path(), &["b.yaml", "", "a/z.yml"]),
            ["b.yaml", "a/not-utf8.yaml", "a/z.yml"]
        );
    }

    #[test]
    fn a_missing_path_and_an_empty_folder_have_their_exit_codes() {
        let folder = folder();
        let missing = discover(&[folder.path().join("none.yaml")]).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
        let empty = discover(&[folder.path().join("empty")]).unwrap_err();
        assert_eq!(empty.exit_code(), 4);
        assert!(empty.to_string().starts_with("no spec"), "{empty}");
    }

    #[test]
    fn text_that_is_not_utf8_is_a_fault_of_the_file() {
        let folder = folder();
        let found = discover(&[folder.path().join("a/not-utf8.yaml")]).unwrap();
        assert!(
            found[0].loaded.faults[0]
                .to_string()
                .ends_with(":1:7: byte 0xff is not UTF-8")
        );
        assert_eq!(found[0].sha256.len(), 64);
    }
}
