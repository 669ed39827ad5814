//! Each area of causes, on facts as the kernel writes them.

use record::{Event, Seen, Verdict};
use serde_json::{Value, json};
use spec::Target;

use super::*;
use crate::judge;
use crate::plan::{self, Sabotaging, Selection, SpecFile};

const SPEC: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: causes, labels: {area: isolation}}
spec:
  description: A failure has a cause.
  targets: [runtime]
  workloads:
    app:
      container:
        image: plimsoll/probe
        args: [attempt, "file=read:/proc/version", "mkdir=mkdir:/new", "call=syscall:getpid", --then-sleep]
        resources: {limits: {memory: 32Mi, pids: 8}}
        readOnlyRoot: true
        maskedPaths: [/proc/version]
        capabilities: {drop: [ALL]}
        rlimits:
        - {type: RLIMIT_NOFILE, soft: 64, hard: 128}
        mounts:
        - {destination: /data, type: bind, source: "${dir.data}", options: [rbind, ro, rslave]}
        seccomp: {defaultAction: SCMP_ACT_ALLOW, syscalls: [{names: [getpid], action: SCMP_ACT_ERRNO, errnoRet: 1}]}
    other: {container: {image: plimsoll/probe, args: [sleep, "300"]}}
  steps:
  - start: [other, app]
    expect:
    - {id: pid, on: app, namespace: {pid: {differsFrom: host}}}
    - {id: memory, on: app, cgroup: {memory.max: 32Mi}}
    - {id: pids, on: app, cgroup: {pids.max: 8}}
    - {id: root, on: app, report: {root.readOnly: true}}
    - {id: masked, on: app, report: {values.file: ""}}
    - {id: caps, on: app, report: {caps.bounding: {exactly: []}}}
    - {id: rlimit, on: app, report: {rlimits.RLIMIT_NOFILE.soft: 64}}
    - {id: data, on: app, mounts: {where: {destination: /data}, options: {contains: ro}}}
    - {id: seccomp, on: app, report: {seccomp: 2}}
    - {id: refused, on: app, report: {attempts.call: EPERM}}
    - {id: runs, on: app, state: running}
    - {id: user, on: app, report: {uid: 0}}
    - id: explained
      because: nobody may see the host's processes
      on: app
      report: {pid: 1}
  sabotage:
  - id: shared
    set: {workloads.app.container.namespaces.pid: host}
    mustFail: [pid]
  - id: unlimited
    unset: [workloads.app.container.resources.limits.memory]
    mustFail: [memory]
"#;

fn spec_line(part: &str) -> usize {
    SPEC.lines().position(|line| line.contains(part)).unwrap() + 1
}

fn the_case(sabotage: Option<&str>) -> Case {
    let loaded = spec::load(SPEC, "specs/causes.yaml");
    assert_eq!(loaded.faults, []);
    let file = SpecFile {
        path: "specs/causes.yaml".into(),
        text: SPEC.into(),
        sha256: String::new(),
        loaded,
    };
    let selection = Selection {
        sabotage: sabotage.map_or(Sabotaging::None, |id| Sabotaging::Only(id.into())),
        ..Selection::default()
    };
    let mut plan = plan::expand(
        &[file],
        &selection,
        &["bundled".to_owned()],
        plan::Offer::of(&[Target::Runtime]),
    )
    .unwrap();
    plan.cases.remove(0)
}

