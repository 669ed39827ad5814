//! The command line.

pub(crate) mod cluster;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use harness::plan::LabelSelector;
use harness::plan::benchmark::gate::Budget;
use record::SkipLimit;
use reports::{CompareFormat, Format};
use spec::quantity::Percent;

/// A declarative testing and benchmarking harness for container stacks.
///
/// Exit codes: 0 all passed; 1 a check failed, was flaky, or passed against its known failure; 2 bad spec or usage; 3 harness
/// or host error, or something left behind; 4 nothing selected, nothing ran, or everything was skipped; 5 inconclusive; 6 more
/// was skipped than may be; 7 unproven where a proof is required. If several apply, the first of 2, 3, 1, 7, 5, 6, 4 wins.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Where runs are kept.
    #[arg(long, global = true, value_name = "DIR", default_value = ".plimsoll")]
    pub(crate) state: PathBuf,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run specs and report what came of them.
    Run(Run),
    /// Measure subjects as benchmarks say, all in turns, and tell which figures are accepted.
    ///
    /// Each sample is one start of a container (or one run of the scheduler), in an order drawn anew each round. What fails is
    /// counted and never left out. Exit codes are those of `run`; a threshold that the samples do not decide, and one whose
    /// baseline is incomparable, is inconclusive.
    Bench(Bench),
    /// Show of every check that it can fail: run specs healthy and under faults, and tell which checks saw them.
    Prove(Prove),
    /// Read specs and complain about everything that is wrong with them; nothing runs.
    Check(Check),
    /// Print the cases that a run would consist of; nothing runs.
    Plan(Plan),
    /// Judge a recorded run again, from what it saw; needs no root.
    Judge(Judge),
    /// Print a recorded run as a report, or write reports of it to files.
    ///
    /// `plimsoll report last --html run.html` makes a page for browsers; with `--output`, one command makes several reports.
    /// The exit code tells whether they were made, and not what became of the run.
    Report(Report),
    /// Run specs on several subjects and tell what these disagree about, with what was seen on each side.
    ///
    /// In place of specs it takes one recorded run (id, path of its `run.jsonl` or directory, or `last`); then nothing runs.
    ///
    /// Exit codes are those of `run`: 0 if nothing failed beyond the known failures, so that the subjects agree or known
    /// failures account for what they disagree about; 1 if subjects disagree beyond that, or a check failed on all of
    /// them. 4, too, if no check was looked at on two subjects.
    Compare(Compare),
    /// Print what became of checks in earlier runs on this machine, and how figures of benchmarks changed.
    ///
    /// Each `run` and `bench` adds its verdicts and figures to `history.db` beside its runs; cases under sabotage and
    /// interrupted runs are left out. The newest 20 runs are kept, and older ones as long as there are no more than 200 000
    /// verdicts and figures.
    History(History),
    /// Print which checks changed their verdict from one run to another; 1 if a check is worse.
    Diff(Diff),
    /// Tell why checks of a recorded run failed, or hold: who asked for what, and what the kernel showed; needs no root.
    Explain(Explain),
    /// A Kubernetes-like cluster on this machine: nodes that run pods, an API for kubectl, gone without a trace.
    Cluster(cluster::Cluster),
    /// Remove what runs and clusters left that were killed.
    Gc,
    /// Print the JSON Schema of the spec format, for editors.
    Schema,
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Print the manual page.
    Man(Man),
    /// The bundled OCI runtime; `plimsoll oci --help` tells more.
    // Only for the help: `main` takes this word before the parser sees it.
    #[command(disable_help_flag = true)]
    Oci {
        /// A verb and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Any OCI runtime with one fault, as a subject; `plimsoll saboteur --help` tells more, `--list` the faults.
    // Only for the help, as above.
    #[command(disable_help_flag = true)]
    Saboteur {
        /// `--fault NAME [--log FILE] -- RUNTIME ARGUMENTS…`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

/// Which specs, and which cases of them.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Spec files, and folders with spec files below them.
    #[arg(default_value = "specs")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only tests with this label: `KEY=VALUE`, `KEY!=VALUE`, `KEY in (A, B)`, `KEY`, `!KEY`; may be repeated.
    #[arg(short, long = "label", value_name = "SELECTOR", value_parser = selectors)]
    pub(crate) labels: Vec<Selectors>,
    /// Only cases by this name: `TEST`, `TEST.CASE`, `TEST.CASE.CHECK` or a case's id, with `*` and `?`; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// What is under test: `bundled`, or `oci:ARGV…` for any OCI runtime, called by the name of its program or as in
    /// `NAME=oci:ARGV…`; `cluster` for the bundled cluster, `cluster-bridge`, `cluster-vxlan` and `cluster-bridge-vxlan` for
    /// the same with its network in another mode, `cluster-dual` for the same with IPv6 beside IPv4 (tests that name their
    /// network are run as `cluster` only), `kube` for the one behind `--kubeconfig`; may be repeated. Unless told: `bundled`,
    /// and `cluster` for tests of clusters.
    #[arg(long = "subject", value_name = "SUBJECT")]
    pub(crate) subjects: Vec<String>,
    /// Kubeconfig of the cluster that is under test as `kube`. Each case has a namespace of its own there.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (the current one unless told).
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,
    /// Put this fault of the specs' `sabotage` into the set-up; tests without it are not selected.
    #[arg(long, value_name = "ID")]
    pub(crate) sabotage: Option<String>,
}

/// The conditions of one `--label`.
#[derive(Debug, Clone)]
pub(crate) struct Selectors(pub(crate) Vec<LabelSelector>);

fn selectors(text: &str) -> Result<Selectors, harness::plan::ParseSelector> {
    LabelSelector::list(text).map(Selectors)
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) driving: Driving,
    #[command(flatten)]
    pub(crate) report: ReportForm,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Compare with these samples, in place of the baselines that the specs name: a file that `--save-baseline` wrote, a
    /// recorded run (id, path of its `run.jsonl` or directory, or `last`), or a git revision, of which the specs' own files
    /// are taken.
    #[arg(long, value_name = "FILE|RUN|REV")]
    pub(crate) baseline: Option<String>,
    /// Compare with this, in turns: an older plimsoll or any OCI runtime by its path, `bundled`, or `oci:ARGV…`. Each measure of
    /// each subject passes, is called regressed (a failed check), or stays inconclusive, with the smallest slowdown that
    /// would have been seen. Beside them the reference is measured against itself, and with a slowdown that is planted.
    /// Thresholds of regressions are left out then.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["baseline", "sabotage"])]
    pub(crate) against: Option<String>,
    /// Compare the subject with itself when nobody watches it: what the points, the probe and the books of a benchmark add to a
    /// start. It passes if that is at most what `--tolerate` says. Needs one subject, and a benchmark of starts.
    #[arg(long, conflicts_with_all = ["against", "baseline", "sabotage", "save_baseline"])]
    pub(crate) overhead: bool,
    /// The slowdown that `--against` tolerates; one that is tolerated is never reported.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = tolerance)]
    pub(crate) tolerate: Percent,
    /// How long `--against` may sample a benchmark before it is inconclusive: `60s`, `5m`, or `400rounds`.
    #[arg(long, value_name = "BUDGET", default_value = "60s", value_parser = budget)]
    pub(crate) budget: Budget,
    /// Write the samples to this file, for `--baseline` or a spec's `baseline.file`.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_baseline: Option<PathBuf>,
    /// Draw the order of the samples from this number (another one each time unless told; the record has it).
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) report: ReportForm,
}

