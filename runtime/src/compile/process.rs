//! The last part of the way: who the process is, what it may do, and the program it becomes.

use std::collections::HashMap;
use std::ffi::CString;
use std::io::Read;
use std::path::Path;

use oci_spec::runtime::{
    Capabilities, Capability, IOPriorityClass, LinuxCapabilities, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType,
    PosixRlimitType, Process, Scheduler,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sys::launch::{Op, Place, Vectors};

use super::{Compiler, c_path, c_string};
use crate::error::{Error, Result};

/// Where a process is started, as far as its own description does not say.
pub(crate) struct Surroundings {
    /// `process`, or the name of the source of another process.
    pub(crate) field: &'static str,
    /// The home directory of its user.
    pub(crate) home: String,
    /// The compiled profile.
    pub(crate) seccomp: Option<crate::seccomp::Program>,
    /// The user namespace does not allow `setgroups`.
    pub(crate) groups_denied: bool,
    /// A socket that is waited on before the end.
    pub(crate) listener: Option<Place>,
    /// An open `/proc/self/attr` file, and what is written there.
    pub(crate) label: Option<(Place, Box<[u8]>)>,
    pub(crate) preserve_fds: u32,
    /// The process was told to die with its parent, which ends when it executes.
    pub(crate) tied: bool,
}

/// Compiles a process. `hooks` adds what runs right before its program. Returns the first operation after the wait.
pub(crate) fn all(
    c: &mut Compiler,
    process: &Process,
    surroundings: Surroundings,
    hooks: impl FnOnce(&mut Compiler) -> Result<()>,
) -> Result<usize> {
    let field = surroundings.field;
    let name = |part: &str| format!("{field}.{part}");
    if let Some(scheduler) = process.scheduler() {
        schedule(c, &name("scheduler"), scheduler)?;
    }
    if let Some(priority) = process.io_priority() {
        let class = match priority.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        let level = u32::try_from(priority.priority()).ok().filter(|level| *level < 8);
        let Some(level) = level else {
            let problem = format!("{} is not within 0 to 7", priority.priority());
            return Err(Error::field(name("ioPriority.priority"), problem));
        };
        c.op(
            name("ioPriority"),
            "set the priority of input and output",
            Op::IoPriority(class << 13 | level),
        );
    }
    for (i, limit) in process.rlimits().iter().flatten().enumerate() {
        let op = Op::Rlimit(resource(limit.typ()), limit.soft(), limit.hard());
        let act = format!("set {} to {} and {}", limit.typ(), limit.soft(), limit.hard());
        c.op(format!("{field}.rlimits[{i}]"), act, op);
    }
    let cwd = c_path(&name("cwd"), process.cwd())?;
    let user = process.user();
    let other = user.uid() != 0;
    if other {
        // As root first: the user may not be able to walk there, and need not be.
        c.op(
            name("cwd"),
            format!("change to `{}`", process.cwd().display()),
            Op::TryChdir(cwd.clone()),
        );
    }
    let none = LinuxCapabilities::default();
    let capabilities = Sets::of(process.capabilities().as_ref(), &none);
    c.op(
        name("capabilities.bounding"),
        "drop capabilities",
        Op::Bounding(capabilities.bounding),
    );
    c.op(name("capabilities"), "keep capabilities", Op::KeepCaps(true));
    if surroundings.groups_denied {
        if user.additional_gids().as_ref().is_some_and(|g| !g.is_empty()) {
            let problem = "the user namespace of an ordinary user does not allow it";
            return Err(Error::field(name("user.additionalGids"), problem));
        }
    } else {
        let groups = user.additional_gids().clone().unwrap_or_default();
        c.op(
            name("user.additionalGids"),
            format!("set groups {groups:?}"),
            Op::Groups(groups.into()),
        );
    }
    c.op(
        name("user"),
        format!("become {}:{}", user.uid(), user.gid()),
        Op::Ids(user.uid(), user.gid()),
    );
    let umask = user.umask().unwrap_or(0o022);
    c.op(name("user.umask"), "set the umask", Op::Umask(umask));
    let wanted = Op::CapSet {
        effective: capabilities.effective,
        permitted: capabilities.permitted,
        inheritable: capabilities.inheritable,
    };
    // For now the user's effective capabilities only, to look for files as the program itself would.
    let looking = Op::CapSet {
        effective: capabilities.effective,
        permitted: u64::MAX,
        inheritable: capabilities.inheritable,
    };
    c.op(name("capabilities"), "set capabilities", looking);
    if other {
        let op = Op::TryChdir(cwd);
        c.op(name("cwd"), format!("change to `{}`", process.cwd().display()), op);
    } else {
        c.op(
            name("cwd"),
            format!("change to `{}`", process.cwd().display()),
            Op::Chdir(cwd),
        );
    }
    if other {
        // Either of the two was allowed, and where it led must be inside.
        c.op(
            name("cwd"),
            format!("change to `{}`", process.cwd().display()),
            Op::Chdir(CString::from(c".")),
        );
    }
    let arguments = process.args().as_deref().unwrap_or_default();
    let environment = environment(process.env().as_deref().unwrap_or_default(), &surroundings.home);
    let paths = candidates(&name("args[0]"), &arguments[0], &environment)?;
    c.op(
        name("args[0]"),
        format!("find `{}`", arguments[0]),
        Op::Find(paths.clone()),
    );
    c.op(field, "close descriptors", Op::CloseFrom(3 + surroundings.preserve_fds));
    if let Some((place, label)) = surroundings.label {
        c.op(field, "set the security label", Op::Label(place, label));
    }
    if surroundings.preserve_fds > 0 {
        c.op(
            "--preserve-fds",
            "keep descriptors",
            Op::Keep(3 + surroundings.preserve_fds),
        );
    }
    if let Some(listener) = surroundings.listener {
        c.op(field, "wait for the start", Op::AwaitStart(listener));
    }
    let late = c.program.len();
    hooks(c)?;
    c.op(field, "reset signals", Op::ResetSignals);
    let no_new_privileges = process.no_new_privileges().unwrap_or(false);
    if no_new_privileges {
        c.op(name("noNewPrivileges"), "set no_new_privs", Op::NoNewPrivileges);
    }
    if surroundings.tied {
        c.op(field, "untie the process from its parent", Op::DeathSignal(0));
    }
    match surroundings.seccomp {
        Some(seccomp) => {
            // Loading a filter takes CAP_SYS_ADMIN or no_new_privs.
            let all = Op::CapSet {
                effective: u64::MAX,
                permitted: u64::MAX,
                inheritable: capabilities.inheritable,
            };
            if !no_new_privileges {
                c.op(name("capabilities"), "set capabilities", all);
            } else {
                c.op(name("capabilities"), "set capabilities", wanted.clone());
                c.op(
                    name("capabilities.ambient"),
                    "set capabilities",
                    Op::Ambient(capabilities.ambient),
                );
            }
            let op = Op::Seccomp {
                flags: seccomp.flags(),
                filter: seccomp.filter().into(),
            };
            c.op("linux.seccomp", "load the filter", op);
            if !no_new_privileges {
                c.op(name("capabilities"), "set capabilities", wanted);
                c.op(
                    name("capabilities.ambient"),
                    "set capabilities",
                    Op::Ambient(capabilities.ambient),
                );
            }
        }
        None => {
            c.op(name("capabilities"), "set capabilities", wanted);
            c.op(
                name("capabilities.ambient"),
                "set capabilities",
                Op::Ambient(capabilities.ambient),
            );
        }
    }
    let strings = |field: String, texts: &[String]| -> Result<Vec<CString>> {
        texts
            .iter()
            .enumerate()
            .map(|(i, text)| c_string(&format!("{field}[{i}]"), text))
            .collect()
    };
    let vectors = Vectors::new(strings(name("args"), arguments)?, strings(name("env"), &environment)?);
    c.op(
        name("args[0]"),
        format!("execute `{}`", arguments[0]),
        Op::Exec(paths, Box::new(vectors)),
    );
    Ok(late)
}

/// The five capability sets as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Sets {
    /// A set that is not given is empty.
    fn of(capabilities: Option<&LinuxCapabilities>, none: &LinuxCapabilities) -> Sets {
        let Some(sets) = capabilities else {
            return Sets::default();
        };
        let _ = none;
        Sets {
            bounding: bits(sets.bounding()),
            effective: bits(sets.effective()),
            permitted: bits(sets.permitted()),
            inheritable: bits(sets.inheritable()),
            ambient: bits(sets.ambient()),
        }
    }
}

