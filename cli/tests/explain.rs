//! Why a check failed, from sabotaged set-ups and disobeying subjects on the real kernel: the object, the line, the culprit.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The guard needs root, or user namespaces; limits need root.
fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: the specs ask for limits, which need root");
    }
    root
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn plimsoll(state: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .current_dir(repository())
        .arg("--state")
        .arg(state)
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The checks of the one case of a run, by their ids.
fn run(state: &Path, args: &[&str]) -> Vec<(String, Value)> {
    let mut all = vec!["run", "--format", "json"];
    all.extend(args);
    let output = plimsoll(state, &all);
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let cases = document["cases"].as_array().unwrap();
    let checks = cases.iter().flat_map(|case| case["checks"].as_array().unwrap());
    checks
        .map(|check| (check["id"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

/// Where a text stands in a spec: its line.
fn line(spec: &str, part: &str) -> usize {
    let text = std::fs::read_to_string(repository().join(spec)).unwrap();
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

/// A spec, a sabotage of it, a check that sees it, what the cause must name, and the line that asks for it.
const SABOTAGED: [(&str, &str, &str, &[&str], &str); 12] = [
    (
        "specs/isolation/pid-own-and-host-hidden.yaml",
        "share-host-pid",
        "own-pid-namespace",
        &["config.json asks for no pid namespace", "`namespaces.pid: host`"],
        "namespaces.pid: host",
    ),
    (
        "specs/isolation/network-own-and-empty.yaml",
        "share-host-network",
        "own-namespace",
        &["no network namespace", "`namespaces.network: host`"],
        "namespaces.network: host",
    ),
    (
        "specs/isolation/ipc-system-v-separate.yaml",
        "share-host-ipc",
        "message-queue-hidden",
        &["no ipc namespace", "`namespaces.ipc: host`"],
        "namespaces.ipc: host",
    ),
    (
        "specs/isolation/mount-read-only.yaml",
        "writable",
        "option-in-the-table",
        &[
            "bind mounted at `",
            "with bind,rw",
            "`mounts.0.options: [\"bind\",\"rw\"]`",
        ],
        "mounts.0.options: [bind, rw]",
    ),
    (
        "specs/cgroup/memory-limit-kills.yaml",
        "no-limit",
        "limit-was-reached",
        &["no memory limit", "`resources.limits.memory` is taken away"],
        "unset: [workloads.hog.container.resources.limits.memory]",
    ),
    (
        "specs/cgroup/pids-limit.yaml",
        "no-limit",
        "refused-at-the-limit",
        &["no limit of processes", "`resources.limits.pids` is taken away"],
        "unset: [workloads.limited.container.resources.limits.pids]",
    ),
    (
        "specs/security/capabilities-drop-all.yaml",
        "one-is-kept",
        "every-set-is-empty",
        &["capabilities {CAP_NET_BIND_SERVICE}", "`capabilities"],
        "add: [CAP_NET_BIND_SERVICE]",
    ),
    (
        "specs/security/seccomp-errno.yaml",
        "allowed",
        "blocked-with-its-errno",
        &["a seccomp filter", "`seccomp"],
        "action: SCMP_ACT_ALLOW}, workloads.app",
    ),
    (
        "specs/security/root-read-only.yaml",
        "writable",
        "told-by-the-kernel",
        &["a writable root", "`readOnlyRoot: false`"],
        "set: {workloads.app.container.readOnlyRoot: false}",
    ),
    (
        "specs/security/masked-paths.yaml",
        "not-masked",
        "file-reads-as-nothing",
        &["to be unreadable", "`maskedPaths"],
        "maskedPaths: [/proc/there-is-no-such-file]",
    ),
    (
        "specs/security/resource-limits.yaml",
        "one-more",
        "soft-and-hard",
        &["RLIMIT_NOFILE 64, at most 129", "`rlimits.0"],
        "rlimits.0.hard: 129",
    ),
    (
        "specs/security/no-new-privileges.yaml",
        "held-too",
        "positive-control-raised",
        &["no_new_privs", "`noNewPrivileges: true`"],
        "set: {workloads.free.container.noNewPrivileges: true}",
    ),
];

#[test]
fn what_a_sabotaged_set_up_asks_for_is_named_with_its_line() {
    if !can_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (spec, sabotage, check, parts, asks) in SABOTAGED {
        let checks = run(state.path(), &[spec, "--sabotage", sabotage]);
        let outcome = &checks.iter().find(|(id, _)| id == check).unwrap().1["outcome"];
        let because = outcome["because"].as_str().unwrap_or_default();
        let place = format!("{spec}:{}:", line(spec, asks));
        let mut missed: Vec<&str> = parts.iter().copied().filter(|part| !because.contains(part)).collect();
        if !because.contains(&place) {
            missed.push(&place);
        }
        if outcome["verdict"] != "fail" || !missed.is_empty() || because.contains("disobeyed") {
            wrong.push(format!("{spec} +{sabotage} › {check}: no {missed:?} in {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_record_explains_itself_without_the_world() {
    if !can_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let spec = "specs/isolation/pid-own-and-host-hidden.yaml";
    let checks = run(state.path(), &[spec, "--sabotage", "share-host-pid"]);
    let because = |id: &str| checks.iter().find(|(known, _)| known == id).unwrap().1["outcome"]["because"].clone();
    let also = &checks.iter().find(|(id, _)| id == "own-pid-namespace").unwrap().1["also"];
    assert_eq!(
        also,
        &serde_json::json!(["init-is-pid-1", "nothing-else-visible", "told-by-itself"])
    );

    // Judged again from the record the cause is the same.
    let judged = plimsoll(state.path(), &["judge", "--format", "json"]);
    let document: Value = serde_json::from_slice(&judged.stdout).unwrap();
    let again = document["cases"][0]["checks"].as_array().unwrap();
    for check in again.iter().filter(|check| check["outcome"]["verdict"] == "fail") {
        assert_eq!(check["outcome"]["because"], because(check["id"].as_str().unwrap()));
    }
    assert!(!text(&judged.stderr).contains("differ"), "{}", text(&judged.stderr));

    let grouped = text(&plimsoll(state.path(), &["explain"]).stdout);
    assert!(grouped.contains("4 checks failed for 1 cause"), "{grouped}");
    assert!(grouped.contains("4 checks for the same cause:"), "{grouped}");

    let one = text(
        &plimsoll(
            state.path(),
            &["explain", "last", "pid-own-and-host-hidden.told-by-itself"],
        )
        .stdout,
    );
    for part in [
        "FAIL  pid-own-and-host-hidden+share-host-pid@bundled › told-by-itself",
        "fault of  the request",
        "asked at  specs/isolation/pid-own-and-host-hidden.yaml:",
        "app is in the host's, pid:[",
        "/ns/pid)",
    ] {
        assert!(one.contains(part), "no `{part}` in {one}");
    }

    let passed = text(&plimsoll(state.path(), &["explain", "last", "*.canary-alive"]).stdout);
    assert!(
        passed.contains("PASS  ") && passed.contains("observed  1 × the identity of canary"),
        "{passed}"
    );

    let json = plimsoll(state.path(), &["explain", "last", "told-by-itself", "--format", "json"]);
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document[0]["culprit"], "request");
    assert_eq!(document[0]["also"].as_array().unwrap().len(), 3);

    let nothing = plimsoll(state.path(), &["explain", "last", "no-such-check"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("no check `no-such-check`"));
}

/// Something of everything that a runtime can forget.
const SPEC: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: everything}
spec:
  description: A container is as it was asked for.
  targets: [runtime]
  timeouts: {test: 30s, step: 5s, teardown: 5s}
  workloads:
    app:
      container:
        image: plimsoll/probe
        args: [attempt, "version=read:/proc/version", "sysctl=write:/proc/sys/kernel/hostname:x", "ttl=read:/proc/sys/net/ipv4/ip_default_ttl", "call=syscall:getpgid:0", "full=stat:/dev/full", --then-sleep]
        env: {MARK: kept}
        user: {uid: 1000, gid: 1001, umask: 0o027}
        hostname: mine
        readOnlyRoot: true
        noNewPrivileges: true
        oomScoreAdj: 500
        maskedPaths: [/proc/version]
        readonlyPaths: [/proc/sys]
        capabilities: {drop: [ALL]}
        rlimits: [{type: RLIMIT_NOFILE, soft: 64, hard: 128}]
        sysctls: {net.ipv4.ip_default_ttl: "77"}
        resources: {limits: {memory: 64Mi, pids: 20}}
        mounts:
        - {destination: /data, type: bind, source: "${dir.data}", options: [rbind, noexec]}
        seccomp: {defaultAction: SCMP_ACT_ALLOW, syscalls: [{names: [getpgid], action: SCMP_ACT_ERRNO, errnoRet: 13}]}
  setup:
  - hostProcess: {id: canary, args: [sleep, "300"]}
  steps:
  - start: [app]
    eventually: {within: 1s, every: 50ms}
    expect:
    - {id: runs, on: app, state: running}
    - {id: pid, on: app, namespace: {pid: {differsFrom: host}}}
    - {id: ipc, on: app, namespace: {ipc: {differsFrom: host}}}
    - {id: network, on: app, namespace: {network: {differsFrom: host}}}
    - {id: memory, on: app, cgroup: {memory.max: 64Mi}}
    - {id: pids, on: app, cgroup: {pids.max: 20}}
    - {id: bounding, on: app, report: {caps.bounding: {exactly: []}}}
    - {id: no-new-privileges, on: app, report: {noNewPrivs: true}}
    - {id: filter, on: app, report: {seccomp: 2}}
    - {id: refused, on: app, report: {attempts.call: EACCES}}
    - {id: root, on: app, report: {root.readOnly: true}}
    - {id: masked, on: app, report: {values.version: ""}}
    - {id: read-only, on: app, mounts: {where: {destination: /proc/sys}, options: {contains: ro}}}
    - {id: noexec, on: app, mounts: {where: {destination: /data}, options: {contains: noexec}}}
    - {id: open-files, on: app, report: {rlimits.RLIMIT_NOFILE.soft: 64, rlimits.RLIMIT_NOFILE.hard: 128}}
    - {id: umask, on: app, report: {umask: "0027"}}
    - {id: user, on: app, report: {uid: 1000, gid: 1001}}
    - {id: oom-score, on: app, report: {oomScoreAdj: 500}}
    - {id: name, on: app, report: {hostname: mine}}
    - {id: mark, on: app, report: {env.MARK: kept}}
    - {id: parameter, on: app, report: {values.ttl: {matches: "^77"}}}
    - {id: device, on: app, report: {attempts.full: ok}}
    - {id: descriptors, on: app, report: {fds: {count: 3}}}
  - oci: {op: kill, on: app, signal: SIGUSR1}
    eventually: {within: 1s, every: 50ms}
    expect:
    - {id: ended, on: app, exit: {code: 138}}
"#;

/// A fault of the subject, a check that sees it, and what the cause must name.
const FAULTS: [(&str, &str, &[&str]); 24] = [
    (
        "pid-namespace-dropped",
        "pid",
        &["a new pid namespace (`linux.namespaces[", "app is in the host's, pid:["],
    ),
    (
        "ipc-namespace-dropped",
        "ipc",
        &["a new ipc namespace (`linux.namespaces[", "app is in the host's, ipc:["],
    ),
    (
        "network-namespace-of-the-host",
        "network",
        &["a new network namespace", "app is in the host's, net:["],
    ),
    (
        "memory-limit-doubled",
        "memory",
        &["a memory limit of 64Mi (`linux.resources.memory.limit`)", " is 128Mi ("],
    ),
    (
        "pids-limit-dropped",
        "pids",
        &[
            "a limit of processes of 20 (`linux.resources.pids.limit`)",
            "pids.max is max",
        ],
    ),
    (
        "capability-bounding-widened",
        "bounding",
        &["the bounding capabilities {nothing}", "CapBnd ", " has CAP_"],
    ),
    (
        "no-new-privileges-dropped",
        "no-new-privileges",
        &["no_new_privs (`process.noNewPrivileges`)", "NoNewPrivs is 0"],
    ),
    (
        "seccomp-dropped",
        "filter",
        &["a seccomp filter of 1 rule(s)", "Seccomp is 0"],
    ),
    (
        "seccomp-rules-allow",
        "refused",
        &["refusal with EACCES of `getpgid`", "came to ok"],
    ),
    (
        "seccomp-another-error",
        "refused",
        &["refusal with EACCES of `getpgid` (`linux.seccomp.syscalls[0]`)"],
    ),
    (
        "root-writable",
        "root",
        &["a read-only root (`root.readonly`)", "`/` is "],
    ),
    (
        "masked-paths-dropped",
        "masked",
        &[
            "`/proc/version` to be unreadable",
            "nothing is mounted over `/proc/version`",
        ],
    ),
    (
        "read-only-paths-dropped",
        "read-only",
        &["`/proc/sys` to be read-only", "`/proc` is proc"],
    ),
    (
        "mount-noexec-dropped",
        "noexec",
        &["bind mounted at `/data` with rbind,noexec", "it is without `noexec`"],
    ),
    (
        "rlimits-doubled",
        "open-files",
        &[
            "RLIMIT_NOFILE 64, at most 128 (`process.rlimits[0]`)",
            "it is 128, at most 256",
        ],
    ),
    (
        "umask-zero",
        "umask",
        &["umask 0027 (`process.user.umask`)", "Umask is 0000"],
    ),
    (
        "user-id-ignored",
        "user",
        &["uid 1000, gid 1001", "app has uid 0, gid 1001"],
    ),
    (
        "oom-score-another",
        "oom-score",
        &["an OOM score adjustment of 500", "oom_score_adj is 501"],
    ),
    (
        "hostname-another",
        "name",
        &["host name `mine` (`hostname`)", "its host name is `"],
    ),
    (
        "environment-second-lost",
        "mark",
        &["`MARK`, which was to be `kept`, is not there"],
    ),
    (
        "sysctl-another-value",
        "parameter",
        &["kernel parameter `net.ipv4.ip_default_ttl` = 77", "it is 78"],
    ),
    (
        "device-default-missing",
        "device",
        &["`/dev/full` as every container has it", "there is no `/dev/full`"],
    ),
    (
        "host-descriptor-leaked",
        "descriptors",
        &["no open files but the standard streams", "open is, too: "],
    ),
    (
        "kill-always-kill",
        "ended",
        &["asks for SIGUSR1, app was ended by SIGKILL"],
    ),
];

#[test]
fn a_subject_that_disobeys_is_told_from_a_request_that_asks_for_it() {
    if !can_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let spec = state.path().join("everything.yaml");
    std::fs::write(&spec, SPEC).unwrap();
    let spec = spec.to_str().unwrap();
    let plimsoll = env!("CARGO_BIN_EXE_plimsoll");
    let subject = |fault: &str| format!("oci:{plimsoll} saboteur --fault {fault} -- {plimsoll} oci");
    let healthy = run(state.path(), &[spec, "--subject", &subject("none")]);
    for (id, check) in &healthy {
        assert_eq!(check["outcome"]["verdict"], "pass", "{id}: {check}");
    }
    let mut wrong = Vec::new();
    for (fault, check, parts) in FAULTS {
        let checks = run(state.path(), &[spec, "--subject", &subject(fault)]);
        let outcome = &checks.iter().find(|(id, _)| id == check).unwrap().1["outcome"];
        let because = outcome["because"].as_str().unwrap_or_default();
        let missed: Vec<_> = parts.iter().filter(|part| !because.contains(**part)).collect();
        if !because.starts_with("the subject disobeyed: ") || !missed.is_empty() {
            wrong.push(format!("{fault} › {check}: no {missed:?} in {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
