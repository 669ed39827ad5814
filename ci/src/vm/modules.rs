//! Modules of a kernel, and the modules that they need.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::{ElfFile64, FileHeader};
use object::{Object as _, ObjectSection as _};

use crate::command::{self, CommandError};

/// What a host of containers has loaded, that Debian's cloud kernel has as modules. Those that a kernel does not have
/// are built in or missing; the specs that need them tell.
pub(super) const WANTED: [&str; 32] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "virtio_rng",
    "ext4",
    "overlay",
    "fuse",
    "tun",
    "veth",
    "bridge",
    "br_netfilter",
    "dummy",
    "nf_tables",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "nft_chain_nat",
    "nft_redir",
    "nft_numgen",
    "nft_reject",
    "nft_reject_ipv4",
    "nft_reject_inet",
    "nft_fib",
    "nft_fib_ipv4",
    "nft_limit",
    "nf_conntrack_netlink",
    "lzo_rle",
    "zram",
    "loop",
    "autofs4",
    "sch_tbf",
    "sch_netem",
];

/// A module to load.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// Its name, with underscores.
    pub(super) name: String,
    /// The file, uncompressed.
    pub(super) elf: Vec<u8>,
}

/// Why modules could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder.
    #[error("failed to read the kernel's modules")]
    Read(#[from] io::Error),
    /// Not what a module is.
    #[error("`{0}` is no module")]
    Elf(PathBuf, #[source] object::Error),
    /// A compressed one.
    #[error("failed to decompress a module")]
    Decompress(#[from] CommandError),
}

/// The modules and all that they depend on, each after those that it needs.
pub(super) fn closure(folder: &Path, wanted: &[&str]) -> Result<Vec<Module>, Error> {
    let mut files = BTreeMap::new();
    index(folder, &mut files)?;
    let mut order = Order {
        files,
        loaded: Vec::new(),
    };
    for name in wanted {
        order.add(name)?;
    }
    Ok(order.loaded)
}

struct Order {
    files: BTreeMap<String, PathBuf>,
    loaded: Vec<Module>,
}

impl Order {
    fn add(&mut self, name: &str) -> Result<(), Error> {
        // Taken out, so that a circle ends.
        let Some(path) = self.files.remove(name) else {
            return Ok(());
        };
        let elf = if path.extension().is_some_and(|extension| extension == "xz") {
            command::output(Command::new("xz").arg("-dc").arg(&path))?
        } else {
            fs_err::read(&path)?
        };
        for needed in needs(&elf).map_err(|error| Error::Elf(path, error))? {
            self.add(&needed)?;
        }
        self.loaded.push(Module {
            name: name.to_owned(),
            elf,
        });
        Ok(())
    }
}

fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            index(&entry.path(), files)?;
        } else if let Some((name, "ko" | "ko.xz")) = entry.file_name().to_string_lossy().split_once('.') {
            files.insert(name.replace('-', "_"), entry.path());
        }
    }
    Ok(())
}

/// What a module says it depends on; Debian's packages have no `modules.dep` before they are installed.
fn needs(elf: &[u8]) -> object::Result<Vec<String>> {
    let file = ElfFile64::<object::LittleEndian>::parse(elf)?;
    debug_assert!(file.elf_header().is_class_64());
    let Some(section) = file.section_by_name(".modinfo") else {
        return Ok(Vec::new());
    };
    Ok(depends(section.data()?))
}

/// The names in the `depends=` of a `.modinfo`, whose entries end with null bytes.
fn depends(modinfo: &[u8]) -> Vec<String> {
    let entries = modinfo.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let lists = entries.filter_map(|entry| entry.strip_prefix("depends=").map(str::to_owned));
    let names = lists.flat_map(|list| list.split(',').map(|name| name.replace('-', "_")).collect::<Vec<_>>());
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_what_a_module_says_of_itself() {
        assert_eq!(
            depends(b"license=GPL\0depends=stp,llc-x\0name=bridge\0"),
            ["stp", "llc_x"]
        );
        assert_eq!(depends(b"depends=\0"), [""; 0]);
    }

    #[test]
    fn what_is_no_module_is_an_error_and_what_is_not_there_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("zram.ko"), "not elf").unwrap();
        assert!(closure(dir.path(), &["ext4"]).unwrap().is_empty());
        assert!(matches!(closure(dir.path(), &["zram"]), Err(Error::Elf(..))));
    }
}