fn bits(set: &Option<Capabilities>) -> u64 {
    set.iter()
        .flatten()
        .fold(0, |bits, capability| bits | 1 << number(*capability))
}

/// The number of a capability in `linux/capability.h`.
pub(crate) fn number(capability: Capability) -> u32 {
    match capability {
        Capability::Chown => 0,
        Capability::DacOverride => 1,
        Capability::DacReadSearch => 2,
        Capability::Fowner => 3,
        Capability::Fsetid => 4,
        Capability::Kill => 5,
        Capability::Setgid => 6,
        Capability::Setuid => 7,
        Capability::Setpcap => 8,
        Capability::LinuxImmutable => 9,
        Capability::NetBindService => 10,
        Capability::NetBroadcast => 11,
        Capability::NetAdmin => 12,
        Capability::NetRaw => 13,
        Capability::IpcLock => 14,
        Capability::IpcOwner => 15,
        Capability::SysModule => 16,
        Capability::SysRawio => 17,
        Capability::SysChroot => 18,
        Capability::SysPtrace => 19,
        Capability::SysPacct => 20,
        Capability::SysAdmin => 21,
        Capability::SysBoot => 22,
        Capability::SysNice => 23,
        Capability::SysResource => 24,
        Capability::SysTime => 25,
        Capability::SysTtyConfig => 26,
        Capability::Mknod => 27,
        Capability::Lease => 28,
        Capability::AuditWrite => 29,
        Capability::AuditControl => 30,
        Capability::Setfcap => 31,
        Capability::MacOverride => 32,
        Capability::MacAdmin => 33,
        Capability::Syslog => 34,
        Capability::WakeAlarm => 35,
        Capability::BlockSuspend => 36,
        Capability::AuditRead => 37,
        Capability::Perfmon => 38,
        Capability::Bpf => 39,
        Capability::CheckpointRestore => 40,
    }
}

