//! Where a course of figures changed, and what else did.

use serde::Serialize;
use statistics::chance::Chance;
use statistics::change::{Cuts, changes};
use statistics::quantile::quantile;

use crate::{Point, drift};

/// Only the newest so many runs are looked at: the time it takes grows with their square.
const LOOKED_AT: usize = 200;

/// So many runs to either side of a change something else is looked for that changed: of a small step nobody can tell the
/// run in which it happened.
const NEAR: usize = 2;

/// A change of a figure that noise does not explain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Index of the first point after it.
    pub at: usize,
    /// The run of that point.
    pub run: String,
    /// When that run began, RFC 3339.
    pub started: String,
    /// Median of the runs since the change before.
    pub before: f64,
    /// Median of the runs from here to the next change.
    pub after: f64,
    /// It became worse.
    pub worse: bool,
    /// How often a course without a change would differ so much.
    pub p: f64,
    /// What else changed then, in words; nothing if the history knows of nothing.
    pub beside: Vec<String>,
}

/// Fewest runs in which a change can be found.
pub fn fewest() -> usize {
    2 * Cuts::default().least
}

/// The changes of a course, oldest first, by E-divisive ([`statistics::change`]).
pub(crate) fn shifts(points: &[Point], more_is_better: bool) -> Vec<Shift> {
    let from = points.len().saturating_sub(LOOKED_AT);
    // What failed has no value that could be compared.
    let (places, values): (Vec<usize>, Vec<f64>) = points
        .iter()
        .enumerate()
        .skip(from)
        .filter_map(|(at, point)| Some((at, point.value.filter(|value| value.is_finite())?)))
        .unzip();
    // The same course has the same changes, whoever asks and however often.
    let found = changes(&values, &Cuts::default(), &mut Chance::new(1));
    let borders: Vec<usize> = std::iter::once(0)
        .chain(found.iter().map(|change| change.at))
        .chain([values.len()])
        .collect();
    let middle = |from: usize, to: usize| quantile(&values[from..to], 0.5).unwrap_or(f64::NAN);
    let mut shifts = Vec::new();
    for (n, change) in found.iter().enumerate() {
        let at = places[change.at];
        let (before, after) = (middle(borders[n], change.at), middle(change.at, borders[n + 2]));
        shifts.push(Shift {
            at,
            run: points[at].run.clone(),
            started: points[at].started.clone(),
            before,
            after,
            worse: (after > before) != more_is_better,
            p: change.p,
            beside: beside(points, at),
        });
    }
    shifts
}

/// What else changed with the run at this place, or, if nothing did, with those near it.
fn beside(points: &[Point], at: usize) -> Vec<String> {
    let here = differences(&points[at - 1], &points[at]);
    if !here.is_empty() {
        return here;
    }
    let near = at.saturating_sub(NEAR).max(1)..(at + NEAR + 1).min(points.len());
    near.flat_map(|at| {
        let run = &points[at].run;
        let told = differences(&points[at - 1], &points[at]).into_iter();
        told.map(move |what| format!("{what} (in run {run})"))
    })
    .collect()
}

fn differences(then: &Point, now: &Point) -> Vec<String> {
    let short = |spec: &Option<String>| {
        spec.as_deref()
            .map_or("none", |hash| &hash[..hash.len().min(8)])
            .to_owned()
    };
    let mut all = drift::changes(&then.host, &now.host);
    let words = [
        ("subject", then.version.clone(), now.version.clone()),
        ("tool", then.origin.clone(), now.origin.clone()),
        (now.origin.as_str(), then.tool.clone(), now.tool.clone()),
        ("spec", short(&then.spec), short(&now.spec)),
    ];
    let changed = words.into_iter().filter(|(_, then, now)| then != now);
    all.extend(changed.map(|(what, then, now)| format!("{what} {then} → {now}")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A course at levels, with noise of one in a hundred.
    fn course(levels: &[(usize, f64)]) -> Vec<Point> {
        let mut chance = Chance::new(5);
        let all = levels
            .iter()
            .flat_map(|&(count, level)| std::iter::repeat_n(level, count));
        all.enumerate()
            .map(|(n, level)| Point {
                run: format!("{:04}", n + 1),
                started: format!("2026-01-01T00:{n:02}:00Z"),
                value: Some(chance.normal(level, level / 100.0)),
                low: None,
                high: None,
                samples: 50,
                failures: 0,
                origin: "plimsoll".into(),
                tool: "0.1.0".into(),
                version: "runc 1".into(),
                spec: Some("0123456789".into()),
                host: record::Host::default(),
            })
            .collect()
    }

    #[test]
    fn a_planted_step_is_found_in_its_run_with_what_changed_beside_it() {
        let mut points = course(&[(15, 100.0), (15, 105.0)]);
        for point in &mut points[15..] {
            point.version = "runc 2".into();
            point.host.kernel = "6.2".into();
        }
        let found = shifts(&points, false);
        let [shift] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((shift.at, shift.run.as_str(), shift.worse), (15, "0016", true));
        assert!((shift.before - 100.0).abs() < 1.0 && (shift.after - 105.0).abs() < 1.0);
        assert_eq!(shift.beside, ["kernel  → 6.2", "subject runc 1 → runc 2"]);
        assert!(!shifts(&points, true)[0].worse);
    }

    #[test]
    fn what_changed_near_it_is_told_with_its_run_and_what_changed_far_from_it_is_not() {
        let mut points = course(&[(15, 100.0), (15, 105.0)]);
        points[14..].iter_mut().for_each(|point| point.tool = "0.2.0".into());
        points[3..].iter_mut().for_each(|point| point.host.cpus = 4);
        let found = shifts(&points, false);
        assert_eq!(found[0].beside, ["plimsoll 0.1.0 → 0.2.0 (in run 0015)"]);
    }

    #[test]
    fn a_course_without_a_step_has_no_changes() {
        assert_eq!(shifts(&course(&[(40, 100.0)]), false), []);
        assert_eq!(shifts(&course(&[(fewest() - 1, 100.0)]), false), []);
        assert_eq!(shifts(&[], false), []);
    }

    #[test]
    fn runs_of_which_the_figure_failed_do_not_hide_a_step() {
        let mut points = course(&[(15, 100.0), (15, 105.0)]);
        points[2].value = None;
        points[20].value = None;
        assert_eq!(shifts(&points, false)[0].at, 15);
    }
}
