//! Pods from the request that makes them until the API server knows them no more, as a client sees it who asks.

use std::time::Instant;

use record::bench::Sample;
use serde_json::{Value, json};
use spec::benchmark::{Benchmark, Occupied, Pods as Load, Point};

use super::Sampler;
use super::site::{EVERY, PATIENCE, Shared, is, manifest};
use crate::observe::resident;
use crate::wait::{self, Waited};

/// Pods that are made again and again.
pub(super) struct Pods {
    site: Shared,
    count: u32,
    /// Samples so far: each has names of its own.
    taken: u32,
    is_sized: bool,
}

impl Pods {
    /// Makes them once.
    ///
    /// # Errors
    /// What the cluster did not do, in a sentence.
    pub(super) fn prepare(benchmark: &Benchmark, load: &Load, site: &Shared) -> Result<Self, String> {
        let mut pods = Self {
            site: site.clone(),
            count: load.count,
            taken: 0,
            is_sized: benchmark.measure.values().any(|measure| measure.size.is_some()),
        };
        match pods.take().failure {
            None => Ok(pods),
            Some(failure) => Err(failure),
        }
    }

    fn name(&self, number: u32) -> String {
        format!("sample-{}-{number}", self.taken)
    }

    fn run(&self, sample: &mut Sample) -> Result<(), String> {
        let site = self.site.borrow();
        let told = |error: kubernetes::Error| crate::chain(&error);
        let all = format!("/api/v1/namespaces/{}/pods", site.namespace());
        let label = format!("sample-{}", self.taken);
        let own = format!("{all}?labelSelector=app%3D{label}");
        let before = self.is_sized.then(resident::processes);
        let began = Instant::now();
        let mut at = |point: Point| {
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            sample.points.insert(point.name().into(), milliseconds);
        };
        at(Point::Apply);
        for number in 0..self.count {
            let pod = manifest(&self.name(number), &json!({"app": label}));
            site.client().post(&all, &pod).map_err(told)?;
        }
        at(Point::Accepted);
        let until = |what: &str, holds: &dyn Fn(&[Value]) -> bool| {
            let waited = wait::until(PATIENCE, EVERY, || {
                let pods = site.client().list(&own).map_err(told)?;
                holds(&pods).then_some(()).ok_or_else(|| state(&pods))
            });
            match waited {
                Waited::Done(()) => Ok(()),
                Waited::TimedOut { elapsed, last } => Err(format!("pods are not {what} after {elapsed:?}: {last}")),
            }
        };
        let count = self.count as usize;
        until("on a node", &|pods| {
            pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count() == count
        })?;
        at(Point::Scheduled);
        until("ready", &|pods| {
            pods.iter().filter(|pod| is(pod, "Ready")).count() == count
        })?;
        at(Point::Ready);
        if let Some(before) = before {
            let size = resident::since(&before) / f64::from(self.count);
            sample.sizes.insert(Occupied::Resident.name().into(), size);
        }
        let mut at = |point: Point| {
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            sample.points.insert(point.name().into(), milliseconds);
        };
        at(Point::Remove);
        for number in 0..self.count {
            let path = format!("{all}/{}", self.name(number));
            site.client()
                .delete(&path, &json!({"gracePeriodSeconds": 0}))
                .map_err(told)?;
        }
        until("gone", &<[Value]>::is_empty)?;
        at(Point::Gone);
        Ok(())
    }
}

impl Sampler for Pods {
    fn take(&mut self) -> Sample {
        let mut sample = Sample::default();
        self.taken += 1;
        if let Err(failure) = self.run(&mut sample) {
            sample.failure = Some(failure);
            let site = self.site.borrow();
            for number in 0..self.count {
                let path = format!("/api/v1/namespaces/{}/pods/{}", site.namespace(), self.name(number));
                // What is not there need not be removed.
                let _gone = site.client().delete(&path, &json!({"gracePeriodSeconds": 0}));
            }
        }
        sample
    }
}

/// What pods say of themselves, in short.
fn state(pods: &[Value]) -> String {
    let told = pods.iter().map(|pod| {
        let phase = pod
            .pointer("/status/phase")
            .and_then(Value::as_str)
            .unwrap_or("Unknown");
        let node = pod["spec"]["nodeName"].as_str().unwrap_or("no node");
        format!("{phase} on {node}")
    });
    told.collect::<Vec<_>>().join(", ")
}