/// The number of a limit in `asm-generic/resource.h`.
fn resource(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}

/// The environment, in which the last of two variables with one name wins, with a home.
fn environment(given: &[String], home: &str) -> Vec<String> {
    let key = |variable: &str| variable.split('=').next().unwrap_or_default().to_string();
    let mut last: HashMap<String, usize> = HashMap::with_capacity(given.len());
    for (i, variable) in given.iter().enumerate() {
        last.insert(key(variable), i);
    }
    let kept = |(i, variable): (usize, &String)| (last.get(&key(variable)) == Some(&i)).then(|| variable.clone());
    let mut all: Vec<String> = given.iter().enumerate().filter_map(kept).collect();
    match all.iter_mut().find(|variable| variable.starts_with("HOME=")) {
        Some(variable) if variable == "HOME=" => *variable = format!("HOME={home}"),
        Some(_) => {}
        None => all.push(format!("HOME={home}")),
    }
    all
}

/// The files that a program may be, by the `PATH` of its environment.
fn candidates(field: &str, program: &str, environment: &[String]) -> Result<Box<[CString]>> {
    if program.contains('/') {
        return Ok(Box::new([c_string(field, program)?]));
    }
    let path = environment.iter().find_map(|variable| variable.strip_prefix("PATH="));
    let path = path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let file = |dir: &str| {
        c_string(
            field,
            if dir.is_empty() {
                format!("./{program}")
            } else {
                format!("{dir}/{program}")
            },
        )
    };
    path.split(':').map(file).collect()
}

/// The home directory of a user, by the container's `/etc/passwd`; `/` for one that is not there.
pub(crate) fn home_in(root: &Path, uid: u32) -> String {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let read = || -> Option<String> {
        let root = rustix::fs::open(root, flags, Mode::empty()).ok()?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = rustix::fs::openat2(&root, "etc/passwd", flags, Mode::empty(), resolve).ok()?;
        let mut text = String::new();
        std::fs::File::from(file).take(1 << 20).read_to_string(&mut text).ok()?;
        home_of(&text, uid)
    };
    read().unwrap_or_else(|| "/".into())
}

fn home_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let id = fields.nth(2)?;
        (id.parse() == Ok(uid))
            .then(|| fields.nth(2).map(String::from))?
            .filter(|home| !home.is_empty())
    })
}

/// Opens the file that a security label is written to, while the host's /proc is there.
pub(super) fn label(c: &mut Compiler, process: &Process) -> Result<Option<(Place, Box<[u8]>)>> {
    let profile = process
        .apparmor_profile()
        .as_ref()
        .filter(|profile| !profile.is_empty());
    let selinux = process.selinux_label().as_ref().filter(|label| !label.is_empty());
    let (field, path, text) = match (profile, selinux) {
        (Some(profile), _) => {
            let own = Path::new("/proc/self/attr/apparmor/exec");
            let path = if own.exists() {
                c"/proc/self/attr/apparmor/exec"
            } else {
                c"/proc/self/attr/exec"
            };
            ("process.apparmorProfile", path, format!("exec {profile}"))
        }
        (None, Some(label)) => ("process.selinuxLabel", c"/proc/self/attr/exec", label.clone()),
        (None, None) => return Ok(None),
    };
    let into = c.program.place();
    let op = Op::Open {
        path: path.into(),
        flags: OFlags::WRONLY.bits(),
        into,
    };
    c.op(field, "open the security attribute", op);
    Ok(Some((into, text.into_bytes().into())))
}