/// What a runtime that did everything right leaves behind.
struct Kernel {
    case: Case,
    config: Value,
    texts: Vec<(&'static str, String)>,
    seen: Vec<(&'static str, Seen)>,
    acts: Vec<Event>,
}

const STATUS: &str = "Name:\tprobe\nUmask:\t0022\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

const MOUNTINFO: &str = "\
100 90 0:50 / / ro,relatime - overlay overlay rw,lowerdir=/x
101 100 0:51 / /proc rw,relatime - proc proc rw
102 101 0:6 /null /proc/version rw,nosuid - tmpfs udev rw
103 100 0:52 /dirs/data /data ro,relatime - tmpfs tmpfs rw
";

const HOST_MOUNTINFO: &str = "\
90 1 254:0 / / ro,relatime - ext4 /dev/vda rw
91 90 0:52 / /run/plimsoll rw,relatime - tmpfs tmpfs rw
";

const GROUPS: &str = "\
v1 memory /sys/fs/cgroup/memory/plimsoll-app
  memory.limit_in_bytes 33554432
  memory.max_usage_in_bytes 1048576
  memory.oom_control oom_kill_disable 0; under_oom 0; oom_kill 0
v1 memory /sys/fs/cgroup/memory
  memory.limit_in_bytes 1073741824
v1 pids /sys/fs/cgroup/pids/plimsoll-app
  pids.max 8
v1 pids /sys/fs/cgroup/pids
  pids.max 4096
";

const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            64                   128                  files     \n";

impl Kernel {
    fn of(sabotage: Option<&str>) -> Self {
        let config = json!({
            "process": {
                "user": {"uid": 0, "gid": 0}, "args": ["attempt"], "noNewPrivileges": true,
                "capabilities": {"bounding": [], "effective": [], "permitted": []},
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}],
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/data", "type": "bind", "source": "/run/plimsoll/dirs/data", "options": ["rbind", "ro", "rslave"]},
            ],
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network"}],
                "cgroupsPath": "/plimsoll-app",
                "resources": {"memory": {"limit": 33_554_432}, "pids": {"limit": 8}},
                "maskedPaths": ["/proc/version"],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]},
            },
        });
        Self {
            case: the_case(sabotage),
            config,
            texts: vec![
                ("app.end", "pid 7 runs".into()),
                ("app.status", STATUS.into()),
                ("app.mountinfo", MOUNTINFO.into()),
                ("app.groups", GROUPS.into()),
                ("app.limits", LIMITS.into()),
                ("app.paths", "/proc/version: mode 20666\n".into()),
                ("app.namespaces", "pid:[2]\nmount:[12]\nnetwork:[22]\n".into()),
                ("other.namespaces", "pid:[3]\nmount:[13]\nnetwork:[23]\n".into()),
                ("host.namespaces", "pid:[1]\nmount:[11]\nnetwork:[21]\n".into()),
                ("host.mountinfo", HOST_MOUNTINFO.into()),
                ("host.status", "CapBnd:\t000001ffffffffff\nSeccomp:\t0\n".into()),
            ],
            seen: Vec::new(),
            acts: Vec::new(),
        }
    }

    /// Another text in place of one.
    fn with(mut self, name: &'static str, from: &str, to: &str) -> Self {
        let text = self.texts.iter_mut().find(|(known, _)| *known == name).unwrap();
        assert!(text.1.contains(from), "{name} has no `{from}`");
        text.1 = text.1.replace(from, to);
        self
    }

    fn asks(mut self, pointer: &str, value: Value) -> Self {
        *self.config.pointer_mut(pointer).unwrap() = value;
        self
    }

    fn seen(mut self, check: &'static str, seen: Seen) -> Self {
        self.seen.push((check, seen));
        self
    }

    fn events(&self) -> Vec<Event> {
        let case = self.case.header.id.clone();
        let mut events = vec![Event::Step {
            case: case.clone(),
            phase: "steps".into(),
            index: 0,
            name: "start".into(),
            t: 0.0,
        }];
        events.extend(self.acts.iter().cloned());
        events.push(Event::Look {
            case: case.clone(),
            phase: "steps".into(),
            index: 0,
            n: 0,
            t: 1.0,
            seen: self
                .seen
                .iter()
                .map(|(id, seen)| ((*id).to_owned(), seen.clone()))
                .collect(),
        });
        let mut texts: Vec<(String, String)> = self
            .texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.clone()))
            .collect();
        texts.push(("app.config.json".into(), self.config.to_string()));
        events.extend(texts.into_iter().map(|(name, text)| Event::Evidence {
            case: case.clone(),
            name,
            text,
        }));
        events
    }

    fn diagnosis(&self, check: &str) -> Diagnosis {
        let events = self.events();
        let judged = judge::case(&self.case, &events);
        super::case(&self.case, &events, &judged)
            .into_iter()
            .find(|d| d.check == check)
            .unwrap()
    }

    #[track_caller]
    fn says(&self, check: &str, culprit: Culprit, parts: &[&str]) {
        let diagnosis = self.diagnosis(check);
        for part in parts {
            assert!(diagnosis.because.contains(part), "no `{part}` in {diagnosis:#?}");
        }
        assert_eq!(diagnosis.culprit, culprit, "{diagnosis:#?}");
    }
}

