//! The table as a whole: its names, and that every fault of a configuration changes one that asks for what it breaks.

use std::collections::HashSet;

use saboteur::{Fault, Kind, catalogue, find, touches};
use serde_json::{Value, json};

/// Asks for everything.
fn rich() -> Value {
    let hook = |name: &str| json!({"path": "/bin/sh", "args": ["sh", "-c", name], "env": ["A=1"], "timeout": 1});
    let throttle = json!([{"major": 8, "minor": 0, "rate": 1_048_576}]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "user": {"uid": 1000, "gid": 1000, "additionalGids": [5, 7], "umask": 23},
            "args": ["/bin/probe", "attempt", "a b", "", "c"],
            "env": ["PATH=/bin", "A=1", "A=2", "B= x \ny"],
            "cwd": "/tmp",
            "capabilities": {
                "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"],
                "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
            },
            "rlimits": [
                {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}, {"type": "RLIMIT_CORE", "soft": 1, "hard": 2},
            ],
            "noNewPrivileges": true,
            "oomScoreAdj": 100,
            "scheduler": {"policy": "SCHED_BATCH"},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "mine",
        "domainname": "mine.example",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "gid=5", "uid=0"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["relatime", "ro"]},
            {"destination": "/data", "type": "bind", "source": "data", "options": ["rbind", "rro", "private", "noatime"]},
            {"destination": "/more", "type": "bind", "source": "/more", "options": ["bind", "ro", "nodiratime", "nosymfollow"]},
            {"destination": "/a", "type": "bind", "source": "/a", "options": ["bind"]},
        ],
        "hooks": {
            "prestart": [hook("a"), hook("b")], "createRuntime": [hook("a"), hook("b")],
            "createContainer": [hook("a")], "startContainer": [hook("a")], "poststart": [hook("a")],
            "poststop": [hook("a"), {"path": "/bin/true"}],
        },
        "annotations": {"org.example": "x"},
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
                {"type": "user"}, {"type": "cgroup"}, {"type": "time"},
            ],
            "uidMappings": [{"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 5000, "hostID": 7, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 5000, "hostID": 7, "size": 1}],
            "timeOffsets": {"monotonic": {"secs": 86400}, "boottime": {"secs": 86400}},
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536", "vm.swappiness": "10"},
            "rootfsPropagation": "slave",
            "personality": {"domain": "LINUX32"},
            "cgroupsPath": "/mine",
            "devices": [
                {"path": "/dev/a", "type": "c", "major": 1, "minor": 3, "fileMode": 384, "uid": 1, "gid": 1},
                {"path": "/dev/b", "type": "p"},
            ],
            "resources": {
                "devices": [
                    {"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "w"},
                ],
                "memory": {
                    "limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432, "swappiness": 10,
                    "disableOOMKiller": true,
                },
                "cpu": {
                    "quota": 20_000, "period": 50_000, "shares": 512, "burst": 1000, "idle": 1, "cpus": "1", "mems": "0",
                },
                "pids": {"limit": 10},
                "blockIO": {
                    "weight": 500, "throttleReadBpsDevice": throttle, "throttleWriteBpsDevice": throttle,
                    "throttleReadIOPSDevice": throttle, "throttleWriteIOPSDevice": throttle,
                },
                "hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}],
                "unified": {"memory.high": "1000000"},
                "network": {"classID": 1_048_577, "priorities": [{"name": "lo", "priority": 5}]},
            },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
                "syscalls": [
                    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
                    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
                    {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"},
                ],
            },
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/sys"],
        },
    })
}

/// Asks for as little as a container can, but for places to mount on.
fn bare() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["probe"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": [],
        "linux": {"namespaces": []},
    })
}

/// What is joined and not made, and a filter that allows by default.
fn joined() -> Value {
    let mut config = bare();
    let kinds = ["pid", "mount", "ipc", "uts", "network", "user", "cgroup", "time"];
    let namespaces: Vec<_> = kinds
        .iter()
        .map(|kind| json!({"type": kind, "path": "/proc/7/ns/x"}))
        .collect();
    config["linux"]["namespaces"] = json!(namespaces);
    config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []});
    config
}

/// Makes no sense in every way that a fault could make sense of.
fn wrong() -> Value {
    json!({
        "ociVersion": "nonsense",
        "process": {
            "args": [], "cwd": "relative", "oomScoreAdj": 2000,
            "rlimits": [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 2, "hard": 1}],
        },
        "root": {"path": "rootfs"},
        "hostname": "mine",
        "mounts": [
            {"destination": "/a", "source": "/no/such/source", "options": ["bind"]},
            {"destination": "/b", "type": "nosuchfs", "source": "none"},
        ],
        "linux": {
            "namespaces": [{"type": "nosuch"}, {"type": "ipc"}, {"type": "ipc"}, {"type": "network", "path": "/proc/7/ns/uts"}],
            "sysctl": {"kernel.no.such": "1"},
        },
    })
}

