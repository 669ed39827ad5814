//! What a check is about, as objects that a request can name: the bridge from what was looked at to who decided it.

use std::collections::BTreeMap;

use record::{Seen, Verdict};
use spec::requirement::NamespaceKind as Kind;
use spec::{Action, Check, Matcher, Step, Subject, Workload, step::Metric};

use super::statement::{Object, Statement};
use crate::plan::Case;

/// One thing that a check is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) what: What,
    /// The check looks at this very thing, so that a difference from it and no difference from the request mean that
    /// the request differs from the check.
    pub(crate) direct: bool,
}

/// How much a concern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The check looks at this very thing.
    Direct,
    /// The check sees an effect of it.
    Effect,
    /// It is one of many that may have an effect.
    Weak,
}

/// See [`Concern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// An object.
    Object(Object),
    /// Everything that decides what is at a path: mounts, masks, the root.
    Path(String),
    /// Every mount, or every resource limit, or every kernel parameter: all of this kind.
    Every(Every),
}

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    Mount,
    Rlimit,
    Sysctl,
    Capability,
    Limit,
}

fn direct(object: Object) -> Concern {
    Concern {
        what: What::Object(object),
        direct: true,
    }
}

fn maybe(object: Object) -> Concern {
    Concern {
        what: What::Object(object),
        direct: false,
    }
}

fn every(kind: Every) -> Concern {
    Concern {
        what: What::Every(kind),
        direct: false,
    }
}

fn path(path: &str) -> Concern {
    Concern {
        what: What::Path(path.to_owned()),
        direct: false,
    }
}

impl Concern {
    /// How much it says.
    pub(crate) fn weight(&self) -> Weight {
        match (&self.what, self.direct) {
            (What::Every(_), _) => Weight::Weak,
            (_, true) => Weight::Direct,
            (_, false) => Weight::Effect,
        }
    }

    /// Whether a statement is about it.
    pub(crate) fn covers(&self, statement: &Statement) -> bool {
        match &self.what {
            What::Object(object) => statement.object == *object,
            What::Every(kind) => matches!(
                (kind, &statement.object),
                (Every::Mount, Object::Mount(_) | Object::Root | Object::Propagation)
                    | (Every::Rlimit, Object::Rlimit(_))
                    | (Every::Sysctl, Object::Sysctl(_))
                    | (Every::Capability, Object::Capability(_))
                    | (Every::Limit, Object::Limit(_))
            ),
            What::Path(path) => match &statement.object {
                Object::Masked(at) | Object::ReadOnly(at) => below(path, at),
                Object::Mount(at) => below(path, at) && at != "/",
                Object::Root => true,
                Object::Device(at) => path == at,
                _ => false,
            },
        }
    }

    /// How close a statement is to it: of several mounts the deepest decides.
    pub(crate) fn depth(&self, statement: &Statement) -> usize {
        match (&self.what, &statement.object) {
            (What::Path(_), Object::Device(at)) => at.len() + 1,
            (What::Path(_), Object::Masked(at) | Object::ReadOnly(at) | Object::Mount(at)) => at.len(),
            _ => 0,
        }
    }
}

/// Whether a path is at or below another.
pub(crate) fn below(path: &str, at: &str) -> bool {
    let at = at.trim_end_matches('/');
    path == at || path.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'))
}

/// The workloads that a check is about: the one that it looks at, or all, if it looks at the host.
pub(crate) fn workloads(case: &Case, check: &Check) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let on = check.on.as_ref().map(|on| on.value.as_str());
    let of_process = match &check.subject {
        Subject::Process(process) => process.filter.reference.as_deref(),
        _ => None,
    };
    let sampled = check.sample.as_ref().and_then(|id| {
        let samples = steps(case).filter_map(|(_, _, step)| step.sample.as_ref());
        samples
            .into_iter()
            .find(|s| s.id.value == id.value)
            .map(|s| s.on.value.as_str())
    });
    let acted = on.is_none().then(|| step_of(case, check).and_then(target)).flatten();
    for name in [on, of_process, sampled, acted].into_iter().flatten() {
        if case.spec.workloads.contains_key(name) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    // A comparison has two sides.
    if let Subject::Namespace(kinds) = &check.subject {
        for op in kinds.values().flat_map(|matcher| &matcher.0) {
            if let spec::Op::DiffersFrom(other) | spec::Op::SameAs(other) = op
                && case.spec.workloads.contains_key(other)
                && !names.contains(other)
            {
                names.push(other.clone());
            }
        }
    }
    // Packets have two ends, and the other one is known by an address only.
    if names.is_empty() || check.subject.is_of_packets() {
        let others = case.spec.workloads.keys().filter(|name| !names.contains(name));
        let others: Vec<String> = others.cloned().collect();
        names.extend(others);
    }
    names
}

