//! Why a command could not do what it was asked for.

use std::{io, path::PathBuf};

/// Something outside the program's own judgement went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The specs cannot be read.
    #[error(transparent)]
    Discover(#[from] harness::discover::DiscoverError),
    /// A `--subject` is none.
    #[error(transparent)]
    Subject(#[from] harness::subject::ParseError),
    /// A baseline cannot be used.
    #[error(transparent)]
    Baseline(#[from] harness::baseline::Error),
    /// What is to be compared with is nothing that is known.
    #[error(
        "`{given}` is no baseline: neither a file, nor a run in `{state}`, nor a git revision here",
        state = state.display()
    )]
    NoBaseline {
        /// As it was given.
        given: String,
        /// Where runs are kept.
        state: PathBuf,
    },
    /// A run measured nothing.
    #[error("run `{0}` has no samples of a benchmark to compare with")]
    NoSamples(String),
    /// There is no chance to draw from.
    #[error("failed to draw a seed")]
    Seed(#[source] io::Error),
    /// Two subjects cannot be told apart.
    #[error("two subjects are called `{0}`: their cases would have the same ids")]
    SameSubject(String),
    /// Nothing else can be compared with itself.
    #[error("`--overhead` measures one subject")]
    OneSubject,
    /// The run could not be made.
    #[error(transparent)]
    Run(#[from] harness::Error),
    /// What was proven before cannot be looked up or kept.
    #[error(transparent)]
    Store(#[from] harness::prove::store::Error),
    /// Nothing could be collected.
    #[error(transparent)]
    Collect(#[from] harness::gc::Error),
    /// There is no such run.
    #[error("there is no run `{run}` in `{state}`", state = state.display())]
    NoSuchRun {
        /// As it was asked for.
        run: String,
        /// Where runs are kept.
        state: PathBuf,
    },
    /// A record cannot be read.
    #[error("failed to read the record `{path}`", path = path.display())]
    Record {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: record::ReadError,
    },
    /// A record cannot be opened.
    #[error("failed to open the record")]
    Open(#[source] io::Error),
    /// The specs of a record have faults, so that nothing can be judged by them.
    #[error("the specs in the record cannot be read by this version: {0}")]
    RecordedSpec(String),
    /// The record has a case that its specs do not make.
    #[error("the specs in the record make no case `{0}`")]
    RecordedCase(String),
    /// The record has no such check.
    #[error("the run has no check `{0}`")]
    NoSuchCheck(String),
    /// A report cannot be made.
    #[error(transparent)]
    Report(#[from] reports::ReportError),
    /// A file or stream cannot be written.
    #[error("failed to write the report")]
    Write(#[source] io::Error),
    /// The program cannot find itself.
    #[error("failed to find this program's own executable")]
    Own(#[source] io::Error),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// Nothing ran here.
    #[error("there is no history `{}`", .0.display())]
    NoHistory(PathBuf),
    /// Nothing ran by this name.
    #[error("no check in the history is called `{0}`")]
    NoPast(String),
    /// Nothing was measured by this name.
    #[error("no figure in the history is called `{0}`")]
    NoFigure(String),
    /// A cluster.
    #[error(transparent)]
    Cluster(#[from] crate::command::cluster::error::Error),
    /// The scheduler has no such workload.
    #[error("there is no workload `{0}`")]
    NoSuchWorkload(String),
    /// There is no such command to tell about.
    #[error("there is no command `{0}`")]
    NoSuchCommand(String),
}

impl Error {
    /// The exit code it leads to: 2 for what the user wrote, 4 for nothing to run, 3 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Discover(error) => error.exit_code(),
            Self::Cluster(error) => error.exit_code(),
            Self::Subject(_)
            | Self::SameSubject(_)
            | Self::OneSubject
            | Self::NoSuchRun { .. }
            | Self::Record { .. }
            | Self::Open(_)
            | Self::RecordedSpec(_)
            | Self::RecordedCase(_)
            | Self::NoSuchCheck(_)
            | Self::Report(reports::ReportError::OneSubject)
            | Self::Baseline(
                harness::baseline::Error::Read { .. }
                | harness::baseline::Error::Parse { .. }
                | harness::baseline::Error::Newer { .. }
                | harness::baseline::Error::Revision { .. },
            )
            | Self::NoBaseline { .. }
            | Self::NoSamples(_)
            | Self::NoSuchWorkload(_)
            | Self::NoSuchCommand(_) => 2,
            Self::NoHistory(_)
            | Self::NoPast(_)
            | Self::NoFigure(_)
            | Self::Report(reports::ReportError::NotMeasured) => 4,
            Self::History(_)
            | Self::Run(_)
            | Self::Store(_)
            | Self::Collect(_)
            | Self::Report(_)
            | Self::Baseline(_)
            | Self::Seed(_)
            | Self::Write(_)
            | Self::Own(_) => 3,
        }
    }

    /// What a user can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cluster(error) => error.hint(),
            Self::NoSuchRun { .. } => Some("`last`, a number below `runs/`, or the path of a `run.jsonl`"),
            Self::NoSuchCheck(_) => {
                Some("`TEST.CHECK`, or the id of a case and `.CHECK`; `plimsoll report` lists the cases")
            }
            Self::Discover(_) => Some("name spec files, or folders with `*.yaml` files below them"),
            Self::RecordedSpec(_) | Self::RecordedCase(_) => Some("judge it with the version that recorded it"),
            Self::OneSubject => Some("name it: `--subject SUBJECT`"),
            Self::SameSubject(_) => Some("give one of them a name: `--subject NAME=oci:ARGV…`"),
            Self::NoFigure(_) => {
                Some("`plimsoll history` lists benchmarks; `--metric` takes `MEASURE` or `MEASURE.FIGURE`")
            }
            Self::NoHistory(_) => Some("`plimsoll run` makes it, and `plimsoll history --import RUN`"),
            Self::NoPast(_) => Some("`TEST`, `TEST.CASE` or `TEST.CASE.CHECK`, with `*` and `?`"),
            Self::Report(reports::ReportError::NotMeasured) => Some("`plimsoll bench` measures"),
            Self::Report(reports::ReportError::OneSubject) => {
                Some("name two at least, such as `--subject bundled --subject oci:runc`, or a run that had two")
            }
            Self::NoBaseline { .. } => Some("`--save-baseline FILE` writes one; `plimsoll bench` records a run"),
            Self::NoSuchWorkload(_) => Some("`plimsoll cluster schedule` lists them"),
            Self::Subject(_)
            | Self::History(_)
            | Self::Run(_)
            | Self::Store(_)
            | Self::Collect(_)
            | Self::Record { .. }
            | Self::Open(_)
            | Self::Report(_)
            | Self::Baseline(_)
            | Self::Seed(_)
            | Self::Write(_)
            | Self::Own(_)
            | Self::NoSamples(_)
            | Self::NoSuchCommand(_) => None,
        }
    }
}
