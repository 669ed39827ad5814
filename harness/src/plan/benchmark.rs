//! Which cases a benchmark consists of: its matrix times the subjects, and each of its faults beside the healthy ones.
//! All take their samples in turns, so that they travel together. Pure.

pub mod gate;

use record::CheckHeader;
use serde::{Deserialize, Serialize};
use spec::benchmark::Delay;
use spec::{Benchmark, Fault, Kind, LoadedDocument, Variant};

use self::gate::{Against, Gate, REFERENCE};
use super::{Case, KUBE, Offer, Plan, Sabotaging, Selection, SpecFile, Under, case, faults_of, injected, seats};

/// What is measured in a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The benchmark, with matrix values and variables put in.
    pub benchmark: Benchmark,
    /// The slowdown that is planted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Id of the case that stands for the baseline: the healthy one beside which a fault is planted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<String>,
    /// Its part in a regression gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

impl Case {
    /// It and the cases that take their samples in turns with it.
    pub fn all(&self) -> impl Iterator<Item = &Case> {
        std::iter::once(self).chain(&self.beside)
    }
}

/// Makes the cases of benchmarks: one of each file's document that has any for these subjects, and the others beside it.
///
/// # Errors
/// All faults of the files.
pub fn benchmarks(
    files: &[SpecFile],
    selection: &Selection,
    subjects: &[String],
    offer: Offer<'_>,
) -> Result<Plan, Vec<Fault>> {
    let mut faults = faults_of(files);
    let mut plan = Plan::default();
    for file in files {
        for document in of_kind(file, Kind::Benchmark) {
            match cells(file, document, selection, subjects, offer, &mut plan.not_selected) {
                Ok(cells) => plan.cases.extend(together(cells)),
                Err(more) => faults.extend(more),
            }
        }
    }
    share_the_error(&mut plan);
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// Tells each case of gates how many rows there are in all.
fn share_the_error(plan: &mut Plan) {
    let rows_of = |case: &Case| {
        let gate = case.measured.as_ref()?.gate.as_ref()?;
        gate.reference.as_ref()?;
        let checks = case.header.checks.iter();
        Some(checks.filter(|check| check.about == gate::ABOUT).count() as u64)
    };
    let rows = plan.cases.iter().flat_map(Case::all).filter_map(rows_of).sum();
    for case in &mut plan.cases {
        let beside = case.beside.iter_mut().filter_map(|case| case.measured.as_mut());
        for measured in beside.chain(&mut case.measured) {
            if let Some(gate) = &mut measured.gate {
                gate.rows = rows;
            }
        }
    }
}

/// The documents of a file that are of this kind.
pub(super) fn of_kind(file: &SpecFile, kind: Kind) -> impl Iterator<Item = &LoadedDocument> {
    file.loaded
        .documents
        .iter()
        .filter(move |document| document.kind == kind)
}

/// How many benchmarks files hold.
pub fn count(files: &[SpecFile]) -> usize {
    files.iter().map(|file| of_kind(file, Kind::Benchmark).count()).sum()
}

fn together(mut cells: Vec<Case>) -> Option<Case> {
    if cells.is_empty() {
        return None;
    }
    let mut first = cells.remove(0);
    first.beside = cells;
    Some(first)
}

fn cells(
    file: &SpecFile,
    document: &LoadedDocument,
    selection: &Selection,
    subjects: &[String],
    offer: Offer<'_>,
    not_selected: &mut usize,
) -> Result<Vec<Case>, Vec<Fault>> {
    let mut cells = Vec::new();
    for variant in document.variants() {
        let Read { benchmark, test } = Read::new(document, &variant, None, selection)?;
        let benchmark = &benchmark;
        let mut faulty = Vec::new();
        for planted in &benchmark.sabotage {
            let id = planted.id.value.as_str();
            let is_asked = match &selection.sabotage {
                Sabotaging::None => false,
                Sabotaging::Only(only) => only == id,
                Sabotaging::Each | Sabotaging::Prove(_) => true,
            };
            if is_asked {
                let read = Read::new(document, &variant, Some(id), selection)?;
                let fault = injected(&read.test.spec, Some(id), offer, &file.path)?;
                faulty.push((planted, read, fault));
            }
        }
        let mut seats = seats(&test.spec, subjects, offer.targets);
        let load = &benchmark.workload.value;
        // Of somebody else's cluster neither the scheduler can be had without the rest, nor are its nodes here.
        seats.retain(|(subject, _)| *subject != KUBE);
        if selection.against.is_some() {
            // Of a cluster there is no slowdown to plant, and of some nothing is left to compare.
            let is_comparable = load.is_of_runtime() && !benchmark.measure.is_empty();
            seats.retain(|(subject, _)| *subject != REFERENCE && is_comparable);
        }
        *not_selected += usize::from(seats.is_empty());
        let reference = selection
            .against
            .map(|against| referred(file, &test, &variant, benchmark, against));
        let before = cells.len();
        for (subject, target) in seats {
            let of = |test: &spec::Document, sabotage, fault| {
                let under = Under {
                    sabotage,
                    fault,
                    proving: matches!(selection.sabotage, Sabotaging::Prove(_)),
                };
                let mut case = case(file, test, &variant, under, subject, target);
                case.header.checks = checks(file, benchmark);
                case
            };
            let mut healthy = of(&test, None, None);
            let gate = selection
                .against
                .zip(reference.as_ref())
                .map(|(against, reference)| Gate {
                    against,
                    rows: 1,
                    reference: Some(reference.header.id.clone()),
                });
            if gate.is_some() {
                healthy.header.checks.extend(gate::checks(file, benchmark, false));
            }
            healthy.measured = Some(Box::new(Measured {
                benchmark: benchmark.clone(),
                delay: None,
                healthy: None,
                gate,
            }));
            if !selection.has(&healthy, &variant) {
                *not_selected += 1;
                continue;
            }
            let planted: Vec<Case> = faulty
                .iter()
                .map(|(planted, read, fault)| Case {
                    measured: Some(Box::new(Measured {
                        benchmark: read.benchmark.clone(),
                        delay: planted.inject.as_ref().and_then(spec::benchmark::Disturbance::delay),
                        healthy: Some(healthy.header.id.clone()),
                        gate: None,
                    })),
                    ..of(&read.test, Some(&planted.id.value), fault.as_deref())
                })
                .collect();
            if planted.is_empty() && matches!(selection.sabotage, Sabotaging::Only(_)) {
                *not_selected += 1;
                continue;
            }
            cells.push(healthy);
            cells.extend(planted);
        }
        cells.extend(reference.filter(|_| cells.len() > before));
    }
    Ok(cells)
}

/// A variant as it is, or under one of its sabotages.
struct Read {
    benchmark: Benchmark,
    /// What is said of its workload.
    test: spec::Document,
}

impl Read {
    fn new(
        document: &LoadedDocument,
        variant: &Variant,
        sabotage: Option<&str>,
        selection: &Selection,
    ) -> Result<Self, Vec<Fault>> {
        let decoded = document.decode_benchmark(variant, sabotage)?;
        let mut benchmark = decoded.spec;
        if let Some(against) = selection.against {
            gate::prepare(&mut benchmark, against);
        }
        let test = spec::Document {
            api_version: decoded.api_version,
            kind: decoded.kind,
            metadata: decoded.metadata,
            spec: benchmark.as_test(),
        };
        Ok(Self { benchmark, test })
    }
}

/// The case of the reference beside a variant, whose checks are those of the gate itself.
fn referred(
    file: &SpecFile,
    test: &spec::Document,
    variant: &Variant,
    benchmark: &Benchmark,
    against: Against,
) -> Case {
    let mut case = case(file, test, variant, Under::default(), REFERENCE, spec::Target::Runtime);
    case.header.checks = gate::checks(file, benchmark, true).collect();
    case.measured = Some(Box::new(Measured {
        benchmark: benchmark.clone(),
        delay: None,
        healthy: None,
        gate: Some(Gate {
            against,
            rows: 1,
            reference: None,
        }),
    }));
    case
}

/// The thresholds, as reports name them.
fn checks(file: &SpecFile, benchmark: &Benchmark) -> Vec<CheckHeader> {
    let of = |threshold: &spec::Spanned<spec::benchmark::Threshold>| CheckHeader {
        id: threshold.id.value.clone(),
        at: format!("{}:{}:{}", file.path, threshold.at.line, threshold.at.column),
        about: "benchmark".into(),
    };
    benchmark.thresholds.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use spec::Target;

    use super::*;
    use crate::plan::Breadth;

    const TEXT: &str = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: start}
spec:
  description: How long a start takes.
  targets: [runtime]
  matrix: {rootfs: [overlay, bind]}
  workload: {container: {image: plimsoll/probe, args: [hello], rootfs: '${matrix.rootfs}'}}
  measure: {total: {from: create, to: firstByte}}
  thresholds:
  - {id: slower, metric: total.p50, regression: {rel: 5%}}
  sabotage:
  - {id: late, inject: {delay: 25%, at: create}, mustFail: [slower]}
  - {id: fails, set: {workload.container.args: [exit, '3']}, mustFail: [slower]}
  - {id: refuses, inject: {runtime: start-fails-now-and-then}, mustFail: [slower]}
";

    fn plan(sabotage: Sabotaging) -> Plan {
        planned(sabotage, None)
    }

    fn planned(sabotage: Sabotaging, against: Option<Against>) -> Plan {
        let loaded = spec::load(TEXT, "specs/start.yaml");
        assert_eq!(loaded.faults, []);
        let file = SpecFile {
            path: "specs/start.yaml".into(),
            text: TEXT.into(),
            sha256: String::new(),
            loaded,
        };
        let selection = Selection {
            sabotage,
            against,
            ..Selection::default()
        };
        let subjects = ["bundled".to_owned(), "runc".to_owned()];
        benchmarks(&[file], &selection, &subjects, Offer::of(&[Target::Runtime])).unwrap()
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        let all = plan.cases.iter().flat_map(Case::all);
        all.map(|case| case.header.id.as_str()).collect()
    }

    #[test]
    fn all_cells_of_a_benchmark_are_together() {
        let plan = plan(Sabotaging::None);
        assert_eq!(plan.cases.len(), 1);
        assert_eq!(
            ids(&plan),
            [
                "start[rootfs=overlay]@bundled",
                "start[rootfs=overlay]@runc",
                "start[rootfs=bind]@bundled",
                "start[rootfs=bind]@runc"
            ]
        );
        assert_eq!(plan.cases[0].header.checks[0].at, "specs/start.yaml:12:5");
    }

    #[test]
    fn a_slowdown_is_beside_the_healthy_case_that_it_is_compared_with() {
        let plan = plan(Sabotaging::Prove(Breadth::Own));
        assert_eq!(
            ids(&plan)[..2],
            ["start[rootfs=overlay]@bundled", "start[rootfs=overlay]+late@bundled"]
        );
        let late = plan.cases[0].beside[0].measured.as_ref().unwrap();
        assert_eq!(late.healthy.as_deref(), Some("start[rootfs=overlay]@bundled"));
        assert!(late.delay.is_some());
        assert!(plan.cases[0].beside[0].header.broken_on_purpose());
    }

    #[test]
    fn a_fault_is_a_delay_another_workload_or_a_subject_that_disobeys() {
        let plan = plan(Sabotaging::Prove(Breadth::Own));
        let [fails, refuses] = [1, 2].map(|at| &plan.cases[0].beside[at]);
        assert_eq!(fails.header.id, "start[rootfs=overlay]+fails@bundled");
        assert_eq!(fails.header.fault, None);
        let workload = |case: &Case| serde_json::to_value(&case.spec.workloads).unwrap();
        assert_eq!(
            workload(fails)["sample"]["value"]["container"]["args"],
            serde_json::json!(["exit", "3"])
        );
        assert_eq!(workload(refuses), workload(&plan.cases[0]));
        assert_eq!(refuses.header.fault.as_deref(), Some("start-fails-now-and-then"));
        assert_eq!(refuses.header.healthy(), "start[rootfs=overlay]@bundled");
        for case in [fails, refuses] {
            assert_eq!(case.measured.as_ref().unwrap().delay, None);
            assert!(case.header.broken_on_purpose());
        }
    }

    #[test]
    fn a_fault_that_no_subject_can_have_is_told_where_it_is_written() {
        let text = TEXT.replace("start-fails-now-and-then", "start-fails-now-or-then");
        let loaded = spec::load(&text, "specs/start.yaml");
        let file = SpecFile {
            path: "specs/start.yaml".into(),
            text: text.clone(),
            sha256: String::new(),
            loaded,
        };
        let selection = Selection {
            sabotage: Sabotaging::Each,
            ..Selection::default()
        };
        let planned = benchmarks(&[file], &selection, &["runc".to_owned()], Offer::of(&[Target::Runtime]));
        let faults = planned.unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "specs/start.yaml:16:37: unknown fault `start-fails-now-or-then`"
        );
        assert_eq!(
            faults[0].help.as_deref(),
            Some("did you mean `start-fails-now-and-then`?")
        );
    }

    #[test]
    fn a_gate_has_the_reference_beside_each_variant_and_no_other_baseline() {
        let against = Against {
            tolerated: 0.02,
            budget: gate::Budget::Rounds(40),
            bare: false,
        };
        let plan = planned(Sabotaging::None, Some(against));
        assert_eq!(
            ids(&plan)[..3],
            [
                "start[rootfs=overlay]@bundled",
                "start[rootfs=overlay]@runc",
                "start[rootfs=overlay]@reference"
            ]
        );
        let checks = |case: &Case| -> Vec<String> { case.header.checks.iter().map(|check| check.id.clone()).collect() };
        let part = |case: &Case| {
            case.measured
                .as_ref()
                .and_then(|measured| measured.gate.clone())
                .unwrap()
        };
        let (first, reference) = (&plan.cases[0], &plan.cases[0].beside[1]);
        assert_eq!(checks(first), ["against-total"]);
        assert_eq!(checks(reference), ["quiet-total", "caught-total"]);
        assert_eq!(
            part(first).reference.as_deref(),
            Some("start[rootfs=overlay]@reference")
        );
        // Two variants of two subjects, with one measure each.
        assert_eq!((part(first).rows, part(reference).rows), (4, 4));
        assert_eq!(part(reference).reference, None);
    }

    #[test]
    fn cells_travel_as_json() {
        let case = plan(Sabotaging::None).cases.remove(0);
        let text = serde_json::to_string(&case).unwrap();
        assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
    }
}
