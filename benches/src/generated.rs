//! Specs by the thousand.

/// A spec that `plimsoll check` has nothing to say about, one of many.
#[must_use]
pub fn generated(number: usize) -> String {
    format!(
        "apiVersion: plimsoll.dev/v1
kind: Test
metadata:
  name: generated-{number}
  labels: {{area: isolation, number: \"{number}\"}}
spec:
  description: Container number {number} has namespaces of its own.
  targets: [runtime]
  requires:
  - namespaces: [mount]
  - root: true
  workloads:
    app:
      container:
        image: plimsoll/probe
        args: [sleep, \"{}\"]
  setup:
  - start: [app]
  steps:
  - exec: {{on: app, args: [/bin/cat, /proc/1/cgroup]}}
    expect:
    - {{id: runs, on: app, state: running}}
    - {{id: private, on: app, namespace: {{pid: {{differsFrom: host}}, net: {{differsFrom: host}}}}}}
    - {{id: told, output: {{stdout: {{contains: /}}}}}}
",
        number % 300 + 1
    )
}
