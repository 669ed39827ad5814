//! The measurement itself, inside the guard.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use serde_json::Value;
use statistics::chance::Chance;

use super::floor::Floor;
use super::{Error, Regime, Subject, act, bundle, failed, pass, refused};

/// Where everything lies in the guard.
pub(crate) const HOME: &str = "/run/plimsoll-bench";
const SPACING: Duration = Duration::from_millis(20);

/// The kinds of namespaces that each container has of its own, as the probe calls them.
pub(crate) const KINDS: [&str; 6] = ["pid", "net", "mnt", "uts", "ipc", "cgroup"];

/// What starts containers, in the guard.
pub(super) struct Starter {
    home: PathBuf,
    group: String,
    floor: Floor,
    started: usize,
}

/// Measures `rounds` starts of every subject that is there and isolates, with control groups below `group`; each sample
/// is a line of `output`.
///
/// # Errors
/// A mount that was refused, or a start that failed though one before it did not.
///
/// # Notes
/// Changes mounts: for the guard only, which this cannot see from inside.
pub fn inside(plimsoll: &Path, rounds: usize, group: &str, output: &mut impl Write) -> Result<(), Error> {
    let runtimes = [
        (Subject::Bundled, Ok(plimsoll.to_owned())),
        (Subject::Crun, installed("crun").ok_or("`crun` is not installed")),
        (Subject::Runc, installed("runc").ok_or("`runc` is not installed")),
    ];
    let there = runtimes.iter();
    let there = there.filter_map(|(subject, path)| Some((subject.name(), path.as_deref().ok()?)));
    let mut starter = Starter::new(there, group)?;
    let mut say = |line: String| writeln!(output, "{line}").map_err(act("tell a sample"));
    let mut subjects = Vec::new();
    for subject in Subject::ALL {
        if let Some((_, Err(reason))) = runtimes.iter().find(|runtime| runtime.0 == subject) {
            say(format!("skipped {}: {reason}", subject.name()))?;
            continue;
        }
        match starter.attest(subject) {
            Ok(()) => subjects.push(subject),
            // Without the floor and the bundled runtime there is nothing to compare.
            Err(error) if matches!(subject, Subject::Crun | Subject::Runc) => {
                let reason = error.to_string().replace('\n', "; ");
                say(format!("skipped {}: {reason}", subject.name()))?;
            }
            Err(error) => return Err(error),
        }
    }

    let mut chance = chance();
    for regime in Regime::ALL {
        for _ in 0..rounds {
            chance.shuffle(&mut subjects);
            for &subject in &subjects {
                let began = Instant::now();
                let took = starter.start(subject, "true", None)?;
                say(format!(
                    "sample {} {} {}",
                    regime.name(),
                    subject.name(),
                    took.as_nanos()
                ))?;
                if regime == Regime::Spaced {
                    pass_until(began + SPACING);
                }
            }
        }
    }
    Ok(())
}

/// Another chance each time.
pub(crate) fn chance() -> Chance {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Chance::new(seed.as_nanos() as u64)
}

fn pass_until(deadline: Instant) {
    loop {
        match deadline.checked_duration_since(Instant::now()) {
            Some(rest) if !rest.is_zero() => pass(rest),
            _ => return,
        }
    }
}

/// Where a program is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// A tmpfs with copies of the runtimes, where their protection of themselves is their own work; the root read-only; and
/// no hierarchy of version 2 beside those of version 1, which crun cannot bear.
pub(crate) fn prepare<'a>(runtimes: impl Iterator<Item = (&'a str, &'a Path)>) -> Result<(), Error> {
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).map_err(refused("mount a tmpfs at `/run`"))?;
    for (name, path) in runtimes {
        fs_err::create_dir_all(HOME).map_err(act("make a directory"))?;
        fs_err::copy(path, Path::new(HOME).join(name)).map_err(act("copy a runtime"))?;
    }
    let unified = "/sys/fs/cgroup/unified";
    if Path::new(unified).join("cgroup.procs").exists() {
        unmount(unified, UnmountFlags::DETACH).map_err(refused(format!("unmount `{unified}`")))?;
    }
    let read_only = MountFlags::BIND | MountFlags::RDONLY;
    mount_remount("/", read_only, c"").map_err(refused("make the root read-only"))
}