fn namespaces(own: u64) -> Seen {
    serde_json::from_value(json!({"seen": "namespaces", "target": {"pid": own},
        "others": {"host": {"pid": 1}}, "source": "/proc/7/ns"}))
    .unwrap()
}

fn report(values: Value) -> Seen {
    Seen::Report { values: Some(values) }
}

#[test]
fn a_namespace_that_nobody_asked_for_is_the_requests_doing() {
    let kernel = Kernel::of(Some("shared"))
        .asks("/linux/namespaces", json!([{"type": "mount"}, {"type": "network"}]))
        .with("app.namespaces", "pid:[2]", "pid:[1]")
        .seen("pid", namespaces(1));
    let line = spec_line("namespaces.pid: host");
    let place = format!("`namespaces.pid: host` at specs/causes.yaml:{line}:");
    kernel.says(
        "pid",
        Culprit::Request,
        &["config.json asks for no pid namespace", &place, "sabotage `shared`"],
    );
    assert!(
        kernel
            .diagnosis("pid")
            .asked_at
            .unwrap()
            .starts_with(&format!("specs/causes.yaml:{line}:"))
    );
}

#[test]
fn a_namespace_that_was_asked_for_and_not_made_is_the_subjects_doing() {
    let kernel = Kernel::of(None)
        .with("app.namespaces", "pid:[2]", "pid:[1]")
        .seen("pid", namespaces(1));
    kernel.says(
        "pid",
        Culprit::Subject,
        &[
            "the subject disobeyed: config.json asks for a new pid namespace (`linux.namespaces[0]`)",
            "app is in the host's, pid:[1]",
            "/proc/7/ns/pid",
        ],
    );
}

#[test]
fn a_namespace_shared_with_a_neighbour_is_told_by_its_name() {
    let kernel = Kernel::of(None)
        .with("app.namespaces", "pid:[2]", "pid:[3]")
        .seen("explained", report(json!({"pid": 9})));
    kernel.says("explained", Culprit::Subject, &["app is in that of `other`, pid:[3]"]);
    let joined = kernel.asks("/linux/namespaces/0", json!({"type": "pid", "path": "/proc/1/ns/pid"}));
    joined.says("explained", Culprit::Subject, &["the pid namespace of the host"]);
}

#[test]
fn what_the_author_wrote_follows_the_cause_on_a_line_of_its_own() {
    let kernel = Kernel::of(None)
        .with("app.namespaces", "pid:[2]", "pid:[1]")
        .seen("explained", report(json!({"pid": 9})))
        .seen("pid", namespaces(1));
    let events = kernel.events();
    let judged = judge::case(&kernel.case, &events);
    let verdict = &judged.iter().find(|j| j.check == "explained").unwrap().verdict;
    let Verdict::Fail {
        because: Some(because), ..
    } = verdict
    else {
        panic!("must fail with a cause: {verdict:?}");
    };
    let lines: Vec<&str> = because.lines().collect();
    assert!(lines[0].starts_with("the subject disobeyed"), "{because}");
    assert_eq!(lines[1], "nobody may see the host's processes");
    assert_eq!(kernel.diagnosis("pid").also, ["explained"]);
}

fn memory_max(bytes: u64) -> Seen {
    serde_json::from_value(json!({"seen": "cgroup", "values": {"memory.max": {"file": "f", "value": bytes}}})).unwrap()
}

#[test]
fn a_limit_is_told_with_its_file_and_value() {
    let doubled = Kernel::of(None)
        .with(
            "app.groups",
            "memory.limit_in_bytes 33554432",
            "memory.limit_in_bytes 67108864",
        )
        .seen("memory", memory_max(67_108_864));
    doubled.says(
        "memory",
        Culprit::Subject,
        &[
            "a memory limit of 32Mi (`linux.resources.memory.limit`)",
            "memory.limit_in_bytes is 64Mi (/sys/fs/cgroup/memory/plimsoll-app/memory.limit_in_bytes)",
        ],
    );
    let mut unlimited = Kernel::of(Some("unlimited"))
        .with(
            "app.groups",
            "memory.limit_in_bytes 33554432",
            "memory.limit_in_bytes 9223372036854771712",
        )
        .seen("memory", memory_max(0x7fff_ffff_ffff_f000));
    unlimited.config["linux"]["resources"] = json!({"pids": {"limit": 8}});
    let line = spec_line("unset: [workloads.app.container.resources.limits.memory]");
    let place = format!("`resources.limits.memory` is taken away at specs/causes.yaml:{line}:");
    unlimited.says("memory", Culprit::Request, &["no memory limit", &place]);
}

