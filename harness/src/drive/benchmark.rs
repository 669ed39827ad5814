//! A benchmark: rounds of samples, one of each case, in an order drawn anew each round.
//!
//! All cases of a benchmark, whatever their subjects, take their samples in one guard, so that what the machine does meanwhile
//! falls on all of them. What a sample is, is in [`start`] and [`scheduling`]. Nothing is left out: what failed is a sample,
//! too, and what the probe does not attest is told with it.

mod scheduling;
mod start;
mod warning;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use record::Event;
use record::bench::{Sample, Setting};
use spec::benchmark::{Load as Kind, WORKLOAD};
use statistics::chance::Chance;

use self::scheduling::Scheduling;
use self::start::Start;
use super::{Missing, Stuck, World};
use crate::guard::{HOME, Home, Job};
use crate::observe::load::{Load, meanwhile};

/// The clock of all points, as the record names it.
const CLOCK: &str = "CLOCK_MONOTONIC";

/// A case that takes samples.
struct Cell {
    job: Job,
    state: PathBuf,
    what: What,
}

/// What a sample of it is.
enum What {
    Start(Start),
    Scheduling(Scheduling),
}

/// Takes the samples of a case and of those beside it. Answers how long that took: all of it is asked for.
pub(super) fn run(job: &Job, home: &Home, emit: &mut dyn FnMut(Event)) -> Duration {
    let began = Instant::now();
    let mut cells: Vec<Cell> = cells(job)
        .into_iter()
        .enumerate()
        .filter_map(|(index, cell)| ready(index, cell, home, emit))
        .collect();
    let Some(sampling) = job.case.measured.as_ref().map(|measured| measured.benchmark.sampling) else {
        return began.elapsed();
    };
    let of_machine = warning::of_machine();
    for cell in &cells {
        emit(Event::Setting(Box::new(Setting {
            case: cell.job.case.header.id.clone(),
            clock: CLOCK.into(),
            seed: job.seed,
            debug: cell.job.subject.is_debug_build(),
            warnings: warning::of_subject(&cell.job.subject)
                .into_iter()
                .chain(of_machine.iter().cloned())
                .collect(),
        })));
    }
    let mut chance = Chance::new(job.seed);
    let first = Instant::now();
    'rounds: for round in 0..u64::from(sampling.warmup) + u64::from(sampling.samples) {
        chance.shuffle(&mut cells);
        for cell in &mut cells {
            if first.elapsed() >= sampling.max_duration.0 {
                break 'rounds;
            }
            let before = Load::read();
            let t0 = since(&cell.job);
            let mut sample = cell.take(home, emit);
            let t1 = since(&cell.job);
            sample.case.clone_from(&cell.job.case.header.id);
            sample.round = round;
            sample.warmup = round < u64::from(sampling.warmup);
            sample.conditions = meanwhile(&before, &Load::read());
            (sample.conditions.t0, sample.conditions.t1) = (t0, t1);
            emit(Event::Sample(Box::new(sample)));
        }
    }
    began.elapsed()
}

/// A job for each case, with its own subject.
fn cells(job: &Job) -> Vec<Job> {
    let mut first = job.clone();
    let beside = std::mem::take(&mut first.case.beside);
    let subjects = std::mem::take(&mut first.beside);
    let others: Vec<Job> = beside
        .into_iter()
        .zip(subjects)
        .map(|(case, subject)| Job {
            case,
            subject,
            ..first.clone()
        })
        .collect();
    std::iter::once(first).chain(others).collect()
}

/// Prepares a case, and has it do once what is measured. Without its requirements, or if it cannot do that at all, it takes
/// no samples, and it is told why.
fn ready(index: usize, mut job: Job, home: &Home, emit: &mut dyn FnMut(Event)) -> Option<Cell> {
    // Cases are in one place: their workloads must not have one name.
    let name = format!("{WORKLOAD}-{index}");
    if let Some(workload) = job.case.spec.workloads.remove(WORKLOAD) {
        job.case.spec.workloads.insert(name.clone(), workload);
    }
    let measured = job.case.measured.clone()?;
    let state = PathBuf::from(format!("{HOME}/state-{index}"));
    let case = job.case.header.id.clone();
    let mut world = World::new(&job, home, &state, emit);
    let requires = job.case.spec.requires.clone();
    if let Some(missing) = world.missing(&requires) {
        world.unmet(None, None, missing);
        return None;
    }
    let made = match &measured.benchmark.workload.value {
        Kind::Container(_) | Kind::Bundle(_) => {
            Start::prepare(&mut world, &name, measured.delay.clone()).map(What::Start)
        }
        Kind::Scheduling(load) => match Scheduling::prepare(&job, load) {
            Ok(ready) => Ok(What::Scheduling(ready)),
            Err(seen) => {
                let missing = Missing {
                    requirement: "the bundled cluster".into(),
                    seen,
                    fault: false,
                };
                world.unmet(None, None, missing);
                return None;
            }
        },
    };
    match made {
        Ok(what) => Some(Cell { job, state, what }),
        Err(stuck) => {
            let (subject, message) = match stuck {
                Stuck::Subject(message) => (true, message),
                Stuck::Host(message) => (false, message),
            };
            emit(Event::Broken {
                case,
                phase: "setup".into(),
                index: 0,
                subject,
                message,
            });
            None
        }
    }
}

impl Cell {
    fn take(&mut self, home: &Home, emit: &mut dyn FnMut(Event)) -> Sample {
        match &mut self.what {
            What::Start(start) => start.take(&mut World::new(&self.job, home, &self.state, emit)),
            What::Scheduling(scheduling) => scheduling.take(),
        }
    }
}

/// Milliseconds since the run began.
fn since(job: &Job) -> f64 {
    let now = Duration::from_nanos(monotonic());
    now.saturating_sub(job.epoch).as_secs_f64() * 1e3
}

/// `CLOCK_MONOTONIC`, nanoseconds (`clock_gettime(2)`).
fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
