//! The measurement itself, inside the guard.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::floor::{Floors, Groups};
use harness::observe::netns_end::NetnsEnd;
use harness::observe::resident;
use harness::wait::{self, Waited};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use spec::benchmark::Floor;

use super::contender::{Contender, Network, Places};
use super::daemons::Daemon;
use super::{Measure, room, wires::Wires};
use crate::start_latency::{Error, HOME, KINDS, act, chance, failed, hierarchies, prepare};

/// Nothing takes as long as this.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether something is gone.
const EVERY: Duration = Duration::from_micros(200);

/// What a container that was started has settled after.
const SETTLED: Duration = Duration::from_millis(100);

/// Callers at once.
const CALLERS: usize = 8;

/// Containers of each caller for a sample of a runtime; of an engine it is one.
const EACH: usize = 4;

/// Rounds that are not told: images are unpacked and programs read from the disk.
const WARM: usize = 2;

/// Measures `rounds` of every contender that is there and isolates, with control groups below `group`; each sample is a line
/// of `output`.
///
/// # Errors
/// A mount that was refused. A contender that fails is left out from then on, and told.
///
/// # Notes
/// Changes mounts: for the guard only, which this cannot see from inside.
pub fn inside(plimsoll: &Path, rounds: usize, group: &str, output: &mut impl Write) -> Result<(), Error> {
    let mut say = |line: String| writeln!(output, "{line}").map_err(act("tell a sample"));
    let mut copied = vec![(Contender::Bundled.name(), plimsoll.to_owned())];
    let mut contenders = vec![Contender::Bundled];
    for who in Contender::ALL.into_iter().skip(1) {
        let found: Result<Vec<PathBuf>, &str> = who
            .programs()
            .iter()
            .map(|name| crate::start_latency::installed(name).ok_or(*name))
            .collect();
        match found {
            Err(missing) => say(format!("skipped {}: `{missing}` is not installed", who.name()))?,
            Ok(found) => {
                if !who.is_engine() {
                    copied.extend(found.first().map(|path| (who.name(), path.clone())));
                }
                contenders.push(who);
            }
        }
    }
    prepare(copied.iter().map(|(name, path)| (*name, path.as_path())))?;
    let places = Places {
        home: HOME.into(),
        group: group.to_owned(),
    };
    room::overlays(&places.home)?;
    let rootfs = places.home.join("rootfs");
    image::Image::Probe
        .unpack(&rootfs)
        .map_err(|error| act("unpack the probe")(std::io::Error::other(error)))?;
    fs_err::create_dir_all(rootfs.join("proc")).map_err(act("make `proc`"))?;

    let mut floors = floors(&places)?;
    let mut bench = Bench { places, started: 0 };
    let mut daemon = None;
    let mut ready = Vec::new();
    for who in contenders {
        match bench.admit(who, &mut daemon, &mut say) {
            Ok(()) => ready.push(who),
            Err(error) if who == Contender::Bundled => return Err(error),
            Err(error) => say(skipped(who.name(), &error))?,
        }
    }
    let mut wires = Wires::new()?;
    for &who in ready.iter().filter(|who| who.is_engine()) {
        if let Err(error) = bench.join(who, &mut wires) {
            say(skipped(&format!("throughput of {}", who.name()), &error))?;
        }
    }
    let mut chance = chance();
    for round in 0..WARM + rounds {
        chance.shuffle(&mut ready);
        let mut broken = Vec::new();
        for &who in &ready {
            match bench.sample(who) {
                Ok(samples) if round >= WARM => {
                    for (measure, value) in samples {
                        say(format!("sample {} {} {value}", measure.name(), who.name()))?;
                    }
                }
                Ok(_) => {}
                Err(error) if who == Contender::Bundled => return Err(error),
                Err(error) => {
                    say(skipped(who.name(), &error))?;
                    broken.push(who);
                }
            }
        }
        ready.retain(|who| !broken.contains(who));
        for line in wires.lines(&mut chance)?.into_iter().filter(|_| round >= WARM) {
            say(line)?;
        }
        let values = floors.take(Floor::L8).map_err(|error| floor(Floor::L8, error))?;
        for (name, value) in values.into_iter().filter(|_| round >= WARM) {
            say(format!("floor {name} {value}"))?;
        }
    }
    Ok(())
}

