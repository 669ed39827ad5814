//! Samples of benchmarks in the text format of Go's benchmarks (<https://go.dev/design/14313-benchmark-format>), which
//! `benchstat` reads: a line for each sample, with matrix, subject and measure in its name, so that
//! `benchstat -col /subject run.txt` compares subjects, and `benchstat old.txt new.txt` runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use record::bench::more_is_better;

use crate::{
    ReportError,
    measured::{Line, lines},
    run::Run,
};

pub(crate) fn benchstat(run: &Run<'_>) -> Result<String, ReportError> {
    let lines = lines(run)?;
    let mut out = String::new();
    let host = run.host;
    for (key, value) in [
        ("run", run.id),
        ("started", run.started),
        ("plimsoll", run.plimsoll),
        ("kernel", &host.kernel),
        ("cpu", &host.cpu),
        ("cgroup", &host.cgroup),
    ] {
        let _ = writeln!(out, "{key}: {}", value.replace(char::is_control, " "));
    }
    let rates: BTreeSet<&str> = lines
        .iter()
        .map(|line| line.measure.unit.as_str())
        .filter(|unit| more_is_better(unit))
        .collect();
    for rate in rates {
        let _ = writeln!(out, "Unit {} better=higher", unit(rate).0);
    }
    for line in lines {
        let (unit, factor) = unit(&line.measure.unit);
        let name = name(&line);
        let failed = line.measure.samples.iter().filter(|sample| sample.is_none()).count();
        if failed > 0 {
            // Such a line is skipped by who reads this format, which has no failures.
            let _ = writeln!(out, "# {failed} of {} failed: {name}", line.measure.samples.len());
        }
        let mut values: Vec<f64> = line.measure.samples.iter().copied().flatten().collect();
        if line.measure.samples.is_empty() {
            // A record of a version that kept figures alone.
            values.extend(line.measure.figures.first().and_then(|figure| figure.value));
        }
        for value in values {
            let _ = writeln!(out, "{name} 1 {} {unit}", value * factor);
        }
    }
    Ok(out)
}

/// `BenchmarkStartLatency/rootfs=bind/subject=runc/measure=total`.
fn name(line: &Line<'_>) -> String {
    let header = line.case.header;
    let mut name = "Benchmark".to_owned();
    for word in header.test.split(|c: char| !c.is_alphanumeric()) {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    let own = [
        ("subject", header.subject.clone()),
        ("measure", line.measure.name.clone()),
    ];
    for (key, value) in line.matrix().chain(own) {
        let _ = write!(name, "/{}={}", part(key), part(&value));
    }
    name
}

/// As a part of a name: no blanks, no borders of parts, and no end that would be read as a number of CPUs (`-8`).
fn part(text: &str) -> String {
    let text = text.replace(|c: char| c.is_whitespace() || c.is_control() || c == '/', "_");
    let digits = text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (front, digits) = text.split_at(text.len() - digits);
    match front.strip_suffix('-') {
        Some(front) if !digits.is_empty() => format!("{front}_{digits}"),
        _ => format!("{front}{digits}"),
    }
}

/// A unit as Go names it, and how many of it are one of ours.
fn unit(unit: &str) -> (String, f64) {
    match unit {
        "s" => ("ns/op".into(), 1e9),
        "ms" => ("ns/op".into(), 1e6),
        "ns" => ("ns/op".into(), 1.0),
        "x gate" => ("gates".into(), 1.0),
        other => (other.replace(char::is_whitespace, "_"), 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_have_no_blanks_and_no_number_of_cpus() {
        for (text, expected) in [
            ("bind", "bind"),
            ("a b/c", "a_b_c"),
            ("oci-8", "oci_8"),
            ("8", "8"),
            ("a-", "a-"),
        ] {
            assert_eq!(part(text), expected);
        }
    }
}
