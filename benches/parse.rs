//! `cargo bench -p benches --bench parse`: 10 000 generated specs are read and checked, which shall take at most 2 s.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::generated::generated;
use criterion::Criterion;

const SPECS: usize = 10_000;
const AIM: Duration = Duration::from_secs(2);

fn main() {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    let trial = asked("--test") || !asked("--bench");
    let count = if trial { 10 } else { SPECS };
    let specs: Vec<(String, String)> = (0..count)
        .map(|number| (generated(number), format!("generated-{number}.yaml")))
        .collect();
    let began = Instant::now();
    let mut documents = 0;
    for (text, file) in &specs {
        let loaded = spec::load(text, file);
        assert!(loaded.faults.is_empty(), "{file}: {:?}", loaded.faults);
        documents += loaded.documents.len();
    }
    let took = began.elapsed();
    assert_eq!(documents, count);
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("parse/one spec", |bencher| {
        bencher.iter(|| spec::load(black_box(&specs[0].0), "generated.yaml"));
    });
    criterion.final_summary();
    let (seconds, aim) = (took.as_secs_f64(), AIM.as_secs_f64());
    let word = match () {
        () if trial => "not judged by a trial",
        () if took <= AIM => "met",
        () => "missed",
    };
    println!("{count} specs: {seconds:.3} s (aim for {SPECS}: {aim:.0} s, {word})");
}
