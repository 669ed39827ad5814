//! A benchmark: rounds of samples, one of each case, in an order drawn anew each round.
//!
//! All cases of a benchmark, whatever their subjects, take their samples in one guard, so that what the machine does meanwhile
//! falls on all of them. What a sample is, is in [`start`] and [`scheduling`]. Nothing is left out: what failed is a sample,
//! too, and what the probe does not attest is told with it. A regression gate has the reference in three arms beside each
//! variant, and ends when everything is decided.

mod plant;
mod scheduling;
mod start;
mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use record::Event;
use record::bench::{Arm, Gate, Sample, Setting};
use spec::benchmark::{Load as Kind, Sampling, WORKLOAD};
use statistics::chance::Chance;

use self::plant::Plant;
use self::scheduling::Scheduling;
use self::start::Start;
use super::{Missing, Stuck, World};
use crate::guard::{HOME, Home, Job};
use crate::judge::benchmark::gate::{self, Row};
use crate::observe::load::{Load, meanwhile};
use crate::plan::benchmark::gate::{Against, Gate as Part};

/// The clock of all points, as the record names it.
const CLOCK: &str = "CLOCK_MONOTONIC";

/// Rounds before those that count of a gate at least: they tell how long a round is, and how much is planted.
const LEAST_WARMUP: u32 = 3;

/// A case that takes samples, or an arm of one.
struct Cell {
    job: Job,
    arm: Option<Arm>,
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
    let cells: Vec<Cell> = cells(job)
        .into_iter()
        .enumerate()
        .filter_map(|(index, (cell, arm))| ready(index, cell, arm, home, emit))
        .collect();
    let Some(measured) = job.case.measured.as_ref() else {
        return began.elapsed();
    };
    let of_machine = warning::of_machine();
    let mut turns = Turns {
        cells,
        chance: Chance::new(job.seed),
        plants: BTreeMap::new(),
        round: 0,
        began: Instant::now(),
        home,
        emit,
    };
    let sampling = measured.benchmark.sampling;
    match measured.gate.as_ref().map(|gate| gate.against) {
        None => {
            turns.settle(&of_machine, None);
            turns.sample(sampling);
        }
        Some(against) => turns.decide(sampling, against, &of_machine),
    }
    began.elapsed()
}

/// What is left to be sampled, in turns.
struct Turns<'t> {
    cells: Vec<Cell>,
    chance: Chance,
    /// By the id of the reference: what is planted into its slow arm.
    plants: BTreeMap<String, Plant>,
    /// How many rounds there were.
    round: u64,
    began: Instant,
    home: &'t Home,
    emit: &'t mut dyn FnMut(Event),
}

