//! `cargo bench -p benches --bench schedule [-- ROW…]`: the workloads of kube-scheduler's own benchmark on the engine of
//! the mini-cluster, which shall schedule at least ten times as many pods a second as that benchmark demands.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::time::Instant;

use criterion::Criterion;
use scheduler::perf::{Measured, Row, Shrink};

/// How many times the threshold shall be reached.
const AIM: f64 = 10.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let trial = asked("--test") || !asked("--bench");
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let began = Instant::now();
    let clock = || began.elapsed();
    let shrink = if trial { Shrink::Trial } else { Shrink::No };
    let mut missed = 0;
    println!(
        "{:<36} {:>6} {:>6} {:>6} {:>9} {:>9} {:>7}",
        "workload", "nodes", "first", "pods", "demanded", "pods/s", "times"
    );
    for row in Row::all() {
        if !names.is_empty() && !names.iter().any(|name| row.name().contains(name.as_str())) {
            continue;
        }
        let Measured { pods, took, .. } = row.run(shrink, &clock, &mut || {});
        let rate = pods as f64 / took.as_secs_f64();
        let times = rate / row.demanded();
        let size = row.size(shrink);
        println!(
            "{:<36} {:>6} {:>6} {:>6} {:>9.0} {:>9.0} {:>7.1}",
            row.name(),
            size.nodes,
            size.first,
            size.pods,
            row.demanded(),
            rate,
            times
        );
        missed += usize::from(times < AIM);
    }
    match missed {
        _ if trial => println!("not judged by a trial"),
        0 => println!("all reach {AIM} times what is demanded"),
        some => println!("{some} do not reach {AIM} times what is demanded"),
    }
    if trial || names.is_empty() {
        let mut criterion = Criterion::default().configure_from_args();
        criterion.bench_function("schedule/5 nodes, 10 pods", |bencher| {
            bencher.iter(|| Row::all()[0].run(Shrink::Trial, &clock, &mut || {}));
        });
        criterion.final_summary();
    }
}
