//! Every case with its checks: what was asked, what was seen, why, and what was kept.

use std::collections::BTreeSet;

use super::{
    badge, class, distribution, durations,
    markup::Page,
    network,
    proof::Proofs,
    trace::{Trace, Traces},
};
use crate::{
    run::{Case, Outcome, Run, Word},
    table::{duration, rerun},
    telling::{counted, lines},
};

/// Most bytes of one kept text on the page; the record has the whole.
const TEXT: usize = 16 << 10;

/// Kept texts are named only where the page has so many bytes already: a browser has to hold it.
const PAGE: usize = 24 << 20;

/// Every case, with what filters them.
pub(super) fn checks(page: &mut Page, run: &Run<'_>, traces: &Traces<'_>, proofs: &Proofs<'_>) {
    filter(page, run);
    page.raw("<div id=\"cases\">\n");
    for case in &run.cases {
        one(page, run, case, traces, proofs);
    }
    page.raw("</div>\n");
}

/// Shown by the script, which it needs.
fn filter(page: &mut Page, run: &Run<'_>) {
    let words: BTreeSet<&str> = run.outcomes().map(|(_, outcome)| outcome.word().text()).collect();
    let areas: BTreeSet<&str> = run.cases.iter().map(|case| case.area()).collect();
    let subjects: BTreeSet<&str> = run.cases.iter().map(|case| case.header.subject.as_str()).collect();
    page.raw("<form id=\"filter\" role=\"search\" aria-label=\"Which checks are shown\" hidden>\n<fieldset><legend>Verdict</legend>\n");
    for word in words {
        page.raw("<label>");
        page.void(
            "input",
            &[("type", "checkbox"), ("name", "word"), ("value", word), ("checked", "")],
        );
        page.text(&format!(" {word}"));
        page.raw("</label>\n");
    }
    page.raw("</fieldset>\n");
    for (name, title, values) in [("area", "Area", areas), ("subject", "Subject", subjects)] {
        page.raw("<label>");
        page.text(title);
        page.open("select", &[("name", name)]);
        page.raw("<option value=\"\">all</option>");
        for value in values {
            page.element("option", &[("value", value)], value);
        }
        page.raw("</select></label>\n");
    }
    page.raw(
        "<label>Text<input type=\"search\" name=\"text\" autocomplete=\"off\" spellcheck=\"false\" \
         placeholder=\"words that a check has\"></label>\n\
         <span class=\"buttons\"><button type=\"button\" name=\"open\">Open all shown</button>\n\
         <button type=\"button\" name=\"shut\">Close all</button>\n\
         <button type=\"reset\">Show everything</button></span>\n\
         <output aria-live=\"polite\"></output>\n</form>\n",
    );
}

fn one(page: &mut Page, run: &Run<'_>, case: &Case<'_>, traces: &Traces<'_>, proofs: &Proofs<'_>) {
    let is_red = case.outcomes.is_empty() || case.outcomes.iter().any(|outcome| run.is_red(outcome));
    let word = case.word();
    let named = format!("case {}", class(word));
    let mut attributes = vec![
        ("class", named.as_str()),
        ("data-area", case.area()),
        ("data-subject", case.header.subject.as_str()),
    ];
    if is_red {
        attributes.push(("open", ""));
    }
    page.open("details", &attributes);
    page.raw("<summary>");
    badge(page, word);
    page.element("span", &[("class", "name")], &case.header.id);
    let green = case.count(Word::Pass);
    page.element(
        "span",
        &[("class", "count")],
        &format!("{green}/{} passed", case.outcomes.len()),
    );
    let took = case
        .took
        .map_or_else(|| "cut short".to_owned(), |(took, _)| duration(took));
    page.element("span", &[("class", "time")], &took);
    page.raw("</summary>\n<div class=\"inside\">\n");
    page.element("p", &[("class", "description")], &case.header.description);
    facts(page, case);
    page.raw("<ol class=\"checks\">\n");
    let attempts: Vec<&Trace<'_>> = case.attempts.iter().filter_map(|id| traces.get(id)).collect();
    for outcome in &case.outcomes {
        check(page, run, case, outcome, attempts.last().copied(), proofs);
    }
    page.raw("</ol>\n");
    page.raw("<p class=\"rerun\">Run it again: ");
    page.element("code", &[], &rerun(run, case));
    page.raw("</p>\n");
    for (id, trace) in case.attempts.iter().zip(&attempts) {
        let which = if case.attempts.len() > 1 { *id } else { "" };
        durations::steps(page, which, trace);
        if is_red {
            kept(page, which, trace);
        }
    }
    page.raw("</div></details>\n");
}

