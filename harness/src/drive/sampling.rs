//! Samples: a counter's growth over one window after another, read from the kernel.

use std::time::{Duration, Instant};

use record::Seen;
use record::samples::{Conditions, SamplePlan};
use spec::Step;
use spec::step::{Metric, Sample};

use super::bandwidth::{self, Follower, Meter, Watched};
use super::{Stuck, World};
use crate::judge;
use crate::observe::cgroup;
use crate::observe::load::{Load, meanwhile};

impl World<'_> {
    /// Draws until the checks of the step are decided, or there is no more to draw.
    pub(super) fn draw(&mut self, sample: &Sample, step: &Step) -> Result<(), Stuck> {
        let most = sample.max_count.unwrap_or(sample.count).max(sample.count);
        if let Some(settle) = sample.settle {
            self.pause_until(Instant::now() + settle.0);
        }
        let container = self.containers.get(&sample.on.value);
        let plan = SamplePlan {
            count: sample.count.into(),
            max_count: most.into(),
            window: sample.window.0.as_secs_f64(),
            asked: container.and_then(|c| bandwidth::asked(&c.bundle)),
        };
        let (mut values, mut conditions) = (Vec::new(), Vec::new());
        let mut windows = self.windows(sample)?;
        loop {
            let (value, meanwhile) = self.next_window(&mut windows, sample)?;
            values.push(value);
            conditions.push(meanwhile);
            let drawn = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let mut complete = drawn >= most;
            if !complete && drawn >= sample.count {
                self.keep(sample, &values, &conditions, plan, false);
                let seen = self.look(None, &step.expect);
                complete = !judge::wants_more_samples(step.expect.iter().map(|c| &c.value), &seen);
            }
            if complete {
                self.keep(sample, &values, &conditions, plan, true);
                return Ok(());
            }
        }
    }

    fn keep(&mut self, sample: &Sample, values: &[f64], conditions: &[Conditions], plan: SamplePlan, complete: bool) {
        let unit = match (sample.metric, &sample.relative_to) {
            (_, Some(_)) => "ratio",
            (Metric::CpuUsage, None) => "%",
            (Metric::MemoryUsage, None) => "bytes",
            (Metric::PidsCurrent, None) => "tasks",
            (Metric::IoReadRate | Metric::IoWriteRate, None) => "bytes/s",
        };
        let seen = Seen::Samples {
            values: values.to_vec(),
            unit: unit.into(),
            complete,
            plan: Some(plan),
            conditions: conditions.to_vec(),
        };
        self.samples.insert(sample.id.value.clone(), seen);
    }

    /// Begins the first window: with a period of the container's quota, if it has one and its CPU usage is sampled.
    fn windows(&mut self, sample: &Sample) -> Result<Windows, Stuck> {
        let mut follower = None;
        if sample.metric == Metric::CpuUsage && sample.relative_to.is_none() {
            // Whoever looks in time sees where a period begins. A kernel that knows nothing of it lets one look later.
            let _as_before = sys::slice::request(100_000);
            // A container that does not run is told by the first reading.
            let init = self
                .containers
                .get(&sample.on.value)
                .and_then(|container| container.init.as_ref());
            if let Some(meter) = init.and_then(|init| Meter::of(&init.groups)) {
                let begun = Follower::begin(meter, &mut |until| self.pause_until(until));
                follower = Some(begun.map_err(|error| self.unreadable(sample, &error))?);
            }
        }
        let before = self.reading(sample)?;
        Ok(Windows {
            due: before.at,
            before,
            load: Load::read(),
            follower,
        })
    }

    /// The value of the next window, and what went on in it.
    fn next_window(&mut self, windows: &mut Windows, sample: &Sample) -> Result<(f64, Conditions), Stuck> {
        let watched = match &mut windows.follower {
            Some(follower) => {
                let watched = follower.window(sample.window.0, &mut |until| self.pause_until(until));
                Some(watched.map_err(|error| self.unreadable(sample, &error))?)
            }
            None => {
                windows.due += sample.window.0;
                self.pause_until(windows.due);
                None
            }
        };
        let (before, after) = (windows.before, self.reading(sample)?);
        let load = Load::read();
        let mut conditions = Conditions {
            t0: self.since_start(before.at),
            t1: self.since_start(after.at),
            // Beside a second container of the case, nobody can say what the others used.
            usage: (sample.metric == Metric::CpuUsage && before.other.is_none()).then_some(after.own - before.own),
            ..meanwhile(&windows.load, &load)
        };
        (windows.before, windows.load) = (after, load);
        let Some(watched) = watched else {
            return Ok((between(sample, before, after)?, conditions));
        };
        let Watched {
            from,
            to,
            usage,
            aligned,
            bandwidth,
        } = watched;
        (conditions.t0, conditions.t1) = (self.since_start(from), self.since_start(to));
        let usage = usage as f64 / 1e9;
        conditions.usage = Some(usage);
        conditions.aligned = aligned;
        conditions.bandwidth = Some(bandwidth);
        let seconds = to.duration_since(from).max(Duration::from_nanos(1)).as_secs_f64();
        Ok((usage / seconds, conditions))
    }

    fn unreadable(&mut self, sample: &Sample, error: &std::io::Error) -> Stuck {
        let name = &sample.on.value;
        let init = self.containers.get_mut(name).and_then(|c| c.init.as_mut());
        if init.is_some_and(|init| !init.alive()) {
            Stuck::Subject(format!("`{name}` ended while it was sampled"))
        } else {
            Stuck::Host(format!("failed to read the CPU counters of `{name}`: {error}"))
        }
    }

    /// Milliseconds since the run began.
    fn since_start(&self, instant: Instant) -> f64 {
        self.now() - instant.elapsed().as_secs_f64() * 1e3
    }

    fn reading(&mut self, sample: &Sample) -> Result<Reading, Stuck> {
        let own = self.metric(&sample.on.value, sample.metric)?;
        let other = match &sample.relative_to {
            Some(other) => Some(self.metric(&other.value, sample.metric)?),
            None => None,
        };
        Ok(Reading {
            at: Instant::now(),
            own,
            other,
        })
    }

    fn metric(&mut self, name: &str, metric: Metric) -> Result<f64, Stuck> {
        let init = self.containers.get_mut(name).and_then(|c| c.init.as_mut());
        let init = init.ok_or_else(|| Stuck::Subject(format!("`{name}` does not run: nothing can be sampled")))?;
        if !init.alive() {
            return Err(Stuck::Subject(format!("`{name}` ended while it was sampled")));
        }
        let key = match metric {
            Metric::CpuUsage => "cpu.usage",
            Metric::MemoryUsage => "memory.current",
            Metric::PidsCurrent => "pids.current",
            Metric::IoWriteRate => "io.writeBytes",
            Metric::IoReadRate => "io.readBytes",
        };
        // Times are seconds; a share of one CPU is seconds of CPU time a second.
        let number = cgroup::number(&init.groups, key);
        number.ok_or_else(|| Stuck::Host(format!("there is no `{key}` for `{name}` on this host")))
    }
}

/// Where the sampling is between two windows.
#[derive(Debug)]
struct Windows {
    before: Reading,
    load: Load,
    due: Instant,
    follower: Option<Follower>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    own: f64,
    other: Option<f64>,
}

fn between(sample: &Sample, before: Reading, after: Reading) -> Result<f64, Stuck> {
    let counter = matches!(
        sample.metric,
        Metric::CpuUsage | Metric::IoReadRate | Metric::IoWriteRate
    );
    let own = if counter { after.own - before.own } else { after.own };
    match (before.other, after.other) {
        (Some(first), Some(last)) => {
            let other = if counter { last - first } else { last };
            if other > 0.0 {
                Ok(own / other)
            } else {
                Err(Stuck::Subject(
                    "the workload that is compared with did nothing in a window".into(),
                ))
            }
        }
        _ if counter => {
            let seconds = after
                .at
                .duration_since(before.at)
                .max(Duration::from_nanos(1))
                .as_secs_f64();
            Ok(own / seconds)
        }
        _ => Ok(own),
    }
}
