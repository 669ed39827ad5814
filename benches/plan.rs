//! `cargo bench -p benches --bench plan`: the cases of the whole catalogue, for one subject and for four, from files that are
//! read already.

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use harness::plan::{Offer, Plan, Selection, SpecFile, expand};
use spec::Target;

const TARGETS: [Target; 3] = [Target::Runtime, Target::Cluster, Target::Host];

/// Subjects, of which the second list has those of the published comparison.
const SUBJECTS: [&[&str]; 2] = [&["bundled"], &["bundled", "crun", "runc", "youki"]];

fn cases(files: &[SpecFile], subjects: &[String]) -> Plan {
    let plan = expand(files, &Selection::default(), subjects, Offer::of(&TARGETS));
    plan.unwrap_or_else(|faults| panic!("the catalogue has faults: {faults:?}"))
}

fn main() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let files = harness::discover::discover(&[catalogue]).unwrap_or_else(|error| panic!("{error}"));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("plan");
    for names in SUBJECTS {
        let subjects: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let count = cases(&files, &subjects).cases.len() as u64;
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(
            BenchmarkId::new("catalogue", names.len()),
            &subjects,
            |bencher, subjects| {
                // What was planned is dropped while the clock does not run.
                bencher.iter_batched(|| (), |()| cases(black_box(&files), subjects), BatchSize::LargeInput);
            },
        );
    }
    group.finish();
    criterion.final_summary();
}
