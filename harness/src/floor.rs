//! Floors: what the kernel itself takes for what a runtime does, measured in the same rounds as subjects, so that a figure can
//! be told as a multiple of what cannot be left out.
//!
//! All that is made is made in a guard, and removed after each sample.

mod groups;
mod start;
mod teardown;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::thread::UnshareFlags;
use spec::benchmark::Floor;
use spec::workload::RootfsKind;

use crate::traffic::{self, Ends, SENDING};

pub use groups::Groups;
pub use start::{Depth, Filter, Running, Starter};

/// Starts of each worker for a sample of L8.
const STARTS: u32 = 8;

/// Why a floor cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something was refused.
    #[error("failed to {act}")]
    Act {
        /// What was done to what.
        act: String,
        /// What the system said.
        source: io::Error,
    },
    /// A start went wrong between clone and exec.
    #[error("operation {operation} between clone and exec was refused")]
    Refused {
        /// Its number.
        operation: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The probe did not do what it was started for.
    #[error("the probe ended with {code:?}")]
    Ended {
        /// Its exit code; `None` if a signal ended it.
        code: Option<i32>,
    },
    /// What is waited for does not come.
    #[error("{0}")]
    Stays(String),
    /// No traffic came about.
    #[error(transparent)]
    Traffic(#[from] traffic::Error),
}

fn act(act: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Error {
    let act = act.to_string();
    move |source| Error::Act { act, source }
}

fn string(text: impl AsRef<[u8]>) -> Result<CString, Error> {
    CString::new(text.as_ref()).map_err(|error| act("write a path with a zero byte")(error.into()))
}

/// What a floor came to, by name: a floor with parts has a name for each, such as `L4.bind`.
pub type Values = BTreeMap<String, f64>;

/// The unit of a floor's values.
pub fn unit(floor: Floor) -> &'static str {
    match floor {
        Floor::L8 => "starts/s",
        Floor::L10 | Floor::L11 => "Gbit/s",
        Floor::L12 => "us",
        _ => "ms",
    }
}

/// What measures floors, in a guard.
#[derive(Debug)]
pub struct Floors {
    home: PathBuf,
    rootfs: PathBuf,
    hierarchies: Vec<PathBuf>,
    starter: Starter,
    made: u32,
    wire: Option<Ends>,
}

impl Floors {
    /// With directories below `home`, a root file system with the probe's verbs in `bin` and a directory `proc`, and the mounted
    /// hierarchies of control groups.
    ///
    /// # Errors
    /// What could not be made.
    pub fn new(home: &Path, rootfs: &Path, hierarchies: Vec<PathBuf>) -> Result<Self, Error> {
        let groups = Groups::make(&hierarchies, "plimsoll-floor")?;
        Ok(Self {
            starter: Starter::new(home, rootfs, groups, Filter::default()),
            home: home.to_owned(),
            rootfs: rootfs.to_owned(),
            hierarchies,
            made: 0,
            wire: None,
        })
    }

    /// Measures one once.
    ///
    /// # Errors
    /// Why it cannot be measured here.
    pub fn take(&mut self, floor: Floor) -> Result<Values, Error> {
        let name = floor.name();
        let one = |took: Duration| BTreeMap::from([(name.to_owned(), milliseconds(took))]);
        match floor {
            Floor::L1 => self.starter.time(Depth::SPAWN, &["true"], None).map(one),
            Floor::L2 => {
                let flags = [
                    ("pid", UnshareFlags::NEWPID),
                    ("net", UnshareFlags::NEWNET),
                    ("mnt", UnshareFlags::NEWNS),
                    ("uts", UnshareFlags::NEWUTS),
                    ("ipc", UnshareFlags::NEWIPC),
                    ("cgroup", UnshareFlags::NEWCGROUP),
                    ("user", UnshareFlags::NEWUSER),
                ];
                let mut values = Values::new();
                for (kind, namespaces) in flags {
                    let depth = Depth {
                        namespaces,
                        ..Depth::SPAWN
                    };
                    let took = self.starter.time(depth, &["true"], None)?;
                    values.insert(format!("{name}.{kind}"), milliseconds(took));
                }
                Ok(values)
            }
            Floor::L3 => self.starter.time(Depth::NAMESPACES, &["true"], None).map(one),
            Floor::L4 => {
                let mut values = Values::new();
                for (kind, rootfs) in [("bind", RootfsKind::Bind), ("overlay", RootfsKind::Overlay)] {
                    let depth = Depth {
                        rootfs: Some(rootfs),
                        ..Depth::NAMESPACES
                    };
                    let took = self.starter.time(depth, &["true"], None)?;
                    values.insert(format!("{name}.{kind}"), milliseconds(took));
                }
                Ok(values)
            }
            Floor::L5 => self.starter.time(Depth::FULL, &["true"], None).map(one),
            Floor::L6 if self.hierarchies.is_empty() => Err(Error::Stays("there are no control groups here".into())),
            Floor::L6 => {
                self.made += 1;
                let own = format!("plimsoll-floor-{}", self.made);
                let began = Instant::now();
                let groups = Groups::make(&self.hierarchies, &own)?;
                let took = began.elapsed();
                groups.remove()?;
                Ok(one(took))
            }
            Floor::L7 => {
                let began = Instant::now();
                sys::membarrier::global().map_err(act("wait for a grace period"))?;
                Ok(one(began.elapsed()))
            }
            Floor::L8 => self.ceiling(),
            Floor::L9 => {
                self.made += 1;
                let groups = Groups::make(&self.hierarchies, &format!("plimsoll-floor-{}", self.made))?;
                let mut starter = Starter::new(&self.home.join("last"), &self.rootfs, groups, Filter::default());
                teardown::time(&mut starter).map(one)
            }
            Floor::L10 => rate(name, &Ends::loopback()),
            Floor::L11 => rate(name, self.wire()?),
            Floor::L12 => {
                let wire = self.wire()?;
                let times = [
                    ("loopback", Ends::loopback().round_trip()?),
                    ("veth", wire.round_trip()?),
                    ("connect", wire.connection()?),
                ];
                let named = times.map(|(part, seconds)| (format!("{name}.{part}"), seconds * 1e6));
                Ok(named.into())
            }
        }
    }

    /// The bare pair of interfaces: one for all samples, so that who is where is known.
    fn wire(&mut self) -> Result<&Ends, Error> {
        match &mut self.wire {
            Some(wire) => Ok(wire),
            none => Ok(none.insert(traffic::wire::bare()?)),
        }
    }

    /// L8: how many full containers a second one worker starts, and as many as there are CPUs.
    fn ceiling(&mut self) -> Result<Values, Error> {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut values = Values::new();
        for workers in [1, cpus] {
            let mut starters = (0..workers)
                .map(|worker| {
                    let groups = Groups::make(&self.hierarchies, "plimsoll-floor")?;
                    let home = self.home.join(format!("worker-{worker}"));
                    Ok(Starter::new(&home, &self.rootfs, groups, Filter::default()))
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let began = Instant::now();
            let ended: Vec<Result<(), Error>> = std::thread::scope(|scope| {
                let running: Vec<_> = starters
                    .iter_mut()
                    .map(|starter| {
                        scope.spawn(move || {
                            (0..STARTS).try_for_each(|_| starter.time(Depth::FULL, &["true"], None).map(drop))
                        })
                    })
                    .collect();
                let lost = || Err(Error::Stays("a worker ended early".into()));
                running
                    .into_iter()
                    .map(|worker| worker.join().unwrap_or_else(|_| lost()))
                    .collect()
            });
            let took = began.elapsed().as_secs_f64();
            ended.into_iter().collect::<Result<(), Error>>()?;
            let starts = f64::from(STARTS) * workers as f64;
            values.insert(format!("{}.{workers}", Floor::L8.name()), starts / took);
        }
        Ok(values)
    }
}

impl Drop for Floors {
    fn drop(&mut self) {
        // What stays is the guard's to remove.
        let _stays = self.starter.groups().remove();
    }
}

/// What one connection carries.
fn rate(name: &str, ends: &Ends) -> Result<Values, Error> {
    let carried = ends.throughput(SENDING)?;
    Ok(BTreeMap::from([(name.to_owned(), carried.rate)]))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
