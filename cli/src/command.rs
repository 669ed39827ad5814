//! One file for each command: it calls one stage and answers an exit code.

mod bench;
mod check;
pub(crate) mod cluster;
mod compare;
mod completions;
mod diff;
mod explain;
mod gc;
mod given;
mod history;
mod judge;
mod man;
mod plan;
mod prove;
mod report;
mod run;
mod schema;

use std::path::Path;
use std::sync::LazyLock;

use harness::plan::{ClusterFault, Offer};
use record::Event;
use spec::Target;

use crate::{
    arguments::{Arguments, ReportForm, Selection, Verb},
    complaint,
    error::Error,
    report_file,
    streams::Streams,
};

/// What this program has to offer: subjects are runtimes themselves and the host they run on, and clusters.
fn offer() -> Offer<'static> {
    static FAULTS: LazyLock<Vec<ClusterFault>> = LazyLock::new(|| {
        let all = ::cluster::faults().into_iter();
        all.map(|fault| ClusterFault {
            name: fault.name,
            dimensions: fault.dimensions,
        })
        .collect()
    });
    Offer {
        targets: &[Target::Runtime, Target::Cluster, Target::Host],
        cluster_faults: &FAULTS,
    }
}

/// The subjects, unless told: what is in this program.
const UNLESS_TOLD: [&str; 2] = ["bundled", harness::plan::CLUSTER];

/// Runs the command and tells its errors; answers the exit code.
pub(crate) fn run(arguments: Arguments, streams: &mut Streams) -> u8 {
    let state = arguments.state;
    let done = match arguments.verb {
        Verb::Run(run) => run::run(&run, &state, streams),
        Verb::Bench(asked) => bench::bench(&asked, &state, streams),
        Verb::Prove(prove) => prove::prove(&prove, &state, streams),
        Verb::Check(check) => check::check(&check, streams),
        Verb::Plan(plan) => plan::plan(&plan, streams),
        Verb::Judge(judge) => judge::judge(&judge, &state, streams),
        Verb::Report(report) => report::report(&report, &state, streams),
        Verb::Diff(diff) => diff::diff(&diff, &state, streams),
        Verb::Explain(explain) => explain::explain(&explain, &state, streams),
        Verb::Compare(compare) => compare::compare(&compare, &state, streams),
        Verb::History(asked) => history::history(&asked, &state, streams),
        Verb::Cluster(asked) => cluster::cluster(&asked, &state, streams),
        Verb::Gc => gc::gc(&state, streams),
        Verb::Schema => schema::schema(streams),
        Verb::Completions(completions) => completions::completions(&completions, streams),
        Verb::Man(man) => man::man(&man, streams),
        Verb::Saboteur { arguments } => Ok(u8::try_from(saboteur::main(arguments.into_iter()) & 0xff).unwrap_or(1)),
        Verb::Oci { arguments } => Ok(u8::try_from(runtime::main(arguments.into_iter()) & 0xff).unwrap_or(1)),
    };
    done.unwrap_or_else(|error| {
        streams.err(&format!("error: {}", harness::chain(&error)));
        if let Some(hint) = error.hint() {
            streams.err(&format!("\nhint: {hint}"));
        }
        error.exit_code()
    })
}

/// The selection as the planner takes it.
fn asked(selection: &Selection) -> harness::plan::Selection {
    harness::plan::Selection {
        labels: selection.labels.iter().flat_map(|list| list.0.clone()).collect(),
        names: selection.only.iter().map(harness::plan::Pattern::new).collect(),
        sabotage: match &selection.sabotage {
            Some(id) => harness::plan::Sabotaging::Only(id.clone()),
            None => harness::plan::Sabotaging::None,
        },
        against: None,
    }
}

/// The subjects of a selection.
fn subjects(selection: &Selection, own: &Path) -> Result<Vec<harness::subject::Subject>, Error> {
    use harness::{plan::KUBE, subject::Kube};
    let path = std::env::var("PATH").unwrap_or_default();
    let mut subjects: Vec<harness::subject::Subject> = Vec::new();
    let mut asked: Vec<&str> = selection.subjects.iter().map(String::as_str).collect();
    if asked.is_empty() {
        asked = match selection.kubeconfig {
            Some(_) => vec![KUBE],
            None => UNLESS_TOLD.to_vec(),
        };
    }
    for text in asked {
        let subject = match &selection.kubeconfig {
            Some(file) if text == KUBE => harness::subject::Subject::kube(Kube {
                kubeconfig: std::path::absolute(file).map_err(Error::Own)?,
                context: selection.context.clone(),
            }),
            _ => harness::subject::Subject::parse(text, own, &path)?,
        };
        if subjects.iter().any(|other| other.name == subject.name) {
            return Err(Error::SameSubject(subject.name));
        }
        subjects.push(subject);
    }
    Ok(subjects)
}

/// The cases of a selection; `None` if the specs have faults, which are told.
fn planned(
    selection: &Selection,
    subjects: &[String],
    streams: &mut Streams,
) -> Result<Option<(harness::plan::Plan, Vec<harness::plan::SpecFile>)>, Error> {
    let files = harness::discover::discover(&selection.paths)?;
    match harness::plan::expand(&files, &asked(selection), subjects, offer()) {
        Ok(plan) => {
            complaint::warn(&files, streams);
            Ok(Some((plan, files)))
        }
        Err(faults) => {
            complaint::complain(&faults, &files, streams);
            Ok(None)
        }
    }
}

/// The reports that a command is there for.
fn tell(events: &[Event], form: &ReportForm, record: &Path, streams: &mut Streams) -> Result<(), Error> {
    let written = report_file::write_all(events, form, record);
    if let Some(format) = form.only_format() {
        report_file::print(format, events, form.verbose, record, streams)?;
    }
    written
}
