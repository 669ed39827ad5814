//! Every v1 controller against the running kernel: what is asked for is in the files, and has its effect.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it fails")]

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use oci_spec::runtime::LinuxResources;
use runtime::cgroup::{Cgroup, Error, Hierarchy, Layout, OomEvent, Plan, oom_watch};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(10);

/// A cgroup of this test, which is gone afterwards, whatever happens.
struct Group {
    cgroup: Cgroup,
    name: String,
    layout: Layout,
}

impl Group {
    /// [`None`] where the controllers are not on v1 hierarchies that this user may write.
    fn new(name: &str, controllers: &[&str], resources: &str) -> Option<Result<Self, Error>> {
        let layout = Layout::detect().unwrap();
        let has = |controller: &&str| {
            layout
                .v1
                .iter()
                .any(|hierarchy| hierarchy.controllers.iter().any(|known| known == controller))
        };
        let root = rustix::process::geteuid().is_root();
        if !root || !controllers.iter().all(has) {
            println!("skipped: needs root and v1 hierarchies for {controllers:?}");
            return None;
        }
        let name = format!("/plimsoll-test-{}-{name}", std::process::id());
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        let plan = Plan::new(&layout, Some(&name), "test", Some(&resources), false);
        Some(
            plan.and_then(|plan| plan.create())
                .map(|cgroup| Self { cgroup, name, layout }),
        )
    }

    fn hierarchy(&self, controller: &str) -> &Hierarchy {
        let has = |hierarchy: &&Hierarchy| hierarchy.controllers.iter().any(|known| known == controller);
        self.layout.v1.iter().find(has).unwrap()
    }

    fn directory(&self, controller: &str) -> PathBuf {
        self.hierarchy(controller).mount.join(self.name.trim_start_matches('/'))
    }

    fn read(&self, controller: &str, file: &str) -> String {
        fs::read_to_string(self.directory(controller).join(file))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Runs `script` in the cgroup: it starts when it has been put there.
    fn start(&self, script: &str) -> Child {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for tasks in self.cgroup.v1_tasks_paths() {
            fs::write(tasks, child.id().to_string()).unwrap();
        }
        if let Some(path) = self.cgroup.v2_path() {
            fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child
    }

    fn run(&self, script: &str) -> ExitStatus {
        self.start(script).wait().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.cgroup.kill_all(Signal::KILL).unwrap();
        self.cgroup.destroy(LIMIT).unwrap();
        for hierarchy in self.layout.v1.iter().chain(&self.layout.unified) {
            let path = hierarchy.mount.join(self.name.trim_start_matches('/'));
            assert!(!path.exists(), "{} is left", path.display());
        }
    }
}

/// The group, or a return where this host does not have what is needed.
macro_rules! group {
    ($name:literal, $controllers:expr, $resources:expr) => {
        match Group::new($name, &$controllers, $resources) {
            Some(group) => group.unwrap(),
            None => return,
        }
    };
}

#[test]
fn limits_are_in_the_files_of_their_controllers() {
    let group = group!(
        "files",
        ["cpu", "cpuset", "memory", "pids"],
        r#"{"cpu": {"shares": 512, "quota": 30000, "period": 50000, "burst": 10000, "cpus": "0"},
            "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432, "swappiness": 10,
                       "disableOOMKiller": true},
            "pids": {"limit": 32}}"#
    );
    assert_eq!(group.read("cpu", "cpu.shares"), "512");
    assert_eq!(group.read("cpu", "cpu.cfs_quota_us"), "30000");
    assert_eq!(group.read("cpu", "cpu.cfs_period_us"), "50000");
    assert_eq!(group.read("cpu", "cpu.cfs_burst_us"), "10000");
    assert_eq!(group.read("cpuset", "cpuset.cpus"), "0");
    assert_eq!(group.read("cpuset", "cpuset.mems"), "0", "from the parent");
    assert_eq!(group.read("memory", "memory.limit_in_bytes"), "67108864");
    assert_eq!(group.read("memory", "memory.memsw.limit_in_bytes"), "134217728");
    assert_eq!(group.read("memory", "memory.soft_limit_in_bytes"), "33554432");
    assert_eq!(group.read("memory", "memory.swappiness"), "10");
    assert!(
        group
            .read("memory", "memory.oom_control")
            .starts_with("oom_kill_disable 1")
    );
    assert_eq!(group.read("pids", "pids.max"), "32");
}

