//! Samples: a counter's growth over one window after another, read from the kernel.

use std::time::{Duration, Instant};

use record::Seen;
use spec::Step;
use spec::step::{Metric, Sample};

use super::{Stuck, World};
use crate::judge;
use crate::observe::cgroup;

impl World<'_> {
    /// Draws until the checks of the step are decided, or there is no more to draw.
    pub(super) fn draw(&mut self, sample: &Sample, step: &Step) -> Result<(), Stuck> {
        let most = sample.max_count.unwrap_or(sample.count).max(sample.count);
        if let Some(settle) = sample.settle {
            self.pause_until(Instant::now() + settle.0);
        }
        let unit = match (sample.metric, &sample.relative_to) {
            (_, Some(_)) => "ratio",
            (Metric::CpuUsage, None) => "%",
            (Metric::MemoryUsage, None) => "bytes",
            (Metric::PidsCurrent, None) => "tasks",
            (Metric::IoReadRate | Metric::IoWriteRate, None) => "bytes/s",
        };
        let mut values = Vec::new();
        let mut before = self.reading(sample)?;
        let mut due = Instant::now();
        loop {
            due += sample.window.0;
            self.pause_until(due);
            let after = self.reading(sample)?;
            values.push(between(sample, before, after)?);
            before = after;
            let drawn = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let complete = drawn >= most;
            let seen = Seen::Samples {
                values: values.clone(),
                unit: unit.into(),
                complete,
            };
            self.samples.insert(sample.id.value.clone(), seen);
            if complete {
                return Ok(());
            }
            if drawn >= sample.count {
                let seen = self.look(&step.expect);
                if !judge::wants_more_samples(step.expect.iter().map(|c| &c.value), &seen) {
                    let seen = Seen::Samples {
                        values,
                        unit: unit.into(),
                        complete: true,
                    };
                    self.samples.insert(sample.id.value.clone(), seen);
                    return Ok(());
                }
            }
        }
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