/// The steps of a case with their phases and indexes.
pub(crate) fn steps(case: &Case) -> impl Iterator<Item = (&'static str, usize, &Step)> {
    let phases = [
        ("setup", &case.spec.setup),
        ("steps", &case.spec.steps),
        ("teardown", &case.spec.teardown),
        ("onFailure", &case.spec.on_failure),
    ];
    phases
        .into_iter()
        .flat_map(|(phase, steps)| steps.iter().enumerate().map(move |(i, step)| (phase, i, &step.value)))
}

fn step_of<'c>(case: &'c Case, check: &Check) -> Option<&'c Step> {
    steps(case)
        .find(|(.., step)| step.expect.iter().any(|c| c.id.value == check.id.value))
        .map(|(.., step)| step)
}

fn target(step: &Step) -> Option<&str> {
    match step.action.as_ref()? {
        Action::Stop(stop) => Some(&stop.on.value),
        Action::Exec(exec) => Some(&exec.on.value),
        Action::Signal(signal) => Some(&signal.on.value),
        Action::Oci(oci) => Some(&oci.on.value),
        Action::Start(_)
        | Action::HostProcess(_)
        | Action::Script(_)
        | Action::Cordon(_)
        | Action::Uncordon(_)
        | Action::Drain(_)
        | Action::Node(_)
        | Action::Reach(_) => None,
        Action::Http(http) => Some(&http.from.value),
        Action::Dial(dial) => Some(&dial.from.value),
        Action::Resolve(resolve) => Some(&resolve.from.value),
        Action::Send(send) => Some(&send.from.value),
        Action::Delete(delete) => Some(&delete.on.value),
        Action::Mute(name) | Action::Unmute(name) => Some(&name.value),
        Action::Apply(apply) => Some(&apply.on.value),
        Action::Patch(patch) => Some(&patch.on.value),
        Action::Scale(scale) => Some(&scale.on.value),
        Action::Evict(evict) => Some(&evict.on.value),
    }
}

/// The keys of a check with several parts that do not hold; all, if all do or nothing was seen.
fn failing<'k, K: Ord + Clone>(
    check: &Check,
    seen: Option<&Seen>,
    parts: &'k BTreeMap<K, Matcher>,
    subject: impl Fn(BTreeMap<K, Matcher>) -> Subject,
) -> Vec<&'k K> {
    let fails = |key: &K, matcher: &Matcher| {
        seen.is_some_and(|seen| {
            let part = Check {
                subject: subject(BTreeMap::from([(key.clone(), matcher.clone())])),
                ..check.clone()
            };
            matches!(crate::judge::check(&part, seen), Verdict::Fail { .. })
        })
    };
    let failed: Vec<&K> = parts.iter().filter(|(k, m)| fails(k, m)).map(|(k, _)| k).collect();
    if failed.is_empty() {
        parts.keys().collect()
    } else {
        failed
    }
}

