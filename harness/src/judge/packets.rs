//! What came of packets that a step sent.

pub(crate) mod answers;
pub(super) mod connection;
pub(super) mod endpoints;
pub(super) mod reachability;
pub(super) mod responses;

use record::packets::AttemptSeen;

use super::evidence::Evidence;

/// Outcomes and how often each came, the most frequent first: `57 connected, 3 refused`.
fn tally(list: &[AttemptSeen]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for attempt in list {
        match counts.iter_mut().find(|(word, _)| *word == attempt.outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((&attempt.outcome, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    counts.join(", ")
}

/// One attempt in words: who, to whom, by which address, and what came of it.
pub(crate) fn told(attempt: &AttemptSeen) -> String {
    let mut text = format!("{} to {}", attempt.from, attempt.to);
    if let Some(node) = &attempt.node {
        text.push_str(&format!(" of node {node}"));
    }
    if let Some(address) = attempt
        .address
        .as_ref()
        .filter(|address| !attempt.to.contains(*address))
    {
        text.push_str(&format!(" ({address})"));
    }
    text.push_str(&format!(": {}", attempt.outcome));
    match (&attempt.errno, attempt.status) {
        (Some(errno), _) => text.push_str(&format!(", {errno}")),
        (None, Some(status)) => text.push_str(&format!(", status {status}")),
        (None, None) => {}
    }
    text.push_str(&format!(" after {}", duration(attempt.micros)));
    text
}

fn duration(micros: u64) -> String {
    if micros < 10_000 {
        format!("{micros} µs")
    } else {
        format!("{} ms", micros / 1000)
    }
}

/// Attempts that there was no time for are not as wanted, whatever was wanted.
fn all_made(list: &[AttemptSeen], wanted: u64, evidence: &mut Evidence) {
    if (list.len() as u64) < wanted {
        evidence.missed(
            format!("{wanted} attempts"),
            format!("{} attempts, then the time of the step was over", list.len()),
        );
    }
}
