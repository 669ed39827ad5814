//! Which cases a run consists of: each spec times its matrix times the subjects, less what was not asked for. Pure.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use record::{CaseHeader, CheckHeader};
use serde::{Deserialize, Serialize};
use spec::{Fault, Step, Target, Test};

use crate::{discover::in_parallel, prove};

pub mod benchmark;
mod bundled_cluster;
pub mod select;

pub use benchmark::{Measured, benchmarks};
pub use bundled_cluster::{is_bundled_cluster, network};
pub use select::{LabelSelector, ParseSelector, Pattern};

/// Everything that the guard needs to drive one case. Travels as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// What the record says about it.
    pub header: CaseHeader,
    /// The test, with matrix values, variables and sabotage put in.
    pub spec: Test,
    /// The folder of the spec file, to which its paths are relative.
    pub base: PathBuf,
    /// Checks that are known to fail on the subject, and why.
    pub known: BTreeMap<String, String>,
    /// What is measured, if it is a case of a benchmark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Box<Measured>>,
    /// The cases of the same benchmark, which take their samples in turns with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Case>,
    /// Where what was asked for is written; the guard does not need it.
    #[serde(skip)]
    pub places: spec::Places,
}

impl Case {
    /// Multiplies all bounds of time, for a machine on which everything takes longer.
    pub fn be_patient(&mut self, times: u32) {
        self.header.patience = times;
        self.spec.wait_longer(times);
    }
}

/// A spec file as it was read.
#[derive(Debug)]
pub struct SpecFile {
    /// Its path as it was given or found.
    pub path: String,
    /// Its text.
    pub text: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// What it holds.
    pub loaded: spec::Loaded,
}

/// What was asked for; everything, unless told.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// All of these must hold for the labels of a test.
    pub labels: Vec<LabelSelector>,
    /// One of these must match `test`, `test.case`, `test.case.check` or the id of the case.
    pub names: Vec<Pattern>,
    /// Which faults are put in.
    pub sabotage: Sabotaging,
    /// Benchmarks compare each subject with [`benchmark::gate::REFERENCE`], and test the gate that decides about it.
    pub against: Option<benchmark::gate::Against>,
}

/// Which faults are put into the specs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sabotaging {
    /// None: the cases as they are.
    #[default]
    None,
    /// The sabotage with this id; tests that have none by this name are not selected.
    Only(String),
    /// Each sabotage of each test, beside the cases as they are.
    Each,
    /// As `Each`, and faults of the subject beside them, all to see which checks fail.
    Prove(Breadth),
}

/// How many faults of the subject a case is run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// None.
    SetUp,
    /// Those of the dimensions that the case is about, and the payload replaced.
    Own,
    /// All that would change something in what the case asks for.
    All,
}

/// The cases of a run, in order.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Case>,
    /// How many cases there are beside these.
    pub not_selected: usize,
}

/// Name of the subject of tests of the host itself.
pub const HOST: &str = "host";

/// Name of the bundled cluster as a subject, connected as it is unless told; [`network`] knows the others.
pub const CLUSTER: &str = "cluster";

/// Name of a cluster behind a kubeconfig as a subject.
pub const KUBE: &str = "kube";

/// Whether the subject of this name is a cluster; every other one is a runtime.
pub fn is_cluster(subject: &str) -> bool {
    subject == KUBE || is_bundled_cluster(subject)
}

/// A way in which the bundled cluster can be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFault {
    /// Its name.
    pub name: String,
    /// What it is about: the first is what it breaks.
    pub dimensions: Vec<&'static str>,
}

/// What the program that plans has to offer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offer<'o> {
    /// Kinds of subjects.
    pub targets: &'o [Target],
    /// Faults of the bundled cluster; where there are none, their names are not looked at.
    pub cluster_faults: &'o [ClusterFault],
}

impl<'o> Offer<'o> {
    /// Subjects of these kinds, and no faults.
    pub fn of(targets: &'o [Target]) -> Self {
        Self {
            targets,
            cluster_faults: &[],
        }
    }
}