/// What a check is about, what decides it most first.
pub(crate) fn of(case: &Case, check: &Check, seen: Option<&Seen>) -> Vec<Concern> {
    let mut all = Vec::new();
    if matches!(seen, Some(Seen::Absent { .. })) {
        all.push(maybe(Object::Ending));
    }
    match &check.subject {
        Subject::Namespace(kinds) => {
            let kinds = failing(check, seen, kinds, Subject::Namespace);
            all.extend(kinds.into_iter().map(|kind| direct(Object::Namespace(*kind))));
        }
        Subject::Process(process) => {
            if process.uid.is_some() {
                all.extend([direct(Object::User), maybe(Object::Namespace(Kind::User))]);
            }
            all.push(maybe(Object::Namespace(Kind::Pid)));
            if process.args.is_some() {
                all.push(direct(Object::Arguments));
            }
            all.extend([
                maybe(Object::Limit("pids.max")),
                maybe(Object::Arguments),
                maybe(Object::Ending),
            ]);
        }
        Subject::Mounts(mounts) => {
            if let Some(destination) = &mounts.filter.destination {
                all.push(direct(Object::Mount(destination.clone())));
                if destination == "/" {
                    all.extend([direct(Object::Root), direct(Object::Propagation)]);
                }
                all.push(path(destination));
            }
            all.extend([
                maybe(Object::Namespace(Kind::Mount)),
                maybe(Object::Propagation),
                every(Every::Mount),
            ]);
        }
        Subject::File(file) => {
            all.push(path(&file.path));
            if file.uid.is_some() || file.gid.is_some() {
                all.extend([maybe(Object::User), maybe(Object::Namespace(Kind::User))]);
            }
            if file.mode.is_some() {
                all.push(maybe(Object::Umask));
            }
            all.extend([
                maybe(Object::Namespace(Kind::Mount)),
                maybe(Object::Umask),
                every(Every::Mount),
                every(Every::Rlimit),
                maybe(Object::Ending),
            ]);
        }
        Subject::Cgroup(keys) => {
            all.push(maybe(Object::Group));
            for key in failing(check, seen, keys, Subject::Cgroup) {
                all.extend(of_key(key));
            }
        }
        Subject::Network(_) => all.push(direct(Object::Namespace(Kind::Network))),
        Subject::State(_) => all.push(maybe(Object::Ending)),
        Subject::Exit(exit) => {
            all.push(maybe(Object::Ending));
            if exit.reason.is_some() || exit.signal.is_some() || exit.code.is_some() {
                all.extend([
                    maybe(Object::Limit("memory.max")),
                    maybe(Object::Limit("memory.swapMax")),
                    maybe(Object::Seccomp),
                ]);
            }
            all.extend([
                maybe(Object::Limit("pids.max")),
                every(Every::Rlimit),
                maybe(Object::Arguments),
            ]);
        }
        Subject::Output(_) => all.extend(of_output(case, check)),
        Subject::Report(places) => {
            for place in failing(check, seen, places, Subject::Report) {
                all.extend(of_report(case, check, place));
            }
        }
        Subject::Statistic(..) => {
            let metric = check.sample.as_ref().and_then(|id| {
                let mut samples = steps(case).filter_map(|(_, _, step)| step.sample.as_ref());
                samples.find(|s| s.id.value == id.value).map(|s| s.metric)
            });
            all.extend(metric.map(of_metric).unwrap_or_default());
        }
        // What a cluster makes of a manifest is not in a `config.json`.
        Subject::Placement(_)
        | Subject::Pod(_)
        | Subject::Object(_)
        | Subject::Exists(_)
        | Subject::Events(_)
        | Subject::Replicas(_)
        | Subject::Ready(_)
        | Subject::Logs(_)
        | Subject::Endpoints(_) => {}
        // Whoever sends does so in its network namespace, and is heard in that of others.
        Subject::Connection(_) | Subject::Responses(_) | Subject::Dns(_) | Subject::Reachability(_) => {
            all.push(maybe(Object::Namespace(Kind::Network)));
        }
    }
    if matches!(seen, Some(Seen::Absent { .. }) | None) {
        // What was not there contradicts no request.
        all.iter_mut().for_each(|concern| concern.direct = false);
    }
    let mut unique: Vec<Concern> = Vec::new();
    for concern in all {
        if !unique.iter().any(|known| known.what == concern.what) {
            unique.push(concern);
        }
    }
    unique
}

