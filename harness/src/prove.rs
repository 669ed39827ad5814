//! The proof: every check is shown to be able to fail.
//!
//! Each case runs as it is and under faults, of the set-up (what the spec asks for is changed) and of the subject (the
//! request stays, and a wrapper around the subject disobeys it). A check that no fault makes fail is unproven.

mod built_in;
pub mod dimension;
mod fold;
pub mod host;
mod request;
pub mod store;

use std::collections::BTreeSet;

use record::CheckProof;
use saboteur::{Fault, Kind};
use spec::step::Metric;
use spec::{Target, Test};

pub use fold::{Seen, Standings, fold};
pub use store::Store;

use crate::plan::{self, Breadth, Case, ClusterFault, SpecFile, Under};

/// The fault under which the payload does nothing. A check that still passes looks at nothing of it.
pub const PAYLOAD_TRUE: &str = "payload-true";

/// The cases that show of a case's checks that they can fail, beside those of its own sabotages.
///
/// # Errors
/// Faults of the spec under a built-in change of its set-up; there is none unless the change is wrong.
pub(crate) fn cases(
    file: &SpecFile,
    document: &spec::LoadedDocument,
    variant: &spec::Variant,
    healthy: &Case,
    target: Target,
    breadth: Breadth,
) -> Result<Vec<Case>, Vec<spec::Fault>> {
    let mut cases = Vec::new();
    let subject = healthy.header.subject.as_str();
    for (name, changes) in built_in::changes(healthy) {
        if document.sabotages.contains(&name) {
            continue;
        }
        let decoded = document.decode_changed(variant, &changes)?;
        let under = Under {
            sabotage: Some(&name),
            fault: None,
            proving: true,
        };
        cases.push(plan::case(file, &decoded, variant, under, subject, target));
    }
    if target == Target::Runtime {
        // Where nothing may run beside it, one variant of a test has to show for all how fine a check is.
        let is_cheap = !healthy.spec.concurrency.exclusive || document.variants().first() == Some(variant);
        let fine = |fault: &&Fault| is_cheap || breadth == Breadth::All || fault.kind == Kind::Knockout;
        for fault in faults(healthy, breadth).into_iter().filter(fine) {
            let mut case = under(healthy, fault.name);
            make_quick(&mut case.spec, fault.kind);
            cases.push(case);
        }
    }
    Ok(cases)
}

/// The cases under faults of the bundled cluster itself. Where an author has written what breaks a test, only all faults
/// together add to it: a cluster for each takes its time.
pub(crate) fn cluster_cases(healthy: &Case, faults: &[ClusterFault], breadth: Breadth) -> Vec<Case> {
    if !plan::is_bundled_cluster(&healthy.header.subject) {
        return Vec::new();
    }
    let checks = dimension::of_checks(healthy);
    let about = |fault: &ClusterFault| fault.dimensions.first().is_some_and(|first| checks.contains(first));
    let wanted = |fault: &&ClusterFault| match breadth {
        Breadth::SetUp => false,
        Breadth::Own => healthy.spec.sabotage.is_empty() && about(fault),
        Breadth::All => true,
    };
    faults
        .iter()
        .filter(wanted)
        .map(|fault| under(healthy, &fault.name))
        .collect()
}

/// The case with a subject that has this fault.
fn under(healthy: &Case, fault: &str) -> Case {
    let mut case = healthy.clone();
    case.header.id = healthy.header.id.replacen('@', &format!("!{fault}@"), 1);
    case.header.fault = Some(fault.to_owned());
    case
}

/// What is knocked out is seen whatever runs beside it and in the fewest samples; a near miss needs the quiet that the spec
/// asks for, and what twice as many samples leave open is as fine as it gets. What burns CPU time runs one after the
/// other: side by side nothing of it could be decided.
fn make_quick(test: &mut Test, kind: Kind) {
    let knocked_out = kind == Kind::Knockout;
    test.concurrency.exclusive &= !knocked_out;
    let every = test.setup.iter_mut().chain(&mut test.steps).chain(&mut test.teardown);
    for sample in every.filter_map(|step| step.value.sample.as_mut()) {
        let most = if knocked_out { sample.count } else { sample.count * 2 };
        sample.max_count = sample.max_count.map(|asked| asked.min(most));
        if knocked_out && sample.metric == Metric::CpuUsage {
            test.concurrency
                .group
                .get_or_insert_with(|| "samples of CPU time".into());
        }
    }
}

/// The faults of the subject that a case is run under.
fn faults(case: &Case, breadth: Breadth) -> Vec<&'static Fault> {
    let (checks, labelled) = (dimension::of_checks(case), dimension::labelled(case));
    // A fault's first dimension is the one that it breaks, the second the one next to it; in the others it could be
    // noticed, too. Where an author says what a case is about, its looks at states are only the way there.
    let own = |fault: &Fault| {
        let first = fault.dimensions.first();
        let near = fault.dimensions.get(..2).unwrap_or(fault.dimensions);
        let by_checks = first.is_some_and(|first| checks.contains(first) && (labelled.is_none() || *first != "state"));
        by_checks || labelled.is_some_and(|label| near.contains(&label))
    };
    let asked = request::configs(case);
    let touches = |fault: &Fault| {
        asked
            .as_ref()
            .is_none_or(|configs| configs.iter().any(|config| saboteur::touches(fault, config)))
    };
    let wanted = |fault: &&Fault| match breadth {
        Breadth::SetUp => false,
        Breadth::Own => fault.name == PAYLOAD_TRUE || own(fault),
        Breadth::All => !fault.dimensions.is_empty(),
    };
    saboteur::catalogue()
        .iter()
        .filter(wanted)
        .filter(|fault| touches(fault))
        .collect()
}

/// How wrong a fault makes a number, percent.
pub(crate) fn percent(fault: &str) -> Option<i32> {
    match saboteur::find(fault)?.kind {
        Kind::NearMiss { percent } => Some(percent),
        Kind::Knockout => None,
    }
}

/// The dimensions of faults that the catalogue knows.
pub fn known_dimensions() -> BTreeSet<&'static str> {
    let all = saboteur::catalogue().iter().flat_map(|fault| fault.dimensions);
    all.copied().collect()
}

/// What is stored of cases and of their faulted siblings, concluded: a standing for each check, with the faults that it was
/// under by name and effect alone. What these changed and what was observed is in the record of the proof.
pub fn recall(plan: &[Case], store: &Store) -> Vec<CheckProof> {
    let standings = Standings {
        cases: store.find(plan),
    };
    let mut proofs = fold(plan, &standings, &|_| true);
    for row in proofs.iter_mut().flat_map(|proof| &mut proof.faults) {
        row.changed = None;
        row.observed = None;
    }
    proofs
}

/// How many unproven checks stand in specs whose proof is required.
pub fn required(cases: &[Case], events: &[record::Event]) -> u64 {
    let advisory: BTreeSet<&str> = cases
        .iter()
        .filter(|case| {
            let proof = case.spec.proof.as_ref();
            proof.is_some_and(|proof| proof.policy == spec::ProofPolicy::Advisory)
        })
        .map(|case| case.header.id.as_str())
        .collect();
    let unproven = events.iter().filter(|event| match event {
        record::Event::Proof(proof) => {
            matches!(proof.standing, record::Standing::Unproven { .. }) && !advisory.contains(proof.case.as_str())
        }
        _ => false,
    });
    unproven.count() as u64
}
