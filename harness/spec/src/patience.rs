//! More time for the same test, where a machine is slow.

use crate::{Span, Target, Test, Window};

/// Unless told, a whole case may take so long.
pub const CASE: Span = Span(std::time::Duration::from_secs(60));

/// Unless told, a command of the subject may take so long.
pub const COMMAND: Span = Span(std::time::Duration::from_secs(10));

/// Unless told, removing what a case made may take so long.
const TEARDOWN: Span = Span(std::time::Duration::from_secs(10));

/// As [`TEARDOWN`], in a cluster: pods have 30 s to end unless they say otherwise (`terminationGracePeriodSeconds`).
const TEARDOWN_CLUSTER: Span = Span(std::time::Duration::from_secs(60));

impl Test {
    /// How long removing what a case made may take.
    pub fn teardown(&self) -> Span {
        let is_for_cluster = self.targets.iter().any(|target| target.value == Target::Cluster);
        let unless_told = if is_for_cluster { TEARDOWN_CLUSTER } else { TEARDOWN };
        self.timeouts.teardown.unwrap_or(unless_told)
    }

    /// Multiplies every bound of time: those of the test, and what `eventually` allows. What is sampled or must hold
    /// throughout (`consistently`) stays as long as it is.
    pub fn wait_longer(&mut self, times: u32) {
        let longer = |span: Span| Span(span.0.saturating_mul(times));
        let teardown = self.teardown();
        let bounds = &mut self.timeouts;
        bounds.test = Some(longer(bounds.test.unwrap_or(CASE)));
        bounds.step = Some(longer(bounds.step.unwrap_or(COMMAND)));
        bounds.teardown = Some(longer(teardown));
        bounds.setup = bounds.setup.map(longer);
        let phases = [
            &mut self.setup,
            &mut self.steps,
            &mut self.teardown,
            &mut self.on_failure,
        ];
        for step in phases.into_iter().flatten() {
            if let Window::Eventually { within, .. } = &mut step.value.window {
                *within = longer(*within);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Span, Window, load};

    const SPEC: &str = "
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: t}
spec:
  description: d
  targets: [host]
  timeouts: {test: 20s}
  steps:
  - script: {run: ls}
    eventually: {within: 1s, every: 20ms}
    expect: [{id: a, on: host, file: {path: /dev/null, type: character}}]
  - script: {run: ls}
    consistently: {for: 1s, every: 20ms}
    expect: [{id: b, on: host, file: {path: /dev/null, type: character}}]
";

    #[test]
    fn bounds_grow_and_what_must_hold_throughout_does_not() {
        let loaded = load(SPEC, "t.yaml");
        let written = &loaded.documents[0];
        let mut test = written.decode(&written.variants()[0], None).unwrap().spec;
        test.wait_longer(3);
        let seconds = |n| Span(Duration::from_secs(n));
        assert_eq!(test.timeouts.test, Some(seconds(60)));
        assert_eq!(test.timeouts.step, Some(seconds(30)));
        assert_eq!(test.timeouts.teardown, Some(seconds(30)));
        let every = Span(Duration::from_millis(20));
        let windows: Vec<Window> = test.steps.iter().map(|step| step.value.window).collect();
        let (within, lasting) = (seconds(3), seconds(1));
        assert_eq!(
            windows,
            [
                Window::Eventually { within, every },
                Window::Consistently { lasting, every }
            ]
        );
    }
}
