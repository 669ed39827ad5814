//! The second pass: an ordinary user to whom a subtree of the control groups was delegated, as systemd does it
//! (`cgroups(7)`, *Cgroups delegation*): they own the group's directory and the files by which it is divided.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

const USER: u32 = 65_534;
const HOME: &str = "/home/ordinary";
/// What the user owns.
const DELEGATED: &str = "/sys/fs/cgroup/delegated";
/// Where the user's first process is: the group above it must be free of processes.
const SESSION: &str = "/sys/fs/cgroup/delegated/session";
/// What the container is allowed, by the fields that ask for it.
const LIMITED: [&str; 3] = ["linux.resources.memory", "linux.resources.pids", "linux.resources.cpu"];
/// The control files, and what they then say.
const LIMITS: [(&str, &str); 3] = [
    ("memory.max", "33554432"),
    ("pids.max", "16"),
    ("cpu.max", "20000 100000"),
];

/// Runs plimsoll with these words as the user, then the runtime directly; 0 if all was as it should be.
pub(super) fn pass(words: &[String]) -> io::Result<i32> {
    delegate()?;
    fs_err::create_dir_all(HOME)?;
    chown(HOME, Some(USER), Some(USER))?;
    std::os::unix::fs::symlink("/repo/specs", Path::new(HOME).join("specs"))?;
    say("\nas an ordinary user, with a subtree of the control groups:")?;
    let session = fs_err::File::open(SESSION)?.into_parts().0;
    let mut command = crate::plimsoll(words)?;
    as_user(&mut command);
    let code = crate::run(command, Some(session.as_fd()));
    let with = with_delegation(session.as_fd());
    let without = without_delegation();
    for (what, said) in [
        ("with the subtree, limits of `oci run` are applied", with),
        ("without it, `oci run` names the field that asked for a limit", without),
    ] {
        match said {
            Ok(seen) => say(&format!("PASS  {what}: {seen}"))?,
            Err(error) => {
                say(&format!("FAIL  {what}: {error}"))?;
                return Ok(1);
            }
        }
    }
    code
}

/// A line of the report. A port can be open once only: nobody else may have it now.
fn say(line: &str) -> io::Result<()> {
    writeln!(crate::port("plimsoll.report")?, "{line}")
}

fn delegate() -> io::Result<()> {
    for group in [DELEGATED, SESSION] {
        fs_err::create_dir(group)?;
        chown(group, Some(USER), Some(USER))?;
        for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            chown(Path::new(group).join(file), Some(USER), Some(USER))?;
        }
    }
    Ok(())
}

fn as_user(command: &mut Command) {
    command.uid(USER).gid(USER).current_dir(HOME).env("HOME", HOME);
}

/// Starts a container of the probe and compares what its control files say from outside.
fn with_delegation(session: BorrowedFd<'_>) -> io::Result<String> {
    let name = "limited";
    let (code, said) = runtime(&["run", "--detach", "--bundle", &bundle(true)?, name], Some(session))?;
    if code != 0 {
        return Err(io::Error::other(format!("`run` ended with {code}: {said}")));
    }
    let group = Path::new(DELEGATED).join(name);
    let mut seen = Vec::new();
    for (file, wanted) in LIMITS {
        let value = fs_err::read_to_string(group.join(file))?;
        let value = value.trim();
        if value != wanted {
            return Err(io::Error::other(format!("{file} is `{value}`, not `{wanted}`")));
        }
        seen.push(format!("{file} = {value}"));
    }
    let inside = fs_err::read_to_string(group.join("cgroup.procs"))?.lines().count();
    if inside != 1 {
        return Err(io::Error::other(format!("{inside} processes are in the group, not 1")));
    }
    let (code, said) = runtime(&["delete", "--force", name], Some(session))?;
    if code != 0 || group.exists() {
        return Err(io::Error::other(format!(
            "`delete` ended with {code}, or left the group: {said}"
        )));
    }
    Ok(seen.join(", "))
}

fn without_delegation() -> io::Result<String> {
    let (code, said) = runtime(&["run", "--bundle", &bundle(true)?, "refused"], None)?;
    let named = LIMITED.iter().any(|field| said.contains(field));
    if code == 0 || !named || !said.contains("may not make cgroups") {
        return Err(io::Error::other(format!("`run` ended with {code}: {said}")));
    }
    // Nothing asks for a group: the container runs without one.
    let (code, said_without) = runtime(&["run", "--bundle", &bundle(false)?, "unlimited"], None)?;
    if code != 0 {
        return Err(io::Error::other(format!(
            "without limits it ended with {code}: {said_without}"
        )));
    }
    Ok(said.trim().to_owned())
}

/// The bundle of the probe as an ordinary user can have it: a user namespace of one id, no device rules.
fn bundle(limited: bool) -> io::Result<String> {
    let path = Path::new(HOME).join(if limited { "limited" } else { "unlimited" });
    if !path.exists() {
        image::probe_bundle(&path).map_err(io::Error::other)?;
    }
    let mut config = image::config();
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    config["linux"]["resources"] = json!({});
    if limited {
        config["linux"]["resources"] = json!({
            "memory": {"limit": 33_554_432}, "pids": {"limit": 16}, "cpu": {"quota": 20_000, "period": 100_000}
        });
    } else {
        config["process"]["args"] = json!(["true"]);
    }
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.push(json!({"type": "user"}));
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| limited || mount["type"] != "cgroup");
        for mount in mounts {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    }
    fs_err::write(path.join("config.json"), config.to_string())?;
    chown(&path, Some(USER), Some(USER))?;
    Ok(path.display().to_string())
}

/// `plimsoll oci` as the user, in a group of theirs or in root's; its exit code, and what it said.
fn runtime(words: &[&str], group: Option<BorrowedFd<'_>>) -> io::Result<(i32, String)> {
    let mut command = Command::new("/usr/bin/plimsoll");
    command.args(["oci", "--root", "/home/ordinary/state"]).args(words);
    command.env_clear().env("PATH", "/usr/bin:/bin:/sbin");
    as_user(&mut command);
    let heard = Path::new(HOME).join("heard");
    let file = fs_err::File::create(&heard)?.into_parts().0;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let code = crate::run(command, group)?;
    Ok((code, fs_err::read_to_string(heard)?))
}
