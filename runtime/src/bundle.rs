//! A bundle: the directory with `config.json`, read and checked before anything is made.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Capability, LinuxNamespaceType, Process, Spec};

use crate::error::{Attempt, Error, Result, at};

/// A container's configuration as the bundle has it.
#[derive(Debug)]
pub struct Bundle {
    /// The directory, absolute.
    pub path: PathBuf,
    /// The text of `config.json`, kept so that later changes to the file have no effect.
    pub text: Vec<u8>,
    /// What it says.
    pub spec: Spec,
    /// The root file system, absolute.
    pub rootfs: PathBuf,
    /// What the configuration asks for and the specification says to go on without.
    pub warnings: Vec<String>,
}

impl Bundle {
    /// Reads and checks the bundle in `path`.
    ///
    /// # Errors
    /// The first fault found, with the name of its field.
    pub fn load(path: &Path) -> Result<Bundle> {
        let path = std::fs::canonicalize(path).attempt(|| at("open bundle", path))?;
        let file = path.join("config.json");
        let text = std::fs::read(&file).attempt(|| at("read", &file))?;
        Bundle::parse(path, text)
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn parse(path: PathBuf, text: Vec<u8>) -> Result<Bundle> {
        let mut warnings = Vec::new();
        let spec = parse(&path.join("config.json"), &text, &mut warnings)?;
        let root = spec
            .root()
            .as_ref()
            .ok_or_else(|| Error::field("root", "required on Linux"))?;
        let rootfs = path.join(root.path());
        check(&spec)?;
        Ok(Bundle {
            path,
            text,
            spec,
            rootfs,
            warnings,
        })
    }

    /// Checks what is only needed to create a container: the root is there.
    ///
    /// # Errors
    /// Without it.
    pub fn check_root(&mut self) -> Result<()> {
        let problem = |source| Error::Apply {
            field: "root.path".into(),
            act: at("open", &self.rootfs),
            source,
        };
        let rootfs = std::fs::canonicalize(&self.rootfs).map_err(problem)?;
        if !std::fs::metadata(&rootfs).map_err(problem)?.is_dir() {
            return Err(Error::field(
                "root.path",
                format!("`{}` is not a directory", rootfs.display()),
            ));
        }
        if rootfs == Path::new("/") {
            return Err(Error::field("root.path", "the host's root cannot be a container's"));
        }
        self.rootfs = rootfs;
        Ok(())
    }
}

/// Parses a configuration. A capability that this runtime does not know is dropped with a warning, as the specification
/// asks; everything else that is unknown in a place with fixed values is an error.
fn parse(file: &Path, text: &[u8], warnings: &mut Vec<String>) -> Result<Spec> {
    let fault = match serde_json::from_slice::<Spec>(text) {
        Ok(spec) => return Ok(spec),
        Err(fault) => fault,
    };
    let parsed = |source| Error::Parse {
        path: file.to_path_buf(),
        source,
    };
    let mut value: serde_json::Value = serde_json::from_slice(text).map_err(parsed)?;
    if !drop_unknown_capabilities(&mut value, warnings) {
        return Err(parsed(fault));
    }
    serde_json::from_value(value).map_err(parsed)
}

fn drop_unknown_capabilities(config: &mut serde_json::Value, warnings: &mut Vec<String>) -> bool {
    let mut dropped = false;
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        let pointer = format!("/process/capabilities/{set}");
        let Some(names) = config.pointer_mut(&pointer).and_then(|v| v.as_array_mut()) else {
            continue;
        };
        names.retain(|name| {
            let known = serde_json::from_value::<Capability>(name.clone()).is_ok();
            if !known {
                warnings.push(format!(
                    "process.capabilities.{set}: unknown capability {name} is ignored"
                ));
                dropped = true;
            }
            known
        });
    }
    dropped
}

