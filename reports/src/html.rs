//! One page for people, in one file: no network, no framework, light and dark, and fit to be printed.
//!
//! What containers wrote is on it, so that text gets in escaped only ([`markup`]), and the page forbids its browser
//! whatever it does not bring itself by a content security policy: a script that got in would not run.

mod bench;
mod case;
mod compared;
#[cfg(test)]
mod contrast;
mod distribution;
mod durations;
mod markup;
mod network;
mod overview;
mod proof;
mod trace;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use record::Event;
use sha2::{Digest, Sha256};

use crate::{
    drift::drift_lines,
    past::Past,
    run::{Run, Word},
    telling::ending,
};

use markup::Page;
pub(crate) use markup::escaped;
use trace::Traces;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/filter.js");

/// A folding part of the page with a heading; the id is what the table of contents leads to.
struct Section {
    id: &'static str,
    title: &'static str,
}

pub(crate) fn html(run: &Run<'_>, events: &[Event], pasts: &[Past]) -> String {
    let traces = Traces::of(events);
    let proofs = proof::Proofs::of(events);
    let matrix = compared::Matrix::of(run);
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n");
    head(&mut page, run);
    page.raw("<body>\n<a class=\"skip-link\" href=\"#checks\">To the checks</a>\n");
    banner(&mut page, run);
    let mut parts = vec![Section {
        id: "overview",
        title: "Overview",
    }];
    if matrix.is_some() {
        parts.push(Section {
            id: "compared",
            title: "Subjects compared",
        });
    }
    if bench::is_told(run) {
        parts.push(Section {
            id: "benchmarks",
            title: "Benchmarks",
        });
    }
    parts.push(Section {
        id: "checks",
        title: "Checks",
    });
    let skips = overview::Skips::of(run);
    if !skips.is_empty() {
        parts.push(Section {
            id: "skips",
            title: "Skipped",
        });
    }
    let drift = drift_lines(run);
    if !drift.is_empty() {
        parts.push(Section {
            id: "drift",
            title: "Looked at before and not now",
        });
    }
    if proofs.is_told() {
        parts.push(Section {
            id: "proof",
            title: "Proof",
        });
    }
    parts.push(Section {
        id: "durations",
        title: "Durations",
    });
    parts.push(Section {
        id: "host",
        title: "Host and subjects",
    });
    contents(&mut page, &parts);
    page.raw("<main>\n");
    for part in parts {
        page.open(
            "section",
            &[("id", part.id), ("aria-labelledby", &format!("{}-title", part.id))],
        );
        page.element("h2", &[("id", &format!("{}-title", part.id))], part.title);
        page.raw("\n");
        match part.id {
            "overview" => overview::overview(&mut page, run),
            "compared" => {
                if let Some(matrix) = &matrix {
                    matrix.write(&mut page);
                }
            }
            "benchmarks" => bench::benchmarks(&mut page, run, events, pasts),
            "checks" => case::checks(&mut page, run, &traces, &proofs),
            "skips" => skips.write(&mut page),
            "drift" => page.list(&drift),
            "proof" => proofs.write(&mut page),
            "durations" => durations::durations(&mut page, run),
            _ => overview::host(&mut page, run),
        }
        page.close("section");
        page.raw("\n");
    }
    page.raw("</main>\n<script>");
    page.raw(SCRIPT);
    page.raw("</script>\n</body>\n</html>\n");
    page.finish()
}

fn head(page: &mut Page, run: &Run<'_>) {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        fingerprint(STYLE),
        fingerprint(SCRIPT)
    );
    page.raw("<head>\n<meta charset=\"utf-8\">\n");
    page.void(
        "meta",
        &[("http-equiv", "Content-Security-Policy"), ("content", &policy)],
    );
    page.raw(
        "\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    page.element("title", &[], &format!("Run {} {} · Plimsoll", run.id, ending(run.exit)));
    page.raw("\n<style>");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n");
}

/// As a content security policy names what is in the page itself (CSP 3, `hash-source`).
fn fingerprint(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn banner(page: &mut Page, run: &Run<'_>) {
    let kind = match run.exit {
        Some(0) => "pass",
        Some(4 | 6) => "skip",
        Some(5 | 7) => "open",
        Some(_) | None => "fail",
    };
    page.open("header", &[("class", &format!("banner {kind}"))]);
    page.open("h1", &[]);
    page.text(&format!("Run {} ", run.id));
    page.element("em", &[], ending(run.exit));
    page.close("h1");
    let mut facts = vec![run.started.to_owned()];
    if let Some(took) = run.took {
        facts.push(format!("took {}", crate::table::duration(took)));
    }
    if let Some(exit) = run.exit {
        facts.push(format!("exit code {exit}"));
    }
    facts.push(format!("plimsoll {}", run.plimsoll));
    page.element("p", &[], &facts.join(" · "));
    page.close("header");
    page.raw("\n");
}

fn contents(page: &mut Page, parts: &[Section]) {
    page.raw("<nav aria-label=\"Parts of this page\">\n<ul>\n");
    for part in parts {
        page.open("li", &[]);
        page.element("a", &[("href", &format!("#{}", part.id))], part.title);
        page.close("li");
        page.raw("\n");
    }
    page.raw("</ul>\n</nav>\n");
}

/// The class by which a word has its colour.
fn class(word: Word) -> &'static str {
    match word {
        Word::Pass => "pass",
        Word::Skip => "skip",
        Word::Known | Word::Allowed => "known",
        Word::Inconclusive => "open",
        Word::Flaky | Word::Unexpected | Word::Fail | Word::Error => "fail",
    }
}

/// The word of a verdict, as a badge.
fn badge(page: &mut Page, word: Word) {
    page.element("span", &[("class", &format!("badge {}", class(word)))], word.text());
}
