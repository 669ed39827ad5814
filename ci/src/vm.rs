//! The specs in a virtual machine whose kernel has cgroup v2 only: Debian's cloud kernel under QEMU.
//!
//! A first stage in an initramfs loads modules and moves to an ext4 root, because `pivot_root` fails on an initramfs;
//! a second stage there mounts what a host has mounted and runs plimsoll. Nothing of the host's file systems is shared:
//! what the guest has to say comes through virtio-serial ports, the exit code too.

mod accelerator;
mod cpio;
mod disk;
mod initramfs;
mod kernel;
mod modules;
mod qemu;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::command::{self, CommandError};
use crate::executable::{self, Profile};

use accelerator::Accelerator;

/// What control groups carry, and of the cluster what another kernel might not: where every instruction is emulated, all of
/// that takes longer than the rest of the pipeline. `-- specs` runs everything.
const CATALOGUE: [&str; 19] = [
    "specs/cgroup",
    "specs/host",
    "specs/isolation",
    "specs/lifecycle",
    "specs/security",
    "specs/pod/agent-restart-adopts-its-pods.yaml",
    "specs/pod/containers-share-network-and-name.yaml",
    "specs/pod/empty-dir-is-shared-and-limited.yaml",
    "specs/pod/oom-score-follows-the-class.yaml",
    "specs/pod/out-of-memory-hits-the-right-container.yaml",
    "specs/pod/qos-classes.yaml",
    "specs/pod/security-context.yaml",
    "specs/pod/shared-process-namespace.yaml",
    "specs/pod/termination-is-heard-then-forced.yaml",
    "specs/network/dns-on-every-node.yaml",
    "specs/policy/default-deny-of-ingress.yaml",
    "specs/service/affinity-keeps-the-backend.yaml",
    "specs/service/node-port-from-outside.yaml",
    "specs/service/no-endpoints-is-refused.yaml",
];

/// What limits and isolates: for an ordinary user.
const LIMITS: [&str; 2] = ["specs/cgroup", "specs/isolation"];

/// What to run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A machine that cannot be had is an error, not a skip.
    #[arg(long)]
    require: bool,
    /// Software that emulates the processor, or the processor itself. Timings of the first mean nothing.
    #[arg(long, value_enum, default_value_t)]
    accel: Accelerator,
    /// Seconds until the machine is switched off.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u32,
    /// A folder with `plimsoll`, `stage1` and `stage2`, instead of building them.
    #[arg(long, value_name = "FOLDER")]
    built: Option<PathBuf>,
    /// Who runs it.
    #[arg(long = "as", value_enum, default_value_t)]
    user: User,
    /// Words for `plimsoll run`; without any, the catalogue but for most of the cluster as root, and
    /// what limits and isolates as an ordinary user.
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Who runs the specs in the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum User {
    /// Both, one after the other.
    #[default]
    Both,
    /// Root.
    Root,
    /// A user to whom a subtree of the control groups is delegated.
    Ordinary,
}

