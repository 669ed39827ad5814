//! What a container has used: the fields that `events --stats` prints, with the same meaning on v1 and v2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::directory::{Directory, keyed, number};
use super::{Cgroup, Error, Member};

/// All statistics of one container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory and swap.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages by their size (`2MB`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    /// What was used.
    pub usage: CpuUsage,
    /// What was withheld.
    pub throttling: Throttling,
}

/// Processor time used, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuUsage {
    /// All of it.
    pub total: u64,
    /// By processor; only v1 counts that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user space.
    pub user: u64,
}

/// What the quota did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throttling {
    /// Periods in which there was something to run.
    pub periods: u64,
    /// Periods in which the quota ran out.
    #[serde(rename = "throttledPeriods")]
    pub throttled_periods: u64,
    /// Nanoseconds for which it was out.
    #[serde(rename = "throttledTime")]
    pub throttled_time: u64,
}

/// Memory and swap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Bytes of the page cache.
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory and swap together, as v1 counts.
    pub swap: MemoryEntry,
    /// Memory of the kernel.
    pub kernel: MemoryEntry,
    /// Buffers of TCP; only v1 counts them.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat` as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
}

/// One kind of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryEntry {
    /// The limit; [`u64::MAX`] is none.
    pub limit: u64,
    /// Used now.
    pub usage: u64,
    /// Used at most.
    pub max: u64,
    /// Times that the limit was hit.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PidsStats {
    /// There are so many.
    pub current: u64,
    /// There may be so many; [`u64::MAX`] is no limit.
    pub limit: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HugetlbStats {
    /// Used now.
    pub usage: u64,
    /// Used at most; 0 on v2, which does not count it.
    pub max: u64,
    /// Times that the limit was hit.
    pub failcnt: u64,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlkioStats {
    /// Bytes.
    #[serde(rename = "ioServiceBytesRecursive", default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<BlkioEntry>,
    /// Requests.
    #[serde(rename = "ioServicedRecursive", default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<BlkioEntry>,
}

/// One count of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Discard`, …
    pub op: String,
    /// The count.
    pub value: u64,
}

impl Cgroup {
    /// Reads all statistics.
    ///
    /// # Errors
    /// [`Error::Read`]; what this host does not count is zero.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats::default();
        let v2 = self.unified.as_ref().map(Member::directory).transpose()?;
        let v1 = |controller: &str| self.v1_member(controller).map(Member::directory).transpose();

        match (v1("cpu")?, v2) {
            (Some(directory), _) => stats.cpu.throttling = throttling(directory, "throttled_time", 1)?,
            (None, Some(directory)) => stats.cpu.throttling = throttling(directory, "throttled_usec", 1000)?,
            (None, None) => {}
        }
        match (v1("cpuacct")?, v2) {
            (Some(directory), _) => stats.cpu.usage = usage_v1(directory)?,
            (None, Some(directory)) => stats.cpu.usage = usage_v2(directory)?,
            (None, None) => {}
        }
        match (v1("memory")?, v2) {
            (Some(directory), _) => stats.memory = memory_v1(directory)?,
            (None, Some(directory)) => stats.memory = memory_v2(directory)?,
            (None, None) => {}
        }
        if let Some(directory) = v1("pids")?.or(v2) {
            stats.pids.current = directory.read_number("pids.current")?.unwrap_or(0);
            stats.pids.limit = directory.read_number("pids.max")?.unwrap_or(u64::MAX);
        }
        match (v1("blkio")?, v2) {
            (Some(directory), _) => stats.blkio = blkio_v1(directory)?,
            (None, Some(directory)) => stats.blkio = blkio_v2(directory)?,
            (None, None) => {}
        }
        match (v1("hugetlb")?, v2) {
            (Some(directory), _) => stats.hugetlb = hugetlb(directory, "usage_in_bytes")?,
            (None, Some(directory)) => stats.hugetlb = hugetlb(directory, "current")?,
            (None, None) => {}
        }
        Ok(stats)
    }
}

fn throttling(directory: &Directory, time: &str, nanoseconds: u64) -> Result<Throttling, Error> {
    let text = directory.read_if_there("cpu.stat")?.unwrap_or_default();
    let value = |key| keyed(&text, key).unwrap_or(0);
    Ok(Throttling {
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value(time).saturating_mul(nanoseconds),
    })
}

fn usage_v1(directory: &Directory) -> Result<CpuUsage, Error> {
    let percpu = directory.read_if_there("cpuacct.usage_percpu")?.unwrap_or_default();
    Ok(CpuUsage {
        total: directory.read_number("cpuacct.usage")?.unwrap_or(0),
        percpu: percpu.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        kernel: directory.read_number("cpuacct.usage_sys")?.unwrap_or(0),
        user: directory.read_number("cpuacct.usage_user")?.unwrap_or(0),
    })
}

fn usage_v2(directory: &Directory) -> Result<CpuUsage, Error> {
    let text = directory.read_if_there("cpu.stat")?.unwrap_or_default();
    let nanoseconds = |key| keyed(&text, key).unwrap_or(0).saturating_mul(1000);
    Ok(CpuUsage {
        total: nanoseconds("usage_usec"),
        percpu: Vec::new(),
        kernel: nanoseconds("system_usec"),
        user: nanoseconds("user_usec"),
    })
}

