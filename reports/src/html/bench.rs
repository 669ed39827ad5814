//! Benchmarks: what samples come to and how far that is from what the kernel takes, how they are distributed, how subjects differ in the same rounds, where the time goes,
//! and what it was in earlier runs.

mod axis;
mod course;
mod distributions;
mod floors;
mod paired;
mod waterfall;

use std::collections::BTreeMap;

use record::Event;
use record::bench::{Figures, Measured, number};
use statistics::quantile::quantile;

use super::markup::Page;
use crate::{
    past::Past,
    run::{Case, Run},
};

/// A benchmark with the same values of its matrix, on each subject.
struct Group<'a> {
    name: String,
    cases: Vec<(&'a Case<'a>, &'a Figures)>,
}

/// The samples of one measure on one subject.
struct Arm<'a> {
    case: &'a str,
    subject: &'a str,
    /// How many there are, those that failed among them.
    count: usize,
    /// Those that did not fail.
    finite: Vec<f64>,
    by_round: BTreeMap<u64, Option<f64>>,
    unit: &'a str,
}

/// Measures by name, with their unit and what each subject took.
type Measures<'a> = Vec<(&'a str, &'a str, Vec<Arm<'a>>)>;

impl Arm<'_> {
    /// In words.
    fn told(&self) -> String {
        let median = number(quantile(&self.finite, 0.5));
        let failed = match self.count - self.finite.len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!(
            "{}: median {median} {} of {} samples{failed}",
            self.subject, self.unit, self.count
        )
    }
}

/// The class by which a subject is drawn: a colour, and a dash for who does not see colours.
fn kind(n: usize) -> &'static str {
    const KINDS: [&str; 6] = ["arm0", "arm1", "arm2", "arm3", "arm4", "arm5"];
    KINDS[n % KINDS.len()]
}

/// Whether there is anything to tell.
pub(super) fn is_told(run: &Run<'_>) -> bool {
    run.cases.iter().any(|case| case.figures.is_some())
}

/// Every benchmark of a run.
pub(super) fn benchmarks(page: &mut Page, run: &Run<'_>, events: &[Event], pasts: &[Past]) {
    let samples = waterfall::samples(events);
    for group in groups(run) {
        page.raw("<section class=\"bench\">\n");
        page.element("h3", &[], &group.name);
        page.raw("\n");
        let measures = measures(&group);
        table(page, &group);
        for (name, unit, arms) in &measures {
            if arms.iter().all(|arm| arm.count == 0) {
                // A record of a version that kept figures alone.
                continue;
            }
            page.element("h4", &[], &format!("{name}, {unit}"));
            page.raw("\n");
            legend(page, arms);
            distributions::distributions(page, arms, unit);
        }
        if paired::paired(page, &measures) {
            page.raw("\n");
        }
        if let Some((_, _, arms)) = measures.first() {
            waterfall::waterfall(page, arms, &samples);
        }
        for (case, _) in &group.cases {
            for past in pasts
                .iter()
                .filter(|past| past.case == case.header.id && past.points.len() > 1)
            {
                course::course(page, past, run.id);
            }
        }
        page.raw("</section>\n");
    }
}

fn groups<'a>(run: &'a Run<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for case in &run.cases {
        let Some(figures) = case.figures else { continue };
        // Slowdowns that are planted have a name of their own in front of the subject's.
        let name = case
            .header
            .id
            .rsplit_once('@')
            .map_or(case.header.id.as_str(), |(name, _)| name);
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.cases.push((case, figures)),
            None => groups.push(Group {
                name: name.to_owned(),
                cases: vec![(case, figures)],
            }),
        }
    }
    groups
}

fn measures<'a>(group: &Group<'a>) -> Measures<'a> {
    let mut measures: Measures<'a> = Vec::new();
    for (case, figures) in &group.cases {
        for measured in &figures.measures {
            let arm = arm(case, figures, measured);
            match measures.iter_mut().find(|(name, ..)| *name == measured.name) {
                Some((_, _, arms)) => arms.push(arm),
                None => measures.push((&measured.name, &measured.unit, vec![arm])),
            }
        }
    }
    measures
}

fn arm<'a>(case: &'a Case<'a>, figures: &'a Figures, measured: &'a Measured) -> Arm<'a> {
    let rounds = figures.rounds.iter().copied();
    Arm {
        case: &case.header.id,
        subject: &case.header.subject,
        count: measured.samples.len(),
        finite: measured
            .samples
            .iter()
            .copied()
            .flatten()
            .filter(|value| value.is_finite())
            .collect(),
        by_round: rounds.zip(measured.samples.iter().copied()).collect(),
        unit: &measured.unit,
    }
}

/// Which curve is whose.
fn legend(page: &mut Page, arms: &[Arm<'_>]) {
    page.raw("<p class=\"legend\">");
    for (n, arm) in arms.iter().enumerate() {
        page.raw("<span><svg viewBox=\"0 0 28 8\" width=\"28\" height=\"8\" class=\"plot\" aria-hidden=\"true\">");
        axis::line(page, &format!("curve {}", kind(n)), (0.0, 4.0), (28.0, 4.0));
        page.raw("</svg>");
        page.text(&format!(" {}", arm.told()));
        page.raw("</span> ");
    }
    page.raw("</p>\n");
}

/// The figures with their intervals, and what there is to say about them.
fn table(page: &mut Page, group: &Group<'_>) {
    page.raw("<div class=\"wide\"><table class=\"counts\">\n<caption>Figures, each with the interval in which it lies with 95 % confidence</caption>\n");
    let first = group.cases.first().and_then(|(_, figures)| figures.measures.first());
    let names: Vec<&str> = first.map_or_else(Vec::new, |measure| {
        measure.figures.iter().map(|figure| figure.name.as_str()).collect()
    });
    let headings: Vec<&str> = ["", "samples", "failed"]
        .into_iter()
        .chain(names.iter().copied())
        .collect();
    page.columns(&headings);
    page.raw("<tbody>\n");
    for (case, figures) in &group.cases {
        for measure in &figures.measures {
            let found = names.iter().map(|name| {
                let figure = measure.figures.iter().find(|figure| figure.name == *name);
                figure.map_or_else(String::new, |figure| figure.to_string())
            });
            let counts = [figures.samples.to_string(), figures.failures.to_string()];
            let cells: Vec<String> = counts.into_iter().chain(found).collect();
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            page.row(
                &format!("{}: {}, {}", case.header.subject, measure.name, measure.unit),
                &cells,
            );
        }
    }
    page.raw("</tbody></table></div>\n");
    floors::floors(page, group, &names);
    let notes: Vec<String> = group
        .cases
        .iter()
        .flat_map(|(case, figures)| {
            figures
                .notes
                .iter()
                .map(|note| format!("{}: {note}", case.header.subject))
        })
        .collect();
    if !notes.is_empty() {
        page.list(&notes);
    }
}
