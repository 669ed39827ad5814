//! Axes of drawings: what a value is in their own units, and at which values a line helps.

use record::bench::number;

use super::super::markup::Page;

/// Most lines of an axis.
const LINES: f64 = 6.0;

/// A stretch of values along a stretch of a drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    values: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    /// From the least of values to the most of them, with a little room. None without two that differ.
    pub(super) fn of(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let (least, most) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let room = (most - least) * 0.04;
        (most > least).then_some(Self {
            values: (least - room, most + room),
            places,
        })
    }

    /// Where a value is; what is beyond the axis is at its end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (from, to) = self.values;
        let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// Round values that lie on it: multiples of one, two or five.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let (from, to) = self.values;
        let raw = (to - from) / LINES;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= raw).unwrap_or(power * 10.0);
        let first = (from / step).ceil() as i64;
        let last = (to / step).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }

    /// Vertical lines at round values from `top` to `bottom`, with the values below them and the unit at the last.
    pub(super) fn draw_below(&self, page: &mut Page, top: f64, bottom: f64, unit: &str) {
        let ticks = self.ticks();
        for (n, tick) in ticks.iter().enumerate() {
            let x = self.at(*tick);
            line(page, "grid", (x, top), (x, bottom));
            let unit = if n + 1 == ticks.len() {
                format!(" {unit}")
            } else {
                String::new()
            };
            text(page, (x, bottom + 13.0), "middle", &format!("{}{unit}", round(*tick)));
        }
    }

    /// Horizontal lines at round values from `left` to `right`, with the values beside them.
    pub(super) fn draw_beside(&self, page: &mut Page, left: f64, right: f64) {
        for tick in self.ticks() {
            let y = self.at(tick);
            line(page, "grid", (left, y), (right, y));
            text(page, (left - 4.0, y + 4.0), "end", &round(tick));
        }
    }
}

/// A round value without the digits that say nothing.
fn round(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.len() > 9 || (value != 0.0 && text == "0") {
        number(Some(value))
    } else {
        text.to_owned()
    }
}

pub(super) fn line(page: &mut Page, class: &str, from: (f64, f64), to: (f64, f64)) {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(|place| format!("{place:.1}"));
    page.open(
        "line",
        &[("class", class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)],
    );
    page.raw("</line>");
}

pub(super) fn text(page: &mut Page, at: (f64, f64), anchor: &str, text: &str) {
    let [x, y] = [at.0, at.1].map(|place| format!("{place:.1}"));
    page.element("text", &[("x", &x), ("y", &y), ("text-anchor", anchor)], text);
}

/// Begins a drawing. What it shows is told in words, too.
pub(super) fn begin(page: &mut Page, size: (f64, f64), told: &str) {
    let view = format!("0 0 {} {}", size.0, size.1);
    page.open(
        "svg",
        &[
            ("class", "plot"),
            ("viewBox", &view),
            ("role", "img"),
            ("aria-label", told),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_values_on_it() {
        let axis = Axis::of([3.0, 17.0, f64::INFINITY].into_iter(), (0.0, 100.0)).unwrap();
        assert_eq!(axis.ticks(), [5.0, 10.0, 15.0]);
        assert!(axis.at(3.0) > 0.0 && axis.at(17.0) < 100.0);
        assert_eq!((axis.at(-100.0), axis.at(1e9)), (0.0, 100.0));
        let axis = Axis::of([0.001, 0.002].into_iter(), (100.0, 0.0)).unwrap();
        assert!(axis.at(0.001) > axis.at(0.002));
        assert!(axis.ticks().len() >= 3, "{:?}", axis.ticks());
        assert_eq!(Axis::of([1.0, 1.0].into_iter(), (0.0, 1.0)), None);
        assert_eq!(Axis::of(std::iter::empty(), (0.0, 1.0)), None);
    }

    #[test]
    fn round_values_are_told_short() {
        let told = [0.0, 0.25, 15.0, -5.0, 7400.0, 1e-7].map(round);
        assert_eq!(told, ["0", "0.25", "15", "-5", "7400", "1.00e-7"]);
    }
}