/// How cases are run.
#[derive(Debug, Args)]
pub(crate) struct Driving {
    /// Cases side by side at most (the number of CPUs unless told).
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Bound of each case, in place of its own: `30s`, `2m`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Multiply all bounds of time of the specs, what `eventually` allows included, for a machine that is emulated or very
    /// slow. What is sampled stays as it is.
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) patience: u32,
    /// Try a case that does not pass again, so often at most, in place of what its spec says. A check that passes only
    /// then is flaky: that is told, and fails the run unless the spec says `retries.flaky: allow`. Cases under sabotage
    /// are never tried again.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=10))]
    pub(crate) retries: Option<u32>,
    /// Begin nothing more after the first failure.
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// How many checks may be skipped for an unmet requirement, else exit code 6: `3` or `5%` of all, `area=cgroup:3` or
    /// `area=cgroup:5%` of those with a label; may be repeated.
    #[arg(long = "max-skips", value_name = "[LABEL=VALUE:]N")]
    pub(crate) max_skips: Vec<SkipLimit>,
    /// No check may be skipped for an unmet requirement, else exit code 6.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Keep the directories of cases that passed, too.
    #[arg(long)]
    pub(crate) keep: bool,
    /// End with 7 if `plimsoll prove` has not shown of every check, as it is now, that it can fail.
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// Begin the cases in an order shuffled by this number.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) driving: Driving,
    /// Format on standard output: `table`, `json`, `junit` or `markdown`.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: CompareFormat,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only checks by this name: `TEST`, `TEST.CASE` or `TEST.CASE.CHECK`, with `*` and `?`; what stands out of all, unless
    /// told.
    pub(crate) check: Option<String>,
    /// Figures of benchmarks by this name, `BENCHMARK` or `BENCHMARK.CASE`, with `*` and `?`: each run, where they changed
    /// (E-divisive), and what else changed then.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["check", "keep", "imports"])]
    pub(crate) bench: Option<String>,
    /// Only this measure, `total`, or figure, `total.p99`, with `*` and `?` (medians unless told).
    #[arg(long, value_name = "METRIC", requires = "bench")]
    pub(crate) metric: Option<String>,
    /// Only of this subject, with `*` and `?`.
    #[arg(long, value_name = "NAME", requires = "bench")]
    pub(crate) subject: Option<String>,
    /// Format: `table` or `json`.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: HistoryForm,
    /// Runs listed of each check or figure at most; JSON has all.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) last: usize,
    /// Add a recorded run (id, path of its `run.jsonl` or directory, or `last`), or what another tool measured on this host:
    /// criterion (its folder, `target/criterion`), `hyperfine --export-json`, `iperf3 --json`; may be repeated.
    #[arg(long = "import", value_name = "RUN|FILE", conflicts_with_all = ["check", "keep"])]
    pub(crate) imports: Vec<String>,
    /// Version of what another tool measured, such as a commit: told where figures changed.
    #[arg(
        long,
        value_name = "VERSION",
        requires = "imports",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) revision: String,
    /// Forget all but so many of the newest runs.
    #[arg(long, value_name = "RUNS", conflicts_with = "check")]
    pub(crate) keep: Option<usize>,
}

