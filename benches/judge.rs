//! `cargo bench -p benches --bench judge`: verdicts of large records: a window with many looks, and a benchmark with many
//! samples.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use harness::judge::verdicts;
use harness::plan::{self, Case, Offer, Selection, SpecFile};
use record::bench::{Isolation, Sample};
use record::samples::Conditions;
use record::seen::KernelState;
use record::{Event, Host, Seen, SkipBudget, Verdict};
use spec::Target;
use statistics::chance::Chance;

const LOOKS: u32 = 20_000;
const SAMPLES: u32 = 10_000;

const TEST: &str = "
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: looks}
spec:
  description: A container runs as long as it is looked at.
  targets: [runtime]
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, \"300\"]}}
  steps:
  - start: [app]
    consistently: {for: 10s, every: 1ms}
    expect:
    - {id: runs, on: app, state: running}
";

const BENCHMARK: &str = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: samples}
spec:
  description: How long a start takes.
  targets: [runtime]
  workload: {container: {image: plimsoll/probe, args: [hello]}}
  measure:
    total: {from: create, to: firstByte}
    setup: {from: create, to: created}
  sampling: {warmup: 0, samples: 10000, maxDuration: 300s}
  thresholds:
  - {id: none-fails, metric: failures, max: 0%}
  - {id: ceiling, metric: total.p99, max: 250ms}
";

fn file(text: &str) -> SpecFile {
    let path = "made-up.yaml";
    SpecFile {
        path: path.into(),
        sha256: String::new(),
        loaded: spec::load(text, path),
        text: text.into(),
    }
}

/// The one case of a spec.
fn case(text: &str) -> Case {
    let (files, subjects) = ([file(text)], ["bundled".to_owned()]);
    let (selection, offer) = (Selection::default(), Offer::of(&[Target::Runtime]));
    let mut all = Vec::new();
    for planned in [
        plan::expand(&files, &selection, &subjects, offer),
        plan::benchmarks(&files, &selection, &subjects, offer),
    ] {
        all.extend(planned.unwrap_or_else(|faults| panic!("{faults:?}")).cases);
    }
    let [case] = all.as_slice() else {
        panic!("{} cases", all.len());
    };
    case.clone()
}

fn run() -> Event {
    Event::Run {
        version: record::VERSION,
        id: "0001".into(),
        started: "2026-01-01T00:00:00Z".into(),
        plimsoll: "0".into(),
        argv: Vec::new(),
        host: Host::default(),
        subjects: Vec::new(),
        skip_budget: SkipBudget::default(),
    }
}

fn looks(case: &Case) -> Vec<Event> {
    let id = &case.header.id;
    let kernel = KernelState {
        pid: Some(7),
        alive: true,
        payload: true,
        frozen: false,
        in_cgroup: Some(true),
    };
    let step = Event::Step {
        case: id.clone(),
        phase: "steps".into(),
        index: 0,
        name: "start [app]".into(),
        t: 0.0,
    };
    let look = |n: u32| {
        let seen = Seen::State {
            runtime: Some("running".into()),
            told: Some(7),
            kernel: kernel.clone(),
        };
        Event::Look {
            case: id.clone(),
            phase: "steps".into(),
            index: 0,
            n: n.into(),
            t: f64::from(n) + 1.0,
            seen: BTreeMap::from([("runs".to_owned(), seen)]),
        }
    };
    [run(), step].into_iter().chain((0..LOOKS).map(look)).collect()
}

fn samples(case: &Case) -> Vec<Event> {
    let mut chance = Chance::new(1);
    let sample = |round: u32| {
        let created = chance.normal(8.0, 0.5).max(1.0);
        let written = created + chance.normal(4.0, 0.5).max(0.5);
        let points = [("create", 0.0), ("created", created), ("firstByte", written)];
        Event::Sample(Box::new(Sample {
            case: case.header.id.clone(),
            round: round.into(),
            points: points.map(|(point, at)| (point.to_owned(), at)).into(),
            isolation: Some(Isolation {
                own: vec!["pid".into()],
                shared: Vec::new(),
            }),
            conditions: Conditions::default(),
            ..Sample::default()
        }))
    };
    std::iter::once(run()).chain((0..SAMPLES).map(sample)).collect()
}

fn main() {
    let (looked, measured) = (case(TEST), case(BENCHMARK));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("judge");
    group.sample_size(20);
    for (name, count, case, events) in [
        ("looks", LOOKS, &looked, looks(&looked)),
        ("samples", SAMPLES, &measured, samples(&measured)),
    ] {
        let passed = verdicts(case, &events).iter().any(|event| {
            let Event::Verdict { verdict, .. } = event else {
                return false;
            };
            matches!(verdict, Verdict::Pass { .. })
        });
        assert!(passed, "{name}: {:?}", verdicts(case, &events));
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| verdicts(black_box(case), black_box(&events)))
        });
    }
    group.finish();
    criterion.final_summary();
}