#[test]
fn an_update_changes_what_it_names_in_either_direction() {
    let group = group!(
        "update",
        ["cpu", "memory", "pids"],
        r#"{"cpu": {"quota": 30000, "period": 50000}, "memory": {"limit": 67108864, "swap": 67108864},
            "pids": {"limit": 32}}"#
    );
    let update = |text| {
        group
            .cgroup
            .update(&serde_json::from_str::<LinuxResources>(text).unwrap())
    };
    // Each of these is refused by the kernel in one of the two orders of writing.
    update(r#"{"memory": {"limit": 134217728, "swap": 134217728}}"#).unwrap();
    assert_eq!(group.read("memory", "memory.limit_in_bytes"), "134217728");
    update(r#"{"memory": {"limit": 33554432, "swap": 33554432}}"#).unwrap();
    assert_eq!(group.read("memory", "memory.memsw.limit_in_bytes"), "33554432");
    update(r#"{"memory": {"limit": -1}}"#).unwrap();
    assert_eq!(
        group.read("memory", "memory.memsw.limit_in_bytes"),
        group.read("memory", "memory.limit_in_bytes")
    );
    update(r#"{"cpu": {"period": 100000}}"#).unwrap();
    assert_eq!(group.read("cpu", "cpu.cfs_quota_us"), "30000", "not named");
    assert_eq!(group.read("pids", "pids.max"), "32", "not named");
    update(r#"{"cpu": {"idle": 1}}"#).unwrap();
    assert_eq!(group.read("cpu", "cpu.idle"), "1");
    update(r#"{"cpu": {"idle": 0, "shares": 256, "quota": -1}, "pids": {"limit": -1}}"#).unwrap();
    assert_eq!(group.read("cpu", "cpu.shares"), "256");
    assert_eq!(group.read("cpu", "cpu.cfs_quota_us"), "-1");
    assert_eq!(group.read("pids", "pids.max"), "max");
}

#[test]
fn an_update_that_is_to_check_first_refuses_a_limit_below_what_is_used() {
    let group = group!("check", ["memory"], r#"{"memory": {"limit": 134217728}}"#);
    let mut child = group.start(r"x=$(head -c 20M /dev/zero | tr '\0' x); sleep 60");
    let deadline = std::time::Instant::now() + LIMIT;
    while group.cgroup.stats().unwrap().memory.usage.usage < 20 << 20 {
        assert!(std::time::Instant::now() < deadline, "the memory was not used");
    }
    let text = r#"{"memory": {"limit": 4194304, "checkBeforeUpdate": true}}"#;
    let done = group.cgroup.update(&serde_json::from_str(text).unwrap());
    group.cgroup.kill_all(Signal::KILL).unwrap();
    child.wait().unwrap();
    let complaint = done.unwrap_err().to_string();
    assert!(complaint.starts_with("linux.resources.memory.limit: "), "{complaint}");
    assert!(complaint.ends_with(" bytes are in use already"), "{complaint}");
    assert_eq!(group.read("memory", "memory.limit_in_bytes"), "134217728");
}

#[test]
fn the_limit_of_processes_refuses_a_fork() {
    let group = group!("pids", ["pids"], r#"{"pids": {"limit": 4}}"#);
    let status = group.run("for i in 1 2 3 4 5 6; do sleep 60 & done");
    assert!(!status.success(), "six forks went through a limit of four");
    assert_eq!(group.cgroup.stats().unwrap().pids.limit, 4);
    assert!(
        group
            .read("pids", "pids.events")
            .trim_start_matches("max ")
            .parse::<u32>()
            .unwrap()
            > 0
    );
}

#[test]
fn the_limit_of_memory_kills_and_is_told() {
    let group = group!(
        "memory",
        ["memory"],
        r#"{"memory": {"limit": 16777216, "swap": 16777216}}"#
    );
    let mut watch = oom_watch(&group.cgroup).unwrap();
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), OomEvent::Nothing);
    let status = group.run("head -c 100M /dev/zero | tail -c 100M");
    assert_eq!(status.code(), Some(128 + 9), "{status}");
    assert_eq!(watch.wait(LIMIT).unwrap(), OomEvent::Oom);
    let memory = group.cgroup.stats().unwrap().memory;
    assert_eq!(memory.usage.limit, 16_777_216);
    assert!(
        memory.usage.max > 12 << 20 && memory.usage.max <= 16 << 20,
        "{memory:?}"
    );
}

#[test]
fn a_watch_tells_when_the_cgroup_goes() {
    let group = group!("gone", ["memory"], "{}");
    let mut watch = oom_watch(&group.cgroup).unwrap();
    group.cgroup.destroy(LIMIT).unwrap();
    assert_eq!(watch.wait(LIMIT).unwrap(), OomEvent::Gone);
}

#[test]
fn the_quota_throttles_and_is_counted() {
    let group = group!(
        "quota",
        ["cpu", "cpuacct"],
        r#"{"cpu": {"quota": 5000, "period": 25000}}"#
    );
    let status = group.run("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    assert!(status.success());
    let cpu = group.cgroup.stats().unwrap().cpu;
    assert!(cpu.throttling.throttled_periods > 0, "{cpu:?}");
    assert!(cpu.throttling.throttled_time > 0, "{cpu:?}");
    assert!(cpu.usage.total > 10_000_000, "{cpu:?}");
    // Counted in whole ticks, and throttled bursts begin at ticks: what they add up to is no measure of the total.
    assert!(cpu.usage.user + cpu.usage.kernel > 0, "{cpu:?}");
    assert_eq!(cpu.usage.percpu.iter().sum::<u64>(), cpu.usage.total);
}

#[test]
fn a_process_runs_where_the_cpuset_says() {
    let group = group!("cpuset", ["cpuset"], r#"{"cpu": {"cpus": "0"}}"#);
    assert!(
        group
            .run(r#"grep -q "^Cpus_allowed_list:.0$" /proc/self/status"#)
            .success()
    );
}

#[test]
fn devices_are_denied_but_those_that_every_container_has() {
    let group = group!(
        "devices",
        ["devices"],
        r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "access": "rw"},
            {"allow": false, "type": "c", "major": 1, "minor": 5, "access": "w"}]}"#
    );
    assert!(
        group.run(": > /dev/null && : < /dev/null && : < /dev/zero").success(),
        "supplied"
    );
    assert!(
        !group.run(": > /dev/zero").success(),
        "denied for writing by a later rule"
    );
    assert!(!group.run(": < /dev/kmsg").success(), "not supplied");
    let list = group.read("devices", "devices.list");
    assert!(list.lines().any(|line| line == "c 10:* rw"), "{list}");
    let update = r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1,
        "minor": 11, "access": "r"}]}"#;
    group.cgroup.update(&serde_json::from_str(update).unwrap()).unwrap();
    assert!(group.run(": < /dev/kmsg").success(), "allowed by the update");
    assert!(group.run(": > /dev/zero").success(), "no longer denied");
    assert!(
        !group.read("devices", "devices.list").contains("c 10:*"),
        "no longer allowed"
    );
}

#[test]
fn a_part_of_a_wider_exception_cannot_be_taken_back() {
    let rules = r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10,
        "access": "rwm"}, {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}]}"#;
    let Some(refused) = Group::new("part", &["devices"], rules) else {
        return;
    };
    let complaint = refused.err().expect("refused").to_string();
    assert!(complaint.starts_with("linux.resources.devices[2]: "), "{complaint}");
}

