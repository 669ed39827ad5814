//! Who reaches whom, and which pod is where, as tables.

use std::collections::BTreeMap;

use record::Seen;
use record::packets::AttemptSeen;
use record::pods::{FilteredSeen, PodSeen};

use super::markup::Page;
use crate::run::Outcome;

/// A table of what a check saw, if it saw something of that form.
pub(super) fn drawn(page: &mut Page, outcome: &Outcome<'_>, seen: &Seen) {
    match seen {
        Seen::Attempts { list, .. } if outcome.about == "reachability" => reachability(page, list),
        Seen::Placement {
            pods, nodes, filtered, ..
        } => placement(page, pods, nodes, filtered.as_ref()),
        _ => {}
    }
}

/// Senders in rows, what they dialled in columns.
fn reachability(page: &mut Page, list: &[AttemptSeen]) {
    let (mut rows, mut columns): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for attempt in list {
        if !rows.contains(&attempt.from.as_str()) {
            rows.push(&attempt.from);
        }
        if !columns.contains(&attempt.to.as_str()) {
            columns.push(&attempt.to);
        }
    }
    if list.is_empty() {
        return;
    }
    page.raw("<div class=\"wide\"><table class=\"matrix\">\n<caption>Who reached whom in the last look</caption>\n");
    let headings: Vec<&str> = std::iter::once("from \\ to").chain(columns.iter().copied()).collect();
    page.columns(&headings);
    page.raw("<tbody>\n");
    for row in rows {
        page.raw("<tr>");
        page.element("th", &[("scope", "row")], row);
        for column in &columns {
            let found = list.iter().find(|one| one.from == row && one.to == *column);
            match found {
                Some(one) => {
                    let kind = if one.outcome == "connected" {
                        "reached"
                    } else {
                        "blocked"
                    };
                    page.open("td", &[("class", kind)]);
                    page.text(&format!("{} ", one.outcome));
                    page.element("small", &[], &took(one.micros));
                    page.close("td");
                }
                None => page.raw("<td></td>"),
            }
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

fn took(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// Nodes in rows, with the pods that are on them and why others cannot be.
fn placement(
    page: &mut Page,
    pods: &[PodSeen],
    nodes: &BTreeMap<String, BTreeMap<String, String>>,
    filtered: Option<&BTreeMap<String, FilteredSeen>>,
) {
    if nodes.is_empty() {
        return;
    }
    page.raw(
        "<div class=\"wide\"><table class=\"placement\">\n<caption>Where the pods were in the last look</caption>\n",
    );
    let mut headings = vec!["node", "pods"];
    if filtered.is_some() {
        headings.push("filtered out by");
    }
    page.columns(&headings);
    page.raw("<tbody>\n");
    let on = |node: Option<&str>| -> Vec<String> {
        let there = pods.iter().filter(|pod| pod.node.as_deref() == node);
        there
            .map(|pod| match pod.phase.as_str() {
                "" => pod.name.clone(),
                phase => format!("{} ({phase})", pod.name),
            })
            .collect()
    };
    for node in nodes.keys() {
        let mut cells = vec![on(Some(node)).join(", ")];
        if let Some(filtered) = filtered {
            let why = filtered.get(node).map(|one| match (&one.plugin, &one.reason) {
                (Some(plugin), Some(reason)) => format!("{plugin}: {reason}"),
                (Some(plugin), None) => plugin.clone(),
                (None, _) => "nothing, it fits".into(),
            });
            cells.push(why.unwrap_or_default());
        }
        page.row(node, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let nowhere = on(None);
    if !nowhere.is_empty() {
        let nowhere = nowhere.join(", ");
        let cells: &[&str] = if filtered.is_some() {
            &[&nowhere, ""]
        } else {
            &[&nowhere]
        };
        page.row("on no node", cells);
    }
    page.raw("</tbody></table></div>\n");
}
