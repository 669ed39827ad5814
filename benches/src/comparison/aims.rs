//! Where the figures of the targets come from: what was measured in the guard, and commands of plimsoll that measure the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use record::bench::{Figure, Figures};
use serde_json::Value;
use statistics::Estimate;
use statistics::chance::Chance;
use statistics::quantile::{interval, quantile, ratio};

use super::target::{Aim, Target};
use super::{Contender, Measure, Measured};
use crate::generated::generated;
use crate::start_latency::{self, Regime, TARGETS};

/// So often a cluster is brought up, and so often ten thousand files are checked.
const TIMES: usize = 10;

/// Files that are checked.
const FILES: usize = 10_000;

/// A figure of a spec.
struct Told {
    file: &'static str,
    /// Of the case whose id begins so.
    case: &'static str,
    measure: &'static str,
    name: &'static str,
    /// As a multiple of its floor.
    of_floor: bool,
    what: &'static str,
    unit: &'static str,
    aim: Aim,
}

impl Told {
    const fn of_floor(
        file: &'static str,
        case: &'static str,
        measure: &'static str,
        what: &'static str,
        aim: Aim,
    ) -> Self {
        Self {
            file,
            case,
            measure,
            name: "p50",
            of_floor: true,
            what,
            unit: "",
            aim,
        }
    }
}

const NETWORK: &str = "specs/bench/network.yaml";

const TOLD: &[Told] = &[
    Told::of_floor(
        NETWORK,
        "network[path=sameNode]",
        "throughput",
        "throughput between pods of a node / bare veth pair (L11)",
        Aim::AtLeast(0.95),
    ),
    Told::of_floor(
        NETWORK,
        "network[path=acrossNodes]",
        "throughput",
        "throughput between pods of two nodes / bare veth pair (L11)",
        Aim::AtLeast(0.95),
    ),
    Told::of_floor(
        NETWORK,
        "network[path=clusterIP]",
        "request",
        "request and response by a ClusterIP / bare veth pair (L12)",
        Aim::AtMost(1.3),
    ),
    Told {
        name: "p99",
        of_floor: false,
        unit: "ms",
        ..Told::of_floor(
            "specs/bench/pod-ready.yaml",
            "pod-ready[count=1]",
            "ready",
            "p99 from the request for a pod until it is ready",
            Aim::AtMost(100.0),
        )
    },
    Told {
        of_floor: false,
        ..Told::of_floor(
            "specs/bench/scheduling.yaml",
            "scheduling[workload=SchedulingBasic]",
            "of-gate",
            "basic pods on 5 000 simulated nodes, times the gate of Kubernetes' own scheduler",
            Aim::AtLeast(10.0),
        )
    },
];

/// Starts of containers.
#[must_use]
pub fn starts(measured: &start_latency::Measured) -> Vec<Target> {
    let mut chance = Chance::new(3);
    let mut targets = Vec::new();
    for regime in Regime::ALL {
        for (subject, reference, share, bound) in TARGETS {
            let [ours, theirs] = [subject, reference].map(|subject| {
                let took = measured.of(regime, subject);
                took.iter().map(std::time::Duration::as_secs_f64).collect::<Vec<_>>()
            });
            let seen = ratio(&ours, &theirs, share, &mut chance);
            targets.push(Target {
                what: format!(
                    "p{:.0} of a start, {} / {}, {}",
                    share * 100.0,
                    subject.name(),
                    reference.name(),
                    regime.name()
                ),
                seen: seen.ok_or_else(|| format!("{} is not there", reference.name())),
                unit: "",
                aim: Aim::AtMost(bound),
            });
        }
    }
    targets
}

/// Rates and sizes of containers.
#[must_use]
pub fn containers(measured: &Measured) -> Vec<Target> {
    let mut chance = Chance::new(4);
    let ours = |measure| measured.of(measure, Contender::Bundled).to_vec();
    let one_by_one: Vec<f64> = ours(Measure::Run).iter().map(|took| 1e3 / took).collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut beside = |what: &str, ours: &[f64], floor: &str| Target {
        what: format!("{what} / {floor}"),
        seen: ratio(ours, measured.floor(floor), 0.5, &mut chance).ok_or_else(|| format!("no {floor}")),
        unit: "",
        aim: Aim::AtLeast(0.7),
    };
    let rates = [
        beside("containers a second, one after the other", &one_by_one, "L8.1"),
        beside(
            "containers a second, eight callers at once",
            &ours(Measure::Rate),
            &format!("L8.{workers}"),
        ),
    ];
    let supervisor = Target {
        what: "memory of what supervises a container that runs".into(),
        seen: middle(&ours(Measure::Supervisor)),
        unit: "KiB",
        aim: Aim::AtMost(1024.0),
    };
    rates.into_iter().chain([supervisor]).collect()
}

