//! Runs that are put together from the windows of recorded ones.
//!
//! Windows of one run depend on each other: what one used too much the next has less of, and load comes and goes. So not
//! single windows are drawn but blocks of neighbours. What no recorded run met, no resampled one meets.

use record::samples::{Conditions, SamplePlan};
use record::{Seen, Verdict};
use spec::Check;
use statistics::chance::Chance;

use super::Drawn;

/// Windows in a block: what a run draws before its first judgement.
const BLOCK: usize = 4;

/// Verdicts of `count` resampled runs. None where no recorded run has samples that were drawn by a plan.
#[must_use]
pub fn resample(recorded: &[&Drawn], count: usize, chance: &mut Chance) -> Vec<Verdict> {
    let runs: Vec<(&Check, Run<'_>)> = recorded
        .iter()
        .filter_map(|drawn| Some((&drawn.check, Run::of(drawn.seen.as_ref()?)?)))
        .collect();
    if runs.is_empty() {
        return Vec::new();
    }
    (0..count)
        .map(|_| {
            let (check, first) = &runs[chance.below(runs.len())];
            let most = usize::try_from(first.plan.max_count).unwrap_or(usize::MAX);
            let (mut values, mut conditions) = (Vec::new(), Vec::new());
            while values.len() < most {
                let run = &runs[chance.below(runs.len())].1;
                let from = chance.below(run.values.len());
                for at in (from..run.values.len()).take(BLOCK.min(most - values.len())) {
                    values.push(run.values[at]);
                    conditions.extend(run.conditions.get(at).cloned());
                }
            }
            // All that could be drawn is there; the judge stops at the look that decides.
            let seen = Seen::Samples {
                values,
                unit: first.unit.to_owned(),
                complete: true,
                plan: Some(first.plan),
                conditions,
            };
            harness::judge::check(check, &seen)
        })
        .collect()
}

struct Run<'r> {
    values: &'r [f64],
    conditions: &'r [Conditions],
    unit: &'r str,
    plan: SamplePlan,
}

impl<'r> Run<'r> {
    fn of(seen: &'r Seen) -> Option<Self> {
        let Seen::Samples {
            values,
            unit,
            plan: Some(plan),
            conditions,
            ..
        } = seen
        else {
            return None;
        };
        (!values.is_empty()).then_some(Self {
            values,
            conditions,
            unit,
            plan: *plan,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drawn(values: Vec<f64>) -> Drawn {
        let text = "
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: t}
spec:
  description: d
  targets: [runtime]
  workloads: {app: {container: {image: plimsoll/probe, args: [burn]}}}
  steps:
  - start: [app]
    sample: {id: s, on: app, metric: cpu.usage, window: 100ms, count: 4, maxCount: 12}
    expect: [{id: held, sample: s, mean: {approx: 20%, rel: 10%}}]
  sabotage: [{id: x, unset: [workloads.app.container.args], mustFail: [held]}]
";
        let loaded = spec::load(text, "t.yaml");
        assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
        let document = loaded.documents[0]
            .decode(&loaded.documents[0].variants()[0], None)
            .unwrap();
        let plan = serde_json::from_value(json!({"count": 4, "maxCount": 12, "window": 0.1})).unwrap();
        Drawn {
            check: document.spec.steps[0].expect[0].value.clone(),
            seen: Some(Seen::Samples {
                values,
                unit: "%".into(),
                complete: true,
                plan: Some(plan),
                conditions: vec![],
            }),
            verdict: Verdict::Error { message: String::new() },
        }
    }

    #[test]
    fn resampled_runs_are_judged_like_real_ones() {
        let (healthy, faulty) = (
            drawn(vec![0.199, 0.201, 0.2, 0.2]),
            drawn(vec![0.24, 0.241, 0.239, 0.24]),
        );
        let words = |of: &[&Drawn]| {
            let mut words: Vec<_> = resample(of, 50, &mut Chance::new(5))
                .iter()
                .map(Verdict::word)
                .collect();
            words.dedup();
            words
        };
        assert_eq!(words(&[&healthy]), ["pass"]);
        assert_eq!(words(&[&faulty]), ["fail"]);
        // Windows of both runs are mixed, and so most runs decide nothing.
        assert!(words(&[&healthy, &faulty]).contains(&"inconclusive"));
        assert!(words(&[]).is_empty());
    }
}