fn check(spec: &Spec) -> Result<()> {
    check_version(spec.version())?;
    if let Some(process) = spec.process() {
        check_process(process, "process")?;
    }
    let empty = Vec::new();
    let namespaces = spec
        .linux()
        .as_ref()
        .and_then(|l| l.namespaces().as_ref())
        .unwrap_or(&empty);
    let mut seen = HashSet::new();
    for (i, namespace) in namespaces.iter().enumerate() {
        if !seen.insert(namespace.typ()) {
            let problem = format!("`{}` is there twice", namespace_name(namespace.typ()));
            return Err(Error::field(format!("linux.namespaces[{i}].type"), problem));
        }
        if let Some(path) = namespace.path()
            && !path.is_absolute()
        {
            let problem = format!("`{}` is not absolute", path.display());
            return Err(Error::field(format!("linux.namespaces[{i}].path"), problem));
        }
    }
    let has = |kind| seen.contains(&kind);
    for (field, value) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        if value.is_some() && !has(LinuxNamespaceType::Uts) {
            return Err(Error::field(field, "needs a uts namespace in linux.namespaces"));
        }
        if value.as_ref().is_some_and(|v| v.len() > 64) {
            return Err(Error::field(field, "longer than 64 bytes"));
        }
    }
    for (i, mount) in spec.mounts().iter().flatten().enumerate() {
        let field = || format!("mounts[{i}].destination");
        if mount.destination().as_os_str().is_empty() {
            return Err(Error::field(field(), "is empty"));
        }
        check_destination(&field, mount)?;
    }
    let Some(linux) = spec.linux() else { return Ok(()) };
    let user = namespaces.iter().find(|n| n.typ() == LinuxNamespaceType::User);
    for (field, maps) in [
        ("linux.uidMappings", linux.uid_mappings()),
        ("linux.gidMappings", linux.gid_mappings()),
    ] {
        let maps = maps.as_deref().unwrap_or_default();
        match user {
            None if !maps.is_empty() => return Err(Error::field(field, "needs a user namespace in linux.namespaces")),
            Some(user) if user.path().is_none() && maps.is_empty() => {
                return Err(Error::field(field, "a new user namespace needs a mapping"));
            }
            _ => {}
        }
        if let Some(i) = maps.iter().position(|m| m.size() == 0) {
            return Err(Error::field(format!("{field}[{i}].size"), "is 0"));
        }
    }
    if linux.time_offsets().as_ref().is_some_and(|o| !o.is_empty()) {
        match namespaces.iter().find(|n| n.typ() == LinuxNamespaceType::Time) {
            None => {
                return Err(Error::field(
                    "linux.timeOffsets",
                    "needs a time namespace in linux.namespaces",
                ));
            }
            Some(time) if time.path().is_some() => {
                return Err(Error::field(
                    "linux.timeOffsets",
                    "cannot be set in a time namespace that is joined",
                ));
            }
            _ => {}
        }
    }
    if let Some(sysctls) = linux.sysctl() {
        for key in sysctls.keys() {
            check_sysctl(key, &has)?;
        }
    }
    if linux.intel_rdt().is_some() {
        return Err(Error::field("linux.intelRdt", "not supported by this runtime"));
    }
    if linux.net_devices().as_ref().is_some_and(|d| !d.is_empty()) {
        return Err(Error::field("linux.netDevices", "not supported by this runtime"));
    }
    if linux.mount_label().as_ref().is_some_and(|l| !l.is_empty()) && !Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(Error::field("linux.mountLabel", "SELinux is not active on this host"));
    }
    Ok(())
}

/// `1.x.y`, with an optional pre-release or build part.
fn check_version(version: &str) -> Result<()> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.');
    let mut number = || {
        let text = numbers.next()?;
        let plain = text.len() == 1 || !text.starts_with('0');
        text.parse::<u32>()
            .ok()
            .filter(|_| plain && text.bytes().all(|b| b.is_ascii_digit()))
    };
    let parsed = (number(), number(), number());
    let (Some(major), Some(_), Some(_), None) = (parsed.0, parsed.1, parsed.2, number()) else {
        return Err(Error::field(
            "ociVersion",
            format!("`{version}` is not a semantic version"),
        ));
    };
    if major != 1 {
        return Err(Error::field(
            "ociVersion",
            format!("`{version}` is not supported: this runtime speaks 1.x"),
        ));
    }
    Ok(())
}

