//! `cargo bench -p benches --bench network_throughput`: the harness' own traffic on a loopback interface and on a bare pair of
//! interfaces, beside that of iperf3 on the same ones. `plimsoll bench specs/bench/network.yaml` measures ways through a
//! cluster by the same code.
//!
//! All take turns in one run, every second round the other way round; criterion is then given the samples that were
//! collected. Needs root; `PLIMSOLL_BENCH_ROUNDS` is how many rounds there are (20).
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use harness::traffic::{Carried, Ends, SENDING, iperf3, wire};
use statistics::quantile::quantile;

/// How far the rate may be from that of iperf3.
const AIM: f64 = 0.05;

/// iperf3 chooses no port.
const PORT: u16 = 5201;

/// A gigabit: so many bytes are one unit of what criterion is told.
const GIGABIT: u64 = 125_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("--list") {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: network_throughput needs root: interfaces are made in network namespaces");
        return Ok(());
    }
    let trial = asked("--test") || !asked("--bench");
    let rounds: usize = match std::env::var("PLIMSOLL_BENCH_ROUNDS") {
        _ if trial => 1,
        Ok(rounds) => rounds.parse::<usize>()?.max(1),
        Err(_) => 20,
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let other = iperf3::find(&path);
    if other.is_none() {
        println!("iperf3 is not installed: nothing is shown beside the own traffic");
    }
    let ways = [("loopback", wire::alone()?), ("veth", wire::bare()?)];
    let mut criterion = Criterion::default().configure_from_args();
    for (way, mut ends) in ways {
        ends.port = PORT;
        measure(&mut criterion, way, &ends, other.as_ref(), rounds)?;
    }
    criterion.final_summary();
    Ok(())
}

fn measure(
    criterion: &mut Criterion,
    way: &str,
    ends: &Ends,
    other: Option<&PathBuf>,
    rounds: usize,
) -> Result<(), Box<dyn Error>> {
    let scratch = std::env::temp_dir();
    let bytes = iperf3::LONGER * ends.throughput(SENDING)?.bytes;
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let (mut requests, mut connections) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut beside = || -> Result<(), Box<dyn Error>> {
            if let Some(program) = other {
                others.push(iperf3::throughput(ends, bytes, program, &scratch)?);
            }
            Ok(())
        };
        if round % 2 == 0 {
            own.push(ends.throughput(SENDING)?);
            beside()?;
        } else {
            beside()?;
            own.push(ends.throughput(SENDING)?);
        }
        requests.push(ends.round_trip()?);
        connections.push(ends.connection()?);
    }
    let seconds = |all: &[Carried]| all.iter().map(|carried| 1.0 / carried.rate).collect::<Vec<f64>>();
    let samples = [
        ("own", Some(Throughput::Bytes(GIGABIT)), seconds(&own)),
        ("iperf3", Some(Throughput::Bytes(GIGABIT)), seconds(&others)),
        ("request", None, requests),
        ("connection", None, connections),
    ];
    tell(way, &own, &others);
    for (name, throughput, samples) in samples {
        give(
            criterion,
            &format!("network_throughput/{way}"),
            name,
            throughput,
            &samples,
        );
    }
    Ok(())
}

/// Both rates, and how far apart they are: the median of the ratios of all rounds.
fn tell(way: &str, own: &[Carried], others: &[Carried]) {
    let median = |values: Vec<f64>| quantile(&values, 0.5);
    let rates = |all: &[Carried]| median(all.iter().map(|carried| carried.rate).collect());
    let Some(rate) = rates(own) else { return };
    let beside = own.iter().zip(others).map(|(own, other)| own.rate / other.rate);
    match rates(others).zip(median(beside.collect())) {
        None => println!("{way}: {rate:.1} Gbit/s"),
        Some((other, ratio)) => {
            let mark = if (ratio - 1.0).abs() <= AIM { "" } else { "  MISSED" };
            println!("{way}: {rate:.1} Gbit/s, iperf3 {other:.1} Gbit/s, ratio {ratio:.3}, to be 1 ± {AIM}{mark}");
        }
    }
}

/// Gives criterion samples, in seconds, as if it had measured them now.
fn give(criterion: &mut Criterion, group: &str, name: &str, throughput: Option<Throughput>, samples: &[f64]) {
    if samples.is_empty() {
        return;
    }
    let mut group = criterion.benchmark_group(group);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(samples.len().max(10));
    group
        .warm_up_time(Duration::from_nanos(1))
        .measurement_time(Duration::from_millis(1));
    if let Some(throughput) = throughput {
        group.throughput(throughput);
    }
    let mut next = samples.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|many| Duration::from_secs_f64(next.next().copied().unwrap_or(0.0) * many as f64));
    });
    group.finish();
}