/// What commands of plimsoll measure. `scratch` is a directory that is there, empty, and the caller's to remove.
pub fn commands(plimsoll: &Path, scratch: &Path) -> Vec<Target> {
    let target = |what: &str, seen, unit, bound| Target {
        what: what.into(),
        seen,
        unit,
        aim: Aim::AtMost(bound),
    };
    let (ready, memory) = cluster(plimsoll, scratch);
    let mut targets = vec![
        target("a cluster of three nodes, from nothing to Ready", ready, "s", 0.5),
        target("its memory", memory, "MiB", 60.0),
        target(
            "`plimsoll check` over 10 000 files",
            checked(plimsoll, scratch),
            "s",
            2.0,
        ),
        target(
            "overhead of the harness for a case, `plimsoll run specs/isolation --jobs 1`",
            overhead(plimsoll, scratch),
            "ms",
            5.0,
        ),
    ];
    let mut reports = BTreeMap::new();
    for told in TOLD {
        // All cases of a file take turns in one run, but for the scheduler's, of which one is enough.
        let only = match told.case {
            case if case.starts_with("scheduling") => format!("{case}*"),
            _ => "*".into(),
        };
        let report = reports
            .entry(told.file)
            .or_insert_with(|| benchmark(plimsoll, scratch, told.file, &only));
        targets.push(Target {
            what: told.what.into(),
            seen: report.clone().and_then(|report| seen(&report, told)),
            unit: told.unit,
            aim: told.aim,
        });
    }
    targets.push(Target {
        what: "throughput by the harness' own traffic / by iperf3, bare veth pair".into(),
        seen: benchmark(plimsoll, scratch, "specs/bench/generators.yaml", "*").and_then(|report| generators(&report)),
        unit: "",
        aim: Aim::Within(0.95, 1.05),
    });
    targets
}

