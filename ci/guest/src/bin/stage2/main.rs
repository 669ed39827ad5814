//! PID 1 of the machine on its disk: makes it the host that plimsoll expects, runs it as root and then as an ordinary user
//! with a subtree of the control groups, tells its exit code, ends.
#![expect(clippy::print_stderr, reason = "standard error is the console of the machine")]

mod ordinary;

use std::io::{self, Write as _};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::{MountFlags, mount};
use rustix::process::{WaitOptions, waitpid};
use rustix::system::{RebootCommand, reboot, sethostname};
use sys::fork::{Forked, exit_now, fork};

/// Mounted in this order, as on any host; the cgroup hierarchy is version 2 alone.
const MOUNTS: [(&str, &str, &str); 7] = [
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("devpts", "/dev/pts", "mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("mqueue", "/dev/mqueue", ""),
    ("tmpfs", "/run", "mode=755"),
    ("tmpfs", "/tmp", "mode=1777"),
    ("securityfs", "/sys/kernel/security", ""),
];

/// Size of the compressed swap in memory, in bytes.
const SWAP: u64 = 256 << 20;
const PAGE: usize = 4096;

fn main() -> ExitCode {
    if let Err(error) = live() {
        eprintln!("stage2: {error}");
    }
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    ExitCode::FAILURE
}

fn live() -> io::Result<()> {
    for (kind, path, options) in MOUNTS {
        fs_err::create_dir_all(path).or_else(|error| if Path::new(path).is_dir() { Ok(()) } else { Err(error) })?;
        let options = std::ffi::CString::new(options)?;
        if let Err(error) = mount(kind, path, kind, MountFlags::empty(), options.as_c_str()) {
            eprintln!("stage2: failed to mount `{kind}` on `{path}`: {error}");
        }
    }
    sethostname(b"plimsoll-vm")?;
    if let Err(error) = swap() {
        eprintln!("stage2: no swap: {error}");
    }
    cgroup()?;
    let mut code = 0;
    if let Some(words) = words("/etc/plimsoll-arguments")? {
        let mut command = plimsoll(&words)?;
        command.current_dir("/repo").env("HOME", "/root");
        code = run(command, None)?;
        if let Err(error) = tell_record() {
            eprintln!("stage2: no record: {error}");
        }
    }
    if let Some(words) = words("/etc/plimsoll-arguments-ordinary")? {
        let second = ordinary::pass(&words)?;
        // The first that went wrong is told.
        code = if code == 0 { second } else { code };
    }
    port("plimsoll.status")?.write_all(format!("exit {code}\n").as_bytes())
}

/// Swap on `zram`: a header of one page (`mkswap(8)`'s, version 1), then `swapon`.
fn swap() -> io::Result<()> {
    fs_err::write("/sys/block/zram0/disksize", SWAP.to_string())?;
    let mut header = [0; PAGE];
    let last_page = u32::try_from(SWAP / PAGE as u64 - 1).map_err(io::Error::other)?;
    header[1024..1028].copy_from_slice(&1u32.to_ne_bytes());
    header[1028..1032].copy_from_slice(&last_page.to_ne_bytes());
    header[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
    let device = Path::new("/dev/zram0");
    fs_err::OpenOptions::new()
        .write(true)
        .open(device)?
        .write_all(&header)?;
    sys::swap::on(device)
}

/// As an init system does: every controller is passed on, and no process stays in the root.
fn cgroup() -> io::Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    for controller in fs_err::read_to_string(root.join("cgroup.controllers"))?.split_whitespace() {
        if let Err(error) = fs_err::write(root.join("cgroup.subtree_control"), format!("+{controller}")) {
            eprintln!("stage2: {error}");
        }
    }
    let own = root.join("session");
    fs_err::create_dir(&own)?;
    fs_err::write(own.join("cgroup.procs"), "0")
}

/// The words of a file, one a line; none if there is no such file.
fn words(path: &str) -> io::Result<Option<Vec<String>>> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text.lines().map(String::from).collect())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `plimsoll run` with these words; what it says is the report.
fn plimsoll(words: &[String]) -> io::Result<Command> {
    let report = port("plimsoll.report")?;
    let mut command = Command::new("/usr/bin/plimsoll");
    command.args(["run", "--jobs", "2"]).args(words);
    command.env_clear().env("PATH", "/usr/bin:/bin:/sbin");
    command.stdin(Stdio::null()).stderr(report.try_clone()?).stdout(report);
    Ok(command)
}

/// Runs a program, in a control group of its own if one is given, and reaps whatever else ends; its exit code, 128 + n after
/// signal n.
fn run(mut command: Command, group: Option<BorrowedFd<'_>>) -> io::Result<i32> {
    let child = match fork(0, group)? {
        Forked::Child => {
            let error = command.exec();
            eprintln!("stage2: failed to execute {command:?}: {error}");
            exit_now(127)
        }
        Forked::Parent { pid, .. } => pid,
    };
    // It has the port that the report goes to, which only one may have.
    drop(command);
    loop {
        if let Some((pid, status)) = waitpid(None, WaitOptions::empty())?
            && pid.as_raw_nonzero().get() == child
        {
            let signalled = || 128 + status.terminating_signal().unwrap_or(0);
            return Ok(status.exit_status().unwrap_or_else(signalled));
        }
    }
}

/// Copies the newest record out of the machine.
fn tell_record() -> io::Result<()> {
    let mut records = Vec::new();
    for entry in fs_err::read_dir("/repo/.plimsoll/runs")? {
        let record = entry?.path().join("run.jsonl");
        if let Ok(metadata) = fs_err::metadata(&record) {
            records.push((metadata.modified()?, record));
        }
    }
    records.sort();
    let (_, newest) = records.pop().ok_or_else(|| io::Error::other("there is no run"))?;
    io::copy(&mut fs_err::File::open(newest)?, &mut port("plimsoll.record")?).map(drop)
}

/// The virtio-serial port of this name.
fn port(name: &str) -> io::Result<std::fs::File> {
    for entry in fs_err::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        if fs_err::read_to_string(entry.path().join("name"))
            .unwrap_or_default()
            .trim()
            == name
        {
            let device = PathBuf::from("/dev").join(entry.file_name());
            return Ok(fs_err::OpenOptions::new().write(true).open(device)?.into_parts().0);
        }
    }
    Err(io::Error::other(format!("there is no port `{name}`")))
}