/// Floors with control groups below that of the comparison.
fn floors(places: &Places) -> Result<Floors, Error> {
    let hierarchies = hierarchies().into_iter();
    let hierarchies: Vec<_> = hierarchies.filter(|path| path.join("tasks").exists()).collect();
    let name = format!("{}/floors", places.group);
    Groups::make(&hierarchies, &name).map_err(|error| floor(Floor::L8, error))?;
    let below = hierarchies.iter().map(|hierarchy| hierarchy.join(&name)).collect();
    let rootfs = places.home.join("rootfs");
    Floors::new(&places.home.join("floors"), &rootfs, below).map_err(|error| floor(Floor::L8, error))
}

fn floor(which: Floor, source: harness::floor::Error) -> Error {
    Error::Floor {
        name: which.name(),
        source,
    }
}

/// The line that leaves out a contender, or a part of it.
fn skipped(what: &str, error: &Error) -> String {
    let reason = harness::chain(error).replace('\n', "; ");
    format!("skipped {what}: {reason}")
}

struct Bench {
    places: Places,
    started: usize,
}

impl Bench {
    /// Makes what a contender needs, tells its version and its commands, and lets the probe attest what its containers are.
    fn admit(
        &mut self,
        who: Contender,
        daemon: &mut Option<Daemon>,
        say: &mut impl FnMut(String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        say(format!("version {} {}", who.name(), self.version(who)?))?;
        if who == Contender::Docker {
            let before = resident::processes();
            *daemon = Some(Daemon::start(&self.places)?);
            room::import(&self.places, who)?;
            wait::awake(SETTLED);
            say(format!("daemons {} {}", who.name(), resident::since(&before)))?;
        } else if who.is_engine() {
            room::import(&self.places, who)?;
        }
        let places = &self.places;
        let end: Vec<String> = places.end(who, "ID").iter().map(|words| words.join(" ")).collect();
        for (measure, words) in [
            (Measure::Run, places.run(who, "ID", "true").join(" ")),
            (Measure::Start, places.start(who, "ID", Network::None).join(" ")),
            (Measure::Exec, places.exec(who, "ID").join(" ")),
            (Measure::Teardown, end.join("; ")),
        ] {
            say(format!("command {} {} {words}", measure.name(), who.name()))?;
        }
        if who.is_engine() {
            let daemon = match who {
                Contender::Docker => format!("{}; ", places.daemon().join(" ")),
                _ => String::new(),
            };
            let words = places.start(who, "ID", Network::Bridge).join(" ");
            let (measure, who) = (Measure::Throughput.name(), who.name());
            say(format!("command {measure} {who} {daemon}{words}"))?;
        }
        self.attest(who)
    }

    fn version(&self, who: Contender) -> Result<String, Error> {
        let first = |program: &str| -> Result<String, Error> {
            let said = output(who, &[program.into(), "--version".into()])?;
            Ok(said.lines().next().unwrap_or_default().to_owned())
        };
        match who {
            Contender::Bundled => first(&self.places.home.join("bundled").display().to_string()),
            Contender::Docker => Ok([first("dockerd")?, first("containerd")?, first("runc")?].join("; ")),
            Contender::Podman => Ok([first("podman")?, first("conmon")?, first("runc")?].join("; ")),
            Contender::Crun | Contender::Runc => first(who.name()),
        }
    }

    /// The name of a new container, whose bundle is there.
    fn next(&mut self, who: Contender, arguments: &[&str]) -> Result<String, Error> {
        self.started += 1;
        let id = format!("compared-{}", self.started);
        room::bundle(&self.places, who, &id, arguments)?;
        Ok(id)
    }

    /// Refuses a contender whose container shares a namespace with this process.
    fn attest(&mut self, who: Contender) -> Result<(), Error> {
        let id = self.next(who, &["/bin/namespaces"])?;
        let said = output(who, &self.places.run(who, &id, "namespaces"))?;
        self.forget(who, &id);
        let told: Value = serde_json::from_str(&said).unwrap_or_default();
        for kind in KINDS {
            let own = fs_err::read_link(format!("/proc/self/ns/{kind}")).map_err(act("look at a namespace"))?;
            let seen = told["ns"][kind].as_str();
            if seen.is_none() || seen == own.to_str() {
                return Err(Error::Attest {
                    subject: who.name(),
                    complaint: format!("has no {kind} namespace of its own: {said}"),
                });
            }
        }
        Ok(())
    }

    /// Runtimes keep no container whose `run` has ended; what an old one of them keeps nevertheless is removed.
    fn forget(&self, who: Contender, id: &str) {
        if !who.is_engine() {
            let mut words = self.places.call(who);
            words.extend(["delete".into(), "--force".into(), id.into()]);
            drop(output(who, &words));
        }
        reap();
    }

    /// Two containers of an engine that stay, and the way between them.
    fn join(&mut self, who: Contender, wires: &mut Wires) -> Result<(), Error> {
        let mut ends = Vec::new();
        for _ in 0..2 {
            let id = self.next(who, &[])?;
            output(who, &self.places.start(who, &id, Network::Bridge))?;
            let lost = |what: &str| Error::Start {
                subject: who.name(),
                complaint: format!("does not tell the container's {what}"),
            };
            let pid = pid(&output(who, &self.places.pid(who, &id))?).ok_or_else(|| lost("process"))?;
            let address = output(who, &self.places.address(who, &id))?;
            ends.push((pid, address.trim().parse().map_err(|_| lost("address"))?));
        }
        wires.add(who, ends[0].0, ends[1])
    }

    /// All measures of one contender, once.
    fn sample(&mut self, who: Contender) -> Result<Vec<(Measure, f64)>, Error> {
        let mut samples = Vec::new();
        let id = self.next(who, &["/bin/true"])?;
        samples.push((Measure::Run, timed(who, &self.places.run(who, &id, "true"))?));

        let id = self.next(who, &["/bin/sleep", "forever"])?;
        reap();
        let before = resident::processes();
        samples.push((Measure::Start, timed(who, &self.places.start(who, &id, Network::None))?));
        samples.push((Measure::Exec, timed(who, &self.places.exec(who, &id))?));
        wait::awake(SETTLED);
        reap();
        samples.push((Measure::Memory, resident::since(&before)));
        let mut others = before;
        others.insert(pid(&output(who, &self.places.pid(who, &id))?).unwrap_or_default());
        samples.push((Measure::Supervisor, resident::since(&others)));

        let pid = pid(&output(who, &self.places.pid(who, &id))?).ok_or_else(|| Error::Start {
            subject: who.name(),
            complaint: "does not tell the container's process".into(),
        })?;
        let ending = Ending::of(pid)?;
        let commands = self.places.end(who, &id);
        let began = Instant::now();
        let Some((last, before)) = commands.split_last() else {
            return Ok(samples);
        };
        for words in before {
            output(who, words)?;
            wait::readable(&[std::os::fd::AsFd::as_fd(&ending.process)], Some(PATIENCE));
        }
        output(who, last)?;
        ending.wait(who)?;
        samples.push((Measure::Teardown, began.elapsed().as_secs_f64() * 1e3));
        samples.push((Measure::Rate, self.rate(who)?));
        reap();
        Ok(samples)
    }

    /// Containers a second, of callers that each wait for one to end before they call for the next.
    fn rate(&mut self, who: Contender) -> Result<f64, Error> {
        let each = if who.is_engine() { 1 } else { EACH };
        let ids: Vec<String> = (0..CALLERS * each)
            .map(|_| self.next(who, &["/bin/true"]))
            .collect::<Result<_, _>>()?;
        let places = &self.places;
        let began = Instant::now();
        let ended: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let call = |ids: &[String]| {
                let mut ids = ids.iter();
                ids.try_for_each(|id| timed(who, &places.run(who, id, "true")).map(drop))
            };
            let callers: Vec<_> = ids.chunks(each).map(|ids| scope.spawn(move || call(ids))).collect();
            let lost = || Err(act("wait for a caller")(std::io::Error::other("it panicked")));
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap_or_else(|_| lost()))
                .collect()
        });
        let took = began.elapsed().as_secs_f64();
        ended.into_iter().collect::<Result<(), Error>>()?;
        Ok((CALLERS * each) as f64 / took)
    }
}

