//! `cargo xtask comparison`: what containers cost with the bundled runtime, with crun and runc, and with podman and docker.
//!
//! `docs/comparison.md` is what it printed. Needs root; a contender that is not installed is left out and named.
#![expect(clippy::print_stdout, reason = "this program reports on standard output")]
#![expect(clippy::print_stderr, reason = "this program complains on standard error")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::comparison::{self, INSIDE, inside, measure, page, table};
use benches::start_latency::{self, Weather};
use clap::Parser;

/// What containers cost with runtimes and engines.
#[derive(Debug, Parser)]
#[command(name = "comparison", bin_name = "cargo xtask comparison")]
struct Arguments {
    /// The executable of plimsoll; `cargo xtask comparison` names it.
    #[arg(long)]
    plimsoll: PathBuf,
    /// Rounds, in each of which every contender takes its turn.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Starts of each runtime beside the floors, in each of two regimes.
    #[arg(long, default_value_t = 300)]
    starts: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let done = match &words[1..] {
        [first, plimsoll, rounds, group] if first == INSIDE => {
            rounds.parse().map_err(Box::<dyn Error>::from).and_then(|rounds| {
                let output = &mut std::io::stdout().lock();
                Ok(inside(Path::new(plimsoll), rounds, group, output)?)
            })
        }
        [first, plimsoll, rounds, group] if first == start_latency::INSIDE => {
            rounds.parse().map_err(Box::<dyn Error>::from).and_then(|rounds| {
                let output = &mut std::io::stdout().lock();
                Ok(start_latency::inside(Path::new(plimsoll), rounds, group, output)?)
            })
        }
        _ => compare(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", harness::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn compare(asked: &Arguments) -> Result<(), Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the comparison needs root: control groups and namespaces are made");
        return Ok(());
    }
    let before = Weather::now();
    let measured = measure(&asked.plimsoll, asked.rounds)?;
    let starts = start_latency::measure(&asked.plimsoll, asked.starts)?;
    let scratch = PathBuf::from(format!("/tmp/plimsoll-comparison-{}", std::process::id()));
    fs_err::create_dir(&scratch)?;
    let mut targets = comparison::starts(&starts);
    targets.extend(comparison::containers(&measured));
    targets.extend(comparison::commands(&asked.plimsoll, &scratch));
    fs_err::remove_dir_all(&scratch)?;
    println!("Linux {}", kernel()?);
    println!("before: {before}; after: {}\n", Weather::now());
    println!("{}", page(&measured));
    println!("\n### What the bundled parts are to reach\n\n{}", table(&targets));
    Ok(())
}

/// The kernel and the CPU, as they name themselves.
fn kernel() -> Result<String, Box<dyn Error>> {
    let release = fs_err::read_to_string("/proc/sys/kernel/osrelease")?;
    let text = fs_err::read_to_string("/proc/cpuinfo")?;
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed CPU", |(_, name)| name);
    let cpus = std::thread::available_parallelism()?;
    Ok(format!("{}, {cpus} × {model}", release.trim()))
}