#[test]
fn an_ancestor_that_allows_less_is_the_hosts_doing() {
    let kernel = Kernel::of(None)
        .with(
            "app.groups",
            "memory.limit_in_bytes 1073741824",
            "memory.limit_in_bytes 16777216",
        )
        .seen("memory", memory_max(16_777_216));
    kernel.says(
        "memory",
        Culprit::Host,
        &["memory.limit_in_bytes of `/sys/fs/cgroup/memory` is 16Mi, lower than the 32Mi"],
    );
    let above = Kernel::of(None)
        .with(
            "app.groups",
            "  memory.max_usage_in_bytes",
            "  memory.stat hierarchical_memory_limit 8388608\n  memory.max_usage_in_bytes",
        )
        .seen("memory", memory_max(8_388_608));
    above.says(
        "memory",
        Culprit::Host,
        &["an ancestor of `/sys/fs/cgroup/memory/plimsoll-app` allows 8Mi"],
    );
}

#[test]
fn a_group_that_was_not_joined_is_told_with_the_one_that_was() {
    let mut kernel = Kernel::of(None).seen("pids", Seen::Absent { what: "x".into() });
    kernel.texts.retain(|(name, _)| *name != "app.groups");
    kernel
        .texts
        .push(("app.groups", "v1 pids /sys/fs/cgroup/pids\n  pids.max 4096\n".into()));
    kernel.says(
        "pids",
        Culprit::Subject,
        &[
            "cgroup `/plimsoll-app` (`linux.cgroupsPath`)",
            "app is in `/sys/fs/cgroup/pids`",
        ],
    );
}

#[test]
fn a_root_that_is_writable_and_a_path_that_is_not_masked_are_told_by_their_mounts() {
    let writable = Kernel::of(None)
        .with("app.mountinfo", "/ / ro,relatime", "/ / rw,relatime")
        .seen("root", report(json!({"root": {"readOnly": false}})));
    writable.says(
        "root",
        Culprit::Subject,
        &[
            "a read-only root (`root.readonly`)",
            "`/` is overlay of overlay, rw,relatime",
        ],
    );
    let bare = Kernel::of(None)
        .with(
            "app.mountinfo",
            "102 101 0:6 /null /proc/version rw,nosuid - tmpfs udev rw\n",
            "",
        )
        .seen("masked", report(json!({"values": {"file": "Linux"}})));
    let itself = Kernel::of(None)
        .with(
            "app.mountinfo",
            "0:6 /null /proc/version rw,nosuid - tmpfs udev rw",
            "0:51 /version /proc/version ro - proc proc rw",
        )
        .seen("masked", report(json!({"values": {"file": "Linux"}})));
    itself.says(
        "masked",
        Culprit::Subject,
        &["it is mounted onto itself and can be read"],
    );
    bare.says(
        "masked",
        Culprit::Subject,
        &[
            "`/proc/version` to be unreadable (`linux.maskedPaths[0]`)",
            "nothing is mounted over `/proc/version`, it is on `/proc` is proc",
        ],
    );
}

fn mounts(text: &str) -> Seen {
    Seen::Mounts {
        list: crate::observe::mounts::parse(text),
        source: "/proc/7/mountinfo".into(),
    }
}

#[test]
fn a_mount_is_told_with_source_options_and_propagation() {
    for (from, to, part) in [
        ("/data ro,relatime", "/data rw,relatime", "it is without `ro`"),
        (
            "/data ro,relatime -",
            "/data rw,relatime shared:9 -",
            "it is shared and not slave",
        ),
        (
            "/dirs/data /data ro",
            "/dirs /data rw",
            "it comes from `/dirs` and not from `/dirs/data`",
        ),
        (
            "103 100 0:52 /dirs/data /data ro,relatime - tmpfs tmpfs rw\n",
            "",
            "nothing is mounted at `/data`",
        ),
    ] {
        let kernel = Kernel::of(None).with("app.mountinfo", from, to);
        let table = kernel
            .texts
            .iter()
            .find(|(name, _)| *name == "app.mountinfo")
            .unwrap()
            .1
            .clone();
        kernel
            .seen("data", mounts(&table))
            .says("data", Culprit::Subject, &["(`mounts[1]`)", part]);
    }
}

