//! What a run withstands: being killed, being asked to end, a neighbour, a full disk, and subjects that misbehave.
//!
//! Every test ends with a count of what is left behind: nothing but `.plimsoll/runs/ID/`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use harness::wait::{self, Waited};

const LONG: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: long}
spec:
  description: Two containers and a canary live for a while.
  targets: [runtime]
  workloads:
    a: {container: {image: plimsoll/probe, args: [sleep, "60"]}}
    b: {container: {image: plimsoll/probe, args: [sleep, "60"], resources: {limits: {memory: 64Mi, pids: 10}}}}
  setup:
  - hostProcess: {id: canary, args: [sleep, "60"]}
  steps:
  - start: [a, b]
    eventually: {within: 5s}
    expect:
    - {id: a-runs, on: a, state: running}
    - {id: b-runs, on: b, state: running}
  - consistently: {for: 20s, every: 50ms}
    expect:
    - {id: a-goes-on, on: a, state: running}
"#;

const SHORT: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: short}
spec:
  description: A container runs.
  targets: [runtime]
  timeouts: {test: 5s, step: 1s, teardown: 1s}
  workloads:
    a: {container: {image: plimsoll/probe, args: [sleep, "60"]}}
  steps:
  - start: [a]
    eventually: {within: 3s}
    expect:
    - {id: runs, on: a, state: running}
