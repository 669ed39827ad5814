//! What is there before there is a disk.

use std::io;
use std::path::Path;

use super::cpio::Archive;
use super::modules::Module;

/// The first stage, and the modules in the order in which it loads them.
pub(super) fn make(stage1: &Path, modules: &[Module]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "root", "modules"] {
        archive.folder(folder);
    }
    archive.file("init", &fs_err::read(stage1)?);
    for (number, module) in modules.iter().enumerate() {
        archive.file(&format!("modules/{number:03}-{}.ko", module.name), &module.elf);
    }
    Ok(archive.finish())
}
