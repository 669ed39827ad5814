//! A benchmark: rounds of samples, one of each case, in an order drawn anew each round.
//!
//! All cases of a benchmark, whatever their subjects, take their samples in one guard, so that what the machine does meanwhile
//! falls on all of them. What a sample is, is in [`start`], [`scheduling`], [`network`], [`dns`], [`service`] and [`pods`].
//! Nothing is left out: what failed is a sample, too, and what the probe does not attest is told with it. A regression gate
//! has the reference in three arms beside each variant, and ends when everything is decided.

mod background;
mod burst;
mod dns;
mod floors;
mod network;
mod plant;
mod pods;
mod scheduling;
mod service;
mod site;
mod start;
mod warning;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use record::Event;
use record::bench::{Arm, Gate, Sample, Setting};
use spec::benchmark::{Benchmark, Floor, Load as Kind, Sampling, WORKLOAD};
use statistics::chance::Chance;

use self::background::Population;
use self::burst::Burst;
use self::dns::Dns;
use self::floors::InTurns;
use self::network::Network;
use self::plant::Plant;
use self::pods::Pods;
use self::scheduling::Scheduling;
use self::service::Service;
use self::site::Sites;
use self::start::Start;
use super::cluster::Lack;
use super::{FAULT_EVIDENCE, FAULT_LOG, Missing, Stuck, World};
use crate::guard::{HOME, Home, Job};
use crate::judge::benchmark::gate::{self, Row};
use crate::observe::{
    self,
    load::{Load, meanwhile},
};
use crate::plan::benchmark::gate::{Against, Gate as Part};
use crate::wait;

/// The clock of all points, as the record names it.
const CLOCK: &str = "CLOCK_MONOTONIC";

/// Rounds before those that count of a gate at least: they tell how long a round is, and how much is planted.
const LEAST_WARMUP: u32 = 3;

/// Readings of both clocks, of which the tightest counts.
const READINGS: u32 = 16;

/// A case that takes samples, or an arm of one.
struct Cell {
    job: Job,
    arm: Option<Arm>,
    state: PathBuf,
    what: What,
    /// So many containers run beside its samples.
    background: u32,
}

/// What a sample of it is.
enum What {
    /// Containers, started by a runtime's command line.
    Start(Burst),
    /// Whatever else.
    Other(Box<dyn Sampler>),
}

/// What takes one sample after the other.
trait Sampler {
    /// One sample; one that fails is a sample, too.
    fn take(&mut self) -> Sample;
}

/// Takes the samples of a case and of those beside it. Answers how long that took: all of it is asked for.
pub(super) fn run(job: &Job, home: &Home, emit: &mut dyn FnMut(Event)) -> Duration {
    let began = Instant::now();
    let mut sites = Sites::default();
    let mut jobs = cells(job);
    let logs: Vec<Disobedience> = jobs
        .iter_mut()
        .enumerate()
        .filter_map(|(index, (job, _))| Disobedience::of(index, job))
        .collect();
    let cells: Vec<Cell> = jobs
        .into_iter()
        .enumerate()
        .filter_map(|(index, (cell, arm))| ready(index, cell, arm, home, &mut sites, emit))
        .collect();
    take(job, home, cells, emit);
    for log in logs {
        emit(log.told());
    }
    began.elapsed()
}

/// Takes the samples of all that can be measured, and of floors beside them.
fn take(job: &Job, home: &Home, cells: Vec<Cell>, emit: &mut dyn FnMut(Event)) {
    let Some(measured) = job.case.measured.as_ref() else {
        return;
    };
    let of_machine = warning::of_machine();
    let sampling = measured.benchmark.sampling.clone();
    // A gate compares with its reference, and has no time for anything else.
    let asked = measured.benchmark.floors();
    let floors = match measured.gate {
        None if !cells.is_empty() => InTurns::ready(job, home, &asked, emit),
        _ => None,
    };
    let mut turns = Turns {
        population: None,
        level: 0,
        cells,
        floors,
        chance: Chance::new(job.seed),
        plants: BTreeMap::new(),
        round: 0,
        began: Instant::now(),
        every: sampling
            .arrival
            .every
            .filter(|_| sampling.arrival.burst.is_none())
            .map(|every| every.0),
        last: None,
        home,
        emit,
    };
    match measured.gate.as_ref().map(|gate| gate.against) {
        None => {
            turns.settle(&of_machine, None);
            turns.sample(job, &sampling);
        }
        Some(against) => {
            let levels = turns.levels();
            if let Some(first) = levels.first() {
                turns.leave_out(*first);
                turns.populate(job, *first);
            }
            turns.decide(&sampling, against, &of_machine);
        }
    }
}

