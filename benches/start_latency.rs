//! `cargo bench -p benches --bench start_latency`: the bundled runtime beside the kernel's floor, crun and runc.
//!
//! All subjects are started interleaved, in random order, in one run inside a guard; criterion is then given the samples
//! that were collected, one subject after the other. The `change` it prints compares this run with the last one and
//! decides nothing; the table at the end compares within the run.
//!
//! Needs root. `PLIMSOLL` names the executable if it is not the release build beside this bench;
//! `PLIMSOLL_BENCH_ROUNDS` is how often each subject starts in each regime (100).
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]
#![expect(clippy::print_stderr, reason = "a bench complains on standard error")]

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use benches::executable::plimsoll;
use benches::start_latency::{INSIDE, Measured, Regime, Subject, Weather, inside, measure, table};
use criterion::{Criterion, SamplingMode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let done = match &arguments[1..] {
        [first, plimsoll, rounds, group] if first == INSIDE => {
            rounds.parse().map_err(Box::<dyn Error>::from).and_then(|rounds| {
                Ok(inside(
                    Path::new(plimsoll),
                    rounds,
                    group,
                    &mut std::io::stdout().lock(),
                )?)
            })
        }
        others => outside(others),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn outside(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: start_latency needs root: control groups and namespaces are made");
        return Ok(());
    }
    // `cargo test --benches` calls a bench without `--bench`; one round then shows that it works.
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let trial = asked("--test") || !asked("--bench");
    let plimsoll = plimsoll()?;
    if trial && !plimsoll.exists() {
        println!("skipped: start_latency finds no `{}`", plimsoll.display());
        return Ok(());
    }
    let rounds = match std::env::var("PLIMSOLL_BENCH_ROUNDS") {
        _ if trial => 1,
        Ok(rounds) => rounds.parse::<usize>()?.max(10),
        Err(_) => 100,
    };
    let before = Weather::now();
    println!("{rounds} rounds of each regime, {}", plimsoll.display());
    let measured = measure(&plimsoll, rounds)?;
    let after = Weather::now();
    let mut criterion = Criterion::default().configure_from_args();
    tell(&mut criterion, &measured);
    criterion.final_summary();
    std::io::stdout().write_all(table(&measured, &before, &after).as_bytes())?;
    Ok(())
}

/// Gives criterion the samples as if it had measured them now.
fn tell(criterion: &mut Criterion, measured: &Measured) {
    for regime in Regime::ALL {
        let mut group = criterion.benchmark_group(format!("start_latency/{}", regime.name()));
        group.sampling_mode(SamplingMode::Flat);
        for subject in Subject::ALL {
            let samples = measured.of(regime, subject);
            if samples.is_empty() {
                continue;
            }
            let mut next = samples.iter().cycle();
            group.sample_size(samples.len().max(10));
            group.warm_up_time(Duration::from_nanos(1));
            group.measurement_time(Duration::from_millis(1));
            group.bench_function(subject.name(), |bencher| {
                // Criterion sees how fast it gets answers and asks for many at a time; as each of its samples is one
                // start, its mean of the many is that start.
                bencher.iter_custom(|many| {
                    let took = next.next().map_or(0.0, Duration::as_secs_f64);
                    Duration::from_secs_f64(took * many as f64)
                });
            });
        }
        group.finish();
    }
}
