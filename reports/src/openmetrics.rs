//! Figures of benchmarks in the text format of OpenMetrics 1.0
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>), each with the time at which its run
//! began, so that older runs can be put into a database, too.
//!
//! Times are in seconds, as OpenMetrics has them. Unlike the metrics of a run, these have cases as labels: who exports
//! benchmarks asks for a series of each.

use std::{collections::BTreeMap, fmt::Write as _, time::UNIX_EPOCH};

use record::bench::{Figure, Measured};

use crate::{
    ReportError,
    measured::{Line, floors, lines},
    prometheus::labels,
    run::Run,
};

/// The value of a figure or one of its ends.
type End = fn(&Figure) -> Option<f64>;

/// What families are called beside the value, what they are, and what they have of a figure.
const ENDS: [(&str, &str, End); 3] = [
    ("", "Figures of benchmarks.", |figure| figure.value),
    ("low_", "Lower ends of the intervals of 95 % confidence.", |figure| {
        figure.low
    }),
    ("high_", "Upper ends of the intervals of 95 % confidence.", |figure| {
        figure.high
    }),
];

pub(crate) fn openmetrics(run: &Run<'_>) -> Result<String, ReportError> {
    let lines = lines(run)?;
    let mut out = String::new();
    let at = humantime::parse_rfc3339(run.started)
        .ok()
        .and_then(|started| started.duration_since(UNIX_EPOCH).ok())
        .map_or_else(String::new, |since| format!(" {}", since.as_secs()));
    let host = run.host;
    let _ = writeln!(
        out,
        "# TYPE plimsoll_run info\n# HELP plimsoll_run Plimsoll and the host that measured.\nplimsoll_run_info{} 1{at}",
        labels(&[
            ("run", run.id),
            ("version", run.plimsoll),
            ("kernel", &host.kernel),
            ("cpu", &host.cpu),
            ("machine", &host.machine),
            ("cgroup", &host.cgroup),
        ])
    );
    // Milliseconds and nanoseconds are one family: a name stands in one place only.
    let mut by_unit: BTreeMap<String, Vec<(&Line<'_>, f64)>> = BTreeMap::new();
    for line in &lines {
        let (unit, in_one) = unit(&line.measure.unit);
        by_unit.entry(unit).or_default().push((line, in_one));
    }
    for (unit, lines) in &by_unit {
        for (end, help, of) in ENDS {
            let name = format!("plimsoll_benchmark_{end}{unit}");
            let _ = writeln!(out, "# TYPE {name} gauge\n# UNIT {name} {unit}\n# HELP {name} {help}");
            for (line, in_one) in lines {
                for figure in &line.measure.figures {
                    // What failed has no value, and a series may have a gap.
                    let Some(value) = of(figure) else { continue };
                    let mut all = named(line, run);
                    all.extend([
                        ("measure", line.measure.name.as_str()),
                        ("figure", figure.name.as_str()),
                    ]);
                    let _ = writeln!(out, "{name}{} {}{at}", labels(&all), value / in_one);
                }
            }
        }
    }
    ratios(&mut out, &lines, run, &at);
    of_floors(&mut out, run, &at);
    for (name, help, count) in [
        (
            "plimsoll_benchmark_samples",
            "Samples that count.",
            (|line| line.figures.samples) as fn(&Line<'_>) -> u64,
        ),
        ("plimsoll_benchmark_failures", "Of these, those that failed.", |line| {
            line.figures.failures
        }),
    ] {
        let _ = writeln!(out, "# TYPE {name} gauge\n# HELP {name} {help}");
        let mut last = "";
        for line in &lines {
            if line.case.header.id != last {
                last = &line.case.header.id;
                let _ = writeln!(out, "{name}{} {}{at}", labels(&named(line, run)), count(line));
            }
        }
    }
    out.push_str("# EOF\n");
    Ok(out)
}

/// Figures as multiples of their floors; nothing without any.
fn ratios(out: &mut String, lines: &[Line<'_>], run: &Run<'_>, at: &str) {
    if lines.iter().all(|line| line.measure.ratio.is_none()) {
        return;
    }
    for (end, _, of) in ENDS {
        let name = format!("plimsoll_benchmark_floors_{end}ratio");
        let what = match end {
            "" => "Figures as multiples of what the kernel itself takes.",
            "low_" => "Lower ends of the intervals of these multiples.",
            _ => "Upper ends of the intervals of these multiples.",
        };
        let _ = writeln!(out, "# TYPE {name} gauge\n# UNIT {name} ratio\n# HELP {name} {what}");
        for line in lines {
            if let Some(ratio) = &line.measure.ratio {
                for figure in &ratio.figures {
                    let Some(value) = of(figure) else { continue };
                    let mut all = named(line, run);
                    all.extend([
                        ("measure", line.measure.name.as_str()),
                        ("floor", ratio.floor.as_str()),
                        ("figure", figure.name.as_str()),
                    ]);
                    let _ = writeln!(out, "{name}{} {value}{at}", labels(&all));
                }
            }
        }
    }
}

/// What the kernel itself took.
fn of_floors(out: &mut String, run: &Run<'_>, at: &str) {
    let mut by_unit: BTreeMap<String, Vec<(&str, &str, &Measured, f64)>> = BTreeMap::new();
    for ((benchmark, floor), measured) in floors(run) {
        let (unit, in_one) = unit(&measured.unit);
        by_unit
            .entry(unit)
            .or_default()
            .push((benchmark, floor, measured, in_one));
    }
    for (unit, floors) in &by_unit {
        for (end, help, of) in ENDS {
            let name = format!("plimsoll_floor_{end}{unit}");
            let help = if end.is_empty() {
                "What the kernel itself takes, without a runtime."
            } else {
                help
            };
            let _ = writeln!(out, "# TYPE {name} gauge\n# UNIT {name} {unit}\n# HELP {name} {help}");
            for (benchmark, floor, measured, in_one) in floors {
                for figure in &measured.figures {
                    let Some(value) = of(figure) else { continue };
                    let all = [
                        ("benchmark", *benchmark),
                        ("floor", *floor),
                        ("figure", figure.name.as_str()),
                    ];
                    let _ = writeln!(out, "{name}{} {}{at}", labels(&all), value / in_one);
                }
            }
        }
    }
}

fn named<'a>(line: &Line<'a>, run: &'a Run<'_>) -> Vec<(&'static str, &'a str)> {
    let header = line.case.header;
    vec![
        ("benchmark", header.test.as_str()),
        ("case", header.id.as_str()),
        ("subject", header.subject.as_str()),
        ("version", line.version(run)),
    ]
}

/// A unit as OpenMetrics names it, and how many of ours are one of it.
fn unit(unit: &str) -> (String, f64) {
    let (name, in_one) = match unit {
        "s" => ("seconds", 1.0),
        "ms" => ("seconds", 1e3),
        "µs" | "us" => ("seconds", 1e6),
        "ns" => ("seconds", 1e9),
        "B" => ("bytes", 1.0),
        "KiB" => ("bytes", 1.0 / 1024.0),
        "MiB" => ("bytes", 1.0 / (1024.0 * 1024.0)),
        "%" => ("ratio", 100.0),
        "x gate" => ("gates", 1.0),
        "" => ("units", 1.0),
        other => {
            let spelt = other.replace("/s", "_per_second");
            return (
                spelt.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_"),
                1.0,
            );
        }
    };
    (name.to_owned(), in_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_openmetrics() {
        for (ours, name, value) in [
            ("ms", "seconds", 0.002),
            ("ns", "seconds", 2e-9),
            ("MiB", "bytes", 2_097_152.0),
            ("pods/s", "pods_per_second", 2.0),
            ("x gate", "gates", 2.0),
            ("µ\"}", "___", 2.0),
        ] {
            let (found, in_one) = unit(ours);
            assert_eq!((found.as_str(), 2.0 / in_one), (name, value), "{ours}");
        }
    }
}