/// Why the machine gave no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something of it cannot be had here.
    #[error("{0}")]
    Unavailable(String),
    /// No executable.
    #[error("failed to build what runs in the machine")]
    Build(#[from] executable::Error),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Files of the machine.
    #[error("failed to make the machine")]
    Make(#[source] std::io::Error),
    /// A module of the kernel.
    #[error(transparent)]
    Module(#[from] modules::Error),
    /// Where cargo builds.
    #[error("failed to ask cargo where it builds")]
    Metadata(#[from] cargo_metadata::Error),
    /// It ran longer than it may.
    #[error("the machine was switched off after {0} seconds; its console is in `{1}`")]
    Timeout(u32, PathBuf),
    /// It ended without an exit code.
    #[error("the machine ended without a verdict; its console is in `{0}`")]
    NoVerdict(PathBuf),
}

/// Ends with the exit code of the run in the machine; 0 with a printed reason where there can be no machine.
pub(crate) fn stage(workspace: &Path, options: &Options) -> Result<ExitCode, Error> {
    match judge(workspace, options) {
        Err(Error::Unavailable(reason)) if !options.require => {
            println!("skip: {reason}, so the specs were not judged on cgroup v2");
            Ok(ExitCode::SUCCESS)
        }
        judged => judged.map(ExitCode::from),
    }
}

fn judge(workspace: &Path, options: &Options) -> Result<u8, Error> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Unavailable("the machine is made for x86_64".into()));
    }
    let tool = |name: &str, package: &str| {
        let missing = || Error::Unavailable(format!("`{name}` of the package {package} is not installed"));
        command::find(name).ok_or_else(missing)
    };
    let qemu = tool("qemu-system-x86_64", "qemu-system-x86")?;
    let mke2fs = tool("mke2fs", "e2fsprogs")?;

    let target = cargo_metadata::MetadataCommand::new()
        .current_dir(workspace)
        .no_deps()
        .exec()?
        .target_directory;
    let folder = target.as_std_path().join("vm");
    fs_err::create_dir_all(&folder).map_err(Error::Make)?;
    let kernel = kernel::get(&folder)?;
    let built = |name: &str| match &options.built {
        Some(folder) => Ok(folder.join(name)),
        None => executable::build(workspace, Profile::Dev, None, name),
    };
    let plimsoll = built("plimsoll")?;
    let stage1 = built("stage1")?;
    let stage2 = built("stage2")?;

    let machine = qemu::Machine {
        kernel: kernel.image.clone(),
        initramfs: folder.join("initramfs.cpio"),
        disk: folder.join("root.ext4"),
        console: folder.join("console.log"),
        record: folder.join("run.jsonl"),
        status: folder.join("status"),
    };
    let modules = modules::closure(&kernel.modules, &modules::WANTED)?;
    fs_err::write(
        &machine.initramfs,
        initramfs::make(&stage1, &modules).map_err(Error::Make)?,
    )
    .map_err(Error::Make)?;
    let given = |default: &[&str]| {
        let default = default.iter().map(|word| (*word).to_owned());
        let words = match options.arguments.is_empty() {
            true => default.collect(),
            false => options.arguments.clone(),
        };
        let patience = options.accel.patience().map(|times| format!("--patience={times}"));
        patience.into_iter().chain(words).collect()
    };
    let arguments = [
        (options.user != User::Ordinary).then(|| given(&CATALOGUE)),
        (options.user != User::Root).then(|| given(&LIMITS)),
    ];
    let contents = disk::Contents {
        plimsoll: &plimsoll,
        stage2: &stage2,
        specs: &workspace.join("specs"),
        arguments,
    };
    let root = folder.join("root");
    contents.lay_out(&root).map_err(Error::Make)?;
    command::output(&mut disk::format(&mke2fs, &root, &machine.disk))?;

    println!("vm: {}, {} modules, {}", kernel.version, modules.len(), options.accel);
    for file in [&machine.console, &machine.record, &machine.status] {
        fs_err::write(file, "").map_err(Error::Make)?;
    }
    // The outer bound holds even if this program is killed.
    let mut bounded = Command::new("timeout");
    bounded
        .args(["--foreground", "--kill-after=5", &options.timeout.to_string()])
        .arg(qemu);
    // A port of the machine is open as long as its other end is.
    bounded.args(machine.arguments(options.accel)).stdin(Stdio::piped());
    let code = command::exit_code(&mut bounded)?;
    if code == 124 {
        return Err(Error::Timeout(options.timeout, machine.console));
    }
    let said = fs_err::read_to_string(&machine.status).map_err(Error::Make)?;
    let verdict = qemu::exit_code(&said).ok_or_else(|| Error::NoVerdict(machine.console.clone()))?;
    println!(
        "vm: the run ended with {verdict}; its record is {}",
        machine.record.display()
    );
    Ok(verdict)
}
