//! What a sample spends its time with: the stretches between its points, at the medians of all samples.

use std::collections::BTreeMap;

use record::Event;
use record::bench::{Sample, number};
use statistics::quantile::quantile;

use super::super::markup::Page;
use super::axis::{self, Axis};
use super::{Arm, kind};

/// Width of the drawing in its own units, and the room for names to the left.
const WIDTH: (f64, f64) = (720.0, 190.0);

/// Height of a row.
const ROW: f64 = 18.0;

/// The samples that count and did not fail, by case.
pub(super) fn samples(events: &[Event]) -> BTreeMap<&str, Vec<&Sample>> {
    let mut all: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for event in events {
        if let Event::Sample(sample) = event
            && !sample.warmup
            && sample.arm.is_none()
            && sample.failure.is_none()
        {
            all.entry(&sample.case).or_default().push(sample);
        }
    }
    all
}

/// A stretch between two neighbouring points.
struct Phase {
    name: String,
    from: f64,
    to: f64,
}

/// The phases of each subject below each other; nothing of what has no points.
pub(super) fn waterfall(page: &mut Page, arms: &[Arm<'_>], samples: &BTreeMap<&str, Vec<&Sample>>) {
    let all: Vec<(usize, &Arm<'_>, Vec<Phase>)> = arms
        .iter()
        .enumerate()
        .filter_map(|(n, arm)| {
            let phases = phases(samples.get(arm.case)?);
            (!phases.is_empty()).then_some((n, arm, phases))
        })
        .collect();
    let ends = all
        .iter()
        .flat_map(|(_, _, phases)| phases.iter().map(|phase| phase.to));
    let Some(axis) = Axis::of(ends.chain([0.0]), (WIDTH.1, WIDTH.0 - 12.0)) else {
        return;
    };
    let rows: usize = all.iter().map(|(_, _, phases)| phases.len() + 1).sum();
    let bottom = 4.0 + ROW * rows as f64;
    page.raw("<figure><figcaption>Phases: medians of the times at which each point was reached, since the first</figcaption>\n");
    let told = "when each phase begins and ends; the titles of the bars have the numbers";
    axis::begin(page, (WIDTH.0, bottom + 22.0), told);
    axis.draw_below(page, 2.0, bottom, "ms");
    let mut y = 4.0;
    for (n, arm, phases) in &all {
        axis::text(page, (4.0, y + 13.0), "start", arm.subject);
        y += ROW;
        for phase in phases {
            axis::text(page, (WIDTH.1 - 6.0, y + 13.0), "end", &phase.name);
            let left = axis.at(phase.from);
            let place = [left, y + 3.0, (axis.at(phase.to) - left).max(1.0), ROW - 6.0];
            let [x, top, width, height] = place.map(|place| format!("{place:.1}"));
            page.open(
                "rect",
                &[
                    ("class", &format!("phase {}", kind(*n))),
                    ("x", &x),
                    ("y", &top),
                    ("width", &width),
                    ("height", &height),
                ],
            );
            let took = number(Some(phase.to - phase.from));
            let (from, to) = (number(Some(phase.from)), number(Some(phase.to)));
            page.element("title", &[], &format!("{}: {took} ms, from {from} to {to}", phase.name));
            page.raw("</rect>");
            y += ROW;
        }
    }
    page.raw("</svg>\n</figure>\n");
}

/// The stretches between points, in the order in which they are reached.
fn phases(samples: &[&Sample]) -> Vec<Phase> {
    let mut reached: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        for (point, at) in &sample.points {
            reached.entry(point).or_default().push(*at);
        }
    }
    let medians = reached
        .iter()
        .filter_map(|(point, at)| Some((*point, quantile(at, 0.5)?)));
    let mut medians: Vec<(&str, f64)> = medians.collect();
    medians.sort_by(|one, other| one.1.total_cmp(&other.1));
    let neighbours = medians.windows(2);
    neighbours
        .map(|pair| Phase {
            name: format!("{} → {}", pair[0].0, pair[1].0),
            from: pair[0].1,
            to: pair[1].1,
        })
        .collect()
}
