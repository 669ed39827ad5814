//! Generates small specs, all different, and checks them: `cargo run --release -p spec --example check_many -- 10000`.

use std::{io::Write, time::Instant};

fn spec(n: usize) -> String {
    format!(
        r#"apiVersion: plimsoll.dev/v1
kind: Test
metadata:
  name: generated-{n}
  labels: {{area: cgroup, number: "{n}"}}
spec:
  description: Test number {n} of many that look alike.
  targets: [runtime]
  requires:
  - cgroup: {{controllers: [memory], swapLimit: true}}
  matrix:
    limit: [{}Mi]
  workloads:
    hog:
      container:
        image: plimsoll/probe
        args: [alloc, "--of-limit=200%", --then-exit=0]
        env: {{LIMIT: "${{matrix.limit}}"}}
        resources: {{limits: {{memory: "${{matrix.limit}}"}}}}
  steps:
  - start: [hog]
    eventually: {{within: 20s}}
    expect:
    - {{id: killed, on: hog, exit: {{code: 137, signal: SIGKILL, reason: OOMKilled}}}}
    - {{id: peak-bounded, on: hog, cgroup: {{memory.peak: {{lte: "${{matrix.limit}}"}}}}}}
  sabotage:
  - id: no-limit
    unset: [workloads.hog.container.resources.limits.memory]
    mustFail: [killed, peak-bounded]
"#,
        16 + n % 64
    )
}

fn main() -> std::io::Result<()> {
    let count = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let texts: Vec<_> = (0..count).map(spec).collect();
    let started = Instant::now();
    let mut faults = 0;
    for (n, text) in texts.iter().enumerate() {
        faults += spec::load(text, &format!("generated-{n}.yaml")).faults.len();
    }
    let took = started.elapsed();
    writeln!(
        std::io::stdout(),
        "{count} specs of {} bytes, {faults} faults, {took:.2?} on one thread",
        texts.first().map_or(0, String::len)
    )
}
