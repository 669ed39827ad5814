//! Programs that a configuration wants to be run at points of a container's life.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use sys::launch::{Place, Vectors};

use crate::compile::c_string;
use crate::error::{Error, Result};

/// A hook for the container's own process to run.
pub(crate) fn compile(field: &str, hook: &Hook, stdin: Place) -> Result<sys::launch::Hook> {
    check(field, hook)?;
    let path = c_string(&format!("{field}.path"), hook.path().as_os_str().as_encoded_bytes())?;
    let list = |part: &str, texts: &Option<Vec<String>>| -> Result<Vec<_>> {
        texts
            .iter()
            .flatten()
            .map(|text| c_string(&format!("{field}.{part}"), text))
            .collect()
    };
    let mut arguments = list("args", hook.args())?;
    if arguments.is_empty() {
        arguments.push(path.clone());
    }
    let vectors = Box::new(Vectors::new(arguments, list("env", hook.env())?));
    let timeout = hook.timeout().map_or(-1, |seconds| {
        i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX)
    });
    Ok(sys::launch::Hook {
        path,
        vectors,
        stdin,
        timeout,
    })
}

/// What the specification demands of every hook.
pub(crate) fn check(field: &str, hook: &Hook) -> Result<()> {
    if !hook.path().is_absolute() {
        let problem = format!("`{}` is not absolute", hook.path().display());
        return Err(Error::field(format!("{field}.path"), problem));
    }
    if let Some(timeout) = hook.timeout()
        && timeout <= 0
    {
        return Err(Error::field(
            format!("{field}.timeout"),
            format!("{timeout} is not above 0"),
        ));
    }
    Ok(())
}

/// Runs hooks one after the other in the runtime's namespaces; the first failure ends it.
pub(crate) fn run(name: &str, hooks: &Option<Vec<Hook>>, state: &[u8], directory: &Path) -> Result<()> {
    for (i, hook) in hooks.iter().flatten().enumerate() {
        one(&format!("hooks.{name}[{i}]"), hook, state, directory)?;
    }
    Ok(())
}

/// Runs all hooks, whatever the others did, and returns what failed.
pub(crate) fn run_all(name: &str, hooks: &Option<Vec<Hook>>, state: &[u8], directory: &Path) -> Vec<Error> {
    let each = |(i, hook)| one(&format!("hooks.{name}[{i}]"), hook, state, directory).err();
    hooks.iter().flatten().enumerate().filter_map(each).collect()
}

fn one(field: &str, hook: &Hook, state: &[u8], directory: &Path) -> Result<()> {
    check(field, hook)?;
    let failed = |problem: String| Error::Hook {
        field: field.into(),
        path: hook.path().clone(),
        problem,
    };
    let mut command = Command::new(hook.path());
    if let Some((first, others)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(first).args(others);
    }
    command.env_clear();
    for variable in hook.env().iter().flatten() {
        let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
        if !key.is_empty() {
            command.env(key, value);
        }
    }
    let stdin = memory_file("hook", state).map_err(|error| failed(format!("got no state: {error}")))?;
    command.current_dir(directory).stdin(Stdio::from(stdin));
    let mut child = command
        .spawn()
        .map_err(|error| failed(format!("could not be started: {error}")))?;
    if let Some(seconds) = hook.timeout() {
        let timeout = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let ended = Pid::from_raw(child.id() as i32)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
            .is_some_and(|pidfd| {
                let ended = ends_within(&pidfd, &timeout);
                if !ended {
                    let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
                }
                ended
            });
        if !ended {
            let _ = child.wait();
            return Err(failed(format!("was killed after its timeout of {seconds} s")));
        }
    }
    let status = child
        .wait()
        .map_err(|error| failed(format!("could not be waited for: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(format!("failed with {status}")))
    }
}

/// Whether the process behind a pidfd ends in time.
pub(crate) fn ends_within(pidfd: &OwnedFd, timeout: &Timespec) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::new(timeout.tv_sec as u64, timeout.tv_nsec as u32);
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let left = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut poll = [PollFd::new(pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut poll, Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.is_ok_and(|n| n > 0),
        }
    }
}

/// A file in memory, written and rewound.
pub(crate) fn memory_file(name: &str, text: &[u8]) -> std::io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(text)?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file.into())
}
