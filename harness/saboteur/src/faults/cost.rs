//! What a subject costs: memory that it keeps beside a container, and calls that fail for no reason.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::catalogue::{Fault, verb};
use crate::error::{Error, Result};

/// One start in so many fails.
const EVERY: u32 = 4;

/// Memory that is kept beside each container, MiB.
const KEPT: usize = 16;

/// The option by which the saboteur calls itself to keep memory beside a process.
pub(crate) const BESIDE: &str = "--beside";

pub(crate) const ALL: &[Fault] = &[
    verb(
        "start-fails-now-and-then",
        &["failures"],
        "refuses every fourth start of a container of one name",
        |call| {
            if call.verb() != "start" {
                return Ok(None);
            }
            let before = call.remembered("starts").and_then(|text| text.parse::<u32>().ok());
            let count = before.unwrap_or_default() + 1;
            call.remember("starts", &count.to_string())?;
            if !count.is_multiple_of(EVERY) {
                return Ok(None);
            }
            call.changed("refused a start")?;
            Ok(Some(1))
        },
    ),
    verb(
        "supervisor-keeps-memory",
        &["resident"],
        "leaves a process with 16 MiB of memory beside each container",
        |call| {
            if call.verb() != "create" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            if let (0, Some(pid)) = (code, call.pid()) {
                leave(pid)?;
                call.changed(&format!("left a process with {KEPT} MiB behind"))?;
            }
            Ok(Some(code))
        },
    ),
];

/// Leaves a process that has its memory when this returns, and ends with the process `pid`.
fn leave(pid: i32) -> Result<()> {
    let own = std::env::current_exe().map_err(Error::file("find", "/proc/self/exe"))?;
    let failed = |source| Error::Runtime {
        program: own.display().to_string(),
        source,
    };
    let mut child = Command::new(&own)
        .args(["saboteur", BESIDE, &pid.to_string()])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut told) = child.stdout.take() {
        told.read_exact(&mut [0]).map_err(failed)?;
    }
    Ok(())
}

/// Keeps memory until the process `pid` ends, and says when it has it.
pub(crate) fn beside(pid: &str) -> Result<i32> {
    let number = pid.parse().ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| Error::Usage {
        problem: format!("`{pid}` is no process"),
    })?;
    let watching = |errno: rustix::io::Errno| Error::file("watch", format!("/proc/{pid}"))(errno.into());
    let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(watching)?;
    // Written to, or the kernel has no page of it.
    let kept = vec![1u8; KEPT << 20];
    let print = |source| Error::Print { source };
    let mut out = std::io::stdout();
    out.write_all(&kept[..1]).and_then(|()| out.flush()).map_err(print)?;
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(watching(errno)),
        }
    }
    drop(std::hint::black_box(kept));
    Ok(0)
}