/// The figures of the case whose id begins so.
fn figures(report: &Value, begins: &str) -> Result<Figures, String> {
    let cases = report["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |case: &&Value| case["id"].as_str().is_some_and(|id| id.starts_with(begins));
    let case = cases.iter().find(of).ok_or_else(|| format!("no case {begins}"))?;
    serde_json::from_value(case["figures"].clone()).map_err(|_| {
        let skipped = case["checks"][0]["outcome"]["seen"].as_str();
        skipped.unwrap_or("the case came to no figures").to_owned()
    })
}

fn seen(report: &Value, told: &Told) -> Result<Estimate, String> {
    let measured = figures(report, told.case)?.measures;
    let found = measured.into_iter().find(|found| found.name == told.measure);
    let found = found.ok_or_else(|| format!("{} measures no {}", told.case, told.measure))?;
    let all = match told.of_floor {
        true => found.ratio.map(|ratio| ratio.figures).unwrap_or_default(),
        false => found.figures,
    };
    let figure = all.into_iter().find(|figure| figure.name == told.name);
    let figure = figure.ok_or_else(|| format!("{} tells no {} of {}", told.case, told.name, told.measure))?;
    estimate(&figure).ok_or_else(|| format!("{} of {} fell on a sample that failed", told.name, told.measure))
}

/// What our traffic carries beside that of iperf3 on a bare pair, in the same rounds.
fn generators(report: &Value) -> Result<Estimate, String> {
    let carried = |generator: &str| {
        let cases = report["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |case: &&Value| case["matrix"]["path"] == "veth" && case["matrix"]["generator"] == generator;
        let id = cases.iter().find(of).and_then(|case| case["id"].as_str());
        let figures = figures(report, id.ok_or_else(|| format!("{generator} carried nothing"))?)?;
        let measure = figures.measures.into_iter().find(|found| found.name == "throughput");
        let samples = measure.map(|measure| measure.samples).unwrap_or_default();
        let all: Option<Vec<f64>> = samples.into_iter().collect();
        all.ok_or_else(|| format!("{generator} failed in a round"))
    };
    let (ours, theirs) = (carried("builtIn")?, carried("iperf3")?);
    ratio(&ours, &theirs, 0.5, &mut Chance::new(5)).ok_or_else(|| "no rounds of both".into())
}

fn estimate(figure: &Figure) -> Option<Estimate> {
    let value = figure.value?;
    Some(Estimate {
        value,
        low: figure.low.unwrap_or(value),
        high: figure.high.unwrap_or(f64::INFINITY),
    })
}

/// The median with its interval at 95 %.
fn middle(samples: &[f64]) -> Result<Estimate, String> {
    let value = quantile(samples, 0.5).ok_or("nothing was measured")?;
    let within = interval(samples, 0.5, 0.95);
    Ok(within.map_or(
        Estimate {
            value,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        },
        |found| Estimate { value, ..found },
    ))
}

fn called(plimsoll: &Path, scratch: &Path, words: &[&str]) -> Result<String, String> {
    let asked = Command::new(plimsoll)
        .arg("--state")
        .arg(scratch)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let told = asked.map_err(|error| format!("failed to call plimsoll: {error}"))?;
    match told.status.code() {
        // A bound that is missed or open is in the table.
        Some(0 | 1 | 5) => Ok(String::from_utf8_lossy(&told.stdout).into_owned()),
        _ => Err(format!("`plimsoll {}` ended with {}", words.join(" "), told.status)),
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("failed to read a report: {error}"))
}

/// Seconds until all nodes are Ready, and MiB that the cluster has then.
fn cluster(plimsoll: &Path, scratch: &Path) -> (Result<Estimate, String>, Result<Estimate, String>) {
    let once = || {
        let began = Instant::now();
        called(plimsoll, scratch, &["cluster", "up", "--nodes", "3"])?;
        let took = began.elapsed().as_secs_f64();
        let status = called(plimsoll, scratch, &["cluster", "status", "--format", "json"]);
        called(plimsoll, scratch, &["cluster", "down"])?;
        let memory = json(&status?)?["memory"].as_f64().ok_or("a cluster tells no memory")?;
        Ok::<_, String>((took, memory / f64::from(1 << 20)))
    };
    let all: Result<Vec<(f64, f64)>, String> = (0..TIMES).map(|_| once()).collect();
    match all {
        Ok(all) => {
            let (took, memory): (Vec<f64>, Vec<f64>) = all.into_iter().unzip();
            (middle(&took), middle(&memory))
        }
        Err(reason) => (Err(reason.clone()), Err(reason)),
    }
}

fn checked(plimsoll: &Path, scratch: &Path) -> Result<Estimate, String> {
    let specs = scratch.join("specs");
    let written = || -> std::io::Result<()> {
        fs_err::create_dir_all(&specs)?;
        (0..FILES)
            .try_for_each(|number| fs_err::write(specs.join(format!("generated-{number}.yaml")), generated(number)))
    };
    written().map_err(|error| error.to_string())?;
    let path = specs.display().to_string();
    let once = || {
        let began = Instant::now();
        called(plimsoll, scratch, &["check", &path]).map(|_| began.elapsed().as_secs_f64())
    };
    let took: Result<Vec<f64>, String> = (0..TIMES).map(|_| once()).collect();
    middle(&took?)
}

/// What a case took beside what it waited for, as the report has it.
fn overhead(plimsoll: &Path, scratch: &Path) -> Result<Estimate, String> {
    let words = ["run", "specs/isolation", "--jobs", "1", "--format", "json"];
    let report = json(&called(plimsoll, scratch, &words)?)?;
    let cases = report["cases"].as_array().cloned().unwrap_or_default();
    let all: Vec<f64> = cases.iter().filter_map(|case| case["overhead"].as_f64()).collect();
    middle(&all)
}

/// The report of a file of benchmarks.
fn benchmark(plimsoll: &Path, scratch: &Path, file: &str, only: &str) -> Result<Value, String> {
    if !Path::new(file).exists() {
        return Err(format!("there is no `{file}` here"));
    }
    let words = [
        "bench",
        file,
        "--subject",
        "cluster",
        "--only",
        only,
        "--format",
        "json",
    ];
    json(&called(plimsoll, scratch, &words)?)
}
