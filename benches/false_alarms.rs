//! `cargo xtask false-alarms`: how often a statistical check fails without cause, and how often it catches a limit that
//! is wrong, on an idle machine and under load.
//!
//! Each run is one `plimsoll run`, in guards as always. Needs root, and time: a run of `cpu-quota` takes 10 s.
#![expect(clippy::print_stdout, reason = "this program reports on standard output")]
#![expect(clippy::print_stderr, reason = "this program complains on standard error")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use benches::false_alarms::{Count, Drawn, HEALTHY, Load, Row, burn, cases, resample, table};
use clap::Parser;
use statistics::chance::Chance;

/// The word on which this program burns.
const BURN: &str = "__burn";

/// How often a statistical check fails without cause, and how often it catches a limit that is wrong.
#[derive(Debug, Parser)]
#[command(name = "false-alarms", bin_name = "cargo xtask false-alarms")]
struct Arguments {
    /// The executable of plimsoll; `cargo xtask false-alarms` names it.
    #[arg(long)]
    plimsoll: PathBuf,
    /// The spec.
    #[arg(long, default_value = "specs/cgroup/cpu-quota.yaml")]
    spec: PathBuf,
    /// Only cases by this name, as of `plimsoll run`; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs without a fault, at each load.
    #[arg(long, default_value_t = 60)]
    runs: u32,
    /// Runs with each fault, at each load (half of `--runs` unless told).
    #[arg(long)]
    fault_runs: Option<u32>,
    /// Sabotages of the spec that must be caught; may be repeated.
    #[arg(long = "fault", value_name = "ID", default_values = ["a-fifth-more", "a-fifth-less"])]
    faults: Vec<String>,
    /// Processes that burn beside the runs; may be repeated (0 and twice the CPUs unless told).
    #[arg(long, value_name = "NUMBER")]
    load: Vec<usize>,
    /// Runs put together from the recorded windows of each case.
    #[arg(long, default_value_t = 2000)]
    resamples: usize,
    /// Where the records go; those that are there already count, too.
    #[arg(long, default_value = ".plimsoll/false-alarms", value_name = "DIR")]
    records: PathBuf,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(BURN) {
        burn();
        return ExitCode::SUCCESS;
    }
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", harness::chain(&*error));
            ExitCode::from(3)
        }
    }
}

fn measure(asked: &Arguments) -> Result<(), Box<dyn Error>> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let loads = if asked.load.is_empty() {
        vec![0, 2 * cpus]
    } else {
        asked.load.clone()
    };
    let fault_runs = asked.fault_runs.unwrap_or(asked.runs / 2);
    // In turn, so that what changes about the machine meanwhile changes for all.
    for round in 0..asked.runs.max(fault_runs) {
        for &load in &loads {
            let burning = Load::start(load, BURN)?;
            if round < asked.runs {
                run(asked, load, None)?;
            }
            for fault in asked.faults.iter().filter(|_| round < fault_runs) {
                run(asked, load, Some(fault))?;
            }
            drop(burning);
        }
        eprintln!("round {} of {}", round + 1, asked.runs.max(fault_runs));
    }
    let kinds: Vec<&str> = std::iter::once(HEALTHY)
        .chain(asked.faults.iter().map(String::as_str))
        .collect();
    let (mut rows, mut chance) = (Vec::new(), Chance::new(1));
    for &load in &loads {
        for kind in &kinds {
            rows.extend(rows_of(asked, load, kind, &mut chance)?);
        }
    }
    rows.extend(sums(&rows));
    print!("{}", table(&rows));
    Ok(())
}

fn state(asked: &Arguments, load: usize, kind: &str) -> PathBuf {
    asked.records.join(format!("load-{load}")).join(kind)
}

/// One run; whatever its verdicts.
fn run(asked: &Arguments, load: usize, fault: Option<&String>) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(&asked.plimsoll);
    let state = state(asked, load, fault.map_or(HEALTHY, String::as_str));
    command.arg("--state").arg(state).arg("run").arg(&asked.spec);
    for name in &asked.only {
        command.args(["--only", name]);
    }
    if let Some(fault) = fault {
        command.args(["--sabotage", fault]);
    }
    let done = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    // 0, 1 and 5 are verdicts; without a run there is nothing to count.
    match done.status.code() {
        Some(0 | 1 | 5) => Ok(()),
        _ => Err(format!(
            "`plimsoll run` ended with {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        )
        .into()),
    }
}

/// A row for each statistical check of each case. What other checks said is told on standard error.
fn rows_of(asked: &Arguments, load: usize, kind: &str, chance: &mut Chance) -> Result<Vec<Row>, Box<dyn Error>> {
    let healthy = kind == HEALTHY;
    let recorded = cases(Path::new(&state(asked, load, kind)))?;
    let mut drawn: BTreeMap<(&str, &str), Vec<&Drawn>> = BTreeMap::new();
    for case in &recorded {
        for one in &case.drawn {
            drawn.entry((&case.name, &one.check.id.value)).or_default().push(one);
        }
        for (check, verdict) in case.others.iter().filter(|_| healthy) {
            eprintln!("{} under load {load}: {check} ended with {verdict:?}", case.name);
        }
    }
    let mut rows = Vec::new();
    for ((case, check), drawn) in drawn {
        let (mut runs, mut resampled) = (Count::default(), Count::default());
        for one in &drawn {
            runs.add(&one.verdict);
            if healthy && one.verdict.word() != "pass" {
                eprintln!("{case} › {check} under load {load}: {:?}", one.verdict);
            }
        }
        for verdict in resample(&drawn, asked.resamples, chance) {
            resampled.add(&verdict);
        }
        rows.push(Row {
            name: format!("{case} › {check}, {kind}, {load} processes beside"),
            healthy,
            runs,
            resampled,
        });
    }
    Ok(rows)
}

/// All healthy rows together, and all others.
fn sums(rows: &[Row]) -> Vec<Row> {
    let sum = |healthy: bool| {
        let mut sum = Row {
            name: format!("all of them, {}", if healthy { "healthy" } else { "with a fault" }),
            healthy,
            runs: Count::default(),
            resampled: Count::default(),
        };
        for row in rows.iter().filter(|row| row.healthy == healthy) {
            sum.runs.merge(row.runs);
            sum.resampled.merge(row.resampled);
        }
        sum
    };
    vec![sum(true), sum(false)]
}
