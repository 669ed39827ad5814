//! The slowdown that a gate plants into an arm of the reference, to see whether it would be caught.
//!
//! It is real time, spent awake before each command of the runtime while the clock runs: a share of what the reference usually
//! takes from there to the next point. So whatever is measured around a command is slower by that share.

use std::collections::VecDeque;
use std::time::Duration;

use record::bench::Sample;
use spec::benchmark::Point;
use statistics::gate::planted;
use statistics::quantile::quantile;

/// Samples of the reference that are remembered.
const REMEMBERED: usize = 101;

/// The commands of the runtime, each from where it is called to what it is there for.
const PHASES: [(Point, Point); 4] = [
    (Point::Create, Point::Start),
    (Point::Start, Point::FirstByte),
    (Point::Exec, Point::Execed),
    (Point::Exit, Point::Deleted),
];

/// Waits before the commands of a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Delays {
    /// Before `create`.
    pub(super) create: Duration,
    /// Before `start`.
    pub(super) start: Duration,
    /// Before `exec`.
    pub(super) exec: Duration,
    /// Before `delete`.
    pub(super) delete: Duration,
}

/// What the reference usually takes, milliseconds.
#[derive(Debug, Default)]
pub(super) struct Plant {
    phases: [VecDeque<f64>; 4],
}

impl Plant {
    /// Takes a sample of the reference itself.
    pub(super) fn remember(&mut self, sample: &Sample) {
        for (phase, (from, to)) in self.phases.iter_mut().zip(PHASES) {
            let at = |point: Point| sample.points.get(point.name());
            if let (Some(from), Some(to)) = (at(from), at(to)) {
                phase.push_back(to - from);
                if phase.len() > REMEMBERED {
                    phase.pop_front();
                }
            }
        }
    }

    /// What is planted where `tolerated` is tolerated, a share of the reference.
    pub(super) fn delays(&mut self, tolerated: f64) -> Delays {
        let [create, start, exec, delete] = self.phases.each_mut().map(|phase| {
            let usual = quantile(phase.make_contiguous(), 0.5).unwrap_or_default();
            Duration::try_from_secs_f64(usual / 1e3 * planted(tolerated)).unwrap_or_default()
        });
        Delays {
            create,
            start,
            exec,
            delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_slowed_by_a_share_of_its_own_usual_time() {
        let mut plant = Plant::default();
        assert_eq!(plant.delays(0.02), Delays::default());
        for slower in [1.0, 1.0, 9.0] {
            let points = [
                ("create", 0.0),
                ("start", 20.0),
                ("firstByte", 24.0),
                ("exit", 25.0),
                ("deleted", 33.0),
            ];
            plant.remember(&Sample {
                points: points.map(|(name, at)| (name.to_owned(), at * slower)).into(),
                ..Sample::default()
            });
        }
        let close = |found: Duration, micros: u64| found.as_micros().abs_diff(u128::from(micros)) <= 1;
        let delays = plant.delays(0.02);
        assert!(
            close(delays.create, 1000) && close(delays.start, 200) && close(delays.delete, 400),
            "{delays:?}"
        );
        assert!(close(plant.delays(0.07).create, 2000));
    }
}