#[test]
fn a_mount_that_nobody_asked_for_is_told() {
    let kernel = Kernel::of(None)
        .with(
            "app.mountinfo",
            "103 100 0:52 /dirs/data /data ro,",
            "104 100 254:0 /etc /leak rw - ext4 /dev/vda rw\n103 100 0:52 /dirs/data /data ro,",
        )
        .seen("data", mounts(""));
    kernel.says(
        "data",
        Culprit::Subject,
        &["nothing at `/leak`", "`/leak` is ext4 `/etc` of /dev/vda"],
    );
}

#[test]
fn a_capability_is_told_by_bit_and_set() {
    let kept = Kernel::of(None)
        .with("app.status", "CapBnd:\t0000000000000000", "CapBnd:\t0000000000200000")
        .seen("caps", report(json!({"caps": {"bounding": ["CAP_SYS_ADMIN"]}})));
    kept.says(
        "caps",
        Culprit::Subject,
        &[
            "the bounding capabilities {nothing} (`process.capabilities.bounding`)",
            "CapBnd 0000000000200000 of app has CAP_SYS_ADMIN",
        ],
    );
    let poor = Kernel::of(None)
        .asks("/process/capabilities/bounding", json!(["CAP_SYS_ADMIN"]))
        .with("host.status", "000001ffffffffff", "0000000000000000")
        .seen("caps", report(json!({"caps": {"bounding": ["x"]}})));
    poor.says(
        "caps",
        Culprit::Host,
        &["the host's own bounding set", "lacks CAP_SYS_ADMIN"],
    );
}

#[test]
fn a_filter_that_is_missing_or_soft_is_told_with_its_rule() {
    let missing = Kernel::of(None)
        .with(
            "app.status",
            "Seccomp:\t2\nSeccomp_filters:\t1",
            "Seccomp:\t0\nSeccomp_filters:\t0",
        )
        .seen("seccomp", report(json!({"seccomp": 0})));
    missing.says(
        "seccomp",
        Culprit::Subject,
        &[
            "a seccomp filter of 1 rule(s) (`linux.seccomp`)",
            "no filter is in force, Seccomp is 0",
        ],
    );
    let soft = Kernel::of(None)
        .asks("/process/args", json!(["attempt", "call=syscall:getpid"]))
        .seen("refused", report(json!({"attempts": {"call": "ok"}})));
    soft.says(
        "refused",
        Culprit::Subject,
        &[
            "refusal with EPERM of `getpid` (`linux.seccomp.syscalls[0]`)",
            "attempt `call` came to ok",
        ],
    );
}

#[test]
fn a_resource_limit_and_ids_are_told_with_what_they_are() {
    let higher = Kernel::of(None)
        .with("app.limits", "64                   128 ", "1024                 4096")
        .seen("rlimit", report(json!({"rlimits": {"RLIMIT_NOFILE": {"soft": 1024}}})));
    higher.says(
        "rlimit",
        Culprit::Subject,
        &[
            "RLIMIT_NOFILE 64, at most 128 (`process.rlimits[0]`)",
            "it is 1024, at most 4096 (/proc/7/limits)",
        ],
    );
    let somebody = Kernel::of(None)
        .with("app.status", "Uid:\t0\t0\t0\t0", "Uid:\t5\t5\t5\t5")
        .seen("user", report(json!({"uid": 5})));
    somebody.says("user", Culprit::Subject, &["uid 0, gid 0", "app has uid 5, gid 0"]);
    let mut mapped = Kernel::of(None)
        .with("app.status", "Uid:\t0\t0\t0\t0", "Uid:\t100000\t100000\t100000\t100000")
        .seen("user", report(json!({"uid": 5})));
    mapped
        .texts
        .push(("app.uid_map", "         0     100000      65536\n".into()));
    let chain = mapped.diagnosis("user").chain.join("\n");
    assert!(chain.contains("app has uid 0, gid 0"), "{chain}");
}