#[test]
fn throttles_of_a_block_device_are_written_and_lifted() {
    let device = fs::read_dir("/sys/block").ok().and_then(|devices| {
        devices
            .flatten()
            .find_map(|device| fs::read_to_string(device.path().join("dev")).ok())
    });
    let Some(device) = device.map(|device| device.trim().to_owned()) else {
        println!("skipped: this host has no block device");
        return;
    };
    let (major, minor) = device.split_once(':').unwrap();
    let one = |rate: u64| format!(r#"[{{"major": {major}, "minor": {minor}, "rate": {rate}}}]"#);
    let resources = |rate| {
        format!(
            r#"{{"blockIO": {{"throttleReadBpsDevice": {0}, "throttleWriteBpsDevice": {0},
                "throttleReadIOPSDevice": {0}, "throttleWriteIOPSDevice": {0}}}}}"#,
            one(rate)
        )
    };
    let group = match Group::new("blkio", &["blkio"], &resources(1_048_576)) {
        Some(group) => group.unwrap(),
        None => return,
    };
    for file in ["read_bps", "write_bps", "read_iops", "write_iops"] {
        let file = format!("blkio.throttle.{file}_device");
        assert_eq!(group.read("blkio", &file), format!("{device} 1048576"), "{file}");
    }
    group
        .cgroup
        .update(&serde_json::from_str(&resources(0)).unwrap())
        .unwrap();
    assert_eq!(group.read("blkio", "blkio.throttle.read_bps_device"), "");
}