fn of_key(key: &str) -> Vec<Concern> {
    match key {
        "memory.max" => vec![direct(Object::Limit("memory.max"))],
        "memory.peak" | "memory.current" | "memory.oomKills" | "memory.oomEvents" => vec![
            maybe(Object::Limit("memory.max")),
            maybe(Object::Limit("memory.swapMax")),
            maybe(Object::Ending),
        ],
        "memory.swapMax" => vec![direct(Object::Limit("memory.swapMax"))],
        "memory.low" | "memory.reservation" => vec![direct(Object::Limit("memory.reservation"))],
        "cpu.quota" => vec![direct(Object::Limit("cpu.quota"))],
        "cpu.period" => vec![direct(Object::Limit("cpu.period"))],
        "cpu.usage" | "cpu.throttledPeriods" | "cpu.periods" | "cpu.throttledTime" | "cpu.burst" => vec![
            maybe(Object::Limit("cpu.quota")),
            maybe(Object::Limit("cpu.period")),
            maybe(Object::Limit("cpu.shares")),
        ],
        "cpu.weight" | "cpu.shares" => vec![direct(Object::Limit("cpu.shares"))],
        "cpuset.cpus" => vec![direct(Object::Limit("cpuset.cpus"))],
        "pids.max" => vec![direct(Object::Limit("pids.max"))],
        "pids.current" | "pids.denied" => vec![maybe(Object::Limit("pids.max"))],
        _ => vec![every(Every::Limit)],
    }
}

fn of_metric(metric: Metric) -> Vec<Concern> {
    match metric {
        Metric::MemoryUsage => vec![
            maybe(Object::Group),
            maybe(Object::Limit("memory.max")),
            maybe(Object::Limit("memory.reservation")),
        ],
        Metric::CpuUsage => vec![
            maybe(Object::Group),
            maybe(Object::Limit("cpu.quota")),
            maybe(Object::Limit("cpu.period")),
            maybe(Object::Limit("cpu.shares")),
            maybe(Object::Limit("cpuset.cpus")),
        ],
        _ => vec![maybe(Object::Group), every(Every::Limit)],
    }
}

fn of_report(case: &Case, check: &Check, place: &str) -> Vec<Concern> {
    let mut parts = place.split('.');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match first {
        "pid" | "ppid" | "pgid" | "sid" => vec![maybe(Object::Namespace(Kind::Pid)), maybe(Object::Ending)],
        "ns" => Kind::ALL
            .iter()
            .filter(|kind| kind.proc_name() == second || second.starts_with(kind.proc_name()))
            .map(|kind| direct(Object::Namespace(*kind)))
            .collect(),
        "hostname" => vec![direct(Object::Hostname), maybe(Object::Namespace(Kind::Uts))],
        "domainname" => vec![direct(Object::Domainname), maybe(Object::Namespace(Kind::Uts))],
        "net" => vec![direct(Object::Namespace(Kind::Network))],
        "ipc" => vec![maybe(Object::Namespace(Kind::Ipc))],
        "clocks" | "timeOffsets" => vec![maybe(Object::Namespace(Kind::Time))],
        "caps" => match ["bounding", "effective", "permitted", "inheritable", "ambient"]
            .into_iter()
            .find(|set| *set == second)
        {
            Some(set) => vec![
                direct(Object::Capability(set)),
                maybe(Object::User),
                every(Every::Capability),
            ],
            None => vec![every(Every::Capability)],
        },
        "noNewPrivs" => vec![direct(Object::NoNewPrivileges)],
        "seccomp" => vec![direct(Object::Seccomp)],
        "rlimits" => vec![direct(Object::Rlimit(second.to_owned())), every(Every::Rlimit)],
        "uid" | "euid" | "suid" | "gid" | "egid" | "sgid" | "groups" => {
            vec![direct(Object::User), maybe(Object::Namespace(Kind::User))]
        }
        "uidMap" | "gidMap" | "setgroups" => vec![direct(Object::Namespace(Kind::User)), maybe(Object::User)],
        "umask" => vec![direct(Object::Umask)],
        "cwd" => vec![direct(Object::Directory)],
        "env" | "envNames" => vec![direct(Object::Environment)],
        "args" => vec![direct(Object::Arguments)],
        "oomScoreAdj" => vec![direct(Object::OomScore)],
        "fds" => vec![direct(Object::Descriptors)],
        "root" => vec![direct(Object::Root)],
        "mounts" => vec![every(Every::Mount), maybe(Object::Namespace(Kind::Mount))],
        "cgroup" => vec![maybe(Object::Namespace(Kind::Cgroup)), maybe(Object::Group)],
        "affinity" | "cpus" => vec![maybe(Object::Limit("cpuset.cpus"))],
        "allocated" | "copied" => vec![
            maybe(Object::Limit("memory.max")),
            maybe(Object::Limit("memory.swapMax")),
            maybe(Object::Ending),
        ],
        "forked" | "refused" => vec![
            maybe(Object::Limit("pids.max")),
            maybe(Object::Rlimit("RLIMIT_NPROC".into())),
            maybe(Object::Ending),
        ],
        "attempts" | "values" => operation(case, check, place)
            .map(|operation| of_operation(&operation))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The operation behind a name of the probe's `attempt`: `read:/proc/version`.
pub(crate) fn operation(case: &Case, check: &Check, place: &str) -> Option<String> {
    let rest = place.split_once('.')?.1;
    let args = arguments(case, check);
    args.iter()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| rest == *name || rest.strip_prefix(name).is_some_and(|end| end.starts_with('.')))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, operation)| operation.to_owned())
        // `hold` names its operations by themselves.
        .or_else(|| args.iter().find(|word| rest.starts_with(word.as_str())).cloned())
}

