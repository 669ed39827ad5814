//! The files of the repository.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// A text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the root, with slashes.
    pub(crate) path: String,
    /// All of it; empty if it is not UTF-8.
    pub(crate) text: String,
}

/// Every file and folder, but for what is built and what git keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// By path.
    pub(crate) files: Vec<File>,
    folders: BTreeSet<String>,
}

/// Folders that hold nothing that somebody wrote.
const FOREIGN: [&str; 3] = ["target", ".git", ".plimsoll"];

impl Tree {
    /// Reads the tree below a folder.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if FOREIGN.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
                self.folders.insert(path);
            } else if kind.is_file() {
                let text = String::from_utf8(fs_err::read(entry.path())?).unwrap_or_default();
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }

    /// A tree that exists only in a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            let mut end = 0;
            while let Some(slash) = path[end..].find('/') {
                end += slash;
                tree.folders.insert(path[..end].to_owned());
                end += 1;
            }
            tree.files.push(File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        tree
    }

    /// Whether there is a file or folder of this path.
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path) || self.files.iter().any(|file| file.path == path)
    }

    /// Files whose names end so.
    pub(crate) fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_without_what_is_built() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("sys/src")).unwrap();
        fs_err::create_dir(dir.path().join("target")).unwrap();
        fs_err::write(dir.path().join("sys/src/lib.rs"), "//! x").unwrap();
        fs_err::write(dir.path().join("target/built.rs"), "").unwrap();
        let tree = Tree::read(dir.path()).unwrap();
        assert_eq!(
            tree.ending(".rs").map(|f| f.path.as_str()).collect::<Vec<_>>(),
            ["sys/src/lib.rs"]
        );
        assert!(tree.holds("sys/src") && tree.holds("sys/src/lib.rs") && !tree.holds("target"));
    }
}
