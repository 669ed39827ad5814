//! What a process inherits without anybody asking for it: streams, priority, processors, the way to its root.

use std::fs;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::thread::CpuSet;

use crate::arguments::Choice;
use crate::call::Call;
use crate::catalogue::{Fault, dangerous, verb};
use crate::error::{Error, Result};

pub(crate) const ALL: &[Fault] = &[
    verb(
        "stdout-lost",
        &["stdio", "payload"],
        "throws away what the program writes",
        |call| {
            streams(call, |command| {
                command.stdout(Stdio::null());
            })
        },
    ),
    verb(
        "stderr-lost",
        &["stdio"],
        "throws away what the program complains",
        |call| {
            streams(call, |command| {
                command.stderr(Stdio::null());
            })
        },
    ),
    verb(
        "stderr-into-stdout",
        &["stdio"],
        "sends what the program complains to its output",
        |call| {
            let out = std::io::stdout();
            let copy = std::os::fd::AsFd::as_fd(&out).try_clone_to_owned();
            let copy = copy.map_err(Error::file("copy", "/proc/self/fd/1"))?;
            streams(call, |command| {
                command.stderr(Stdio::from(copy));
            })
        },
    ),
    verb(
        "priority-lowered",
        &["process", "cpu"],
        "runs the program with a lower priority",
        |call| {
            after_create(call, "lowered the priority by 5", |pid| {
                rustix::process::setpriority_process(Some(pid), 5)
            })
        },
    ),
    verb(
        "processors-narrowed",
        &["process", "cpuset", "cpu"],
        "lets the program run on the first processor only",
        |call| {
            after_create(call, "narrowed the processors to the first", |pid| {
                let mut first = CpuSet::new();
                first.set(0);
                rustix::thread::sched_setaffinity(Some(pid), &first)
            })
        },
    ),
    verb(
        "oom-score-unasked",
        &["process", "memory"],
        "makes the program the first to be killed for memory, if nothing is asked for",
        |call| {
            if call.verb() != "create" {
                return Ok(None);
            }
            let asked = fs::read_to_string(
                std::path::Path::new(call.line.value("bundle").unwrap_or(".".as_ref())).join("config.json"),
            );
            if asked.is_ok_and(|text| text.contains("oomScoreAdj")) {
                return Ok(None);
            }
            after_create(call, "set the OOM score adjustment to 1000", |pid| {
                let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
                fs::write(path, "1000").map_err(|_| rustix::io::Errno::IO)
            })
        },
    ),
    dangerous(verb(
        "root-not-pivoted",
        &["mount", "rootfs", "escape"],
        "changes the root of the process only, and leaves that of the mount namespace",
        |call| {
            if call.verb() != "create" {
                return Ok(None);
            }
            let help = call.ask("create", &["--help"], &[])?;
            if !String::from_utf8_lossy(&help.stdout).contains("--no-pivot") {
                return Ok(None);
            }
            let mut line = call.line.clone();
            line.choices.push(Choice {
                name: "no-pivot".into(),
                value: None,
            });
            call.changed("added --no-pivot")?;
            call.relay(&line.argv()).map(Some)
        },
    )),
];

fn streams(call: &Call, change: impl FnOnce(&mut std::process::Command)) -> Result<Option<i32>> {
    if call.verb() != "create" {
        return Ok(None);
    }
    call.changed("gave the program other streams")?;
    call.relay_with(&call.line.argv(), change).map(Some)
}

fn after_create(call: &Call, what: &str, apply: impl FnOnce(Pid) -> rustix::io::Result<()>) -> Result<Option<i32>> {
    if call.verb() != "create" {
        return Ok(None);
    }
    let code = call.relay(&call.line.argv())?;
    if let (0, Some(pid)) = (code, call.pid().and_then(Pid::from_raw)) {
        apply(pid).map_err(|errno| Error::file("change", format!("/proc/{}", pid.as_raw_nonzero()))(errno.into()))?;
        call.changed(what)?;
    }
    Ok(Some(code))
}