/// Makes the cases of tests. A test that is for a runtime makes one case of each variant and subject; one that is for
/// the host only makes one case of each variant.
///
/// # Errors
/// All faults of the files, among them test names that stand in two of them.
pub fn expand(
    files: &[SpecFile],
    selection: &Selection,
    subjects: &[String],
    offer: Offer<'_>,
) -> Result<Plan, Vec<Fault>> {
    let mut faults = faults_of(files);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut plan = Plan::default();
    for part in in_parallel(files, |file| expand_file(file, selection, subjects, offer)) {
        match part {
            Ok(part) => {
                plan.cases.extend(part.cases);
                plan.not_selected += part.not_selected;
            }
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

fn expand_file(
    file: &SpecFile,
    selection: &Selection,
    subjects: &[String],
    offer: Offer<'_>,
) -> Result<Plan, Vec<Fault>> {
    let mut plan = Plan::default();
    for document in benchmark::of_kind(file, spec::Kind::Test) {
        let sabotages: Vec<Option<&str>> = match &selection.sabotage {
            Sabotaging::None => vec![None],
            Sabotaging::Only(id) => vec![Some(id.as_str())],
            Sabotaging::Each | Sabotaging::Prove(_) => std::iter::once(None)
                .chain(document.sabotages.iter().map(|id| Some(id.as_str())))
                .collect(),
        };
        for variant in document.variants() {
            for sabotage in &sabotages {
                if sabotage.is_some_and(|id| !document.sabotages.iter().any(|known| known == id)) {
                    plan.not_selected += 1;
                    continue;
                }
                let (decoded, places) = document.decode_placed(&variant, *sabotage)?;
                let fault = injected(&decoded.spec, *sabotage, offer, &file.path)?;
                let under = Under {
                    sabotage: *sabotage,
                    fault: fault.as_deref(),
                    proving: matches!(selection.sabotage, Sabotaging::Prove(_)),
                };
                let seats = seats(&decoded.spec, subjects, offer.targets);
                if seats.is_empty() {
                    plan.not_selected += 1;
                }
                for (subject, target) in seats {
                    let case = Case {
                        places: places.clone(),
                        ..case(file, &decoded, &variant, under, subject, target)
                    };
                    if !selection.has(&case, &variant) {
                        plan.not_selected += 1;
                        continue;
                    }
                    if let (Sabotaging::Prove(breadth), None) = (&selection.sabotage, sabotage) {
                        let mut more = prove::cases(file, document, &variant, &case, target, *breadth)?;
                        more.extend(prove::cluster_cases(&case, offer.cluster_faults, *breadth));
                        plan.cases.push(case);
                        plan.cases.extend(more);
                    } else {
                        plan.cases.push(case);
                    }
                }
            }
        }
    }
    Ok(plan)
}

/// The subjects on which a test runs, and as what.
pub(crate) fn seats<'s>(test: &Test, subjects: &'s [String], offered: &[Target]) -> Vec<(&'s str, Target)> {
    let wanted = |target| offered.contains(&target) && test.targets.iter().any(|t| t.value == target);
    let seats: Vec<_> = subjects
        .iter()
        .map(|name| {
            let target = if is_cluster(name) {
                Target::Cluster
            } else {
                Target::Runtime
            };
            (name.as_str(), target)
        })
        .filter(|(name, target)| wanted(*target) && bundled_cluster::concerns(test, name))
        .collect();
    if wanted(Target::Host) && !wanted(Target::Runtime) && !wanted(Target::Cluster) {
        vec![(HOST, Target::Host)]
    } else {
        seats
    }
}

/// What is wrong in the files, each by itself and beside the others.
fn faults_of(files: &[SpecFile]) -> Vec<Fault> {
    let own = files.iter().flat_map(|file| file.loaded.faults.iter().cloned());
    own.chain(repeated_names(files)).collect()
}

fn repeated_names(files: &[SpecFile]) -> Vec<Fault> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for file in files {
        for document in &file.loaded.documents {
            let Some(other) = seen.insert(&document.name, &file.path) else {
                continue;
            };
            // Within a file it is among the faults of the file.
            if other != file.path {
                let fault = Fault::new(
                    document.name_extent(),
                    format!("duplicate test name `{}`", document.name),
                )
                .hint(format!("it is the name of the test in {other} already"));
                faults.push(Fault {
                    file: file.path.clone(),
                    ..fault
                });
            }
        }
    }
    faults
}

/// The fault of the subject that a sabotage asks for.
fn injected(test: &Test, sabotage: Option<&str>, offer: Offer<'_>, file: &str) -> Result<Option<String>, Vec<Fault>> {
    let sabotage = test.sabotage.iter().find(|s| Some(s.id.value.as_str()) == sabotage);
    let Some(inject) = sabotage.and_then(|s| s.inject.as_ref()) else {
        return Ok(None);
    };
    let (name, known, list): (_, Vec<&str>, _) = match inject {
        spec::Inject::Runtime(name) => {
            let known = saboteur::catalogue().iter().map(|fault| fault.name).collect();
            (name, known, "plimsoll saboteur --list")
        }
        spec::Inject::Cluster(name) => {
            let known = offer.cluster_faults.iter().map(|fault| fault.name.as_str()).collect();
            (name, known, "plimsoll cluster faults")
        }
    };
    if known.is_empty() || known.contains(&name.value.as_str()) {
        return Ok(Some(name.value.clone()));
    }
    let length = u32::try_from(name.value.len()).unwrap_or(1);
    let fault = Fault::new(
        spec::node::Extent::at(name.at.line, name.at.column, length),
        format!("unknown fault `{}`", name.value),
    )
    .hint(format!("`{list}` names them all"))
    .suggest(&name.value, known);
    Err(vec![Fault {
        file: file.to_owned(),
        ..fault
    }])
}

/// What a case is run under.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Under<'a> {
    /// A fault of the set-up.
    pub(crate) sabotage: Option<&'a str>,
    /// A fault of the subject.
    pub(crate) fault: Option<&'a str>,
    /// To see which checks fail.
    pub(crate) proving: bool,
}