impl Starter {
    /// Prepares the guard for runtimes whose control groups are below `group`.
    pub(super) fn new<'a>(runtimes: impl Iterator<Item = (&'a str, &'a Path)>, group: &str) -> Result<Self, Error> {
        prepare(runtimes)?;
        let home = PathBuf::from(HOME);
        let rootfs = home.join("rootfs");
        image::Image::Probe
            .unpack(&rootfs)
            .map_err(|error| act("unpack the probe")(io::Error::other(error)))?;
        fs_err::create_dir_all(rootfs.join("proc")).map_err(act("make `proc`"))?;
        Ok(Self {
            floor: Floor::new(&home.join("floor"), &rootfs, &format!("{group}/floor"))?,
            home,
            group: group.to_owned(),
            started: 0,
        })
    }

    /// Starts a container of the probe's `verb` and waits for its end.
    pub(super) fn start(&mut self, subject: Subject, verb: &str, output: Option<File>) -> Result<Duration, Error> {
        if matches!(subject, Subject::Spawn | Subject::Floor) {
            return self.floor.time(subject, verb, output.map(Into::into));
        }
        self.started += 1;
        if subject == Subject::Library {
            return self.call(verb, output);
        }
        let mut command = self.command(subject, verb)?;
        command.stdout(output.map_or_else(Stdio::null, Stdio::from));
        let log = self.home.join("stderr");
        command.stderr(File::create(&log).map_err(act("make a log"))?);
        let began = Instant::now();
        let status = command.status().map_err(act(format!("call `{}`", subject.name())))?;
        let took = began.elapsed();
        if status.success() {
            return Ok(took);
        }
        Err(failed(subject.name(), status, &fs_err::read(log).unwrap_or_default()))
    }

    /// The bundled runtime's `run` in this process. The container has this process' standard output, so that is moved
    /// away for the time.
    fn call(&self, verb: &str, output: Option<File>) -> Result<Duration, Error> {
        let command = self.command(Subject::Library, verb)?;
        let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let own = rustix::io::dup(rustix::stdio::stdout()).map_err(refused("keep the standard output"))?;
        let output = match output {
            Some(output) => output,
            None => File::create("/dev/null").map_err(act("open `/dev/null`"))?,
        };
        rustix::stdio::dup2_stdout(&output).map_err(refused("move the standard output"))?;
        // The reader of a pipe waits for the last who can write.
        drop(output);
        let began = Instant::now();
        let code = runtime::main(words.into_iter());
        let took = began.elapsed();
        rustix::stdio::dup2_stdout(&own).map_err(refused("move the standard output back"))?;
        if code == 0 {
            return Ok(took);
        }
        Err(Error::Start {
            subject: Subject::Library.name(),
            complaint: format!("it returned {code}"),
        })
    }

    fn command(&self, subject: Subject, verb: &str) -> Result<Command, Error> {
        let name = subject.name();
        let bundle = self.home.join(format!("bundle-{name}-{verb}"));
        if !bundle.exists() {
            let group = format!("/{}/{name}", self.group);
            bundle::write(&bundle, &self.home.join("rootfs"), &group, &[&format!("/bin/{verb}")])?;
        }
        let mut command = Command::new(self.home.join(name));
        if subject == Subject::Bundled {
            command.arg("oci");
        }
        command.arg("--root").arg(self.home.join(format!("state-{name}")));
        command.args(["run", "--bundle"]).arg(bundle);
        command.arg(format!("bench-{}", self.started)).stdin(Stdio::null());
        Ok(command)
    }

    /// Lets the probe tell, from inside a container, that its namespaces are its own and that system calls are filtered.
    pub(super) fn attest(&mut self, subject: Subject) -> Result<(), Error> {
        if subject == Subject::Spawn {
            return self.start(subject, "true", None).map(drop);
        }
        let told = self.ask(subject, "namespaces")?;
        for kind in KINDS {
            let own = fs_err::read_link(format!("/proc/self/ns/{kind}")).map_err(act("look at a namespace"))?;
            let seen = told["ns"][kind].as_str();
            if seen.is_none() || seen == own.to_str() {
                return Err(lacks(
                    subject,
                    &format!("has no {kind} namespace of its own: {}", told["ns"]),
                ));
            }
        }
        let groups = told["cgroup"].as_array().map(Vec::as_slice).unwrap_or_default();
        let joined = |line: &Value| line.as_str().is_some_and(|line| line.ends_with(":/"));
        let limiting = |line: &&Value| {
            let line = line.as_str().unwrap_or_default();
            ["memory", "pids", "cpu"]
                .iter()
                .any(|name| line.contains(&format!(":{name}:")))
        };
        let limited: Vec<&Value> = groups.iter().filter(limiting).collect();
        if limited.is_empty() || !limited.into_iter().all(joined) {
            return Err(lacks(
                subject,
                &format!("is not at the root of its control groups: {}", told["cgroup"]),
            ));
        }
        let told = self.ask(subject, "seccomp")?;
        if told["seccomp"] != 2 || told["noNewPrivs"] != true {
            return Err(lacks(subject, &format!("has no filter of system calls: {told}")));
        }
        Ok(())
    }

    fn ask(&mut self, subject: Subject, verb: &str) -> Result<Value, Error> {
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(refused("make a pipe"))?;
        self.start(subject, verb, Some(File::from(writer)))?;
        let mut text = String::new();
        let mut told = File::from(reader);
        told.read_to_string(&mut text)
            .map_err(act("read what the probe tells"))?;
        serde_json::from_str(&text).map_err(|_| lacks(subject, &format!("tells no JSON: {text}")))
    }
}

fn lacks(subject: Subject, complaint: &str) -> Error {
    Error::Attest {
        subject: subject.name(),
        complaint: complaint.to_owned(),
    }
}
