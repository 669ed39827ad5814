//! Layouts that this host does not have, as trees of files.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use runtime::cgroup::{Error, Layout, Plan};
use tempfile::TempDir;

/// A host's `/sys/fs/cgroup`, with what `/proc/self` says about it.
struct Host {
    root: TempDir,
    mountinfo: String,
    membership: &'static str,
}

impl Host {
    fn new(mounts: &[(&str, &str, &str)], membership: &'static str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut mountinfo = String::from("23 1 254:0 / / rw - ext4 /dev/vda rw\n");
        for (top, point, end) in mounts {
            mountinfo += &format!("30 23 0:28 {top} {point} rw,nosuid shared:9 - {end}\n");
            fs::create_dir_all(root.path().join(point.trim_start_matches('/'))).unwrap();
        }
        Self {
            root,
            mountinfo,
            membership,
        }
    }

    fn v2(membership: &'static str) -> Self {
        let host = Self::new(&[("/", "/sys/fs/cgroup", "cgroup2 cgroup2 rw,nsdelegate")], membership);
        host.file("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
        host.file("cgroup.subtree_control", "cpuset cpu io memory hugetlb pids\n");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("sys/fs/cgroup").join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A cgroup that is there already and empty, with the files that the kernel makes.
    fn group(&self, name: &str, files: &[&str]) {
        fs::create_dir_all(self.path(name)).unwrap();
        for file in files {
            self.file(&format!("{name}/{file}"), "");
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn layout(&self) -> Layout {
        Layout::parse(self.root.path(), &self.mountinfo, self.membership).unwrap()
    }

    fn plan(&self, path: Option<&str>, resources: &str) -> Result<Plan, Error> {
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        // Rootless, because a tree of files takes no device filter.
        Plan::new(&self.layout(), path, "box", Some(&resources), true)
    }

    fn complaint(&self, resources: &str) -> String {
        self.plan(Some("/box"), resources).unwrap_err().to_string()
    }
}

const V1: &[(&str, &str, &str)] = &[
    ("/", "/sys/fs/cgroup", "tmpfs tmpfs ro,mode=755"),
    ("/", "/sys/fs/cgroup/systemd", "cgroup cgroup rw,xattr,name=systemd"),
    ("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct"),
    ("/", "/sys/fs/cgroup/memory", "cgroup cgroup rw,memory"),
    ("/", "/sys/fs/cgroup/cpuset", "cgroup cgroup rw,cpuset"),
    (
        "/",
        "/sys/fs/cgroup/net_cls,net_prio",
        "cgroup cgroup rw,net_cls,net_prio",
    ),
];
const V1_MEMBERSHIP: &str = "11:net_cls,net_prio:/\n5:cpuset:/\n4:memory:/user.slice\n3:cpu,cpuacct:/user.slice\n\
                             1:name=systemd:/user.slice/user-0.slice/session-1.scope\n0::/\n";

#[test]
fn controllers_mounted_together_are_one_hierarchy() {
    let layout = Host::new(V1, V1_MEMBERSHIP).layout();
    let names: Vec<String> = layout
        .v1
        .iter()
        .map(|hierarchy| hierarchy.controllers.join(","))
        .collect();
    assert_eq!(
        names,
        ["name=systemd", "cpu,cpuacct", "memory", "cpuset", "net_cls,net_prio"]
    );
    assert!(layout.unified.is_none());
    assert_eq!(layout.v1[1].own, Path::new("user.slice"));
}

#[test]
fn a_relative_path_counts_from_the_own_cgroup_on_v1() {
    let host = Host::new(V1, V1_MEMBERSHIP);
    host.group(
        "cpu,cpuacct/user.slice/box",
        &["cgroup.procs", "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"],
    );
    host.group(
        "memory/user.slice/box",
        &["cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
    );
    for (file, content) in [("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")] {
        host.file(&format!("cpuset/{file}"), content);
        host.file(&format!("cpuset/box/{file}"), "\n");
    }
    fs::create_dir_all(host.path("systemd/user.slice/user-0.slice/session-1.scope")).unwrap();
    let resources = r#"{"cpu": {"shares": 512, "quota": 20000, "period": 100000},
        "memory": {"limit": 1048576, "swap": 2097152}}"#;
    let cgroup = host.plan(None, resources).unwrap().create().unwrap();
    assert!(cgroup.v2_path().is_none());
    assert_eq!(host.read("cpu,cpuacct/user.slice/box/cpu.shares"), "512");
    assert_eq!(host.read("cpu,cpuacct/user.slice/box/cpu.cfs_quota_us"), "20000");
    assert_eq!(
        host.read("memory/user.slice/box/memory.memsw.limit_in_bytes"),
        "2097152",
        "both together"
    );
    assert_eq!(host.read("cpuset/box/cpuset.cpus"), "0-3", "seeded by the parent");
}

#[test]
fn everything_has_its_file_on_v2() {
    let host = Host::v2("0::/\n");
    host.group(
        "box",
        &[
            "cgroup.procs",
            "cpu.weight",
            "cpu.max",
            "cpu.max.burst",
            "cpuset.cpus",
            "cpuset.mems",
            "memory.max",
            "memory.swap.max",
            "memory.low",
            "memory.high",
            "pids.max",
            "io.weight",
            "hugetlb.2MB.max",
            "hugetlb.2MB.rsvd.max",
        ],
    );
    let resources = r#"{"cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1", "mems": "0"},
        "memory": {"limit": 1048576, "swap": 3145728, "reservation": 524288},
        "pids": {"limit": 10}, "blockIO": {"weight": 100},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
        "unified": {"memory.high": "900000"}}"#;
    host.plan(Some("/box"), resources).unwrap().create().unwrap();
    for (file, value) in [
        ("cpu.weight", "39"),
        ("cpu.max", "50000 100000"),
        ("cpu.max.burst", "1000"),
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("memory.max", "1048576"),
        ("memory.swap.max", "2097152"),
        ("memory.low", "524288"),
        ("memory.high", "900000"),
        ("pids.max", "10"),
        ("io.weight", "910"),
        ("hugetlb.2MB.max", "4194304"),
        ("hugetlb.2MB.rsvd.max", "4194304"),
    ] {
        assert_eq!(host.read(&format!("box/{file}")), value, "{file}");
    }
}

#[test]
fn on_v2_a_container_is_beside_the_cgroup_of_its_starter_in_a_delegated_subtree() {
    let host = Host::v2("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n");
    let app = "user.slice/user-1000.slice/user@1000.service/app.slice";
    let mut above = String::new();
    for part in app.split('/') {
        above = if above.is_empty() {
            part.into()
        } else {
            format!("{above}/{part}")
        };
        host.file(&format!("{above}/cgroup.controllers"), "cpu memory pids\n");
        let enabled = if above == app { "memory\n" } else { "cpu memory pids\n" };
        host.file(&format!("{above}/cgroup.subtree_control"), enabled);
    }
    host.group(&format!("{app}/box"), &["cgroup.procs", "pids.max"]);
    let cgroup = host.plan(None, r#"{"pids": {"limit": 5}}"#).unwrap().create().unwrap();
    assert_eq!(cgroup.v2_path(), Some(host.path(&format!("{app}/box")).as_path()));
    assert_eq!(host.read(&format!("{app}/box/pids.max")), "5");
    let enabled = host.read(&format!("{app}/cgroup.subtree_control"));
    assert!(enabled.contains("+pids") && enabled.contains("+cpu"), "{enabled}");
    assert_eq!(
        host.read("user.slice/cgroup.subtree_control"),
        "cpu memory pids\n",
        "had all and was left alone"
    );
}

#[test]
fn a_hybrid_host_limits_each_controller_where_it_lives() {
    let mut mounts = V1.to_vec();
    mounts.push(("/", "/sys/fs/cgroup/unified", "cgroup2 cgroup2 rw"));
    let host = Host::new(&mounts, V1_MEMBERSHIP);
    host.file("unified/cgroup.controllers", "hugetlb\n");
    host.file("unified/cgroup.subtree_control", "\n");
    host.group("memory/box", &["cgroup.procs", "memory.limit_in_bytes"]);
    host.group("unified/box", &["cgroup.procs", "hugetlb.2MB.max"]);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        host.file(&format!("cpuset/{file}"), "0\n");
        host.file(&format!("cpuset/box/{file}"), "\n");
    }
    let resources = r#"{"memory": {"limit": 1048576}, "unified": {"hugetlb.2MB.max": "0"}}"#;
    let cgroup = host.plan(Some("/box"), resources).unwrap().create().unwrap();
    assert_eq!(host.read("memory/box/memory.limit_in_bytes"), "1048576");
    assert_eq!(host.read("unified/box/hugetlb.2MB.max"), "0");
    assert_eq!(host.read("unified/cgroup.subtree_control"), "+hugetlb");
    assert_eq!(cgroup.v2_path(), Some(host.path("unified/box").as_path()));
    assert_eq!(
        host.complaint(r#"{"unified": {"memory.high": "1"}}"#),
        "linux.resources.unified.memory.high: the unified hierarchy does not have the `memory` controller"
    );
}

#[test]
fn a_mount_of_a_part_of_a_hierarchy_is_its_root() {
    let mounts = [("/docker/abc", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")];
    let host = Host::new(&mounts, "0::/docker/abc/inner/me\n");
    host.file("cgroup.controllers", "\n");
    assert_eq!(host.layout().unified.unwrap().own, Path::new("inner/me"));
    let mounts = [("/../..", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")];
    let host = Host::new(&mounts, "0::/\n");
    host.file("cgroup.controllers", "\n");
    assert_eq!(host.layout().unified.unwrap().own, Path::new(""));
}

#[test]
fn what_v2_does_not_have_names_its_field() {
    let host = Host::v2("0::/\n");
    for (resources, complaint) in [
        (
            r#"{"memory": {"kernel": 1}}"#,
            "linux.resources.memory.kernel: cgroup v2 has nothing like it",
        ),
        (
            r#"{"memory": {"kernelTCP": 1}}"#,
            "linux.resources.memory.kernelTCP: cgroup v2 has nothing like it",
        ),
        (
            r#"{"memory": {"swappiness": 1}}"#,
            "linux.resources.memory.swappiness: cgroup v2 has nothing like it",
        ),
        (
            r#"{"memory": {"disableOOMKiller": true}}"#,
            "linux.resources.memory.disableOOMKiller: cgroup v2 has nothing like it",
        ),
        (
            r#"{"memory": {"swap": 1048576}}"#,
            "linux.resources.memory.swap: needs `linux.resources.memory.limit` too",
        ),
        (
            r#"{"memory": {"swap": 1, "limit": 2}}"#,
            "linux.resources.memory.swap: is below `linux.resources.memory.limit`, which is 2",
        ),
        (
            r#"{"cpu": {"realtimeRuntime": 1}}"#,
            "linux.resources.cpu.realtimeRuntime: cgroup v2 has nothing like it",
        ),
        (
            r#"{"cpu": {"shares": 1}}"#,
            "linux.resources.cpu.shares: 1 is not between 2 and 262144",
        ),
        (
            r#"{"cpu": {"cpus": "all"}}"#,
            "linux.resources.cpu.cpus: `all` is not a list like `0-2,4`",
        ),
        (
            r#"{"network": {"classID": 1}}"#,
            "linux.resources.network.classID: cgroup v2 has nothing like it",
        ),
        (
            r#"{"network": {"priorities": [{"name": "lo", "priority": 1}]}}"#,
            "linux.resources.network.priorities[0]: cgroup v2 has nothing like it",
        ),
        (
            r#"{"blockIO": {"leafWeight": 10}}"#,
            "linux.resources.blockIO.leafWeight: cgroup v2 has nothing like it",
        ),
        (
            r#"{"blockIO": {"weight": 5}}"#,
            "linux.resources.blockIO.weight: 5 is not between 10 and 1000",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}"#,
            "linux.resources.hugepageLimits[0].pageSize: `../x` is not a size like `2MB`",
        ),
        (
            r#"{"unified": {"../x.y": "1"}}"#,
            "linux.resources.unified.../x.y: `../x.y` is not a file name like `memory.high`",
        ),
        (
            r#"{"devices": [{"allow": true, "type": "c", "major": 1, "access": "x"}]}"#,
            "linux.resources.devices[0].access: `x` is not made of r, w and m",
        ),
        (
            r#"{"devices": [{"allow": false, "access": "rwm"}]}"#,
            "linux.resources.devices: only root may limit devices",
        ),
    ] {
        assert_eq!(host.complaint(resources), complaint);
    }
}

#[test]
fn what_v1_does_not_have_names_its_field() {
    let host = Host::new(V1, V1_MEMBERSHIP);
    for (resources, complaint) in [
        (
            r#"{"unified": {"memory.high": "1"}}"#,
            "linux.resources.unified.memory.high: cgroup v1 has nothing like it",
        ),
        (
            r#"{"pids": {"limit": 1}}"#,
            "linux.resources.pids.limit: no cgroup hierarchy has the `pids` controller",
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}"#,
            "linux.resources.hugepageLimits[0].pageSize: no cgroup hierarchy has the `hugetlb` controller",
        ),
    ] {
        assert_eq!(host.complaint(resources), complaint);
    }
}

#[test]
fn no_swap_accounting_is_told_unless_nothing_depends_on_it() {
    let host = Host::v2("0::/\n");
    host.group("box", &["cgroup.procs", "memory.max"]);
    let create = |swap: &str| {
        let resources = format!(r#"{{"memory": {{"limit": 1048576, "swap": {swap}}}}}"#);
        host.plan(Some("/box"), &resources).unwrap().create()
    };
    assert_eq!(
        create("2097152").unwrap_err().to_string(),
        "linux.resources.memory.swap: no swap accounting"
    );
    create("1048576").unwrap();
    create("-1").unwrap();
}

#[test]
fn a_cgroup_that_is_not_empty_is_not_taken_over() {
    let host = Host::v2("0::/\n");
    host.group("box", &["cgroup.procs"]);
    let complaint = || host.plan(Some("/box"), "{}").unwrap().create().unwrap_err().to_string();
    host.file("box/cgroup.events", "populated 1\nfrozen 0\n");
    assert!(complaint().ends_with("exists and holds processes"));
    host.file("box/cgroup.events", "populated 0\nfrozen 1\n");
    host.file("box/cgroup.freeze", "1\n");
    assert!(complaint().ends_with("exists and is frozen"));
    fs::create_dir(host.path("box/inner")).unwrap();
    assert!(complaint().ends_with("exists and holds cgroups"));
}

#[test]
fn paths_that_leave_the_hierarchy_are_refused() {
    let host = Host::v2("0::/\n");
    for path in ["/", "/a/../..", "../a", "."] {
        let complaint = host.plan(Some(path), "{}").unwrap_err().to_string();
        assert_eq!(
            complaint,
            format!("linux.cgroupsPath: `{path}` is not the path of a cgroup below the root")
        );
    }
}

#[test]
fn statistics_mean_the_same_on_v2() {
    let host = Host::v2("0::/\n");
    host.group("box", &["cgroup.procs"]);
    for (file, content) in [
        (
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 9\nnr_throttled 3\nthrottled_usec 70\n",
        ),
        ("memory.current", "4096\n"),
        ("memory.max", "8192\n"),
        ("memory.peak", "6000\n"),
        ("memory.swap.current", "100\n"),
        ("memory.swap.max", "max\n"),
        ("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n"),
        ("memory.stat", "anon 1000\nfile 2000\nkernel 300\n"),
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        ("io.stat", "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"),
        ("hugetlb.2MB.current", "2097152\n"),
        ("hugetlb.2MB.events", "max 4\n"),
        ("hugetlb.2MB.rsvd.current", "0\n"),
    ] {
        host.file(&format!("box/{file}"), content);
    }
    let stats = host
        .plan(Some("/box"), "{}")
        .unwrap()
        .create()
        .unwrap()
        .stats()
        .unwrap();
    let json = serde_json::to_value(&stats).unwrap();
    for (pointer, value) in [
        ("/cpu/usage/total", 1_500_000),
        ("/cpu/usage/kernel", 500_000),
        ("/cpu/throttling/throttledPeriods", 3),
        ("/cpu/throttling/throttledTime", 70_000),
        ("/memory/usage/usage", 4096),
        ("/memory/usage/limit", 8192),
        ("/memory/usage/max", 6000),
        ("/memory/usage/failcnt", 5),
        ("/memory/swap/usage", 4196),
        ("/memory/swap/limit", u64::MAX),
        ("/memory/cache", 2000),
        ("/memory/raw/anon", 1000),
        ("/pids/current", 3),
        ("/pids/limit", u64::MAX),
        ("/blkio/ioServiceBytesRecursive/1/value", 20),
        ("/blkio/ioServicedRecursive/0/value", 1),
        ("/hugetlb/2MB/usage", 2_097_152),
        ("/hugetlb/2MB/failcnt", 4),
    ] {
        assert_eq!(
            json.pointer(pointer).and_then(serde_json::Value::as_u64),
            Some(value),
            "{pointer}"
        );
    }
    assert_eq!(stats.hugetlb.len(), 1, "reservations are no size of their own");
}