impl Turns<'_> {
    /// Tells what figures of each case rest on; of a gate, how many rounds are handed over at once.
    fn settle(&mut self, of_machine: &[String], gate: Option<(Against, u64)>) {
        for cell in self.cells.iter().filter(|cell| cell.arm.is_none()) {
            let rows = cell.part().map_or(1, |part| part.rows);
            (self.emit)(Event::Setting(Box::new(Setting {
                case: cell.job.case.header.id.clone(),
                clock: CLOCK.into(),
                seed: cell.job.seed,
                debug: cell.job.subject.is_debug_build(),
                warnings: warning::of_subject(&cell.job.subject)
                    .into_iter()
                    .chain(of_machine.iter().cloned())
                    .collect(),
                gate: gate.map(|(against, block)| Gate {
                    tolerated: against.tolerated,
                    error: gate::error(rows),
                    block,
                }),
            })));
        }
    }

    /// As many samples of each case as the spec asks for, as far as there is time.
    fn sample(&mut self, sampling: Sampling) {
        for round in 0..u64::from(sampling.warmup) + u64::from(sampling.samples) {
            let is_over = |began: Instant| began.elapsed() >= sampling.max_duration.0;
            self.round(round < u64::from(sampling.warmup), &is_over, &|_, _| None);
            if is_over(self.began) {
                return;
            }
        }
    }

    /// Rounds until a gate has decided everything, or its budget is spent. Every round is whole: what is left out of one could
    /// be left out because it is slow.
    fn decide(&mut self, sampling: Sampling, against: Against, of_machine: &[String]) {
        let warmup = sampling.warmup.max(LEAST_WARMUP);
        for _ in 0..warmup {
            self.round(true, &|_| false, &|_, _| None);
        }
        let block = against.budget.block(self.began.elapsed() / warmup);
        self.settle(of_machine, Some((against, block)));
        let mut rows = self.rows(against, block);
        self.began = Instant::now();
        let before = self.round;
        loop {
            // What nobody is paired with has nothing to decide.
            self.cells.retain(|cell| {
                let id = &cell.job.case.header.id;
                rows.iter().any(|row| row.is_open() && row.is_of(id))
            });
            if self.cells.is_empty() {
                return;
            }
            let spent = |began: Instant, round: u64| Some(against.budget.spent(began.elapsed(), round + 1 - before));
            let samples = self.round(false, &|_| false, &spent);
            for row in &mut rows {
                row.round(&samples);
            }
            if samples
                .iter()
                .filter_map(|sample| sample.spent)
                .any(|spent| spent >= 1.0)
            {
                return;
            }
        }
    }

    /// The rows of all subjects whose reference can be measured.
    fn rows(&self, against: Against, block: u64) -> Vec<Row> {
        let is_there = |id: &str, arm| {
            let mut all = self.cells.iter();
            all.any(|cell| cell.job.case.header.id == id && cell.arm == arm)
        };
        let arms = [None, Some(Arm::Again), Some(Arm::Planted)];
        let mut rows = Vec::new();
        for cell in &self.cells {
            let (Some(part), Some(measured)) = (cell.part(), &cell.job.case.measured) else {
                continue;
            };
            let reference = part.reference.as_deref();
            let Some(reference) = reference.filter(|id| arms.iter().all(|arm| is_there(id, *arm))) else {
                continue;
            };
            let asked = Gate {
                tolerated: against.tolerated,
                error: gate::error(part.rows),
                block,
            };
            let measures = measured.benchmark.measure.iter();
            let measures = measures.map(|(name, measure)| (name, &measure.value));
            let id = &cell.job.case.header.id;
            rows.extend(
                Row::all(measures, id, reference, asked, cell.job.seed)
                    .into_iter()
                    .map(|(_, row)| row),
            );
        }
        rows
    }

    /// One sample of each case, in an order drawn anew, unless it is over before; answers them.
    fn round(
        &mut self,
        warmup: bool,
        is_over: &dyn Fn(Instant) -> bool,
        spent: &dyn Fn(Instant, u64) -> Option<f64>,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        self.chance.shuffle(&mut self.cells);
        for cell in &mut self.cells {
            if is_over(self.began) {
                break;
            }
            let id = cell.job.case.header.id.clone();
            if let (Some(Arm::Planted), Some(part)) = (cell.arm, cell.part()) {
                let plant = self.plants.entry(id.clone()).or_default();
                cell.slow_down(plant.delays(part.against.tolerated));
            }
            let before = Load::read();
            let t0 = since(&cell.job);
            let mut sample = cell.take(self.home, self.emit);
            let t1 = since(&cell.job);
            sample.case = id;
            sample.round = self.round;
            sample.warmup = warmup;
            sample.arm = cell.arm;
            sample.spent = spent(self.began, self.round);
            sample.conditions = meanwhile(&before, &Load::read());
            (sample.conditions.t0, sample.conditions.t1) = (t0, t1);
            if cell.is_reference() {
                self.plants.entry(sample.case.clone()).or_default().remember(&sample);
            }
            samples.push(sample.clone());
            (self.emit)(Event::Sample(Box::new(sample)));
        }
        self.round += 1;
        samples
    }
}

/// A job for each case, with its own subject, and for each arm by which a gate tests itself.
fn cells(job: &Job) -> Vec<(Job, Option<Arm>)> {
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
    let arms = |job: Job| {
        let measured = job.case.measured.as_ref();
        let part = measured.and_then(|measured| measured.gate.as_ref());
        let arms: &[Option<Arm>] = match part {
            Some(Part { reference: None, .. }) => &[None, Some(Arm::Again), Some(Arm::Planted)],
            _ => &[None],
        };
        arms.iter().map(move |arm| (job.clone(), *arm))
    };
    std::iter::once(first).chain(others).flat_map(arms).collect()
}

/// Prepares a case, and has it do once what is measured. Without its requirements, or if it cannot do that at all, it takes
/// no samples, and it is told why.
fn ready(index: usize, mut job: Job, arm: Option<Arm>, home: &Home, emit: &mut dyn FnMut(Event)) -> Option<Cell> {
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
        Ok(what) => Some(Cell { job, arm, state, what }),
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
    fn part(&self) -> Option<&Part> {
        self.job.case.measured.as_ref()?.gate.as_ref()
    }

    /// Whether it is the reference itself, and none of its arms.
    fn is_reference(&self) -> bool {
        self.arm.is_none() && self.part().is_some_and(|part| part.reference.is_none())
    }

    /// Plants these waits into the next sample.
    fn slow_down(&mut self, delays: plant::Delays) {
        match &mut self.what {
            What::Start(start) => start.slow_down(delays),
            // A scheduler is in no gate.
            What::Scheduling(_) => {}
        }
    }

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
