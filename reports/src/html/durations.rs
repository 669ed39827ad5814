//! How long things took: cases beside each other, and the steps of one.

use super::{class, markup::Page, trace::Trace};
use crate::{
    run::{Case, Run},
    table::duration,
};

/// How many of the longest cases are listed.
const LONGEST: usize = 20;

/// Width of a drawing in its own units.
const WIDTH: f64 = 1000.0;

/// Height of one lane.
const LANE: f64 = 14.0;

/// Fewer looks are drawn than a window may have.
const LOOKS: usize = 200;

/// The run as lanes of cases, and the longest of them.
pub(super) fn durations(page: &mut Page, run: &Run<'_>) {
    lanes(page, run);
    let mut longest: Vec<(&Case<'_>, f64, f64)> = run
        .cases
        .iter()
        .filter_map(|case| case.took.map(|(took, overhead)| (case, took, overhead)))
        .collect();
    longest.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some(most) = longest.first().map(|(_, took, _)| took.max(f64::MIN_POSITIVE)) else {
        return;
    };
    let all: f64 = longest.iter().map(|(_, took, _)| took).sum();
    let title = format!(
        "The longest of {} cases, which took {} one after the other",
        longest.len(),
        duration(all)
    );
    page.raw("<div class=\"wide\"><table class=\"durations\">\n");
    page.element("caption", &[], &title);
    page.columns(&["case", "time", "without waits that the spec asks for", ""]);
    page.raw("<tbody>\n");
    for (case, took, overhead) in longest.iter().take(LONGEST) {
        page.raw("<tr>");
        page.element("th", &[("scope", "row")], &case.header.id);
        page.element("td", &[], &duration(*took));
        page.element("td", &[], &duration(*overhead));
        page.raw("<td><svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        let width = format!("{:.1}", WIDTH * took / most);
        page.open(
            "rect",
            &[("class", class(case.word())), ("width", &width), ("height", "10")],
        );
        page.raw("</rect></svg></td></tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

/// Every case from its beginning to its end, those that went on at once below each other.
fn lanes(page: &mut Page, run: &Run<'_>) {
    let mut cases: Vec<(&Case<'_>, f64, f64)> = run
        .cases
        .iter()
        .filter_map(|case| case.took.map(|(took, _)| (case, case.header.t, case.header.t + took)))
        .collect();
    cases.sort_by(|a, b| a.1.total_cmp(&b.1));
    let end = cases.iter().map(|(_, _, end)| *end).fold(0.0, f64::max);
    if cases.len() < 2 || end <= 0.0 {
        return;
    }
    // The first lane that is free takes the next case.
    let mut free: Vec<f64> = Vec::new();
    let placed: Vec<(&Case<'_>, f64, f64, usize)> = cases
        .into_iter()
        .map(|(case, from, to)| {
            let lane = free.iter().position(|free| *free <= from).unwrap_or(free.len());
            if lane == free.len() {
                free.push(to);
            } else {
                free[lane] = to;
            }
            (case, from, to, lane)
        })
        .collect();
    let height = LANE * free.len() as f64;
    page.raw("<figure><figcaption>");
    page.text(&format!(
        "The run: {} from left to right, cases that went on at once below each other",
        duration(end)
    ));
    page.raw("</figcaption>\n");
    page.open(
        "svg",
        &[
            ("class", "lanes"),
            ("viewBox", &format!("0 0 1000 {height}")),
            ("height", &format!("{height}")),
            ("preserveAspectRatio", "none"),
            ("role", "img"),
            ("aria-label", "when each case ran; the table below has the longest"),
        ],
    );
    for (case, from, to, lane) in placed {
        let x = WIDTH * from / end;
        page.open(
            "rect",
            &[
                ("class", class(case.word())),
                ("x", &format!("{x:.2}")),
                ("y", &format!("{}", LANE * lane as f64 + 1.0)),
                ("width", &format!("{:.2}", (WIDTH * (to - from) / end).max(0.8))),
                ("height", &format!("{}", LANE - 2.0)),
            ],
        );
        page.element(
            "title",
            &[],
            &format!("{} {}: {}", case.word().text(), case.header.id, duration(to - from)),
        );
        page.raw("</rect>");
    }
    page.raw("</svg></figure>\n");
}

/// The steps of a case as a waterfall: from when to when, with a tick for each look.
pub(super) fn steps(page: &mut Page, which: &str, trace: &Trace<'_>) {
    let (begin, end) = trace.span;
    let length = end - begin;
    if trace.steps.len() < 2 || length <= 0.0 {
        return;
    }
    let x = |t: f64| (WIDTH * (t - begin) / length).clamp(0.0, WIDTH);
    page.raw("<details class=\"kept\"><summary>");
    let title = format!("Steps, {}", duration(length));
    page.text(&if which.is_empty() {
        title
    } else {
        format!("{which}: {title}")
    });
    page.raw("</summary>\n<table class=\"steps\">\n");
    page.columns(&["step", "phase", "after", "took", ""]);
    page.raw("<tbody>\n");
    for (n, step) in trace.steps.iter().enumerate() {
        let to = trace.steps.get(n + 1).map_or(end, |next| next.t);
        page.raw("<tr>");
        page.element("th", &[("scope", "row")], step.name);
        page.element("td", &[], step.phase);
        page.element("td", &[], &duration(step.t - begin));
        page.element("td", &[], &duration(to - step.t));
        page.raw("<td><svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        page.open(
            "rect",
            &[
                ("class", "step"),
                ("x", &format!("{:.1}", x(step.t))),
                ("width", &format!("{:.1}", (x(to) - x(step.t)).max(2.0))),
                ("height", "10"),
            ],
        );
        page.raw("</rect>");
        for look in step.looks.iter().take(LOOKS) {
            let place = format!("{:.1}", x(*look));
            page.open(
                "rect",
                &[("class", "look"), ("x", &place), ("width", "2"), ("height", "10")],
            );
            page.raw("</rect>");
        }
        page.raw("</svg></td></tr>\n");
    }
    page.raw("</tbody></table></details>\n");
}
