//! `cargo xtask STAGE`: what a laptop and the pipeline both run, by the same word.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to the person who started it"
)]

mod check;
mod command;
mod evaluate;
mod executable;
mod oracle;
mod root;
mod schema;
mod soak;
mod tidy;
mod vm;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The stages of the pipeline.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Debug, Subcommand)]
enum Stage {
    /// Rules of the repository that the compiler does not know; needs nothing but cargo.
    Tidy,
    /// Format, lints, tidy, dependencies, generated files and documentation; needs no root.
    Check,
    /// All specs on the bundled runtime; needs root.
    Root(root::Options),
    /// All specs on runc and crun: a spec must pass there before it may judge ours; needs root.
    Oracle(oracle::Options),
    /// How often a statistical check fails without cause, and how often it catches a wrong limit; needs root, and time.
    FalseAlarms(evaluate::Options),
    /// How often the regression gate calls identical code slower, and catches what was planted; needs root, and hours.
    GateEval(evaluate::Options),
    /// What containers cost with the bundled runtime, other runtimes and engines, and whether our own figures are as they
    /// are to be; needs root, and time.
    Comparison(evaluate::Options),
    /// All specs again and again on healthy runtimes, with every false alarm counted; needs root, and time.
    Soak(soak::Options),
    /// All specs in a virtual machine whose kernel has cgroup v2 only; needs QEMU, not root.
    Vm(vm::Options),
}

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let done = match Arguments::parse().stage {
        Stage::Tidy => tidy::stage(workspace).map_err(Into::into),
        Stage::Check => check::stage(workspace).map_err(Into::into),
        Stage::Root(options) => root::stage(workspace, &options).map_err(Into::into),
        Stage::Oracle(options) => oracle::stage(workspace, &options).map_err(Into::into),
        Stage::FalseAlarms(options) => evaluate::stage(workspace, "false-alarms", &options).map_err(Into::into),
        Stage::GateEval(options) => evaluate::stage(workspace, "gate-eval", &options).map_err(Into::into),
        Stage::Comparison(options) => evaluate::stage(workspace, "comparison", &options).map_err(Into::into),
        Stage::Soak(options) => soak::stage(workspace, &options).map_err(Into::into),
        Stage::Vm(options) => vm::stage(workspace, &options).map_err(Into::into),
    };
    done.unwrap_or_else(|error: Box<dyn std::error::Error>| {
        eprintln!("error: {}", chain(&*error));
        ExitCode::from(3)
    })
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