/// Where the subject of a case writes down how it disobeyed.
struct Disobedience {
    case: String,
    log: PathBuf,
}

impl Disobedience {
    /// Gives a case whose subject disobeys a log of its own: all cases are in one place.
    fn of(index: usize, job: &mut Job) -> Option<Self> {
        job.case.header.fault.as_ref()?;
        let log = format!("{FAULT_LOG}-{index}");
        for word in job.subject.argv.iter_mut().filter(|word| *word == FAULT_LOG) {
            word.clone_from(&log);
        }
        Some(Self {
            case: job.case.header.id.clone(),
            log: log.into(),
        })
    }

    fn told(self) -> Event {
        Event::Evidence {
            case: self.case,
            name: FAULT_EVIDENCE.into(),
            text: observe::output::text(&self.log),
        }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy)]
enum Turn {
    /// Of the case at this place.
    Cell(usize),
    /// Of a floor.
    Floor(Floor),
}

/// What is left to be sampled, in turns.
struct Turns<'t> {
    /// What runs beside samples, once something does.
    population: Option<Population>,
    /// How many of it there are: cells that want as many take their turns.
    level: u32,
    cells: Vec<Cell>,
    floors: Option<InTurns>,
    chance: Chance,
    /// By the id of the reference: what is planted into its slow arm.
    plants: BTreeMap<String, Plant>,
    /// How many rounds there were.
    round: u64,
    began: Instant,
    /// Least time between the beginnings of samples that are not beside each other.
    every: Option<Duration>,
    /// When the last one began.
    last: Option<Instant>,
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
                    bare: against.bare,
                }),
            })));
        }
    }

    /// How many containers run beside samples of some case, each number once, the smallest first.
    fn levels(&self) -> Vec<u32> {
        let levels: BTreeSet<u32> = self.cells.iter().map(|cell| cell.background).collect();
        levels.into_iter().collect()
    }

    /// As many samples of each case as the spec asks for, as far as there is time. If cases want different backgrounds, rounds
    /// of those that want the same follow each other: half of them while backgrounds grow, half while they shrink, so that
    /// what changes steadily falls on all alike. Floors are measured with the smallest.
    fn sample(&mut self, job: &Job, sampling: &Sampling) {
        let levels = self.levels();
        let half = sampling.samples.div_ceil(2);
        let visits: Vec<(u32, u32)> = match levels.as_slice() {
            [only] => vec![(*only, sampling.samples)],
            _ => {
                let growing = levels.iter().map(|level| (*level, half));
                let shrinking = levels.iter().rev().map(|level| (*level, sampling.samples - half));
                growing.chain(shrinking).collect()
            }
        };
        let is_over = |began: Instant| began.elapsed() >= sampling.max_duration.0;
        for (level, samples) in visits {
            self.populate(job, level);
            for round in 0..u64::from(sampling.warmup) + u64::from(samples) {
                self.round(round < u64::from(sampling.warmup), &is_over, &|_, _| None);
                if is_over(self.began) {
                    return;
                }
            }
        }
    }

    /// Has so many containers run beside what follows. If they cannot, the cases that want them take no samples.
    fn populate(&mut self, job: &Job, level: u32) {
        self.level = level;
        if self.population.is_none() && level == 0 {
            return;
        }
        let population = match self.population.take() {
            Some(population) => Ok(population),
            None => Population::prepare(job.clone(), self.home, self.emit),
        };
        let set = population.and_then(|mut population| {
            population.set(level, self.home, self.emit)?;
            Ok(population)
        });
        let stuck = match set {
            Ok(population) => {
                self.population = Some(population);
                return;
            }
            Err(stuck) => stuck,
        };
        let (subject, message) = told(stuck);
        let (here, others): (Vec<Cell>, Vec<Cell>) = self.cells.drain(..).partition(|cell| cell.background == level);
        self.cells = others;
        for cell in here {
            (self.emit)(Event::Broken {
                case: cell.job.case.header.id.clone(),
                phase: "setup".into(),
                index: 0,
                subject,
                message: message.clone(),
            });
        }
    }

    /// A gate has one background: cases that want another take no part in it.
    fn leave_out(&mut self, level: u32) {
        let (here, others): (Vec<Cell>, Vec<Cell>) = self.cells.drain(..).partition(|cell| cell.background == level);
        self.cells = here;
        for cell in others {
            (self.emit)(Event::Unmet {
                case: cell.job.case.header.id.clone(),
                step: None,
                check: None,
                requirement: format!("background: {level}"),
                seen: "a gate compares beside one background; `--only` chooses another".into(),
                fault: false,
            });
        }
    }

    /// Rounds until a gate has decided everything, or its budget is spent. Every round is whole: what is left out of one could
    /// be left out because it is slow.
    fn decide(&mut self, sampling: &Sampling, against: Against, of_machine: &[String]) {
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
                bare: against.bare,
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

    /// One sample of each case and floor, in an order drawn anew, unless it is over before; answers those of cases.
    fn round(
        &mut self,
        warmup: bool,
        is_over: &dyn Fn(Instant) -> bool,
        spent: &dyn Fn(Instant, u64) -> Option<f64>,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        let least = self.cells.iter().map(|cell| cell.background).min();
        let floors = self.floors.iter().filter(|_| least == Some(self.level));
        let floors = floors.flat_map(|floors| &floors.asked);
        let mut order: Vec<Turn> = floors.map(|floor| Turn::Floor(*floor)).collect();
        let wants = |at: &usize| self.cells[*at].background == self.level;
        order.extend((0..self.cells.len()).filter(wants).map(Turn::Cell));
        self.chance.shuffle(&mut order);
        for turn in order {
            if is_over(self.began) {
                break;
            }
            let cell = match turn {
                Turn::Cell(at) => &mut self.cells[at],
                Turn::Floor(floor) => {
                    if let Some(floors) = &mut self.floors {
                        let sample = floors.take(floor, self.round, warmup);
                        (self.emit)(Event::Floor(Box::new(sample)));
                    }
                    continue;
                }
            };
            let id = cell.job.case.header.id.clone();
            if let (Some(Arm::Planted), Some(part)) = (cell.arm, cell.part()) {
                let plant = self.plants.entry(id.clone()).or_default();
                cell.slow_down(plant.delays(part.against.tolerated));
            }
            if let Some(every) = self.every {
                if let Some(last) = self.last {
                    wait::until_instant(last + every);
                }
                self.last = Some(Instant::now());
            }
            let before = Load::read();
            let t0 = since(&cell.job);
            // Of several that are beside each other the machine does what it does for all.
            let taken = cell.take(self.home, self.emit);
            let t1 = since(&cell.job);
            let spent = spent(self.began, self.round);
            let mut conditions = meanwhile(&before, &Load::read());
            (conditions.t0, conditions.t1) = (t0, t1);
            for mut sample in taken {
                sample.case.clone_from(&id);
                sample.round = self.round;
                sample.warmup = warmup;
                sample.arm = cell.arm;
                sample.spent = spent;
                sample.conditions = conditions.clone();
                if cell.is_reference() {
                    self.plants.entry(id.clone()).or_default().remember(&sample);
                }
                samples.push(sample.clone());
                (self.emit)(Event::Sample(Box::new(sample)));
            }
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
fn ready(
    index: usize,
    mut job: Job,
    arm: Option<Arm>,
    home: &Home,
    sites: &mut Sites,
    emit: &mut dyn FnMut(Event),
) -> Option<Cell> {
    let measured = job.case.measured.clone()?;
    let sampling = &measured.benchmark.sampling;
    // Cases are in one place: their workloads must not have one name.
    let names: Vec<String> = (0..sampling.arrival.of_a_round())
        .map(|number| format!("{WORKLOAD}-{index}-{number}"))
        .collect();
    if let Some(workload) = job.case.spec.workloads.remove(WORKLOAD) {
        for name in &names {
            job.case.spec.workloads.insert(name.clone(), workload.clone());
        }
    }
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
            let mut prepare = |name: &String| Start::prepare(&mut world, name, measured.delay);
            let starts = names.iter().map(&mut prepare).collect::<Result<Vec<_>, _>>();
            let every = sampling.arrival.every.map_or(Duration::ZERO, |every| every.0);
            starts.map(|starts| What::Start(Burst::new(starts, every, sampling.arrival.at_once())))
        }
        load => match other(load, &measured.benchmark, &job, home, sites) {
            Ok(sampler) => Ok(What::Other(sampler)),
            Err(Lack::Broken(message)) => Err(Stuck::Subject(message)),
            Err(Lack::Unmet { requirement, seen }) => {
                let missing = Missing {
                    requirement,
                    seen,
                    fault: false,
                };
                world.unmet(None, None, missing);
                return None;
            }
        },
    };
    match made {
        Ok(what) => Some(Cell {
            background: sampling.background,
            job,
            arm,
            state,
            what,
        }),
        Err(stuck) => {
            let (subject, message) = told(stuck);
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

/// Whether it is the subject's fault, and what happened.
fn told(stuck: Stuck) -> (bool, String) {
    match stuck {
        Stuck::Subject(message) => (true, message),
        Stuck::Host(message) => (false, message),
    }
}

/// Prepares what is no container.
fn other(
    load: &Kind,
    benchmark: &Benchmark,
    job: &Job,
    home: &Home,
    sites: &mut Sites,
) -> Result<Box<dyn Sampler>, Lack> {
    let others = match load {
        Kind::Service(load) => load.others,
        _ => 0,
    };
    let mut site = || sites.of(job, home, others);
    Ok(match load {
        Kind::Container(_) | Kind::Bundle(_) => return Err(Lack::Broken("a container is no part of a cluster".into())),
        Kind::Scheduling(load) => Box::new(Scheduling::prepare(job, load).map_err(|seen| Lack::Unmet {
            requirement: "the bundled cluster".into(),
            seen,
        })?),
        Kind::Network(load) => Box::new(Network::prepare(benchmark, load, &mut site)?),
        Kind::Dns(load) => Box::new(Dns::prepare(load, &mut site()?.borrow_mut()).map_err(Lack::Broken)?),
        Kind::Service(load) => Box::new(Service::prepare(load, &site()?).map_err(Lack::Broken)?),
        Kind::Pods(load) => Box::new(Pods::prepare(benchmark, load, &site()?).map_err(Lack::Broken)?),
    })
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
            // Only containers are in gates.
            What::Other(_) => {}
        }
    }

    fn take(&mut self, home: &Home, emit: &mut dyn FnMut(Event)) -> Vec<Sample> {
        match &mut self.what {
            What::Start(start) => start.take(&mut World::new(&self.job, home, &self.state, emit)),
            What::Other(sampler) => vec![sampler.take()],
        }
    }
}

/// Milliseconds since the run began.
fn since(job: &Job) -> f64 {
    let now = Duration::from_nanos(monotonic());
    now.saturating_sub(job.epoch).as_secs_f64() * 1e3
}

/// An instant as nanoseconds of `CLOCK_MONOTONIC`, whose instants they are. How both are numbered tells the tightest of several
/// readings of the two, because one may be interrupted between them.
fn nanoseconds(instant: Instant) -> u64 {
    static SAME: OnceLock<(Instant, u64)> = OnceLock::new();
    let (at, number) = *SAME.get_or_init(|| {
        let read = || {
            let before = Instant::now();
            let number = monotonic();
            (before.elapsed(), before, number)
        };
        let tightest = (0..READINGS).map(|_| read()).min_by_key(|(took, ..)| *took);
        let (_, at, number) = tightest.unwrap_or_else(read);
        (at, number)
    });
    let apart = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    match instant.checked_duration_since(at) {
        Some(after) => number.saturating_add(apart(after)),
        None => number.saturating_sub(apart(at.duration_since(instant))),
    }
}

/// `CLOCK_MONOTONIC`, nanoseconds (`clock_gettime(2)`).
fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_numbered_as_the_clock_numbers_them() {
        let instant = Instant::now();
        let found = nanoseconds(instant);
        // In the same order, whatever happened between two readings.
        assert!(found <= nanoseconds(Instant::now()));
        let second = Duration::from_secs(1);
        assert_eq!(nanoseconds(instant + second) - found, 1_000_000_000);
        assert_eq!(nanoseconds(instant - second), found - 1_000_000_000);
    }
}
