//! Floors in the rounds of a benchmark.

use std::path::Path;

use record::Event;
use record::bench::FloorSample;
use spec::benchmark::Floor;

use crate::floor::{self, Floors};
use crate::guard::{HOME, Home, Job};

/// The floors that take turns with cases.
pub(super) struct InTurns {
    floors: Floors,
    test: String,
    /// Those that can be measured.
    pub(super) asked: Vec<Floor>,
}

impl InTurns {
    /// Measures each of them once. What cannot be measured is told with the reason, and left out.
    pub(super) fn ready(job: &Job, home: &Home, asked: &[Floor], emit: &mut dyn FnMut(Event)) -> Option<Self> {
        if asked.is_empty() {
            return None;
        }
        let (home_of, image) = (format!("{HOME}/floor"), format!("{HOME}/image"));
        let hierarchies = home.cgroups.iter().map(|mounted| mounted.mount.clone()).collect();
        let test = job.case.header.test.clone();
        let refused = |floor: Floor, error: &floor::Error| {
            Event::Floor(Box::new(FloorSample {
                test: test.clone(),
                floor: floor.name().into(),
                warmup: true,
                unit: floor::unit(floor).into(),
                failure: Some(crate::chain(error)),
                ..FloorSample::default()
            }))
        };
        let mut floors = match Floors::new(Path::new(&home_of), Path::new(&image), hierarchies) {
            Ok(floors) => floors,
            Err(error) => {
                asked.iter().for_each(|floor| emit(refused(*floor, &error)));
                return None;
            }
        };
        let mut can = Vec::new();
        for floor in asked {
            match floors.take(*floor) {
                Ok(_) => can.push(*floor),
                Err(error) => emit(refused(*floor, &error)),
            }
        }
        Some(Self {
            floors,
            test,
            asked: can,
        })
    }

    /// One sample of a floor. One that fails now did not before; it is a sample without a value.
    pub(super) fn take(&mut self, floor: Floor, round: u64, warmup: bool) -> FloorSample {
        let mut sample = FloorSample {
            test: self.test.clone(),
            floor: floor.name().into(),
            round,
            warmup,
            unit: floor::unit(floor).into(),
            ..FloorSample::default()
        };
        match self.floors.take(floor) {
            Ok(values) => sample.values = values,
            Err(error) => sample.failure = Some(crate::chain(&error)),
        }
        sample
    }
}
