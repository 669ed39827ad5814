//! The root file system and bundle directory of a container, inside the guard.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use spec::workload::RootfsKind;

/// Makes `BUNDLE/rootfs`: a fresh upper directory over the image, or a bind mount of a copy of it.
///
/// # Errors
/// A sentence that names what could not be made.
pub(super) fn make(bundle: &Path, from: &Path, kind: RootfsKind, owner: Option<(u32, u32)>) -> Result<PathBuf, String> {
    let root = bundle.join("rootfs");
    let directory = |path: &Path| {
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .map_err(|e| format!("failed to make `{}`: {e}", path.display()))
    };
    directory(bundle)?;
    directory(&root)?;
    match kind {
        RootfsKind::Overlay => {
            let (upper, work) = (bundle.join("upper"), bundle.join("work"));
            directory(&upper)?;
            directory(&work)?;
            if let Some((uid, gid)) = owner {
                std::os::unix::fs::chown(&upper, Some(uid), Some(gid))
                    .map_err(|e| format!("failed to change the owner of `{}`: {e}", upper.display()))?;
            }
            image::rootfs::overlay(from, &upper, &work, &root).map_err(|e| crate::chain(&e))?;
        }
        RootfsKind::Bind => {
            let copy_dir = bundle.join("image");
            copy(from, &copy_dir).map_err(|e| format!("failed to copy the image `{}`: {e}", from.display()))?;
            image::rootfs::bind(&copy_dir, &root).map_err(|e| crate::chain(&e))?;
        }
    }
    Ok(root)
}

/// Copies a tree, so that what a container writes stays its own. Hard links of one file stay one file.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    fn tree(from: &Path, to: &Path, seen: &mut std::collections::HashMap<(u64, u64), PathBuf>) -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        fs::set_permissions(to, fs::metadata(from)?.permissions())?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                tree(&source, &target, seen)?;
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                let data = entry.metadata()?;
                match seen.get(&(data.dev(), data.ino())) {
                    Some(first) if data.nlink() > 1 => fs::hard_link(first, &target)?,
                    _ => {
                        fs::copy(&source, &target)?;
                        seen.insert((data.dev(), data.ino()), target);
                    }
                }
            }
        }
        Ok(())
    }
    tree(from, to, &mut std::collections::HashMap::new())
}