pub(crate) fn case(
    file: &SpecFile,
    document: &spec::Document,
    variant: &spec::Variant,
    under: Under<'_>,
    subject: &str,
    target: Target,
) -> Case {
    let test = &document.metadata.name.value;
    let mut id = test.clone();
    let label = variant.label();
    if !label.is_empty() {
        id = format!("{id}[{label}]");
    }
    match (under.sabotage, under.fault) {
        (Some(sabotage), _) => id = format!("{id}+{sabotage}"),
        (None, Some(fault)) => id = format!("{id}!{fault}"),
        (None, None) => {}
    }
    let known = document
        .spec
        .known_failures
        .iter()
        .filter(|known| known.subject == subject);
    Case {
        header: CaseHeader {
            id: format!("{id}@{subject}"),
            test: test.clone(),
            file: file.path.clone(),
            description: document.spec.description.clone(),
            labels: document.metadata.labels.clone(),
            matrix: variant.matrix.clone(),
            subject: subject.to_owned(),
            target: match target {
                Target::Runtime => "runtime",
                Target::Cluster => "cluster",
                Target::Host => "host",
            }
            .to_owned(),
            sabotage: under.sabotage.map(str::to_owned),
            fault: under.fault.map(str::to_owned),
            proving: under.proving,
            checks: steps(&document.spec)
                .flat_map(|step| &step.expect)
                .map(|check| CheckHeader {
                    id: check.id.value.clone(),
                    at: format!("{}:{}:{}", file.path, check.at.line, check.at.column),
                    about: check.subject.key().to_owned(),
                })
                .collect(),
            attempt: 1,
            patience: 1,
            flaky_allowed: document
                .spec
                .retries
                .is_some_and(|retries| retries.flaky == spec::FlakyMeans::Allow),
            t: 0.0,
        },
        known: known
            .flat_map(|known| known.checks.iter().map(|id| (id.value.clone(), known.reason.clone())))
            .collect(),
        base: Path::new(&file.path).parent().map(Path::to_owned).unwrap_or_default(),
        spec: document.spec.clone(),
        measured: None,
        beside: Vec::new(),
        places: spec::Places::default(),
    }
}

/// Ids of all checks of a test, in order.
pub fn checks(test: &Test) -> impl Iterator<Item = &str> {
    steps(test)
        .flat_map(|step| &step.expect)
        .map(|check| check.id.value.as_str())
}

pub(crate) fn steps(test: &Test) -> impl Iterator<Item = &Step> {
    [&test.setup, &test.steps, &test.teardown, &test.on_failure]
        .into_iter()
        .flatten()
        .map(|step| &step.value)
}

