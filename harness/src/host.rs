//! What a run writes down about the host.

use record::Host;

use crate::guard::cgroup;

/// The host's fingerprint.
pub fn fingerprint() -> Host {
    let uname = rustix::system::uname();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(':'))
            .map(|(_, v)| v.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|m| m.split(' ').next()?.parse::<u64>().ok());
    Host {
        kernel: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        cpu: field(&cpuinfo, "model name").unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64,
        memory: memory.unwrap_or(0) * 1024,
        cgroup: cgroup::layout(&cgroup::host().unwrap_or_default()).into(),
        uid: rustix::process::geteuid().as_raw(),
    }
}

/// Whether the CPU is software: QEMU's own models under TCG say so, and their timings mean nothing.
pub fn emulated() -> bool {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find(|l| l.starts_with("model name"))
        .unwrap_or_default();
    model.contains("TCG")
}
