//! `cargo xtask gate-eval`: how often the regression gate calls identical code regressed, and how often it catches what was
//! planted, at starts of containers by the bundled runtime.
//!
//! Rounds are recorded, runs of the gate are put together from them, and live runs check these. `docs/gate.md` tells the
//! method. Needs root, and a machine that is as busy as the one whose gate is to be believed.
#![expect(clippy::print_stdout, reason = "this program reports on standard output")]
#![expect(clippy::print_stderr, reason = "this program complains on standard error")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::gate_eval::{Budgets, Counted, Recording, Row, Scenario, live, record, replayed, table};
use benches::start_latency::arms;
use clap::Parser;
use statistics::chance::Chance;

/// How often the regression gate errs at starts of containers.
#[derive(Debug, Parser)]
#[command(name = "gate-eval", bin_name = "cargo xtask gate-eval")]
struct Arguments {
    /// The executable of plimsoll; `cargo xtask gate-eval` names it.
    #[arg(long)]
    plimsoll: PathBuf,
    /// Minutes to record now; 0 records nothing, and what is there already counts.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Runs put together from what is recorded, for each line of the table.
    #[arg(long, default_value_t = 1000)]
    replays: usize,
    /// Live runs for each line of the table.
    #[arg(long, default_value_t = 20)]
    live: usize,
    /// Seconds that a run may sample to see 5 %.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds that a run may sample to see 2 %.
    #[arg(long, default_value_t = 300.0)]
    long_seconds: f64,
    /// Seed of the replayed runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where recordings are kept; all that are there count. Call this in different hours.
    #[arg(long, default_value = ".plimsoll/gate-eval", value_name = "DIR")]
    recordings: PathBuf,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let done = match &words[1..] {
        [first, plimsoll, delays, group] if first == arms::INSIDE => {
            arms::inside(Path::new(plimsoll), delays, group, &mut std::io::stdout().lock()).map_err(Into::into)
        }
        _ => evaluate(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", harness::chain(&*error));
            ExitCode::from(3)
        }
    }
}

fn evaluate(asked: &Arguments) -> Result<(), Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        return Err("gate-eval needs root: control groups and namespaces are made".into());
    }
    fs_err::create_dir_all(&asked.recordings)?;
    if asked.minutes > 0.0 {
        let time = Duration::try_from_secs_f64(asked.minutes * 60.0)?;
        let (rounds, path) = record(&asked.recordings, &asked.plimsoll, time)?;
        eprintln!("recorded {rounds} rounds into `{}`", path.display());
    }
    let recordings = Recording::all(&asked.recordings)?;
    let budgets = Budgets {
        short: Duration::try_from_secs_f64(asked.seconds)?,
        long: Duration::try_from_secs_f64(asked.long_seconds)?,
    };
    let mut chance = Chance::new(asked.seed);
    let mut rows: Vec<Row> = Scenario::all(&budgets)
        .into_iter()
        .map(|scenario| Row {
            scenario,
            replayed: replayed(&recordings, &scenario, asked.replays, &mut chance),
            live: Counted::default(),
        })
        .collect();
    // In turn, so that what changes about the machine meanwhile changes for all.
    for round in 0..asked.live {
        for row in &mut rows {
            let (judgement, took) = live(&asked.plimsoll, &row.scenario, &mut chance)?;
            row.live.add(&judgement, took);
            for decision in &judgement.rows {
                let delay = row.scenario.plant.delay() * 100.0;
                eprintln!("live run {} of {}, +{delay} %: {decision}", round + 1, asked.live);
            }
        }
    }
    print!("{}", table(&recordings, &rows));
    Ok(())
}