/// A form in which a past is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HistoryForm {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Every fault of the subject that touches what a case asks for, and not only those of its own dimension.
    #[arg(long)]
    pub(crate) all_faults: bool,
    /// End with 7 if a check is unproven.
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// Run again what is proven already and unchanged.
    #[arg(long)]
    pub(crate) afresh: bool,
    /// Cases side by side at most (four for each CPU unless told).
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Format on standard output: `table` or `json`.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// List every check with the faults that it saw and missed.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How a run is told, and where.
#[derive(Debug, Args)]
pub(crate) struct ReportForm {
    /// Format on standard output: `table` (unless told), `json`, `junit`, `tap`, `html`, `markdown`, `github-annotations`,
    /// `sarif` or `prometheus`; of benchmarks also `csv`, `openmetrics`, `benchstat`, `github-benchmark-smaller` and
    /// `github-benchmark-bigger`.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// List passes, too, with what was seen.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Write a report to a file, too; may be repeated. A file is put in place whole.
    #[arg(short, long = "output", visible_alias = "report", value_name = "FORMAT=FILE", value_parser = output)]
    outputs: Vec<Output>,
    /// Write one page for browsers, with all that it needs in it: the same as `--output html=FILE`.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl ReportForm {
    /// The reports that go to files.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (Format, &Path)> {
        let outputs = self.outputs.iter().map(|output| (output.format, output.file.as_path()));
        outputs.chain(self.html.iter().map(|file| (Format::Html, file.as_path())))
    }

    /// The format on standard output of a command that is there for its report: nothing if it was asked for files alone.
    pub(crate) fn only_format(&self) -> Option<Format> {
        let is_silent = self.format.is_none() && self.outputs().next().is_some();
        (!is_silent).then(|| self.format.unwrap_or_default())
    }
}

/// A report in a file.
#[derive(Debug, Clone)]
struct Output {
    format: Format,
    file: PathBuf,
}

fn output(text: &str) -> Result<Output, String> {
    let (format, file) = text
        .split_once('=')
        .filter(|(_, file)| !file.is_empty())
        .ok_or_else(|| format!("`{text}` is not FORMAT=FILE, such as `junit=report.xml`"))?;
    Ok(Output {
        format: format
            .parse()
            .map_err(|error: reports::UnknownFormat| error.to_string())?,
        file: file.into(),
    })
}

fn budget(text: &str) -> Result<Budget, String> {
    let budget = text
        .parse::<Budget>()
        .map_err(|error| format!("{error}, or `400rounds`"))?;
    if budget.most().is_zero() || budget.most() > Duration::from_secs(6 * 3600) {
        return Err(format!("`{text}` is not more than nothing and at most six hours"));
    }
    Ok(budget)
}

fn tolerance(text: &str) -> Result<Percent, String> {
    let percent: Percent = text
        .parse()
        .map_err(|error: spec::quantity::ParseQuantity| error.to_string())?;
    if (0.1..=1000.0).contains(&percent.0) {
        Ok(percent)
    } else {
        Err(format!("`{text}` is not 0.1% to 1000%"))
    }
}

fn duration(text: &str) -> Result<Duration, spec::quantity::ParseQuantity> {
    text.parse::<spec::Span>().map(|span| span.0)
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Spec files, and folders with spec files below them.
    #[arg(default_value = "specs")]
    pub(crate) paths: Vec<PathBuf>,
    /// A warning is as bad as a fault: exit code 2.
    #[arg(long, visible_alias = "deny-lints")]
    pub(crate) strict: bool,
    /// List the kinds of warnings and what they find, and read nothing.
    #[arg(long)]
    pub(crate) list_lints: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Judge {
    /// Id of a run, path of its `run.jsonl` or directory, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) report: ReportForm,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Id of a run, path of its `run.jsonl` or directory, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) report: ReportForm,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The run to compare with: id, path or `last`.
    pub(crate) base: String,
    /// The run that is compared.
    #[arg(default_value = "last")]
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Id of a run, path of its `run.jsonl` or directory, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// One check: `TEST.CHECK`, `CASE.CHECK` or the check's id, with `*` and `?`. Left out: all that failed, by cause.
    pub(crate) check: Option<String>,
    /// `text` or `json`.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: ExplainFormat,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The page of this command.
    pub(crate) command: Option<String>,
}