/// What must be gone when a container is.
struct Ending {
    process: std::os::fd::OwnedFd,
    groups: Vec<PathBuf>,
    namespace: NetnsEnd,
}

impl Ending {
    fn of(pid: i32) -> Result<Self, Error> {
        let refused = |what: &str| act(format!("{what} of process {pid}"));
        let number =
            Pid::from_raw(pid).ok_or_else(|| refused("find the number")(std::io::ErrorKind::NotFound.into()))?;
        let text = fs_err::read_to_string(format!("/proc/{pid}/cgroup")).map_err(refused("read the control groups"))?;
        let paths: Vec<&str> = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
        // A path is looked for in each hierarchy: where it was never, it is gone.
        let within = |root: PathBuf| {
            let paths = paths.iter().filter(|path| **path != "/");
            paths.map(move |path| root.join(path.trim_start_matches('/')))
        };
        let roots = hierarchies().into_iter().chain([PathBuf::from("/sys/fs/cgroup")]);
        let mut groups: Vec<PathBuf> = roots.flat_map(within).collect();
        groups.retain(|group| group.exists());
        if groups.is_empty() {
            return Err(refused("find a control group of its own")(
                std::io::ErrorKind::NotFound.into(),
            ));
        }
        Ok(Self {
            process: pidfd_open(number, PidfdFlags::empty()).map_err(|errno| refused("get hold")(errno.into()))?,
            groups,
            namespace: NetnsEnd::of(pid)
                .map_err(|text| refused("watch the network namespace")(std::io::Error::other(text)))?,
        })
    }