fn arguments(case: &Case, check: &Check) -> Vec<String> {
    if let Some(on) = &check.on {
        if let Some(Workload::Container(container)) = case.spec.workloads.get(&on.value).map(|w| &w.value) {
            return container.args.clone();
        }
        let processes = steps(case).filter_map(|(.., step)| match step.action.as_ref()? {
            Action::HostProcess(process) if process.id.value == on.value => Some(process.args.clone()),
            _ => None,
        });
        return processes.into_iter().next().unwrap_or_default();
    }
    match step_of(case, check).and_then(|step| step.action.as_ref()) {
        Some(Action::Exec(exec)) => exec.args.clone(),
        _ => Vec::new(),
    }
}

fn of_operation(operation: &str) -> Vec<Concern> {
    let mut words = operation.split(':');
    let (verb, first) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut all = vec![maybe(Object::Seccomp)];
    let caps = [
        maybe(Object::Capability("effective")),
        maybe(Object::Capability("permitted")),
        maybe(Object::Capability("bounding")),
        maybe(Object::Capability("ambient")),
    ];
    match verb {
        "open" | "read" | "write" | "mkdir" | "unlink" | "rmdir" | "symlink" | "link" | "rename" | "chmod" | "stat"
        | "list" | "readlink" | "chdir" | "escape" | "dotdot" | "chown" | "exec" | "run" => {
            if let Some(name) = first.strip_prefix("/proc/sys/") {
                all.push(maybe(Object::Sysctl(name.replace('/', "."))));
            }
            all.push(path(first));
            if first.starts_with("/dev/mqueue") || first.starts_with("/dev/shm") {
                all.push(maybe(Object::Namespace(Kind::Ipc)));
            }
            if first.starts_with("/dev/") {
                all.push(maybe(Object::DeviceRules));
            }
            all.push(maybe(Object::Namespace(Kind::Mount)));
            if first.starts_with("/proc/") {
                all.extend([maybe(Object::Namespace(Kind::Pid)), every(Every::Sysctl)]);
            }
            all.extend(caps);
            all.extend([maybe(Object::User), maybe(Object::Umask), every(Every::Mount)]);
        }
        "mknod" | "mount" | "remountrw" | "umount" | "chroot" | "pivot" => {
            all.extend(caps);
            all.push(path(first));
            if verb == "mknod" {
                all.push(maybe(Object::DeviceRules));
            }
            all.extend([
                maybe(Object::Namespace(Kind::Mount)),
                maybe(Object::Namespace(Kind::User)),
            ]);
        }
        "bind" | "connect" | "socket" | "rawsocket" | "bindabstract" | "connectabstract" => {
            all.push(maybe(Object::Namespace(Kind::Network)));
            all.extend(caps);
            all.push(every(Every::Sysctl));
        }
        "shmget" | "msgget" | "semget" | "mqopen" | "mqunlink" => {
            all.push(maybe(Object::Namespace(Kind::Ipc)));
            all.push(path("/dev/mqueue"));
            all.extend([every(Every::Rlimit), every(Every::Sysctl)]);
        }
        "kill" | "ptrace" => {
            all.push(maybe(Object::Namespace(Kind::Pid)));
            all.extend(caps);
        }
        "sethostname" | "setdomainname" => {
            all.extend(caps);
            all.push(maybe(Object::Namespace(Kind::Uts)));
        }
        "setrlimit" => {
            all.push(maybe(Object::Rlimit(format!("RLIMIT_{first}"))));
            all.extend(caps);
        }
        "raise" | "inherit" | "ambient" => {
            all.push(maybe(Object::NoNewPrivileges));
            all.extend(caps);
            all.extend([every(Every::Mount), maybe(Object::User)]);
        }
        "fork" => all.push(maybe(Object::Limit("pids.max"))),
        _ => {
            all.extend(caps);
            all.extend([maybe(Object::NoNewPrivileges), maybe(Object::User)]);
        }
    }
    all
}