/// Checks a process, of a configuration or of `exec`.
pub(crate) fn check_process(process: &Process, field: &str) -> Result<()> {
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::field(format!("{field}.args"), "is empty"));
    }
    if process.args().iter().flatten().next().is_some_and(String::is_empty) {
        return Err(Error::field(format!("{field}.args[0]"), "is empty"));
    }
    if !process.cwd().is_absolute() {
        let problem = format!("`{}` is not absolute", process.cwd().display());
        return Err(Error::field(format!("{field}.cwd"), problem));
    }
    if let Some(score) = process.oom_score_adj()
        && !(-1000..=1000).contains(&score)
    {
        return Err(Error::field(
            format!("{field}.oomScoreAdj"),
            format!("{score} is not within -1000 to 1000"),
        ));
    }
    let mut seen = HashSet::new();
    for (i, limit) in process.rlimits().iter().flatten().enumerate() {
        let field = format!("{field}.rlimits[{i}]");
        if limit.soft() > limit.hard() {
            let problem = format!("soft limit {} is above hard limit {}", limit.soft(), limit.hard());
            return Err(Error::field(field, problem));
        }
        if !seen.insert(limit.typ().to_string()) {
            return Err(Error::field(
                format!("{field}.type"),
                format!("`{}` is there twice", limit.typ()),
            ));
        }
    }
    if let Some(umask) = process.user().umask()
        && umask > 0o777
    {
        return Err(Error::field(
            format!("{field}.user.umask"),
            format!("{umask:o} is more than 777"),
        ));
    }
    for (name, value, active) in [
        (
            "apparmorProfile",
            process.apparmor_profile(),
            "/sys/kernel/security/apparmor",
        ),
        ("selinuxLabel", process.selinux_label(), "/sys/fs/selinux"),
    ] {
        if value.as_ref().is_some_and(|v| !v.is_empty()) && !Path::new(active).is_dir() {
            let problem = format!("the security module is not active on this host (no `{active}`)");
            return Err(Error::field(format!("{field}.{name}"), problem));
        }
    }
    Ok(())
}

/// The lexical form of a path in the container: absolute, no `.`, no `..`.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Files of /proc that a container's manager may replace (as lxcfs does).
const REPLACEABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// What a security module or the runtime reads in /proc must be the kernel's (CVE-2019-16884, CVE-2025-52881).
fn check_destination(field: &dyn Fn() -> String, mount: &oci_spec::runtime::Mount) -> Result<()> {
    let destination = clean(mount.destination());
    let kind = mount.typ().as_deref().unwrap_or_default();
    if destination == Path::new("/proc") {
        let bind_of_proc = mount.source().as_ref().is_some_and(|s| is_proc(s));
        if kind == "proc" || bind_of_proc {
            return Ok(());
        }
        return Err(Error::field(field(), format!("`{kind}` cannot be mounted over /proc")));
    }
    if destination.starts_with("/proc") && !REPLACEABLE.iter().any(|p| destination == Path::new(p)) {
        return Err(Error::field(
            field(),
            format!("`{}` is inside /proc", destination.display()),
        ));
    }
    Ok(())
}

fn is_proc(source: &Path) -> bool {
    rustix::fs::statfs(source).is_ok_and(|s| s.f_type == 0x9fa0)
}

/// Only what a namespace of the container's own contains may be set; anything else would change the host.
fn check_sysctl(key: &str, has: &dyn Fn(LinuxNamespaceType) -> bool) -> Result<()> {
    let name = key.replace('/', ".");
    let field = || format!("linux.sysctl[\"{key}\"]");
    let needs = |kind, what: &str| {
        if has(kind) {
            Ok(())
        } else {
            Err(Error::field(
                field(),
                format!("needs a {what} namespace in linux.namespaces"),
            ))
        }
    };
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if name.split('.').any(|part| part.is_empty() || part == "..") {
        return Err(Error::field(field(), "is not a name of a kernel parameter"));
    }
    if name.starts_with("net.") {
        return needs(LinuxNamespaceType::Network, "network");
    }
    if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
        return needs(LinuxNamespaceType::Ipc, "ipc");
    }
    match name.as_str() {
        "kernel.domainname" => needs(LinuxNamespaceType::Uts, "uts"),
        "kernel.hostname" => Err(Error::field(field(), "use `hostname` instead")),
        _ => Err(Error::field(
            field(),
            "is not part of a namespace and would change the host",
        )),
    }
}

/// The name of a namespace type in a configuration.
pub(crate) fn namespace_name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mount",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "network",
        LinuxNamespaceType::Time => "time",
    }
}