/// What else is refused.
fn worse() -> Vec<Value> {
    let mut through = bare();
    through["process"]["cwd"] = json!("/proc/self/fd/5");
    let mut nobody = bare();
    if let Some(nobody) = nobody.as_object_mut() {
        nobody.shift_remove("process");
    }
    vec![through, nobody]
}

/// Faults that do what nobody asked for, so that they touch a bare request, too.
const UNASKED: [&str; 18] = [
    "pid-namespace-unasked",
    "ipc-namespace-unasked",
    "uts-namespace-unasked",
    "network-namespace-unasked",
    "cgroup-namespace-unasked",
    "time-namespace-unasked",
    "user-namespace-unasked",
    "additional-group-unasked",
    "rootfs-propagation-shared",
    "host-directory-mounted",
    "host-directory-mounted-read-only",
    "host-file-mounted",
    "host-proc-mounted",
    "root-read-only-forced",
    "device-kernel-log-unasked",
    "device-memory-unasked",
    "no-new-privileges-forced",
    "argument-appended",
];

fn of_the_request(fault: &Fault) -> bool {
    // Faults of verbs, and of what lies in the bundle, touch everything, even a request that is none.
    !touches(fault, &Value::Null)
}

#[test]
fn names_are_unique_and_kebab_case() {
    let mut seen = HashSet::new();
    for fault in catalogue() {
        assert!(seen.insert(fault.name), "`{}` is there twice", fault.name);
        let parts: Vec<_> = fault.name.split('-').collect();
        let good = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(parts.iter().all(good), "`{}` is not kebab-case", fault.name);
        assert!(std::ptr::eq(find(fault.name).unwrap(), fault));
    }
    assert!(seen.len() >= 100, "only {} faults", seen.len());
}

#[test]
fn every_fault_says_what_it_does_and_who_could_notice() {
    for fault in catalogue() {
        assert!(
            fault.what.len() > 10 && !fault.what.ends_with('.'),
            "{}: {}",
            fault.name,
            fault.what
        );
        assert_eq!(fault.dimensions.is_empty(), fault.name == "none", "{}", fault.name);
        let unique: HashSet<_> = fault.dimensions.iter().collect();
        assert_eq!(
            unique.len(),
            fault.dimensions.len(),
            "{}: a dimension twice",
            fault.name
        );
    }
}

#[test]
fn every_fault_of_the_request_touches_one_that_asks_for_what_it_breaks() {
    for fault in catalogue()
        .iter()
        .filter(|fault| of_the_request(fault) && fault.name != "none")
    {
        let mut all = vec![rich(), joined(), bare(), wrong()];
        all.extend(worse());
        let touched = all.iter().any(|config| touches(fault, config));
        assert!(touched, "{} changes nothing", fault.name);
    }
}

#[test]
fn what_was_not_asked_for_cannot_be_broken() {
    for fault in catalogue().iter().filter(|fault| of_the_request(fault)) {
        assert_eq!(
            touches(fault, &bare()),
            UNASKED.contains(&fault.name),
            "{} on a request that asks for nothing",
            fault.name
        );
    }
}

#[test]
fn a_fault_of_one_namespace_leaves_the_others_alone() {
    let mut without = rich();
    let namespaces = without["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    assert!(!touches(find("pid-namespace-dropped").unwrap(), &without));
    assert!(touches(find("ipc-namespace-dropped").unwrap(), &without));
    assert!(!touches(find("pid-namespace-dropped").unwrap(), &joined()));
    assert!(touches(find("pid-namespace-path-ignored").unwrap(), &joined()));
    assert!(!touches(find("pid-namespace-path-ignored").unwrap(), &rich()));
}

#[test]
fn near_misses_say_by_how_much() {
    let misses: Vec<_> = catalogue()
        .iter()
        .filter_map(|fault| match fault.kind {
            Kind::NearMiss { percent } => Some((fault.name, percent)),
            Kind::Knockout => None,
        })
        .collect();
    for (name, percent) in &misses {
        if let Some((_, number)) = name.rsplit_once("-plus-") {
            assert_eq!(number.parse(), Ok(*percent), "{name}");
        }
        if let Some((_, number)) = name.rsplit_once("-minus-") {
            assert_eq!(number.parse::<i32>().map(|n| -n), Ok(*percent), "{name}");
        }
    }
    for limit in ["cpu-quota", "memory-limit", "pids-limit"] {
        let ladder = misses.iter().filter(|(name, _)| name.starts_with(limit)).count();
        assert!(ladder >= 4, "{limit}: {ladder} steps");
    }
}

#[test]
fn the_healthy_wrapper_touches_nothing() {
    assert!(!touches(find("none").unwrap(), &rich()));
}

#[test]
fn a_request_that_is_no_object_harms_nobody() {
    for fault in catalogue() {
        for odd in [
            json!(null),
            json!([]),
            json!("x"),
            json!({"linux": 1, "mounts": {}, "process": [], "hooks": 7}),
        ] {
            let _either = touches(fault, &odd);
        }
    }
}