    fn wait(&self, who: Contender) -> Result<(), Error> {
        let gone = || {
            let left = self.groups.iter().find(|group| group.exists());
            match (left, self.namespace.is_gone()) {
                (None, true) => Ok(()),
                (Some(group), _) => Err(format!("`{}` is still there", group.display())),
                (None, false) => Err("the network namespace is still there".into()),
            }
        };
        match wait::until(PATIENCE, EVERY, gone) {
            Waited::Done(()) => Ok(()),
            Waited::TimedOut { .. } => Err(Error::Start {
                subject: who.name(),
                complaint: format!("leaves something of a container that it removed: {:?}", gone()),
            }),
        }
    }
}

/// The number that an engine tells, or `pid` of a runtime's state.
fn pid(said: &str) -> Option<i32> {
    let alone = said.trim().parse().ok();
    alone.or_else(|| {
        let state: Value = serde_json::from_str(said).ok()?;
        state["pid"].as_i64()?.try_into().ok()
    })
}

/// Milliseconds from the call to its end.
fn timed(who: Contender, words: &[String]) -> Result<f64, Error> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    // A runtime's container has it after the call has ended: a pipe would be waited for.
    let log = tempfile()?;
    command.stderr(log.try_clone().map_err(act("share a log"))?);
    let began = Instant::now();
    let status = command.status().map_err(act(format!("call `{}`", who.name())))?;
    let took = began.elapsed();
    if !status.success() {
        return Err(failed(who.name(), status, &said(log)?));
    }
    Ok(took.as_secs_f64() * 1e3)
}

/// What a command says.
fn output(who: Contender, words: &[String]) -> Result<String, Error> {
    let (told, log) = (tempfile()?, tempfile()?);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command.stdout(told.try_clone().map_err(act("share a log"))?);
    command.stderr(log.try_clone().map_err(act("share a log"))?);
    let status = command.status().map_err(act(format!("call `{}`", who.name())))?;
    if !status.success() {
        return Err(failed(who.name(), status, &said(log)?));
    }
    Ok(String::from_utf8_lossy(&said(told)?).into_owned())
}

/// A file that has no name.
fn tempfile() -> Result<std::fs::File, Error> {
    let made = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC);
    made.map(std::fs::File::from)
        .map_err(|errno| act("make a file")(errno.into()))
}

fn said(mut file: std::fs::File) -> Result<Vec<u8>, Error> {
    use std::io::{Read, Seek};
    let mut text = Vec::new();
    file.rewind().map_err(act("read a log"))?;
    file.read_to_end(&mut text).map_err(act("read a log"))?;
    Ok(text)
}

/// Collects processes that their parents left: this is the first process of the guard.
fn reap() {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let any = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while let Ok(Some(_)) = waitid(WaitId::All, any) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_of_a_container_is_a_number_or_a_field() {
        assert_eq!(pid("17\n"), Some(17));
        assert_eq!(
            pid(r#"{"ociVersion": "1.0.2", "pid": 9, "status": "running"}"#),
            Some(9)
        );
        assert_eq!(pid("<no value>"), None);
    }
}
