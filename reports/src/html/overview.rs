//! What a run came to at a glance, what it skipped, and where it took place.

use std::collections::BTreeMap;

use record::Verdict;

use super::{class, markup::Page};
use crate::{
    run::{Run, Word},
    telling::{counted, counts},
};

/// Columns of the table of areas.
const WORDS: [(Word, &str); 9] = [
    (Word::Pass, "passed"),
    (Word::Fail, "failed"),
    (Word::Error, "not measured"),
    (Word::Unexpected, "passed unexpectedly"),
    (Word::Flaky, "flaky"),
    (Word::Inconclusive, "inconclusive"),
    (Word::Allowed, "flaky as allowed"),
    (Word::Known, "failed as known"),
    (Word::Skip, "skipped"),
];

/// Counts of verdicts, also by area, and what is said of the run as a whole.
pub(super) fn overview(page: &mut Page, run: &Run<'_>) {
    let counts = counts(&run.tally);
    page.raw("<ul class=\"tiles\">\n");
    let total = [
        (run.cases.len() as u64, "case"),
        (run.outcomes().count() as u64, "check"),
    ];
    for (count, thing) in total {
        let told = counted(count, thing);
        page.raw("<li>");
        page.element("b", &[], &count.to_string());
        page.text(told.trim_start_matches(|c: char| c.is_ascii_digit()));
        page.raw("</li>\n");
    }
    for (word, count, name) in &counts {
        page.open("li", &[("class", class(*word))]);
        page.element("b", &[], &count.to_string());
        page.text(&format!(" {name}"));
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
    bar(page, &counts);
    for limit in run.overdrawn() {
        page.element("p", &[("class", "fail")], &format!("skip budget exceeded: {limit}"));
    }
    if let Some(proof) = &run.proof {
        page.element("p", &[], &crate::proof::sentence(proof));
    }
    areas(page, run);
    for case in run.cases.iter().filter(|case| !case.leftovers.is_empty()) {
        let text = format!("left behind by {}: {}", case.header.id, case.leftovers.join(", "));
        page.element("p", &[("class", "known")], &text);
    }
}

/// Verdicts as shares of one bar.
fn bar(page: &mut Page, counts: &[(Word, u64, &'static str)]) {
    let all: u64 = counts.iter().map(|(_, count, _)| count).sum();
    if all == 0 {
        return;
    }
    let told: Vec<String> = counts
        .iter()
        .map(|(_, count, name)| format!("{count} {name}"))
        .collect();
    page.open(
        "svg",
        &[
            ("class", "bar"),
            ("viewBox", "0 0 1000 14"),
            ("preserveAspectRatio", "none"),
            ("role", "img"),
            ("aria-label", &told.join(", ")),
        ],
    );
    let mut from = 0;
    for (word, count, name) in counts {
        let place = |count: u64| 1000.0 * count as f64 / all as f64;
        page.open(
            "rect",
            &[
                ("class", class(*word)),
                ("x", &format!("{:.2}", place(from))),
                // What is rare is seen, too.
                ("width", &format!("{:.2}", place(*count).max(3.0))),
                ("height", "14"),
            ],
        );
        page.element("title", &[], &format!("{count} {name}"));
        page.close("rect");
        from += count;
    }
    page.raw("</svg>\n");
}

fn areas(page: &mut Page, run: &Run<'_>) {
    let mut areas: BTreeMap<&str, BTreeMap<Word, u64>> = BTreeMap::new();
    for (case, outcome) in run.outcomes() {
        let words = areas.entry(case.area()).or_default();
        *words.entry(outcome.word()).or_default() += 1;
    }
    if areas.len() < 2 {
        return;
    }
    let used: Vec<(Word, &str)> = WORDS
        .into_iter()
        .filter(|(word, _)| areas.values().any(|words| words.contains_key(word)))
        .collect();
    page.raw("<div class=\"wide\"><table class=\"counts\">\n<caption>Checks by area</caption>\n");
    let names: Vec<&str> = std::iter::once("area")
        .chain(used.iter().map(|(_, name)| *name))
        .collect();
    page.columns(&names);
    page.raw("<tbody>\n");
    for (area, words) in areas {
        page.raw("<tr>");
        page.element("th", &[("scope", "row")], area);
        for (word, _) in &used {
            match words.get(word) {
                Some(count) => page.element("td", &[("class", class(*word))], &count.to_string()),
                None => page.raw("<td></td>"),
            }
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

/// Skipped checks by requirement and what its probe saw.
pub(super) struct Skips<'r>(BTreeMap<(&'r str, &'r str), Vec<String>>);

impl<'r> Skips<'r> {
    pub(super) fn of(run: &'r Run<'_>) -> Self {
        let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for (case, outcome) in run.outcomes() {
            if let Some(Verdict::Skip { requirement, seen, .. }) = outcome.verdict {
                groups
                    .entry((requirement, seen))
                    .or_default()
                    .push(format!("{} › {}", case.header.id, outcome.id));
            }
        }
        Self(groups)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.raw("<div class=\"wide\"><table>\n<caption>Why checks were not looked at</caption>\n");
        page.columns(&["needs", "observed", "checks"]);
        page.raw("<tbody>\n");
        for ((requirement, seen), checks) in &self.0 {
            page.raw("<tr>");
            page.element("th", &[("scope", "row")], requirement);
            page.element("td", &[], seen);
            page.raw("<td><details><summary>");
            page.text(&counted(checks.len() as u64, "check"));
            page.raw("</summary>\n");
            page.list(checks);
            page.raw("</details></td></tr>\n");
        }
        page.raw("</tbody></table></div>\n");
    }
}

/// The machine, the subjects, and how the run was asked for.
pub(super) fn host(page: &mut Page, run: &Run<'_>) {
    let host = run.host;
    page.raw("<div class=\"wide\"><table class=\"facts\">\n<caption>Host</caption>\n<tbody>\n");
    let memory = format!("{:.1} GiB", host.memory as f64 / f64::from(1 << 30));
    for (name, value) in [
        ("kernel", format!("Linux {}", host.kernel)),
        ("machine", host.machine.clone()),
        ("CPU", host.cpu.clone()),
        ("CPUs", host.cpus.to_string()),
        ("memory", memory),
        ("cgroup", host.cgroup.clone()),
        ("user id", host.uid.to_string()),
        ("began", run.started.to_owned()),
        (
            "command",
            run.argv
                .iter()
                .map(|word| crate::table::shell(word))
                .collect::<Vec<_>>()
                .join(" "),
        ),
    ] {
        page.row(name, &[&value]);
    }
    page.raw("</tbody></table></div>\n<div class=\"wide\"><table>\n<caption>Subjects</caption>\n");
    page.columns(&["subject", "version", "command line"]);
    page.raw("<tbody>\n");
    for subject in run.subjects {
        page.row(&subject.name, &[&subject.version_and_build(), &subject.argv.join(" ")]);
    }
    page.raw("</tbody></table></div>\n");
}
