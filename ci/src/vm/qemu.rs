//! The machine on QEMU's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::accelerator::Accelerator;

/// Files that a machine reads and writes.
#[derive(Debug)]
pub(super) struct Machine {
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// Its first root.
    pub(super) initramfs: PathBuf,
    /// Its second root.
    pub(super) disk: PathBuf,
    /// What the kernel and the stages print.
    pub(super) console: PathBuf,
    /// The record of the run.
    pub(super) record: PathBuf,
    /// The exit code of the run.
    pub(super) status: PathBuf,
}

/// The machine `microvm` hangs while it calibrates its clock under load; `q35` does not.
const FIXED: &str = "-machine q35 -smp 2 -m 1536 -no-user-config -nodefaults -display none -no-reboot \
    -device virtio-blk-pci,drive=root -device virtio-rng-pci -device virtio-serial-pci \
    -chardev stdio,id=report,signal=off -device virtserialport,chardev=report,name=plimsoll.report \
    -device virtserialport,chardev=record,name=plimsoll.record \
    -device virtserialport,chardev=status,name=plimsoll.status";

impl Machine {
    /// QEMU's arguments; the report of the run goes to its standard output.
    pub(super) fn arguments(&self, accelerator: Accelerator) -> Vec<OsString> {
        let with = |before: &str, path: &Path| {
            // QEMU ends an option at a comma, unless there are two.
            OsString::from(format!("{before}{}", path.display().to_string().replace(',', ",,")))
        };
        let mut arguments: Vec<OsString> = accelerator.arguments().map(OsString::from).into();
        arguments.extend([
            "-drive".into(),
            with("if=none,id=root,format=raw,cache=unsafe,file=", &self.disk),
            "-chardev".into(),
            with("file,id=record,path=", &self.record),
            "-chardev".into(),
            with("file,id=status,path=", &self.status),
            "-chardev".into(),
            with("file,id=console,path=", &self.console),
            "-serial".into(),
            "chardev:console".into(),
            "-kernel".into(),
            self.kernel.clone().into(),
            "-initrd".into(),
            self.initramfs.clone().into(),
            "-append".into(),
            "console=ttyS0 quiet panic=-1 cgroup_no_v1=all".into(),
        ]);
        arguments.extend(FIXED.split_whitespace().map(OsString::from));
        arguments
    }
}

/// What the second stage wrote: `exit 0`.
pub(super) fn exit_code(said: &str) -> Option<u8> {
    said.trim().strip_prefix("exit ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_what_the_guest_said_and_nothing_else() {
        assert_eq!(exit_code("exit 0\n"), Some(0));
        assert_eq!(exit_code("exit 137"), Some(137));
        for said in ["", "exit", "exit 256", "0"] {
            assert_eq!(exit_code(said), None, "{said}");
        }
    }
}
