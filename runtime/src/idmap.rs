//! Id maps: writing them for a new user namespace, and user namespaces that are nothing but a map.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use oci_spec::runtime::LinuxIdMapping;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use sys::launch::{CloneAs, Op, Program};

use crate::compile::Maps;
use crate::error::{Error, Result};

const CLONE_NEWUSER: u32 = 0x1000_0000;

/// Writes the maps of the user namespace that `pid` is in.
pub(crate) fn write(pid: Pid, maps: &Maps) -> Result<()> {
    let pid = pid.as_raw_nonzero();
    for (field, file, helper, list) in [
        ("linux.gidMappings", "gid_map", "newgidmap", &maps.gid),
        ("linux.uidMappings", "uid_map", "newuidmap", &maps.uid),
    ] {
        let failed = |act: String, source| Error::Apply {
            field: field.into(),
            act,
            source,
        };
        if !maps.privileged {
            let plain = list.len() == 1 && list[0].size() == 1;
            if !plain {
                with_helper(field, helper, pid.get(), list)?;
                continue;
            }
            if file == "gid_map" {
                let deny = format!("/proc/{pid}/setgroups");
                std::fs::write(&deny, "deny").map_err(|source| failed(format!("write `deny` to `{deny}`"), source))?;
            }
        }
        let (path, lines) = (format!("/proc/{pid}/{file}"), Maps::lines(list));
        std::fs::write(&path, &lines)
            .map_err(|source| failed(format!("write `{}` to `{path}`", lines.trim_end()), source))?;
    }
    Ok(())
}

/// Maps of more than one id are an ordinary user's only with the set-uid helpers of shadow.
fn with_helper(field: &str, helper: &str, pid: i32, list: &[LinuxIdMapping]) -> Result<()> {
    let path = ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(helper))
        .find(|p| p.exists());
    let Some(path) = path else {
        let problem = format!("more than one id needs `{helper}` (of the package uidmap), which is not installed");
        return Err(Error::field(field, problem));
    };
    let numbers = list
        .iter()
        .flat_map(|m| [m.container_id(), m.host_id(), m.size()])
        .map(|n| n.to_string());
    let output = Command::new(&path)
        .arg(pid.to_string())
        .args(numbers)
        .env_clear()
        .env(OsStr::new("PATH"), "/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Apply {
            field: field.into(),
            act: format!("run `{}`", path.display()),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::field(
        field,
        format!("`{helper}` failed with {}: {}", output.status, said.trim()),
    ))
}

/// A user namespace with these maps, kept by its descriptor only.
pub(crate) fn user_namespace(uid: &[LinuxIdMapping], gid: &[LinuxIdMapping]) -> io::Result<OwnedFd> {
    let mut program = Program::new();
    program.push(Op::DeathSignal(9));
    program.push(Op::Pause);
    let clone = CloneAs {
        namespaces: CLONE_NEWUSER,
        ..CloneAs::default()
    };
    let holder = sys::launch::start(&program, &clone)?;
    let pid = holder.pid.as_raw_nonzero();
    let opened = (|| {
        std::fs::write(format!("/proc/{pid}/uid_map"), Maps::lines(uid))?;
        std::fs::write(format!("/proc/{pid}/gid_map"), Maps::lines(gid))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(format!("/proc/{pid}/ns/user"), flags, Mode::empty())?)
    })();
    let _ = rustix::process::pidfd_send_signal(&holder.pidfd, Signal::KILL);
    let _ = rustix::process::waitpid(Some(holder.pid), rustix::process::WaitOptions::empty());
    opened
}
