//! A runtime with a fault, as a subject: what is healthy stays so, what is broken is seen, and the machine is unharmed.
//!
//! Everything runs through `plimsoll run`, and so in a guard.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");

/// What many faults show in: namespaces, mounts, capabilities, limits, signals, deletion.
const SPEC: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: all}
spec:
  description: A container is as it was asked for, and so is its end.
  targets: [runtime]
  requires: [{root: true}, {cgroup: {controllers: [memory]}}]
  timeouts: {test: 30s, step: 5s, teardown: 5s}
  workloads:
    app:
      container:
        image: plimsoll/probe
        args: [attempt, "write=open:/data/inside:create", "etc=open:/etc/made:create", "full=stat:/dev/full", --then-sleep]
        env: {MARK: kept}
        hostname: mine
        readOnlyRoot: true
        resources: {limits: {memory: 64Mi, pids: 20}}
        mounts:
        - {destination: /data, type: bind, source: "${dir.data}", options: [rbind, nosuid]}
  setup:
  - hostProcess: {id: canary, args: [sleep, "300"]}
  steps:
  - start: [app]
    eventually: {within: 5s, every: 50ms}
    expect:
    - {id: runs, on: app, state: running}
    - {id: told, on: app, report: {pid: 1, attempts.write: ok, attempts.etc: EROFS, env.MARK: kept, hostname: mine}}
    - {id: capabilities, on: app, report: {caps.bounding: {exactly: [CAP_AUDIT_WRITE, CAP_KILL, CAP_NET_BIND_SERVICE]}}}
    - {id: memory, on: app, cgroup: {memory.max: 64Mi}}
  - oci: {op: kill, on: app, signal: SIGKILL}
    eventually: {within: 2s, every: 50ms}
    expect:
    - {id: ended, on: app, exit: {signal: SIGKILL}}
    - {id: canary-lives, on: host, process: {where: {ref: canary}, count: 1}}
  - oci: {op: delete, on: app}
    expect:
    - {id: gone, on: app, state: missing}
"#;

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: the memory limits of this test need root");
    }
    root
}

fn runtimes() -> Vec<String> {
    let mut all = vec![format!("{PLIMSOLL} oci")];
    for name in ["runc", "crun"] {
        let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
            .iter()
            .map(|directory| format!("{directory}/{name}"))
            .find(|path| Path::new(path).exists());
        all.extend(found);
    }
    all
}

struct Ran {
    /// Verdict of each check.
    verdicts: BTreeMap<String, String>,
    /// Lines of the fault's log.
    applied: Vec<Value>,
    exit: Option<i32>,
    told: String,
}

fn run(fault: &str, runtime: &str) -> Ran {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("spec.yaml"), SPEC).unwrap();
    let log = "/run/plimsoll/work/saboteur.log";
    let subject = format!("oci:{PLIMSOLL} saboteur --fault {fault} --log {log} -- {runtime}");
    let output = Command::new(PLIMSOLL)
        .current_dir(place.path())
        .args(["run", "spec.yaml", "--keep", "--format", "json", "--subject", &subject])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    let mut verdicts = BTreeMap::new();
    for check in report["cases"][0]["checks"].as_array().unwrap() {
        verdicts.insert(
            check["id"].as_str().unwrap().to_owned(),
            check["outcome"]["verdict"].as_str().unwrap().to_owned(),
        );
    }
    let applied = files(&place.path().join(".plimsoll"))
        .into_iter()
        .filter(|path| path.ends_with("saboteur.log"))
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    Ran {
        verdicts,
        applied,
        exit: output.status.code(),
        told: format!("{told}\n{report:#}"),
    }
}

/// The fault around every runtime that is here, side by side.
fn around_each(fault: &str) -> Vec<(String, Ran)> {
    std::thread::scope(|scope| {
        let all: Vec<_> = runtimes()
            .into_iter()
            .map(|runtime| scope.spawn(move || (run(fault, &runtime), runtime)))
            .collect();
        let ran = all.into_iter().map(|one| one.join().unwrap());
        ran.map(|(ran, runtime)| (runtime, ran)).collect()
    })
}