impl Selection {
    /// Whether a case was asked for.
    pub(crate) fn has(&self, case: &Case, variant: &spec::Variant) -> bool {
        let labels = &case.header.labels;
        if !self.labels.iter().all(|selector| selector.holds(labels)) {
            return false;
        }
        if self.names.is_empty() {
            return true;
        }
        let (test, label) = (&case.header.test, variant.label());
        let whole = case.header.id.clone();
        let without_subject = whole.rsplit_once('@').map_or(whole.as_str(), |(id, _)| id).to_owned();
        let mut names = vec![test.clone(), format!("{test}.{label}"), whole, without_subject];
        for check in &case.header.checks {
            names.push(format!("{test}.{label}.{}", check.id));
            if label.is_empty() {
                names.push(format!("{test}.{}", check.id));
            }
        }
        self.names
            .iter()
            .any(|pattern| names.iter().any(|name| pattern.matches(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec_file(path: &str, name: &str, area: &str) -> SpecFile {
        let text = format!(
            r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {{name: {name}, labels: {{area: {area}}}}}
spec:
  description: It is limited.
  targets: [runtime]
  matrix: {{limit: [32Mi, 64Mi]}}
  workloads:
    hog: {{container: {{image: plimsoll/probe, args: [sleep, "9"], resources: {{limits: {{memory: "${{matrix.limit}}"}}}}}}}}
  steps:
  - start: [hog]
    expect:
    - {{id: limited, on: hog, cgroup: {{memory.max: "${{matrix.limit}}"}}}}
  sabotage:
  - id: no-limit
    unset: [workloads.hog.container.resources.limits.memory]
    mustFail: [limited]
  knownFailures:
  - {{subject: crun, checks: [limited], reason: it rounds up}}
"#
        );
        let loaded = spec::load(&text, path);
        assert_eq!(loaded.faults, [], "{text}");
        SpecFile {
            path: path.into(),
            text,
            sha256: String::new(),
            loaded,
        }
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.cases.iter().map(|case| case.header.id.as_str()).collect()
    }

    fn expanded(selection: &Selection, subjects: &[&str]) -> Plan {
        let files = [
            spec_file("specs/a.yaml", "oom", "cgroup"),
            spec_file("b.yaml", "other", "x"),
        ];
        let subjects: Vec<_> = subjects.iter().map(|&name| name.to_owned()).collect();
        expand(&files, selection, &subjects, Offer::of(&[Target::Runtime])).unwrap()
    }

    #[test]
    fn each_variant_and_subject_is_a_case_with_its_own_id() {
        let plan = expanded(&Selection::default(), &["bundled", "crun"]);
        assert_eq!(
            ids(&plan)[..4],
            [
                "oom[limit=32Mi]@bundled",
                "oom[limit=32Mi]@crun",
                "oom[limit=64Mi]@bundled",
                "oom[limit=64Mi]@crun"
            ]
        );
        let crun = &plan.cases[1];
        assert_eq!(crun.known["limited"], "it rounds up");
        assert!(plan.cases[0].known.is_empty());
        assert_eq!(crun.base, Path::new("specs"));
        assert_eq!(crun.header.checks[0].at, "specs/a.yaml:14:7");
        assert_eq!(crun.header.checks[0].about, "cgroup");
    }

    #[test]
    fn a_case_travels_as_json() {
        let plan = expanded(&Selection::default(), &["bundled"]);
        for mut case in plan.cases {
            let text = serde_json::to_string(&case).unwrap();
            // Where things are written is for those who explain, and they have the spec.
            case.places = spec::Places::default();
            assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
        }
    }

    #[test]
    fn labels_and_names_select_and_the_rest_is_counted() {
        let selection = Selection {
            labels: vec!["area=cgroup".parse().unwrap()],
            names: vec![Pattern::new("oom.*64Mi.limited")],
            ..Selection::default()
        };
        let plan = expanded(&selection, &["bundled"]);
        assert_eq!(ids(&plan), ["oom[limit=64Mi]@bundled"]);
        assert_eq!(plan.not_selected, 3);
        for (pattern, count) in [
            ("oom", 2),
            ("o*", 4),
            ("*.limit=32Mi", 2),
            ("oom[limit=32Mi]@bundled", 1),
            ("nothing", 0),
        ] {
            let selection = Selection {
                names: vec![Pattern::new(pattern)],
                ..Selection::default()
            };
            assert_eq!(expanded(&selection, &["bundled"]).cases.len(), count, "{pattern}");
        }
    }

    #[test]
    fn sabotage_is_in_the_id_and_in_the_spec() {
        let selection = Selection {
            sabotage: Sabotaging::Only("no-limit".into()),
            ..Selection::default()
        };
        let plan = expanded(&selection, &["bundled"]);
        assert_eq!(plan.cases.len(), 4);
        let case = &plan.cases[0];
        assert_eq!(case.header.id, "oom[limit=32Mi]+no-limit@bundled");
        let spec::Workload::Container(container) = &case.spec.workloads["hog"].value else {
            panic!("not a container");
        };
        assert_eq!(container.resources.as_ref().unwrap().limits.memory, None);
        let each = Selection {
            sabotage: Sabotaging::Each,
            ..Selection::default()
        };
        assert_eq!(expanded(&each, &["bundled"]).cases.len(), 8);
        let unknown = Selection {
            sabotage: Sabotaging::Only("unknown".into()),
            ..Selection::default()
        };
        let plan = expanded(&unknown, &["bundled"]);
        assert_eq!((plan.cases.len(), plan.not_selected), (0, 4));
    }

    #[test]
    fn targets_that_are_not_offered_are_not_selected() {
        let files = [spec_file("a.yaml", "oom", "cgroup")];
        let subjects = ["bundled".to_owned()];
        let plan = expand(&files, &Selection::default(), &subjects, Offer::of(&[Target::Host])).unwrap();
        assert_eq!((plan.cases.len(), plan.not_selected), (0, 2));
    }

    #[test]
    fn a_name_in_two_files_is_a_fault() {
        let files = [spec_file("a.yaml", "oom", "x"), spec_file("b.yaml", "oom", "x")];
        let faults = expand(&files, &Selection::default(), &[], Offer::default()).unwrap_err();
        assert_eq!(faults[0].to_string(), "b.yaml:4:18: duplicate test name `oom`");
    }

    /// A test of where a pod is put; `sabotage` is that section.
    fn placed(sabotage: &str) -> SpecFile {
        let text = format!(
            r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {{name: placed}}
spec:
  description: It is placed.
  targets: [cluster]
  cluster: {{nodes: [{{name: a}}, {{name: b, labels: {{zone: x}}}}]}}
  workloads:
    app:
      object: {{apiVersion: v1, kind: Pod, metadata: {{name: app}}, spec: {{nodeSelector: {{zone: x}}, containers: [{{name: c, image: plimsoll/probe}}]}}}}
  steps:
  - start: [app]
    eventually: {{within: 5s}}
    expect:
    - {{id: on-b, on: app, placement: {{node: b}}}}
{sabotage}"#
        );
        let loaded = spec::load(&text, "p.yaml");
        assert_eq!(loaded.faults, [], "{text}");
        SpecFile {
            path: "p.yaml".into(),
            text,
            sha256: String::new(),
            loaded,
        }
    }

    /// The ids of the cases under faults of a cluster that has two.
    fn under_cluster_faults(file: SpecFile, breadth: Breadth) -> Result<Vec<String>, Vec<Fault>> {
        let faults = [("always-first", "scheduling"), ("never-ready", "pod")].map(|(name, dimension)| ClusterFault {
            name: name.into(),
            dimensions: vec![dimension],
        });
        let offer = Offer {
            targets: &[Target::Cluster],
            cluster_faults: &faults,
        };
        let selection = Selection {
            sabotage: Sabotaging::Prove(breadth),
            ..Selection::default()
        };
        let plan = expand(&[file], &selection, &[CLUSTER.to_owned()], offer)?;
        let faulted = plan.cases.iter().filter(|case| case.header.id.contains('!'));
        Ok(faulted.map(|case| case.header.id.clone()).collect())
    }

    #[test]
    fn a_cluster_is_broken_in_what_a_test_is_about_unless_its_author_breaks_it() {
        let own = under_cluster_faults(placed(""), Breadth::Own).unwrap();
        assert_eq!(own, ["placed!always-first@cluster"]);
        let chosen = "  sabotage:\n  - id: first\n    inject: {cluster: always-first}\n    mustFail: [on-b]\n";
        let own = under_cluster_faults(placed(chosen), Breadth::Own).unwrap();
        assert_eq!(own, Vec::<String>::new());
        let all = under_cluster_faults(placed(chosen), Breadth::All).unwrap();
        assert_eq!(all, ["placed!always-first@cluster", "placed!never-ready@cluster"]);
    }

    #[test]
    fn a_fault_that_the_cluster_does_not_know_is_refused() {
        let misspelt = "  sabotage:\n  - id: first\n    inject: {cluster: always-fist}\n    mustFail: [on-b]\n";
        let faults = under_cluster_faults(placed(misspelt), Breadth::Own).unwrap_err();
        let told = format!("{:?}", faults[0]);
        assert!(faults[0].to_string().contains("unknown fault `always-fist`"), "{told}");
        assert!(told.contains("always-first"), "{told}");
    }
}
