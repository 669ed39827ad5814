//! What a figure was in earlier runs, and where it changed.

use record::bench::number;

use super::super::markup::Page;
use super::axis::{self, Axis};
use crate::past::Past;

/// Size of the drawing in its own units, and the room to the left and below.
const SIZE: (f64, f64) = (720.0, 150.0);
const LEFT: f64 = 56.0;
const BELOW: f64 = 22.0;

/// More runs are not drawn: they could not be told apart.
const MOST: usize = 200;

/// One course; `run` is the one that the page is about.
pub(super) fn course(page: &mut Page, past: &Past, run: &str) {
    let skipped = past.points.len().saturating_sub(MOST);
    let points = &past.points[skipped..];
    let ends = points
        .iter()
        .flat_map(|point| [point.value, point.low, point.high])
        .flatten();
    let Some(axis) = Axis::of(ends, (SIZE.1 - BELOW, 8.0)) else {
        return;
    };
    let right = SIZE.0 - 12.0;
    let step = (right - LEFT) / points.len() as f64;
    let x = |n: usize| LEFT + step * (n as f64 + 0.5);
    let told = format!(
        "{}.{} of {}, {}: {} runs",
        past.measure,
        past.figure,
        past.case,
        past.unit,
        points.len()
    );
    page.raw("<figure><figcaption>");
    page.text(&told);
    page.raw("</figcaption>\n");
    axis::begin(page, SIZE, &told);
    axis.draw_beside(page, LEFT, right);
    for change in past.changes.iter().filter(|change| change.at >= skipped) {
        let border = LEFT + step * (change.at - skipped) as f64;
        let kind = if change.worse { "fail" } else { "pass" };
        axis::line(page, &format!("change {kind}"), (border, 4.0), (border, SIZE.1 - BELOW));
    }
    for (n, point) in points.iter().enumerate() {
        let (Some(value), at) = (point.value, x(n)) else {
            axis::text(page, (x(n), 14.0), "middle", "×");
            continue;
        };
        if let Some((low, high)) = point.low.zip(point.high) {
            axis::line(page, "whisker", (at, axis.at(low)), (at, axis.at(high)));
        }
        let [cx, cy] = [at, axis.at(value)].map(|place| format!("{place:.1}"));
        let is_own = point.run == run;
        let (class, radius) = if is_own { ("own", "4.5") } else { ("step", "3") };
        page.open("circle", &[("class", class), ("cx", &cx), ("cy", &cy), ("r", radius)]);
        let named = format!(
            "run {}, {}: {} {}",
            point.run,
            point.started,
            number(Some(value)),
            past.unit
        );
        page.element("title", &[], &named);
        page.raw("</circle>");
    }
    for (at, anchor) in [(0, "start"), (points.len() - 1, "end")] {
        let place = if at == 0 { LEFT } else { right };
        axis::text(page, (place, SIZE.1 - 6.0), anchor, &points[at].started);
    }
    page.raw("</svg>\n");
    if !past.changes.is_empty() {
        page.raw("<ul class=\"changes\">\n");
        for change in &past.changes {
            page.element(
                "li",
                &[("class", if change.worse { "fail" } else { "pass" })],
                &change.told,
            );
            page.raw("\n");
        }
        page.raw("</ul>\n");
    }
    page.raw("</figure>\n");
}