fn facts(page: &mut Page, case: &Case<'_>) {
    page.raw("<p class=\"facts\">");
    page.element("code", &[], &case.header.file);
    let matrix = case.header.matrix.iter().map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    });
    let labels = case.header.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let sabotage = case.header.sabotage.iter().map(|id| format!("sabotage {id}"));
    for text in matrix.chain(labels).chain(sabotage) {
        page.raw(" ");
        page.element("span", &[("class", "label")], &text);
    }
    page.raw("</p>\n");
}

fn check(
    page: &mut Page,
    run: &Run<'_>,
    case: &Case<'_>,
    outcome: &Outcome<'_>,
    trace: Option<&Trace<'_>>,
    proofs: &Proofs<'_>,
) {
    let word = outcome.word();
    page.open(
        "li",
        &[("class", &format!("check {}", class(word))), ("data-word", word.text())],
    );
    page.raw("<h3>");
    badge(page, word);
    page.element("span", &[("class", "name")], outcome.id);
    if !outcome.about.is_empty() {
        page.element("span", &[("class", "label")], outcome.about);
    }
    if !outcome.at.is_empty() {
        page.element("code", &[("class", "at")], outcome.at);
    }
    page.raw("</h3>\n<dl>\n");
    for (name, text) in lines(run, case, outcome) {
        page.element("dt", &[], name);
        page.element("dd", &[], &text);
        page.raw("\n");
    }
    if outcome.looks > 1 {
        page.element("dt", &[], "rests on");
        page.element("dd", &[], &counted(outcome.looks, "look"));
    }
    proofs.of_check(page, &case.header.id, outcome.id);
    page.raw("</dl>\n");
    if let Some(seen) = trace.and_then(|trace| trace.last.get(outcome.id)) {
        network::drawn(page, outcome, seen);
        distribution::samples(page, seen);
    }
    page.raw("</li>\n");
}

/// What was done and what was kept, of a case that is looked into.
fn kept(page: &mut Page, which: &str, trace: &Trace<'_>) {
    for message in &trace.broken {
        page.raw("<p class=\"fail\">");
        page.text(&format!("A step could not go on: {message}"));
        page.raw("</p>\n");
    }
    if !trace.acts.is_empty() {
        page.raw("<details class=\"kept\"><summary>");
        page.text(&titled(
            which,
            &format!("What was done: {}", counted(trace.acts.len() as u64, "act")),
        ));
        page.raw("</summary>\n<ol>\n");
        for act in &trace.acts {
            page.raw("<li>");
            page.element("code", &[], act.what);
            let code = act.code.map_or_else(String::new, |code| format!(", exit code {code}"));
            page.text(&format!(" {}{code}", duration((act.t1 - act.t0).max(0.0))));
            for (name, text) in [("standard output", act.stdout), ("standard error", act.stderr)] {
                if !text.is_empty() {
                    block(page, name, text);
                }
            }
            page.raw("</li>\n");
        }
        page.raw("</ol></details>\n");
    }
    for (name, text) in &trace.evidence {
        page.raw("<details class=\"kept\"><summary>");
        page.text(&titled(which, name));
        page.raw("</summary>\n");
        block(page, name, text);
        page.raw("</details>\n");
    }
}

fn titled(which: &str, title: &str) -> String {
    match which {
        "" => title.to_owned(),
        which => format!("{which}: {title}"),
    }
}

/// A text of any length.
fn block(page: &mut Page, name: &str, text: &str) {
    if page.len() > PAGE {
        page.element("p", &[], "This page is full; the record has the text.");
        return;
    }
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    page.block(name, &text[..end]);
    if end < text.len() {
        let told = format!("The first {end} of {} bytes; the record has all.", text.len());
        page.element("p", &[], &told);
    }
}
