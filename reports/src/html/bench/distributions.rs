//! How the samples of a measure are distributed, subjects in one drawing: as cumulative functions, in which each sample is a
//! step, and as densities, in which it is seen whether there are several humps.

use statistics::density::Density;
use statistics::ecdf::Ecdf;

use super::super::markup::Page;
use super::axis::{self, Axis};
use super::{Arm, kind};

/// Width of both drawings in their own units, and the height of the first.
const SIZE: (f64, f64) = (520.0, 170.0);

/// Room for the labels to the left.
const LEFT: f64 = 44.0;

/// Height of one density, and of the name above it.
const LANE: f64 = 54.0;
const NAME: f64 = 14.0;

/// Points of one side of a density.
const POINTS: usize = 60;

/// Both drawings of a measure.
pub(super) fn distributions(page: &mut Page, arms: &[Arm<'_>], unit: &str) {
    let all = || arms.iter().flat_map(|arm| arm.finite.iter().copied());
    let Some(axis) = Axis::of(all(), (LEFT, SIZE.0 - 12.0)) else {
        return;
    };
    page.raw("<div class=\"pair\">\n<figure><figcaption>Share of samples that are at most so much</figcaption>\n");
    cumulative(page, arms, &axis, unit);
    page.raw(
        "</figure>\n<figure><figcaption>Density, with the middle half of the samples and their median</figcaption>\n",
    );
    densities(page, arms, &axis, unit);
    page.raw("</figure>\n</div>\n");
}

fn cumulative(page: &mut Page, arms: &[Arm<'_>], axis: &Axis, unit: &str) {
    let bottom = SIZE.1 - 22.0;
    let y = |share: f64| 8.0 + (bottom - 8.0) * (1.0 - share);
    let told: Vec<String> = arms.iter().map(Arm::told).collect();
    axis::begin(page, SIZE, &format!("cumulative distributions: {}", told.join("; ")));
    axis.draw_below(page, y(1.0), bottom, unit);
    for (share, name) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        axis::line(page, "grid", (LEFT, y(share)), (SIZE.0 - 12.0, y(share)));
        axis::text(page, (LEFT - 4.0, y(share) + 4.0), "end", name);
    }
    for (n, arm) in arms.iter().enumerate() {
        // What failed is slower than all others: the curve then ends below its top.
        let share_of_all = arm.finite.len() as f64 / arm.count.max(1) as f64;
        let mut path = String::new();
        for (value, share) in Ecdf::of(&arm.finite).steps() {
            if path.is_empty() {
                path = format!("M{:.1} {:.1}", axis.at(value), y(0.0));
            }
            path.push_str(&format!("H{:.1}V{:.1}", axis.at(value), y(share * share_of_all)));
        }
        page.open("path", &[("class", &format!("curve {}", kind(n))), ("d", &path)]);
        page.element("title", &[], &arm.told());
        page.raw("</path>");
    }
    page.raw("</svg>\n");
}

fn densities(page: &mut Page, arms: &[Arm<'_>], axis: &Axis, unit: &str) {
    let bottom = 8.0 + LANE * arms.len() as f64;
    let told: Vec<String> = arms.iter().map(Arm::told).collect();
    axis::begin(
        page,
        (SIZE.0, bottom + 22.0),
        &format!("densities: {}", told.join("; ")),
    );
    axis.draw_below(page, 4.0, bottom, unit);
    for (n, arm) in arms.iter().enumerate() {
        let top = 4.0 + LANE * n as f64;
        let middle = top + NAME + (LANE - NAME) / 2.0;
        violin(page, arm, axis, middle, kind(n));
        axis::text(page, (LEFT, top + 10.0), "start", arm.subject);
    }
    page.raw("</svg>\n");
}

fn violin(page: &mut Page, arm: &Arm<'_>, axis: &Axis, middle: f64, kind: &str) {
    let ecdf = Ecdf::of(&arm.finite);
    let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| ecdf.quantile(share));
    let [Some(least), Some(lower), Some(median), Some(upper), Some(most)] = quantiles else {
        return;
    };
    if let Some(density) = Density::of(&arm.finite) {
        let value = |n: usize| least + (most - least) * n as f64 / POINTS as f64;
        let heights: Vec<f64> = (0..=POINTS).map(|n| density.at(value(n))).collect();
        let highest = heights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let half = |n: usize| heights[n] / highest * ((LANE - NAME) / 2.0 - 2.0);
        let above = (0..=POINTS).map(|n| (axis.at(value(n)), middle - half(n)));
        let below = (0..=POINTS).rev().map(|n| (axis.at(value(n)), middle + half(n)));
        let mut path = String::new();
        for (n, (x, y)) in above.chain(below).enumerate() {
            path.push_str(&format!("{}{x:.1} {y:.1}", if n == 0 { 'M' } else { 'L' }));
        }
        path.push('Z');
        page.open("path", &[("class", &format!("violin {kind}")), ("d", &path)]);
        page.element("title", &[], &arm.told());
        page.raw("</path>");
    }
    axis::line(
        page,
        &format!("half {kind}"),
        (axis.at(lower), middle),
        (axis.at(upper), middle),
    );
    axis::line(
        page,
        "median",
        (axis.at(median), middle - 8.0),
        (axis.at(median), middle + 8.0),
    );
}
