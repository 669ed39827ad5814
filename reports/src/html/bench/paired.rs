//! Subjects compared by what they took in the same rounds.

use statistics::chance::Chance;
use statistics::effect::Effect;
use statistics::pairs::{Better, log_ratio};

use super::super::markup::Page;
use super::axis::{self, Axis};
use super::{Arm, Measures};

/// Neighbours that are drawn together.
const BLOCK: usize = 5;

/// Resamples of an interval.
const RESAMPLES: usize = 400;

/// Confidence of an interval.
const CONFIDENCE: f64 = 0.95;

/// Width of the drawing in its own units, and the room for names to the left.
const WIDTH: (f64, f64) = (720.0, 250.0);

/// Height of a row.
const ROW: f64 = 24.0;

/// How much worse a subject was than the first in the same rounds.
struct Difference {
    name: String,
    pairs: usize,
    /// Rounds in which one of both failed.
    without: usize,
    /// In percent, with the ends of its interval.
    worse: (f64, f64, f64),
}

/// Each subject but the first against the first. `false` if there is nothing to compare.
pub(super) fn paired(page: &mut Page, measures: &Measures<'_>) -> bool {
    let mut differences = Vec::new();
    let mut first = "";
    for (name, unit, arms) in measures {
        let Some((reference, others)) = arms.split_first() else {
            continue;
        };
        first = reference.subject;
        for arm in others {
            differences.extend(difference(name, unit, reference, arm));
        }
    }
    if differences.is_empty() {
        return false;
    }
    page.raw("<figure><figcaption>");
    page.text(&format!(
        "How much worse than {first} in the same rounds: Hodges–Lehmann estimate and {:.0} % interval by block bootstrap",
        CONFIDENCE * 100.0
    ));
    page.raw("</figcaption>\n");
    drawing(page, &differences);
    page.raw("<div class=\"wide\"><table class=\"counts\">\n");
    page.columns(&["", "worse by", "from", "to", "pairs", "rounds with a failure"]);
    page.raw("<tbody>\n");
    for one in &differences {
        let (value, low, high) = one.worse;
        let [value, low, high] = [value, low, high].map(|worse| format!("{worse:+.1} %"));
        page.row(
            &one.name,
            &[&value, &low, &high, &one.pairs.to_string(), &one.without.to_string()],
        );
    }
    page.raw("</tbody></table></div>\n</figure>\n");
    true
}

fn difference(measure: &str, unit: &str, reference: &Arm<'_>, arm: &Arm<'_>) -> Option<Difference> {
    let better = if record::bench::more_is_better(unit) {
        Better::More
    } else {
        Better::Less
    };
    let both = arm
        .by_round
        .iter()
        .filter_map(|(round, own)| Some((*reference.by_round.get(round)?, *own)));
    let (mut ratios, mut without) = (Vec::new(), 0);
    for (one, other) in both {
        match one.zip(other).and_then(|(one, other)| log_ratio(one, other, better)) {
            Some(ratio) => ratios.push(ratio),
            None => without += 1,
        }
    }
    // The same record makes the same page.
    let found = Effect::of(&ratios, BLOCK, RESAMPLES, &mut Chance::new(1))?.interval(CONFIDENCE);
    let percent = |log: f64| (log.exp() - 1.0) * 100.0;
    Some(Difference {
        name: format!("{measure}: {}", arm.subject),
        pairs: ratios.len(),
        without,
        worse: (percent(found.value), percent(found.low), percent(found.high)),
    })
}

fn drawing(page: &mut Page, differences: &[Difference]) {
    let ends = differences.iter().flat_map(|one| [one.worse.1, one.worse.2]);
    let Some(axis) = Axis::of(ends.chain([0.0]), (WIDTH.1, WIDTH.0 - 40.0)) else {
        return;
    };
    let bottom = 6.0 + ROW * differences.len() as f64;
    let told: Vec<String> = differences
        .iter()
        .map(|one| {
            format!(
                "{} {:+.1} % [{:+.1}, {:+.1}]",
                one.name, one.worse.0, one.worse.1, one.worse.2
            )
        })
        .collect();
    axis::begin(page, (WIDTH.0, bottom + 22.0), &told.join("; "));
    axis.draw_below(page, 2.0, bottom, "%");
    axis::line(page, "zero", (axis.at(0.0), 2.0), (axis.at(0.0), bottom));
    for (n, one) in differences.iter().enumerate() {
        let y = 6.0 + ROW * (n as f64 + 0.5);
        let (value, low, high) = one.worse;
        // Better or worse only if the whole interval says so.
        let kind = if low > 0.0 {
            "fail"
        } else if high < 0.0 {
            "pass"
        } else {
            "skip"
        };
        axis::text(page, (WIDTH.1 - 10.0, y + 4.0), "end", &one.name);
        axis::line(page, &format!("interval {kind}"), (axis.at(low), y), (axis.at(high), y));
        let [x, y] = [axis.at(value), y].map(|place| format!("{place:.1}"));
        page.open("circle", &[("class", kind), ("cx", &x), ("cy", &y), ("r", "4")]);
        page.raw("</circle>");
    }
    page.raw("</svg>\n");
}
