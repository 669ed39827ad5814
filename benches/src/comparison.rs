//! What containers cost with the bundled runtime, with other runtimes, and with the engines that people use: the program is
//! `benches/comparison.rs`.
//!
//! All take turns in one guard, in an order that is drawn anew each round: a container of the probe, in namespaces of its own,
//! without a network, with the same limits and a filter of system calls. What is timed is the command that a person gives, from
//! its call to its end; engines do more in it than runtimes (images, logs, a record of the container), which is what they cost.

mod aims;
mod contender;
mod daemons;
mod inside;
mod page;
mod room;
mod target;
mod wires;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

pub use aims::{commands, containers, starts};
pub use contender::Contender;
pub use inside::inside;
pub use page::page;
pub use target::{Aim, Target, table};

use crate::start_latency::{Error, listen};

/// The first argument of this executable when it is called again in the guard.
pub const INSIDE: &str = "--compare-inside-the-guard";

/// What is measured of each contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// `run` of a container that ends at once, ms.
    Run,
    /// `run --detach` of a container that stays, ms.
    Start,
    /// `exec` of a process that ends at once in it, ms.
    Exec,
    /// From the command that ends it until its control groups and its network namespace are gone, ms.
    Teardown,
    /// `Pss` (proc_pid_smaps(5)) of all processes that are there because of it, KiB.
    Memory,
    /// The same without the container's own process: what supervises it, KiB.
    Supervisor,
    /// Containers a second that are run by eight callers at once.
    Rate,
    /// What one TCP connection carries between two containers in the network that an engine gives them, Gbit/s.
    Throughput,
}

impl Measure {
    /// All, in the order of the page.
    pub const ALL: [Measure; 8] = [
        Measure::Run,
        Measure::Start,
        Measure::Exec,
        Measure::Teardown,
        Measure::Memory,
        Measure::Supervisor,
        Measure::Rate,
        Measure::Throughput,
    ];

    /// Its name in tables, and between the guard and the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Measure::Run => "run",
            Measure::Start => "start",
            Measure::Exec => "exec",
            Measure::Teardown => "teardown",
            Measure::Memory => "memory",
            Measure::Supervisor => "supervisor",
            Measure::Rate => "rate",
            Measure::Throughput => "throughput",
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Measure::Run | Measure::Start | Measure::Exec | Measure::Teardown => "ms",
            Measure::Memory | Measure::Supervisor => "KiB",
            Measure::Rate => "/s",
            Measure::Throughput => "Gbit/s",
        }
    }

    /// Whether more is better.
    #[must_use]
    pub fn is_rate(self) -> bool {
        matches!(self, Measure::Rate | Measure::Throughput)
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    samples: BTreeMap<(Measure, Contender), Vec<f64>>,
    /// Floors of the kernel, by name, in the same rounds.
    floors: BTreeMap<String, Vec<f64>>,
    versions: BTreeMap<Contender, String>,
    commands: BTreeMap<(Measure, Contender), String>,
    /// Resident memory of an engine's daemons before there is a container, KiB.
    daemons: BTreeMap<Contender, f64>,
    skipped: Vec<String>,
}

/// Measures `rounds` rounds of all contenders that are installed, in a guard.
///
/// # Errors
/// What the guard could not do. A contender that does not work is skipped, and the page says why.
pub fn measure(plimsoll: &Path, rounds: usize) -> Result<Measured, Error> {
    let mut measured = Measured::default();
    listen(INSIDE, plimsoll, &[rounds.to_string()], |line| {
        hear(&line, &mut measured).map(ControlFlow::Continue).ok_or(line)
    })?;
    Ok(measured)
}

/// A line is `sample MEASURE CONTENDER VALUE`, `floor NAME VALUE`, `daemons CONTENDER KIB`, `version CONTENDER TEXT`, `command MEASURE CONTENDER TEXT`
/// or `skipped REASON`.
fn hear(line: &str, measured: &mut Measured) -> Option<()> {
    let measure = |name: &str| Measure::ALL.into_iter().find(|known| known.name() == name);
    let contender = |name: &str| Contender::ALL.into_iter().find(|known| known.name() == name);
    let (word, rest) = line.split_once(' ')?;
    if word == "skipped" {
        measured.skipped.push(rest.to_owned());
        return Some(());
    }
    let (first, rest) = rest.split_once(' ')?;
    match word {
        "version" => drop(measured.versions.insert(contender(first)?, rest.to_owned())),
        "daemons" => drop(measured.daemons.insert(contender(first)?, rest.parse().ok()?)),
        "floor" => measured
            .floors
            .entry(first.to_owned())
            .or_default()
            .push(rest.parse().ok()?),
        "sample" => {
            let (second, value) = rest.split_once(' ')?;
            let samples = measured.samples.entry((measure(first)?, contender(second)?));
            samples.or_default().push(value.parse().ok()?);
        }
        "command" => {
            let (second, text) = rest.split_once(' ')?;
            let key = (measure(first)?, contender(second)?);
            measured.commands.insert(key, text.to_owned());
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_says_is_heard_and_noise_is_not() {
        let mut measured = Measured::default();
        for line in [
            "version docker Docker version 20.10",
            "daemons docker 81234.5",
            "command run docker docker run --rm",
            "sample run docker 258.25",
            "sample run docker 260",
            "floor L8.1 812.5",
            "skipped podman: not installed",
        ] {
            assert_eq!(hear(line, &mut measured), Some(()), "{line}");
        }
        assert_eq!(measured.samples[&(Measure::Run, Contender::Docker)], [258.25, 260.0]);
        assert_eq!(measured.versions[&Contender::Docker], "Docker version 20.10");
        assert_eq!(measured.skipped, ["podman: not installed"]);
        for noise in [
            "sample run docker soon",
            "sample fly docker 1",
            "sample run lxc 1",
            "hello",
            "",
        ] {
            assert_eq!(hear(noise, &mut measured), None, "{noise}");
        }
    }
}