fn saboteur(arguments: &[&str]) -> Output {
    Command::new(PLIMSOLL).arg("saboteur").args(arguments).output().unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

/// What a broken runtime could have done to the machine.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    etc: BTreeMap<PathBuf, String>,
    devices: BTreeMap<PathBuf, String>,
    mounts: Vec<String>,
    links: Vec<String>,
    top: Vec<String>,
    parameters: Vec<String>,
    hostname: String,
    groups: Vec<PathBuf>,
}

impl Host {
    fn look() -> Self {
        let names = |directory: &str| {
            let mut names: Vec<_> = fs::read_dir(directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let owner = |path: &Path| {
            let data = fs::symlink_metadata(path).unwrap();
            format!("{:o} {}:{} {}", data.mode(), data.uid(), data.gid(), data.rdev())
        };
        let etc = files(Path::new("/etc"))
            .into_iter()
            .map(|path| {
                let mut hash = DefaultHasher::new();
                fs::read(&path).unwrap_or_default().hash(&mut hash);
                let seen = format!("{} {:x}", owner(&path), hash.finish());
                (path, seen)
            })
            .collect();
        let devices = names("/dev")
            .into_iter()
            .map(|name| Path::new("/dev").join(name))
            .map(|path| (path.clone(), owner(&path)))
            .collect();
        // The ids of mounts are left out: they say only when.
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = table.lines().map(|line| line.splitn(3, ' ').last().unwrap().to_owned());
        let mut groups = Vec::new();
        let mut stack = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(directory) = stack.pop() {
            // Below the groups next to the root services come and go.
            let near = directory.components().count() <= 5;
            for entry in fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|_| near)
            {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    stack.push(entry.path());
                }
            }
            // Runs of other tests make and remove their own meanwhile.
            if !directory.to_string_lossy().contains("plimsoll-") {
                groups.push(directory);
            }
        }
        groups.sort();
        Self {
            etc,
            devices,
            mounts: mounts.collect(),
            links: names("/sys/class/net"),
            top: names("/").into_iter().chain(names("/dev")).collect(),
            parameters: [
                "/proc/sys/kernel/core_pattern",
                "/proc/irq/default_smp_affinity",
                "/proc/sys/net/ipv4/ip_forward",
            ]
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .to_vec(),
            hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
            groups,
        }
    }
}

#[test]
fn a_healthy_wrapper_changes_no_verdict() {
    if !root() {
        return;
    }
    for runtime in runtimes() {
        let ran = run("none", &runtime);
        assert_eq!(ran.exit, Some(0), "{runtime}: {}", ran.told);
        assert!(
            ran.verdicts.values().all(|verdict| verdict == "pass"),
            "{runtime}: {}",
            ran.told
        );
        assert!(ran.applied.is_empty(), "{runtime}: {:?}", ran.applied);
    }
}

#[test]
fn a_fault_is_seen_by_its_check_and_by_no_other() {
    if !root() {
        return;
    }
    let cases = [
        ("pid-namespace-dropped", "told"),
        ("hostname-another", "told"),
        ("environment-dropped", "told"),
        ("capability-bounding-widened", "capabilities"),
        ("memory-limit-plus-20", "memory"),
        ("cgroup-memory-not-joined", "memory"),
        ("kill-kill-becomes-term", "ended"),
        ("delete-does-nothing", "gone"),
    ];
    for (fault, check) in cases {
        for (runtime, ran) in around_each(fault) {
            assert_eq!(ran.verdicts[check], "fail", "{fault} around {runtime}: {}", ran.told);
            assert!(!ran.applied.is_empty(), "{fault} around {runtime} was never applied");
            assert!(
                ran.applied.iter().all(|line| line["fault"] == fault),
                "{:?}",
                ran.applied
            );
            assert_eq!(ran.exit, Some(1), "{fault} around {runtime}: {}", ran.told);
        }
    }
}

#[test]
fn a_fault_that_does_not_apply_says_so_by_its_silence() {
    if !root() {
        return;
    }
    let ran = run("hooks-dropped", &format!("{PLIMSOLL} oci"));
    assert_eq!((ran.exit, ran.applied.len()), (Some(0), 0), "{}", ran.told);
}