/// A text is about whatever its words are about.
fn of_output(case: &Case, check: &Check) -> Vec<Concern> {
    let step = step_of(case, check);
    let words = match step.and_then(|step| step.action.as_ref()) {
        Some(Action::Script(script)) => script.run.clone(),
        Some(Action::Exec(exec)) => exec.args.join(" "),
        _ => arguments(case, check).join(" "),
    };
    let has = |word: &str| words.contains(word);
    let mut all = Vec::new();
    for (word, kind) in [
        ("hostname", Kind::Uts),
        ("/ns/", Kind::Pid),
        ("ns/net", Kind::Network),
        ("ns/mnt", Kind::Mount),
        ("ns/ipc", Kind::Ipc),
        ("ns/user", Kind::User),
        ("ns/cgroup", Kind::Cgroup),
        ("/proc/net", Kind::Network),
        ("uid_map", Kind::User),
    ] {
        if has(word) {
            all.push(maybe(Object::Namespace(kind)));
        }
    }
    for (word, object) in [
        ("hostname", Object::Hostname),
        ("Umask", Object::Umask),
        ("Groups", Object::User),
        ("uid", Object::User),
        ("cgroup", Object::Group),
        ("memory", Object::Limit("memory.max")),
        ("pids", Object::Limit("pids.max")),
        ("cpu", Object::Limit("cpu.quota")),
        ("oom_score_adj", Object::OomScore),
    ] {
        if has(word) {
            all.push(maybe(object));
        }
    }
    if has("sysctl") || has("/proc/sys/") {
        all.push(every(Every::Sysctl));
    }
    if has("mount") {
        all.push(every(Every::Mount));
    }
    all.push(maybe(Object::Ending));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_covered_by_what_it_lies_below() {
        assert!(below("/proc/sys/kernel", "/proc/sys"));
        assert!(below("/proc/sys", "/proc/sys/"));
        assert!(!below("/proc/system", "/proc/sys"));
    }

    #[test]
    fn an_operation_is_about_what_it_needs() {
        let has = |operation: &str, object: Object| {
            of_operation(operation)
                .iter()
                .any(|c| c.what == What::Object(object.clone()))
        };
        assert!(has(
            "write:/proc/sys/kernel/msgmax:1",
            Object::Sysctl("kernel.msgmax".into())
        ));
        assert!(has("shmget:0x5151:create", Object::Namespace(Kind::Ipc)));
        assert!(has("kill:7:TERM", Object::Namespace(Kind::Pid)));
        assert!(has("setrlimit:NOFILE:1:1", Object::Rlimit("RLIMIT_NOFILE".into())));
        assert!(of_operation("read:/proc/version").contains(&path("/proc/version")));
    }
}
