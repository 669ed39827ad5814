//! Markdown for a comment on a pull request or the summary of a pipeline's step.
//!
//! GitHub takes 65,536 characters for a comment, so that the text is bounded and says what it left out. What a container
//! wrote stands in code, where it is neither markup nor mentions anybody.

use std::{collections::BTreeMap, fmt::Write as _};

use record::Verdict;

use crate::{
    drift::drift_lines,
    html::escaped,
    run::{Case, Outcome, Run, Word},
    table::{duration, rerun},
    telling::{counted, counts, ending, lines},
    visible::{one_line, shortened, visible},
};

/// Most bytes of the whole.
const MOST: usize = 60_000;

/// Most characters of a text of one check.
const TEXT: usize = 4_000;

/// Most characters of a cell.
const CELL: usize = 160;

/// By which a comment is found again, to be replaced by the next.
const MARK: &str = "<!-- plimsoll -->";

pub(crate) fn markdown(run: &Run<'_>) -> String {
    let mut out = format!("{MARK}\n### Plimsoll: {}\n\n", ending(run.exit));
    head(&mut out, run);
    let red: Vec<(&Case<'_>, &Outcome<'_>)> = run.outcomes().filter(|(_, outcome)| run.is_red(outcome)).collect();
    failures(&mut out, run, &red);
    skips(&mut out, run);
    for line in drift_lines(run) {
        bounded(&mut out, format!("\nNot looked at any more: {}\n", code(&line)));
    }
    let subjects: Vec<String> = run
        .subjects
        .iter()
        .map(|subject| code(&format!("{} {}", subject.name, subject.version)))
        .collect();
    let _ = writeln!(
        out,
        "\n<sub>run {} · plimsoll {} · Linux {} {}, {} CPUs, cgroup {} · {}</sub>",
        code(run.id),
        code(run.plimsoll),
        code(&run.host.kernel),
        code(&run.host.machine),
        run.host.cpus,
        code(&run.host.cgroup),
        subjects.join(", ")
    );
    out
}

fn head(out: &mut String, run: &Run<'_>) {
    let told: Vec<String> = counts(&run.tally)
        .into_iter()
        .map(|(word, count, name)| match word {
            Word::Pass | Word::Skip | Word::Known | Word::Allowed => format!("{count} {name}"),
            _ => format!("**{count} {name}**"),
        })
        .collect();
    let end = match (run.exit, run.took) {
        (Some(exit), Some(took)) => format!(" · {} · exit {exit}", duration(took)),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "{} in {}: {}{end}",
        counted(run.outcomes().count() as u64, "check"),
        counted(run.cases.len() as u64, "case"),
        if told.is_empty() {
            "nothing ran".to_owned()
        } else {
            told.join(", ")
        }
    );
    for limit in run.overdrawn() {
        let _ = writeln!(out, "\n**skip budget exceeded**: {}", code(&limit.to_string()));
    }
    if let Some(proof) = &run.proof {
        let _ = writeln!(out, "\n{}", crate::proof::sentence(proof));
    }
}

fn failures(out: &mut String, run: &Run<'_>, red: &[(&Case<'_>, &Outcome<'_>)]) {
    if red.is_empty() {
        return;
    }
    let rows = red.iter().map(|(case, outcome)| {
        let lines = lines(run, case, outcome);
        let text = |name: &str| {
            lines
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| cell(text))
        };
        format!(
            "| {} | {} | {} | {} |\n",
            outcome.word().text(),
            cell(&format!("{} › {}", case.header.id, outcome.id)),
            text("expected").or_else(|| text("needs")).unwrap_or_default(),
            text("observed").or_else(|| text("not measured")).unwrap_or_default()
        )
    });
    out.push_str("\n| | check | expected | observed |\n|---|---|---|---|\n");
    // Half of the room is for what is told of each below.
    listed(out, rows, MOST / 2);
    let details = red.iter().map(|(case, outcome)| detail(run, case, outcome));
    listed(out, details, MOST);
}

/// As many as there is room for.
fn listed(out: &mut String, parts: impl Iterator<Item = String>, most: usize) {
    let mut left = 0;
    for part in parts {
        if left == 0 && out.len() + part.len() < most {
            out.push_str(&part);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        let _ = writeln!(out, "\n… and {left} more, for which there is no room here.");
    }
}

fn bounded(out: &mut String, part: String) {
    if out.len() + part.len() < MOST {
        out.push_str(&part);
    }
}

fn detail(run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>) -> String {
    let mut text = String::new();
    for (name, line) in lines(run, case, outcome) {
        let line = shortened(&line, TEXT).replace('\n', "\n              ");
        let _ = writeln!(text, "{name:<12}  {line}");
    }
    if !outcome.at.is_empty() {
        let _ = writeln!(text, "{:<12}  {}", "at", outcome.at);
    }
    let _ = write!(text, "{:<12}  {}", "re-run", rerun(run, case));
    let title = html_code(&format!("{} › {}", case.header.id, outcome.id));
    let word = outcome.word().text();
    format!(
        "\n<details><summary>{word} {title}</summary>\n\n{}\n</details>\n",
        fenced(&text)
    )
}

fn skips(out: &mut String, run: &Run<'_>) {
    let mut groups: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (_, outcome) in run.outcomes() {
        if let Some(Verdict::Skip { requirement, seen, .. }) = outcome.verdict {
            *groups.entry((requirement, seen)).or_default() += 1;
        }
    }
    if groups.is_empty() {
        return;
    }
    out.push_str("\n| skipped | needs | observed |\n|---|---|---|\n");
    let rows = groups
        .into_iter()
        .map(|((requirement, seen), count)| format!("| {count} | {} | {} |\n", cell(requirement), cell(seen)));
    listed(out, rows, MOST);
}

/// A code span in a cell of a table, which a bar would end (GFM 4.10).
pub(crate) fn cell(text: &str) -> String {
    code(&shortened(&one_line(text), CELL)).replace('|', "\\|")
}

/// A code span on one line (CommonMark 6.1).
pub(crate) fn code(text: &str) -> String {
    let text = one_line(text);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest(text) + 1);
    // A space beside a tick is taken off again, so that a text may begin with one.
    let pad = if text.contains('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A block that no text in it ends (CommonMark 4.5).
fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest(text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", visible(text))
}

/// Text in a `code` element.
fn html_code(text: &str) -> String {
    format!("<code>{}</code>", escaped(&one_line(text)))
}

/// The length of the longest row of backticks.
fn longest(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_code() {
        assert_eq!((code("a|b"), cell("a|b")), ("`a|b`".into(), "`a\\|b`".into()));
        assert_eq!(code("x `y` ``z"), "``` x `y` ``z ```");
        assert_eq!(code("@everyone\n<img>"), "`@everyone <img>`");
        assert_eq!(code(" \n"), "");
        assert_eq!(fenced("```\n</details>"), "````text\n```\n</details>\n````\n");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut out = String::new();
        let parts = ["aaaa", "bbbbbbbbbbbb", "c"].map(str::to_owned);
        listed(&mut out, parts.into_iter(), 10);
        assert_eq!(out, "aaaa\n… and 2 more, for which there is no room here.\n");
    }
}
