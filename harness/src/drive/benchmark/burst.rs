//! Starts beside each other: all at once, or one or several each so often, whether those before have ended or not.

use std::time::{Duration, Instant};

use record::bench::Sample;

use super::plant::Delays;
use super::start::{Around, Start, reap};
use crate::drive::World;

/// Threads begin to wait within this.
const HEAD_START: Duration = Duration::from_millis(5);

/// Containers that are started beside each other.
pub(super) struct Burst {
    /// One at least.
    starts: Vec<Start>,
    every: Duration,
    at_once: u32,
}

impl Burst {
    /// Of these, so many each `every`; if that is nothing, all at once.
    pub(super) fn new(starts: Vec<Start>, every: Duration, at_once: u32) -> Self {
        Self { starts, every, at_once }
    }

    /// Plants these waits into the next samples.
    pub(super) fn slow_down(&mut self, delays: Delays) {
        self.starts.iter_mut().for_each(|start| start.slow_down(delays));
    }

    /// A sample of each, in the order in which they should begin. The time of each runs from when it should begin: one that
    /// began late because the machine was busy took longer.
    pub(super) fn take(&mut self, world: &mut World<'_>) -> Vec<Sample> {
        if let [only] = self.starts.as_mut_slice() {
            return vec![only.take(world)];
        }
        let around = Around::of(world);
        let first = Instant::now() + HEAD_START;
        let (every, at_once) = (self.every, self.at_once.max(1));
        let intended = (0..).map(|number: u32| first + every * (number / at_once));
        let samples: Vec<Sample> = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .starts
                .iter_mut()
                .zip(intended)
                .map(|(start, at)| scope.spawn(move || start.take_at(around, Some(at))))
                .collect();
            let lost = |_| Sample {
                failure: Some("the harness lost the thread that took it".into()),
                ..Sample::default()
            };
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(lost))
                .collect()
        });
        // Nobody waits for a child any more.
        if samples.iter().any(|sample| sample.failure.is_some()) {
            reap();
        }
        samples
    }
}