"#;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn with(spec: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("spec.yaml"), spec).unwrap();
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn plimsoll(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.plimsoll(&["run", "spec.yaml"]).args(more).output().unwrap()
    }

    fn begin(&self) -> Child {
        self.plimsoll(&["run", "spec.yaml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Every token of a run in this place: it is part of the name of all that the run makes.
    fn tokens(&self) -> Vec<String> {
        let runs = fs::read_dir(self.path().join(".plimsoll/runs"))
            .into_iter()
            .flatten()
            .flatten();
        runs.filter_map(|run| {
            let lock = fs::read_to_string(run.path().join("lock")).ok()?;
            let lock: serde_json::Value = serde_json::from_str(&lock).ok()?;
            Some(lock["token"].as_str()?.to_owned())
        })
        .collect()
    }

    /// Processes, cgroups and mounts of the runs with these tokens, and files of theirs that only a live run needs.
    fn leftovers(&self, tokens: &[String]) -> Vec<String> {
        let mut left = Vec::new();
        let ours = self.path().to_str().unwrap();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let cwd = fs::read_link(process.path().join("cwd")).unwrap_or_default();
            let cgroup = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
            if cwd.starts_with(ours) || tokens.iter().any(|t| cgroup.contains(t.as_str())) {
                left.push(process.path().display().to_string());
            }
        }
        let mut stack = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(directory) = stack.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if tokens.iter().any(|t| name.contains(t.as_str())) {
                        left.push(entry.path().display().to_string());
                    } else {
                        stack.push(entry.path());
                    }
                }
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|l| l.contains(ours)).map(String::from));
        for run in fs::read_dir(self.path().join(".plimsoll/runs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for name in ["lock", "images"] {
                if run.path().join(name).exists() {
                    left.push(run.path().join(name).display().to_string());
                }
            }
        }
        left
    }

    fn nothing_is_left(&self, tokens: &[String]) {
        let waited = wait::until(Duration::from_secs(10), Duration::from_millis(20), || {
            let left = self.leftovers(tokens);
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
        assert!(matches!(waited, Waited::Done(())), "left behind: {waited:?}");
    }
}

fn can_run() -> bool {
    let probe = Place::with(SHORT).run(&[]);
    // As an ordinary user on a host that forbids user namespaces nothing runs, and that is not what is tested here.
    if probe.status.code() == Some(0) {
        return true;
    }
    eprintln!(
        "skipped: a container cannot be run here: {}",
        String::from_utf8_lossy(&probe.stdout)
    );
    assert!(
        !rustix::process::geteuid().is_root(),
        "root can run a container: {probe:?}"
    );
    false
}

fn script(place: &Place, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("oci:{}", path.display())
}

#[test]
fn killed_at_fifty_random_moments_it_leaves_nothing() {
    if !can_run() {
        return;
    }
    let place = Place::with(LONG);
    let mut tokens = Vec::new();
    // A fixed sequence of moments between nothing and 400 ms: a failure can be had again.
    let mut random = 0x2545_f491u32;
    for _ in 0..50 {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let mut child = place.begin();
        wait::readable(&[], Some(Duration::from_millis(u64::from(random % 400))));
        child.kill().unwrap();
        child.wait().unwrap();
        tokens.extend(place.tokens());
    }
    tokens.sort();
    tokens.dedup();
    assert!(tokens.len() >= 40, "most of the runs had begun: {}", tokens.len());
    let collected = wait::until(Duration::from_secs(10), Duration::from_millis(100), || {
        let gc = place.plimsoll(&["gc"]).output().unwrap();
        assert!(gc.status.success(), "{gc:?}");
        let left = place.leftovers(&tokens);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    assert!(
        matches!(collected, Waited::Done(())),
        "left behind after gc: {collected:?}"
    );
}

#[test]
fn the_next_run_collects_what_a_killed_one_left() {
    if !can_run() {
        return;
    }
    let place = Place::with(LONG);
    let mut child = place.begin();
    let begun = wait::until(Duration::from_secs(10), Duration::from_millis(5), || {
        match place.tokens() {
            tokens if tokens.is_empty() => Err(()),
            tokens => Ok(tokens),
        }
    });
    let Waited::Done(tokens) = begun else {
        panic!("no run began")
    };
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(place.path().join("spec.yaml"), SHORT).unwrap();
    assert_eq!(place.run(&[]).status.code(), Some(0));
    place.nothing_is_left(&tokens);
}

#[test]
fn asked_to_end_it_ends_soon_and_says_that_it_proves_nothing() {
    if !can_run() {
        return;
    }
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let place = Place::with(LONG);
        let mut child = place.begin();
        let record = place.path().join(".plimsoll/runs/0001/run.jsonl");
        let begun = wait::until(Duration::from_secs(10), Duration::from_millis(10), || {
            let text = fs::read_to_string(&record).unwrap_or_default();
            if text.contains("\"event\":\"look\"") {
                Ok(())
            } else {
                Err(text.len())
            }
        });
        assert!(matches!(begun, Waited::Done(())), "{begun:?}");
        let tokens = place.tokens();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let ended = wait::until(Duration::from_secs(10), Duration::from_millis(10), || {
            child.try_wait().unwrap().ok_or(())
        });
        let Waited::Done(status) = ended else {
            panic!("it did not end within 10 s of {signal:?}")
        };
        assert_eq!(status.code(), Some(3), "{signal:?}");
        place.nothing_is_left(&tokens);
        assert!(fs::read_to_string(&record).unwrap().contains("\"event\":\"runEnd\""));
    }
}

#[test]
fn two_runs_side_by_side_do_not_meet() {
    if !can_run() {
        return;
    }
    let place = Place::with(SHORT);
    let children: Vec<Child> = (0..4).map(|_| place.begin()).collect();
    for child in children {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
    assert_eq!(fs::read_dir(place.path().join(".plimsoll/runs")).unwrap().count(), 4);
    place.nothing_is_left(&[]);
}

#[test]
fn a_subject_that_hangs_is_given_up_and_fails() {
    if !can_run() {
        return;
    }
    let place = Place::with(SHORT);
    let subject = script(&place, "hangs", "exec sleep 600");
    let output = place.run(&["--subject", &subject]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("still running"), "{text}");
    place.nothing_is_left(&[]);
}

#[test]
fn a_subject_that_prints_garbage_and_lies_fails() {
    if !can_run() {
        return;
    }
    let place = Place::with(SHORT);
    for (name, text) in [
        ("garbage", "head -c 3000000 /dev/urandom; exit 0"),
        // Says that all is well, and does nothing.
        ("silent", "exit 0"),
        ("refuses", "echo no >&2; exit 1"),
        // Names a process that is not there.
        (
            "liar",
            "while [ $# -gt 0 ]; do [ \"$1\" = --pid-file ] && echo 99999 > \"$2\"; shift; done; exit 0",
        ),
    ] {
        let subject = script(&place, name, text);
        let output = place.run(&["--subject", &subject]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    place.nothing_is_left(&[]);
}

#[test]
fn a_runtime_that_deletes_etc_deletes_nothing_of_the_host() {
    if !can_run() {
        return;
    }
    let place = Place::with(SHORT);
    let listing = || {
        let mut all: Vec<String> = Vec::new();
        let mut stack = vec![PathBuf::from("/etc")];
        while let Some(directory) = stack.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                all.push(entry.path().display().to_string());
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    stack.push(entry.path());
                }
            }
        }
        all.sort();
        all
    };
    let before = listing();
    assert!(before.len() > 10);
    // What a runtime without a mount namespace does when it clears the root that it thinks is the container's. It is
    // started only inside the guard; the witness tells that it ran there and was refused.
    let subject = script(
        &place,
        "deletes-etc",
        "rm -rf /etc/* /usr/lib/os-release /home 2>/run/plimsoll/work/refused; rm -rf /run/plimsoll/tmp; exit 1",
    );
    let output = place.run(&["--subject", &subject, "--keep"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(listing(), before, "/etc of the host has changed");
    let cases = place.path().join(".plimsoll/runs/0001/cases");
    let case = fs::read_dir(cases).unwrap().flatten().next().unwrap().path();
    let refused = fs::read_to_string(case.join("disk/refused")).unwrap();
    assert!(refused.contains("Read-only file system"), "{refused}");
    place.nothing_is_left(&[]);
}

#[test]
fn a_full_disk_is_told_and_nothing_hangs() {
    if !can_run() || !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::with(SHORT);
    // A disk of its own, in a mount namespace that ends with the shell.
    let shell = format!(
        "mount -t tmpfs -o size=256k tmpfs '{dir}' && cd '{dir}' && head -c 250000 /dev/zero > full; exec '{plimsoll}' run '{spec}'",
        dir = place.path().join("small").display(),
        plimsoll = env!("CARGO_BIN_EXE_plimsoll"),
        spec = place.path().join("spec.yaml").display(),
    );
    fs::create_dir(place.path().join("small")).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &shell])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    place.nothing_is_left(&[]);
}
