//! What `iperf3 --json` writes on the client's side: throughput over the whole test and in each interval, and what was lost.

use record::bench::Figures;
use serde::Deserialize;

use super::{Fault, Foreign, ForeignCase, Started, Text, bare, measured, name, of_samples, parse, whole};

const TOOL: &str = "iperf3";

/// Bits per second in a Mbit/s.
const MEGA: f64 = 1e6;

#[derive(Deserialize)]
struct Document {
    start: Start,
    #[serde(default)]
    intervals: Vec<Interval>,
    #[serde(default)]
    end: Option<End>,
    /// Why there is no `end`, or none that could be believed.
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    version: String,
    #[serde(default)]
    system_info: String,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    test_start: Option<TestStart>,
}

#[derive(Deserialize)]
struct Timestamp {
    timesecs: u64,
}

#[derive(Deserialize)]
struct TestStart {
    protocol: String,
    num_streams: u64,
    #[serde(default)]
    reverse: u64,
}

#[derive(Deserialize)]
struct Interval {
    sum: Rate,
}

#[derive(Deserialize)]
struct Rate {
    bits_per_second: f64,
    /// In the first seconds of `--omit`.
    #[serde(default)]
    omitted: bool,
}

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    sum_sent: Option<Sum>,
    #[serde(default)]
    sum_received: Option<Sum>,
    /// Of UDP.
    #[serde(default)]
    sum: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    bits_per_second: f64,
    #[serde(default)]
    retransmits: Option<f64>,
    #[serde(default)]
    jitter_ms: Option<f64>,
    #[serde(default)]
    lost_percent: Option<f64>,
}

pub(super) fn read(file: Text<'_>, stem: &str) -> Result<Foreign, Fault> {
    let document: Document = parse(file, "a result of iperf3")?;
    if let Some(error) = document.error {
        return Err(whole(file, format!("iperf3 measured nothing: {error}")));
    }
    let end = document.end.as_ref();
    let (sent, received, both) = (
        end.and_then(|end| end.sum_sent.as_ref()),
        end.and_then(|end| end.sum_received.as_ref()),
        end.and_then(|end| end.sum.as_ref()),
    );
    let Some(arrived) = received.or(both).or(sent) else {
        return Err(whole(file, "iperf3 told no sum of what it received".into()));
    };
    let mut measures = Vec::new();
    let intervals = document.intervals.iter().filter(|interval| !interval.sum.omitted);
    let rates: Vec<f64> = intervals.map(|interval| interval.sum.bits_per_second / MEGA).collect();
    if !rates.is_empty() {
        measures.push(measured("interval", "Mbit/s", of_samples(&rates)));
    }
    let first = |take: fn(&Sum) -> Option<f64>| [both, received, sent].into_iter().flatten().find_map(take);
    for (name, unit, value) in [
        ("jitter", "ms", first(|sum| sum.jitter_ms)),
        ("lost", "%", first(|sum| sum.lost_percent)),
        ("received", "Mbit/s", Some(arrived.bits_per_second / MEGA)),
        ("retransmits", "segments", first(|sum| sum.retransmits)),
    ] {
        let figure = value.map(|value| vec![bare("mean", value)]);
        measures.extend(figure.map(|figures| measured(name, unit, figures)));
    }
    let variant = document.start.test_start.as_ref().map_or_else(String::new, |test| {
        let reverse = if test.reverse > 0 { ",reverse=true" } else { "" };
        format!("protocol={},streams={}{reverse}", test.protocol, test.num_streams)
    });
    let version = document.start.version.trim_start_matches("iperf ").to_owned();
    Ok(Foreign {
        tool: TOOL,
        version,
        name: name(TOOL, &[file.text]),
        started: document.start.timestamp.map(|at| Started::Seconds(at.timesecs)),
        kernel: kernel(&document.start.system_info),
        cases: vec![ForeignCase {
            bench: stem.to_owned(),
            variant,
            subject: TOOL.into(),
            figures: Figures {
                samples: rates.len() as u64,
                measures,
                ..Figures::default()
            },
        }],
    })
}

/// The release in what `uname -a` would say: `Linux HOST RELEASE …`.
fn kernel(system_info: &str) -> Option<String> {
    let mut words = system_info.split_whitespace();
    (words.next() == Some("Linux"))
        .then(|| words.nth(1).map(str::to_owned))
        .flatten()
}
