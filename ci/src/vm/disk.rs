//! The root file system: what plimsoll needs, and nothing of a distribution.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What goes onto the disk.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    /// The program that judges.
    pub(super) plimsoll: &'a Path,
    /// What runs it.
    pub(super) stage2: &'a Path,
    /// The catalogue.
    pub(super) specs: &'a Path,
    /// Words for `plimsoll run` as root, and as an ordinary user; none where that pass is left out.
    pub(super) arguments: [Option<Vec<String>>; 2],
}

const FOLDERS: [&str; 13] = [
    "dev", "etc", "home", "mnt", "proc", "repo", "root", "run", "sbin", "sys", "tmp", "usr/bin", "var/tmp",
];

/// Files that programs expect.
const FILES: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/hostname", "plimsoll-vm\n"),
];

impl Contents<'_> {
    /// Makes the tree anew.
    pub(super) fn lay_out(&self, root: &Path) -> io::Result<()> {
        if root.exists() {
            fs_err::remove_dir_all(root)?;
        }
        for folder in FOLDERS {
            fs_err::create_dir_all(root.join(folder))?;
        }
        symlink("usr/bin", root.join("bin"))?;
        for (path, text) in FILES {
            fs_err::write(root.join(path), text)?;
        }
        fs_err::copy(self.plimsoll, root.join("usr/bin/plimsoll"))?;
        fs_err::copy(self.stage2, root.join("sbin/stage2"))?;
        // For a look around by hand.
        let busybox = Path::new("/bin/busybox");
        if busybox.is_file() {
            fs_err::copy(busybox, root.join("usr/bin/busybox"))?;
            symlink("busybox", root.join("usr/bin/sh"))?;
        }
        copy(self.specs, &root.join("repo/specs"))?;
        for (file, words) in ["etc/plimsoll-arguments", "etc/plimsoll-arguments-ordinary"]
            .iter()
            .zip(&self.arguments)
        {
            if let Some(words) = words {
                fs_err::write(root.join(file), words.join("\n"))?;
            }
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `mke2fs -d`: an ext4 image of a folder, without a mount and without privilege.
pub(super) fn format(mke2fs: &Path, root: &Path, disk: &Path) -> Command {
    let mut command = Command::new(mke2fs);
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-E",
        "root_owner=0:0,lazy_itable_init=1",
        "-d",
    ]);
    command.arg(root).arg(disk).arg("1G");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_holds_the_programs_the_catalogue_and_the_words() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs_err::write(&program, "x").unwrap();
        fs_err::create_dir_all(dir.path().join("specs/a")).unwrap();
        fs_err::write(dir.path().join("specs/a/b.yaml"), "y").unwrap();
        let arguments = vec!["specs/a".to_owned(), "--jobs=1".to_owned()];
        let contents = Contents {
            plimsoll: &program,
            stage2: &program,
            specs: &dir.path().join("specs"),
            arguments: [Some(arguments), None],
        };
        let root = dir.path().join("root");
        contents.lay_out(&root).unwrap();
        contents.lay_out(&root).unwrap();
        assert_eq!(fs_err::read_to_string(root.join("repo/specs/a/b.yaml")).unwrap(), "y");
        assert_eq!(
            fs_err::read_to_string(root.join("etc/plimsoll-arguments")).unwrap(),
            "specs/a\n--jobs=1"
        );
        assert!(!root.join("etc/plimsoll-arguments-ordinary").exists());
        assert!(root.join("sbin/stage2").is_file() && root.join("bin/plimsoll").is_file());
    }
}