fn stopped() -> Seen {
    serde_json::from_value(json!({"seen": "state", "runtime": "stopped", "kernel":
        {"pid": 7, "alive": false, "payload": true, "frozen": false, "inCgroup": null}}))
    .unwrap()
}

#[test]
fn a_kill_is_told_with_who_sent_it() {
    let oom = Kernel::of(None)
        .with("app.end", "pid 7 runs", "pid 7 was ended by SIGKILL")
        .with("app.groups", "oom_kill 0", "oom_kill 1")
        .seen("runs", stopped());
    oom.says(
        "runs",
        Culprit::Workload,
        &[
            "app was ended by SIGKILL: the kernel's OOM killer",
            "oom_kill 1 in `/sys/fs/cgroup/memory/plimsoll-app/memory.oom_control`",
            "memory.limit_in_bytes 32Mi",
        ],
    );
    let mut killed = Kernel::of(None)
        .with("app.end", "pid 7 runs", "pid 7 was ended by SIGTERM")
        .seen("runs", stopped());
    killed.says(
        "runs",
        Culprit::Workload,
        &["no counter of its cgroup and no command of this case"],
    );
    killed.acts.push(Event::Act {
        case: killed.case.header.id.clone(),
        what: "runc kill plimsoll-app 15".into(),
        code: Some(0),
        stdout: String::new(),
        stderr: String::new(),
        t0: 0.0,
        t1: 0.0,
    });
    killed.says("runs", Culprit::Workload, &["`runc kill plimsoll-app 15` of this case"]);
    let softened = killed.with("app.end", "SIGTERM", "SIGKILL");
    softened.says(
        "runs",
        Culprit::Subject,
        &["`runc kill plimsoll-app 15` asks for SIGTERM, app was ended by SIGKILL"],
    );
}

#[test]
fn a_signal_of_a_limit_or_a_filter_and_an_exit_code_are_told() {
    let mut filtered = Kernel::of(None)
        .with("app.end", "pid 7 runs", "pid 7 was ended by SIGSYS")
        .seen("runs", stopped());
    filtered.config["linux"]["seccomp"]["syscalls"][0]["action"] = json!("SCMP_ACT_KILL_PROCESS");
    filtered.says("runs", Culprit::Workload, &["rule `linux.seccomp.syscalls[0]`"]);
    let unasked = Kernel::of(None)
        .with("app.end", "pid 7 runs", "pid 7 was ended by SIGSYS")
        .seen("runs", stopped());
    unasked.says(
        "runs",
        Culprit::Subject,
        &["no seccomp filter that kills (`linux.seccomp`)"],
    );
    for (end, part) in [
        ("pid 7 was ended by SIGXFSZ", "RLIMIT_FSIZE"),
        ("pid 7 ended with code 137", "code 137, which is 128 + 9 for SIGKILL"),
        ("pid 7 ended with code 127", "its program could not be found"),
        ("pid 7 ended with code 3", "ended by itself with code 3"),
    ] {
        Kernel::of(None)
            .with("app.end", "pid 7 runs", end)
            .seen("runs", stopped())
            .says("runs", Culprit::Workload, &[part]);
    }
}