#[test]
fn frozen_processes_stand_still_and_can_be_killed() {
    let group = group!("freezer", ["freezer", "cpuacct"], "{}");
    let mut child = group.start("while :; do :; done");
    group.cgroup.freeze().unwrap();
    assert!(group.cgroup.is_frozen().unwrap());
    let used = |group: &Group| group.cgroup.stats().unwrap().cpu.usage.total;
    let before = used(&group);
    rustix::event::poll(
        &mut [],
        Some(&rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        }),
    )
    .unwrap();
    assert_eq!(used(&group), before, "used time while frozen");
    group.cgroup.thaw().unwrap();
    assert!(!group.cgroup.is_frozen().unwrap());
    group.cgroup.freeze().unwrap();
    assert_eq!(group.cgroup.pids().unwrap(), [i32::try_from(child.id()).unwrap()]);
    group.cgroup.kill_all(Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(group.cgroup.pids().unwrap().is_empty());
}

#[test]
fn a_signal_reaches_the_processes_of_cgroups_below() {
    let group = group!("below", ["cpu"], "{}");
    let mut child = group.start("exec sleep 60");
    let below = group.directory("cpu").join("inner/most");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("tasks"), child.id().to_string()).unwrap();
    assert_eq!(group.cgroup.pids().unwrap(), [i32::try_from(child.id()).unwrap()]);
    group.cgroup.kill_all(Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn a_cgroup_with_processes_is_not_taken_over_and_stays() {
    let group = group!("occupied", ["cpu"], "{}");
    let mut child = group.start("exec sleep 60");
    let again = Plan::new(&group.layout, Some(&group.name), "test", None, false)
        .unwrap()
        .create();
    let complaint = again.unwrap_err().to_string();
    assert!(complaint.ends_with("exists and holds processes"), "{complaint}");
    assert!(group.directory("cpu").exists());
    assert!(child.try_wait().unwrap().is_none(), "the process in it was killed");
    group.cgroup.kill_all(Signal::KILL).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_failed_creation_leaves_nothing() {
    let Some(refused) = Group::new("failed/inner", &["cpu", "cpuset"], r#"{"cpu": {"cpus": "4000"}}"#) else {
        return;
    };
    let complaint = refused.err().expect("there is no such processor").to_string();
    assert!(
        complaint.starts_with("linux.resources.cpu.cpus: failed to write `4000` to `"),
        "{complaint}"
    );
    for hierarchy in Layout::detect().unwrap().v1 {
        let path = hierarchy
            .mount
            .join(format!("plimsoll-test-{}-failed", std::process::id()));
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn directories_above_go_with_the_last_container_in_them() {
    let group = group!("above/first", ["cpu"], "{}");
    let parent = group.directory("cpu").parent().unwrap().to_path_buf();
    let second = group.name.replace("first", "second");
    let other = Plan::new(&group.layout, Some(&second), "test", None, false)
        .unwrap()
        .create()
        .unwrap();
    other.destroy(LIMIT).unwrap();
    assert!(parent.join("first").exists(), "another container's cgroup");
    drop(group);
    assert!(!parent.exists());
}

#[test]
fn a_cgroup_can_be_written_down_and_read_back() {
    let group = group!("serde", ["pids"], r#"{"pids": {"limit": 7}}"#);
    let text = serde_json::to_string(&group.cgroup).unwrap();
    let back: Cgroup = serde_json::from_str(&text).unwrap();
    assert_eq!(back.stats().unwrap().pids.limit, 7);
    assert_eq!(back.v1_tasks().unwrap().len(), group.layout.v1.len());
}

#[test]
fn what_the_kernel_takes_and_ignores_is_an_error() {
    let Some(made) = Group::new("kernel", &["memory"], r#"{"memory": {"kernel": 16777216}}"#) else {
        return;
    };
    match made {
        // A kernel that still enforces it.
        Ok(group) => assert_eq!(group.read("memory", "memory.kmem.limit_in_bytes"), "16777216"),
        Err(error) => {
            assert!(
                error.to_string().starts_with("linux.resources.memory.kernel: "),
                "{error}"
            );
        }
    }
}
