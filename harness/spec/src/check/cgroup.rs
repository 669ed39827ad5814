//! The control group values that a check can name, the same for cgroup v1 and v2.

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: `64Mi`.
    Bytes,
    /// Time: `20ms`.
    Duration,
    /// A plain number.
    Number,
    /// A share of one: `20%`.
    Share,
    /// Text, such as `0-1,3` or `frozen`.
    Text,
    /// A list, such as that of process ids.
    List,
}

/// A key and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupKey {
    /// The normalised name; `*` at its place stands for any page size.
    pub name: &'static str,
    /// What its value is measured in.
    pub unit: Unit,
}

const fn key(name: &'static str, unit: Unit) -> CgroupKey {
    CgroupKey { name, unit }
}

/// Every key. Limits may also be the text `max`.
pub const CGROUP_KEYS: [CgroupKey; 29] = [
    key("memory.peak", Unit::Bytes),
    key("memory.current", Unit::Bytes),
    key("memory.max", Unit::Bytes),
    key("memory.low", Unit::Bytes),
    key("memory.reservation", Unit::Bytes),
    key("memory.swapMax", Unit::Bytes),
    key("memory.oomKills", Unit::Number),
    key("memory.oomEvents", Unit::Number),
    key("cpu.usage", Unit::Duration),
    key("cpu.throttledPeriods", Unit::Number),
    key("cpu.periods", Unit::Number),
    key("cpu.throttledTime", Unit::Duration),
    key("cpu.quota", Unit::Duration),
    key("cpu.period", Unit::Duration),
    key("cpu.weight", Unit::Number),
    key("cpu.shares", Unit::Number),
    key("cpu.burst", Unit::Duration),
    key("cpu.idle", Unit::Number),
    key("cpuset.cpus", Unit::Text),
    key("cpuset.mems", Unit::Text),
    key("pids.max", Unit::Number),
    key("pids.current", Unit::Number),
    key("pids.denied", Unit::Number),
    key("io.readBytes", Unit::Bytes),
    key("io.writeBytes", Unit::Bytes),
    key("freezer.state", Unit::Text),
    key("hugetlb.*.max", Unit::Bytes),
    key("hugetlb.*.current", Unit::Bytes),
    key("procs", Unit::List),
];

/// The unit of a key; `None` if no such key is known.
pub fn unit(name: &str) -> Option<Unit> {
    let fits = |key: &&CgroupKey| match key.name.split_once('*') {
        None => key.name == name,
        Some((start, end)) => name
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|size| !size.is_empty() && size.bytes().all(|b| b.is_ascii_alphanumeric())),
    };
    CGROUP_KEYS.iter().find(fits).map(|key| key.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_unit_and_page_sizes_are_free() {
        assert_eq!(unit("memory.peak"), Some(Unit::Bytes));
        assert_eq!(unit("cpu.throttledTime"), Some(Unit::Duration));
        assert_eq!(unit("hugetlb.2MB.max"), Some(Unit::Bytes));
        for unknown in [
            "memory.limit_in_bytes",
            "hugetlb..max",
            "hugetlb.max",
            "hugetlb.2.MB.max",
            "",
        ] {
            assert_eq!(unit(unknown), None, "{unknown}");
        }
    }
}