#[test]
fn a_device_is_told_by_node_and_rule() {
    let mut kernel = Kernel::of(None).seen("explained", report(json!({"pid": 9})));
    kernel.config["mounts"] = json!([{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]);
    let nodes = "/dev/full: char 1:7 0666 0 0\n/dev/mem: char 1:1 0640 0 0\n/dev/null: char 1:3 0600 0 0\n";
    kernel.texts.push(("app.devices", nodes.into()));
    let events = kernel.events();
    let facts = Facts::of(&kernel.case.header.id, &events);
    let table = Table::of(&kernel.case, &facts);
    let of = |path: &str| {
        let object = Object::Device(path.into());
        table.statements.iter().find(|s| s.object == object).unwrap()
    };
    assert_eq!(of("/dev/full").agrees, Some(true));
    for (path, part) in [
        ("/dev/mem", "`/dev/mem` is char 1:1, mode 0640"),
        ("/dev/null", "mode 0600"),
        ("/dev/zero", "there is no `/dev/zero`"),
        ("/dev/fd", "there is no `/dev/fd`"),
    ] {
        assert!(
            of(path).agrees == Some(false) && of(path).shows.contains(part),
            "{:?}",
            of(path)
        );
    }
}

#[test]
fn a_state_that_is_not_true_is_the_subjects_doing() {
    let lie = serde_json::from_value(json!({"seen": "state", "runtime": "running", "kernel":
        {"pid": 7, "alive": false, "payload": true, "frozen": false, "inCgroup": null}}))
    .unwrap();
    Kernel::of(None).seen("runs", lie).says(
        "runs",
        Culprit::Subject,
        &["the subject disobeyed: its `state` says `running`, the kernel shows pid 7 dead"],
    );
}

#[test]
fn what_a_sabotage_changed_outweighs_what_only_may_have_an_effect() {
    // The limit of open files is among the many things that may end a write, and nobody asked for a change of it.
    let kernel = Kernel::of(Some("unlimited"))
        .with("app.limits", "64                   128 ", "1024                 4096")
        .seen("runs", stopped());
    kernel.says("runs", Culprit::Request, &["sabotage `unlimited` asks for it"]);
    let honest = Kernel::of(None)
        .with("app.limits", "64                   128 ", "1024                 4096")
        .seen("runs", stopped());
    honest.says("runs", Culprit::Subject, &["RLIMIT_NOFILE"]);
}

#[test]
fn a_refusal_is_told_with_what_was_said() {
    let mut kernel = Kernel::of(None);
    kernel.acts.push(Event::Act {
        case: kernel.case.header.id.clone(),
        what: "runc create plimsoll-app".into(),
        code: Some(1),
        stdout: String::new(),
        stderr: "time=x\nno such program\n".into(),
        t0: 0.0,
        t1: 0.0,
    });
    kernel.says(
        "runs",
        Culprit::Subject,
        &["the subject refused `runc create plimsoll-app`: no such program"],
    );
}

#[test]
fn what_the_check_does_not_look_at_may_be_the_cause_and_is_told_as_such() {
    let kernel = Kernel::of(None)
        .with("app.limits", "64                   128 ", "1024                 4096")
        .seen("runs", stopped());
    kernel.says(
        "runs",
        Culprit::Subject,
        &["RLIMIT_NOFILE", "nothing else that was kept differs from the request"],
    );
}

#[test]
fn a_record_without_facts_says_which_are_missing_and_guesses_nothing() {
    let mut kernel = Kernel::of(None).seen("memory", memory_max(1));
    kernel.texts.clear();
    let case = kernel.case.header.id.clone();
    let events: Vec<Event> = kernel
        .events()
        .into_iter()
        .filter(|event| !matches!(event, Event::Evidence { .. }))
        .collect();
    let judged = judge::case(&kernel.case, &events);
    let diagnosis = super::case(&kernel.case, &events, &judged)
        .into_iter()
        .find(|d| d.check == "memory")
        .unwrap();
    assert_eq!(
        (diagnosis.culprit, diagnosis.because.as_str()),
        (Culprit::Unknown, ""),
        "{case}"
    );
    assert_eq!(diagnosis.missing, ["app.config.json (what was asked for)"]);
    // With the request and no groups the file that would tell is named.
    kernel.texts.push(("app.end", "pid 7 runs".into()));
    assert_eq!(kernel.diagnosis("memory").missing, ["app.groups"]);
}

#[test]
fn a_pass_is_told_with_what_was_asked_for_and_seen() {
    let kernel = Kernel::of(None).seen("pid", namespaces(2));
    let diagnosis = kernel.diagnosis("pid");
    assert_eq!(diagnosis.because, "");
    assert!(
        diagnosis.chain[0].contains("asked: a new pid namespace")
            && diagnosis.chain[0].contains("app has pid:[2], the host pid:[1]"),
        "{diagnosis:#?}"
    );
}

#[test]
fn nothing_differs_where_everything_was_done() {
    let kernel = Kernel::of(None);
    let events = kernel.events();
    let facts = Facts::of(&kernel.case.header.id, &events);
    let table = Table::of(&kernel.case, &facts);
    let differing: Vec<&Statement> = table.statements.iter().filter(|s| s.agrees == Some(false)).collect();
    assert_eq!(differing, [] as [&Statement; 0]);
    let known = table.statements.iter().filter(|s| s.agrees == Some(true)).count();
    assert!(known > 20, "only {known} statements could be made");
}