/// One test, because they all look at the same machine.
#[test]
fn the_most_dangerous_faults_do_not_harm_the_machine() {
    if !root() {
        return;
    }
    let dangerous = [
        "mount-namespace-dropped",
        "mount-namespace-of-the-host",
        "pid-namespace-of-the-host",
        "uts-namespace-of-the-host",
        "network-namespace-of-the-host",
        "root-of-the-host",
        "host-directory-mounted",
        "host-proc-mounted",
        "host-devices-mounted",
        "rootfs-propagation-shared",
        "device-memory-unasked",
        "device-rules-allow-all",
        "device-default-owner",
        "device-of-standard-input-owned",
        "capabilities-ignored",
        "host-descriptor-leaked",
        "delete-keeps-the-cgroup",
    ];
    let before = Host::look();
    for fault in dangerous {
        let listed = saboteur(&["--list", "--format", "json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let entry = listed.as_array().unwrap().iter().find(|entry| entry["name"] == fault);
        assert_eq!(entry.unwrap()["danger"], true, "{fault}");
        for (runtime, ran) in around_each(fault) {
            assert!(
                !ran.applied.is_empty(),
                "{fault} around {runtime} was never applied: {}",
                ran.told
            );
        }
        assert_eq!(Host::look(), before, "{fault} changed the machine");
    }
}

#[test]
fn a_dangerous_fault_is_refused_where_nothing_holds_it() {
    let refused = saboteur(&["--fault", "root-of-the-host", "--", "/bin/false", "create", "x"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("could harm this machine"), "{told}");
    // What changes nothing is not in the way of a harness that asks for the version first.
    let asked = saboteur(&["--fault", "root-of-the-host", "--", "/bin/echo", "--version"]);
    assert_eq!(asked.status.code(), Some(0));
}

#[test]
fn a_wrong_name_is_met_with_the_right_one() {
    let wrong = saboteur(&["--fault", "memory-limit-dropt", "--", "runc", "state", "x"]);
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(told.contains("did you mean `memory-limit-dropped`?"), "{told}");
    for arguments in [&["--fault"][..], &["--", "runc"], &["--fault", "none"], &["--frob"]] {
        assert_eq!(saboteur(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// A runtime in a shell script, which shows what reaches it.
#[test]
fn streams_codes_and_arguments_pass_through() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("runtime");
    fs::write(&script, "#!/bin/sh\necho \"$@\"\ncat\necho told >&2\nexit 7\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child = Command::new(PLIMSOLL)
        .args(["saboteur", "--fault", "none", "--"])
        .arg(&script)
        .args(["--root", "/nowhere", "exec", "-t", "id", "sh", "-c", "a b"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"read\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "--root /nowhere exec -t id sh -c a b\nread\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "told\n");
}

/// The caller's bundle stays as it was; the runtime sees another, which is gone when the container is.
#[test]
fn an_edited_bundle_is_a_directory_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let (script, bundle, root) = (
        place.path().join("runtime"),
        place.path().join("bundle"),
        place.path().join("root"),
    );
    let seen = place.path().join("seen.json");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*create*) cp \"$5/config.json\" {seen}; echo \"$5\" > {root}.at;;\n\
         *state*) test -e {root}.at || exit 1; printf '{{\"id\":\"c\",\"bundle\":\"%s\"}}' \"$(cat {root}.at)\";;\nesac\n",
        seen = seen.display(),
        root = root.display(),
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir(&bundle).unwrap();
    let request = r#"{"root": {"path": "rootfs"}, "process": {"umask": 1, "args": ["a"]}, "hostname": "x"}"#;
    fs::write(bundle.join("config.json"), request).unwrap();
    let call = |words: &[&str]| {
        let output = Command::new(PLIMSOLL)
            .args(["saboteur", "--fault", "hostname-dropped", "--"])
            .arg(&script)
            .arg("--root")
            .arg(&root)
            .args(words)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    call(&["create", "--bundle", bundle.to_str().unwrap(), "c"]);
    assert_eq!(fs::read_to_string(bundle.join("config.json")).unwrap(), request);
    let edited: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
    assert_eq!(edited.get("hostname"), None);
    let real = bundle.canonicalize().unwrap();
    assert_eq!(edited["root"]["path"], real.join("rootfs").to_str().unwrap());
    let place_of_edits = PathBuf::from(format!("{}.saboteur", root.display()));
    assert!(place_of_edits.join("c/config.json").exists());
    let state: Value = serde_json::from_str(&call(&["state", "c"])).unwrap();
    assert_eq!(state["bundle"], real.to_str().unwrap());
    call(&["delete", "c"]);
    assert!(!place_of_edits.exists());
}
