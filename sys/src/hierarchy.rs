//! Which control group hierarchies are mounted, by the mount table.

use std::path::PathBuf;

/// Where hierarchies are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// A hierarchy of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Mount point.
    pub mount: PathBuf,
    /// 1 or 2.
    pub version: u8,
    /// Controllers (`cpu`, `memory`, `name=systemd` …); of version 2, those in the root's `cgroup.controllers`.
    pub controllers: Vec<String>,
}

/// The hierarchies that a mount table (`/proc/PID/mountinfo`) names.
pub fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    const FLAGS: [&str; 9] = [
        "rw",
        "ro",
        "xattr",
        "clone_children",
        "noprefix",
        "nsdelegate",
        "memory_recursiveprot",
        "favordynmods",
        "release_agent",
    ];
    let mut all: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let (left, right): (Vec<&str>, Vec<&str>) = (left.split(' ').collect(), right.split(' ').collect());
        let ([_, _, _, _, mount, ..], [kind, _, options, ..]) = (left.as_slice(), right.as_slice()) else {
            continue;
        };
        let version = match *kind {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => continue,
        };
        let controllers = if version == 1 {
            options
                .split(',')
                .filter(|o| !FLAGS.contains(&o.split('=').next().unwrap_or(o)))
                .map(String::from)
                .collect()
        } else {
            Vec::new()
        };
        let mount = PathBuf::from(mount);
        if mount.starts_with(ROOT) && !all.iter().any(|h| h.mount == mount) {
            all.push(Hierarchy {
                mount,
                version,
                controllers,
            });
        }
    }
    all
}

/// `v1`, `v2` or `hybrid`.
pub fn layout(all: &[Hierarchy]) -> &'static str {
    let controllers = all
        .iter()
        .any(|h| h.version == 1 && h.controllers.iter().any(|c| !c.starts_with("name=")));
    match (controllers, all.iter().any(|h| h.version == 2)) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn a_hybrid_host_is_read_from_its_mount_table() {
        let all = hierarchies(HYBRID);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(all[1].controllers, ["name=systemd"]);
        assert_eq!(all[2].version, 2);
        assert_eq!(layout(&all), "hybrid");
    }

    #[test]
    fn systemd_on_version_1_does_not_make_a_unified_host_hybrid() {
        let unified = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(layout(&hierarchies(unified)), "v2");
        let v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        assert_eq!(layout(&hierarchies(v1)), "v1");
        assert_eq!(layout(&hierarchies("")), "none");
    }
}