fn schedule(c: &mut Compiler, field: &str, scheduler: &Scheduler) -> Result<()> {
    let policy: u64 = match scheduler.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => {
            return Err(Error::field(format!("{field}.policy"), "Linux has no SCHED_ISO"));
        }
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flags = scheduler.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => 1_u64,
                LinuxSchedulerFlag::SchedFlagReclaim => 2,
                LinuxSchedulerFlag::SchedFlagDLOverrun => 4,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => 8,
                LinuxSchedulerFlag::SchedFlagKeepParams => 16,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => 32,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => 64,
            }
    });
    let nice = scheduler.nice().unwrap_or(0) as u32;
    let priority = scheduler.priority().unwrap_or(0) as u32;
    // size and policy, flags, nice and priority, runtime, deadline, period, and no utilisation clamps.
    let attr = [
        56 | policy << 32,
        flags,
        u64::from(nice) | u64::from(priority) << 32,
        scheduler.runtime().unwrap_or(0),
        scheduler.deadline().unwrap_or(0),
        scheduler.period().unwrap_or(0),
        0,
    ];
    c.op(
        field.to_string(),
        format!("set {:?}", scheduler.policy()),
        Op::Scheduler(Box::new(attr)),
    );
    Ok(())
}

pub(super) fn personality(c: &mut Compiler, personality: &LinuxPersonality) -> Result<()> {
    if personality.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(Error::field("linux.personality.flags", "no flag is supported"));
    }
    let value = match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    };
    c.op("linux.personality", "set the personality", Op::Personality(value));
    Ok(())
}

pub(super) fn memory_policy(c: &mut Compiler, policy: &LinuxMemoryPolicy) -> Result<()> {
    let mode = match policy.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().fold(0_u32, |flags, flag| {
        flags
            | match flag {
                MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
                MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
                MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            }
    });
    let field = "linux.memoryPolicy.nodes";
    let nodes = number_list(policy.nodes().as_deref().unwrap_or_default()).map_err(|p| Error::field(field, p))?;
    c.op(
        "linux.memoryPolicy",
        "set the memory policy",
        Op::MemoryPolicy(mode | flags, Box::new(nodes)),
    );
    Ok(())
}

/// Pins the process to a list of processors.
pub(super) fn affinity(c: &mut Compiler, field: &'static str, list: &str) -> Result<()> {
    let mask = number_list(list).map_err(|problem| Error::field(field, problem))?;
    c.op(field, format!("pin to processors {list}"), Op::Affinity(Box::new(mask)));
    Ok(())
}

/// A list like `0-3,7` as a mask.
pub(crate) fn number_list(text: &str) -> Result<[u64; 16], String> {
    let mut mask = [0_u64; 16];
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>(), last.trim().parse::<usize>());
        let (Ok(first), Ok(last)) = (first, last) else {
            return Err(format!("`{part}` is not a range of numbers"));
        };
        if first > last || last >= 1024 {
            return Err(format!("`{part}` is not a range within 0 to 1023"));
        }
        for n in first..=last {
            mask[n / 64] |= 1 << (n % 64);
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_of_two_variables_wins_and_home_is_added() {
        let all = environment(&list(&["A=1", "B=x\ny", "A=2"]), "/root");
        assert_eq!(all, list(&["B=x\ny", "A=2", "HOME=/root"]));
    }

    #[test]
    fn an_empty_home_is_filled_and_a_given_one_stays() {
        assert_eq!(environment(&list(&["HOME="]), "/h"), list(&["HOME=/h"]));
        assert_eq!(environment(&list(&["HOME=/x"]), "/h"), list(&["HOME=/x"]));
    }

    #[test]
    fn a_home_is_found_by_the_number_of_its_user() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nsomeone:x:1000:1000::/home/someone:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000).as_deref(), Some("/home/someone"));
        assert_eq!(home_of(passwd, 1).as_deref(), None);
    }

    #[test]
    fn a_program_with_a_slash_is_not_looked_for() {
        let found = candidates("process.args[0]", "./x", &list(&["PATH=/a:/b"])).unwrap();
        assert_eq!(&*found, &[c"./x".to_owned()]);
        let found = candidates("process.args[0]", "x", &list(&["PATH=/a:"])).unwrap();
        assert_eq!(&*found, &[c"/a/x".to_owned(), c"./x".to_owned()]);
    }

    #[test]
    fn lists_of_numbers_become_masks() {
        assert_eq!(number_list("0-2,65").unwrap()[..2], [0b111, 0b10]);
        assert!(number_list("3-1").is_err());
        assert!(number_list("1024").is_err());
    }
}