fn raw(directory: &Directory) -> Result<BTreeMap<String, u64>, Error> {
    let text = directory.read_if_there("memory.stat")?.unwrap_or_default();
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.into(), number(value)?)))
        .collect())
}

fn memory_v1(directory: &Directory) -> Result<MemoryStats, Error> {
    let entry = |prefix: &str| -> Result<MemoryEntry, Error> {
        let value = |name: &str| directory.read_number(&format!("memory.{prefix}{name}"));
        Ok(MemoryEntry {
            limit: value("limit_in_bytes")?.unwrap_or(0),
            usage: value("usage_in_bytes")?.unwrap_or(0),
            max: value("max_usage_in_bytes")?.unwrap_or(0),
            failcnt: value("failcnt")?.unwrap_or(0),
        })
    };
    let raw = raw(directory)?;
    Ok(MemoryStats {
        cache: raw.get("total_cache").or(raw.get("cache")).copied().unwrap_or(0),
        usage: entry("")?,
        swap: entry("memsw.")?,
        kernel: entry("kmem.")?,
        kernel_tcp: entry("kmem.tcp.")?,
        raw,
    })
}

fn memory_v2(directory: &Directory) -> Result<MemoryStats, Error> {
    let value = |name: &str| directory.read_number(name);
    let events = directory.read_if_there("memory.events")?.unwrap_or_default();
    let raw = raw(directory)?;
    let get = |key: &str| raw.get(key).copied().unwrap_or(0);
    let usage = MemoryEntry {
        limit: value("memory.max")?.unwrap_or(0),
        usage: value("memory.current")?.unwrap_or(0),
        max: value("memory.peak")?.unwrap_or(0),
        failcnt: keyed(&events, "max").unwrap_or(0),
    };
    // v2 counts swap alone. Together means: both, and no limit if either has none.
    let swap = match (value("memory.swap.current")?, value("memory.swap.max")?) {
        (Some(current), limit) => MemoryEntry {
            limit: limit.unwrap_or(u64::MAX).saturating_add(usage.limit),
            usage: usage.usage.saturating_add(current),
            max: usage.max.saturating_add(value("memory.swap.peak")?.unwrap_or(current)),
            failcnt: 0,
        },
        (None, _) => MemoryEntry::default(),
    };
    let kernel = raw
        .get("kernel")
        .copied()
        .unwrap_or_else(|| get("kernel_stack") + get("slab") + get("pagetables"));
    Ok(MemoryStats {
        cache: get("file"),
        usage,
        swap,
        kernel: MemoryEntry {
            limit: u64::MAX,
            usage: kernel,
            max: 0,
            failcnt: 0,
        },
        kernel_tcp: MemoryEntry::default(),
        raw,
    })
}

fn blkio_v1(directory: &Directory) -> Result<BlkioStats, Error> {
    let entries = |files: [&str; 2]| -> Result<Vec<BlkioEntry>, Error> {
        for file in files {
            let text = directory.read_if_there(file)?.unwrap_or_default();
            let found: Vec<BlkioEntry> = text.lines().filter_map(blkio_line).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    };
    Ok(BlkioStats {
        bytes: entries([
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.bfq.io_service_bytes_recursive",
        ])?,
        requests: entries([
            "blkio.throttle.io_serviced_recursive",
            "blkio.bfq.io_serviced_recursive",
        ])?,
    })
}

/// `254:0 Read 4096`; the last line of a file, `Total 4096`, is none.
fn blkio_line(line: &str) -> Option<BlkioEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    Some(BlkioEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: words.next()?.into(),
        value: words.next()?.parse().ok()?,
    })
}

fn blkio_v2(directory: &Directory) -> Result<BlkioStats, Error> {
    let mut stats = BlkioStats::default();
    for line in directory.read_if_there("io.stat")?.unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|node| node.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut stats.bytes, "Read"),
                "wbytes" => (&mut stats.bytes, "Write"),
                "dbytes" => (&mut stats.bytes, "Discard"),
                "rios" => (&mut stats.requests, "Read"),
                "wios" => (&mut stats.requests, "Write"),
                "dios" => (&mut stats.requests, "Discard"),
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                list.push(BlkioEntry {
                    major,
                    minor,
                    op: op.into(),
                    value,
                });
            }
        }
    }
    Ok(stats)
}

fn hugetlb(directory: &Directory, usage: &str) -> Result<BTreeMap<String, HugetlbStats>, Error> {
    let mut found = BTreeMap::new();
    for name in directory.file_names()? {
        let size = name
            .strip_prefix("hugetlb.")
            .and_then(|rest| rest.strip_suffix(usage)?.strip_suffix('.'));
        let Some(size) = size.filter(|size| !size.contains('.')) else {
            continue;
        };
        let events = directory
            .read_if_there(&format!("hugetlb.{size}.events"))?
            .unwrap_or_default();
        let value = |file: &str| directory.read_number(&format!("hugetlb.{size}.{file}"));
        found.insert(
            size.to_owned(),
            HugetlbStats {
                usage: value(usage)?.unwrap_or(0),
                max: value("max_usage_in_bytes")?.unwrap_or(0),
                failcnt: value("failcnt")?.or(keyed(&events, "max")).unwrap_or(0),
            },
        );
    }
    Ok(found)
}
