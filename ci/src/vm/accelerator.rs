//! What executes the guest's instructions.

use std::fmt;

/// Software, or the processor.
///
/// Software is the default, also where `/dev/kvm` exists: on nested hosts without hardware support KVM interprets each
/// instruction and is the slower of the two, and does not get this kernel to user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Accelerator {
    /// QEMU's own translator.
    #[default]
    Tcg,
    /// The processor.
    Kvm,
}

impl Accelerator {
    /// QEMU's words for it. Linux from 6.12 on dies of `cmpxchg16b` under QEMU 7.2's translator, hence without.
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16"],
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
        }
    }

    /// By what bounds of time are multiplied: an instruction takes ten times as long and more, beside another load still longer.
    pub(super) fn patience(self) -> Option<u32> {
        match self {
            Self::Tcg => Some(15),
            Self::Kvm => None,
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcg => "emulated: specs that judge time are skipped",
            Self::Kvm => "on the processor",
        })
    }
}
