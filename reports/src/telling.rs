//! What there is to say of a check, line by line, for all reports that people read.

use record::{Tally, Verdict};

use crate::{
    drift::ran_before,
    run::{Case, Outcome, Run, Word},
};

/// A name and a text, which may have several lines.
pub(crate) type Line = (&'static str, String);

/// What was expected and observed, why, and what else is known of it.
pub(crate) fn lines(run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(flaky) = outcome.flaky {
        lines.push(("attempts", crate::table::flaky_text(flaky)));
    }
    // Of a flaky check, what it saw when it did not pass is what there is to explain.
    match outcome.failure.or(outcome.verdict) {
        Some(Verdict::Pass { seen }) => {
            if outcome.word() == Word::Unexpected {
                lines.push(("expected", "to fail on this subject, as the spec says".into()));
            }
            lines.push(("observed", seen.clone()));
        }
        Some(Verdict::Fail { want, got, because }) => {
            lines.push(("expected", want.clone()));
            lines.push(("observed", got.clone()));
            lines.extend(because.clone().map(|because| ("because", because)));
            lines.extend(same_cause(&case.also(outcome)).map(|also| ("also", also)));
        }
        Some(Verdict::Skip { requirement, seen, .. }) => {
            lines.push(("needs", requirement.clone()));
            lines.push(("observed", seen.clone()));
            lines.extend(run.drift(case, outcome).map(|drift| ("before", ran_before(drift))));
        }
        Some(Verdict::Inconclusive { n, interval, more }) => {
            lines.push(("expected", "the samples to decide".into()));
            lines.push((
                "observed",
                format!("{n} samples, interval {}", interval_text(*interval)),
            ));
            lines.push(("because", more.clone()));
        }
        Some(Verdict::Error { message }) => lines.push(("not measured", message.clone())),
        None => lines.push(("not measured", "the run ended before there was a verdict".into())),
    }
    if let Some(reason) = outcome.known {
        lines.push(("known as", reason.to_owned()));
    }
    if let (Some(_), Some(Verdict::Pass { seen })) = (outcome.flaky, outcome.verdict) {
        lines.push(("at last", seen.clone()));
    }
    lines
}

/// What became of a run, by its exit code.
pub(crate) fn ending(exit: Option<u8>) -> &'static str {
    match exit {
        None => "did not come to its end",
        Some(0) => "passed",
        Some(1) => "failed",
        Some(2) => "could not be used as asked",
        Some(3) => "could not measure everything",
        Some(4) => "looked at nothing",
        Some(5) => "is undecided",
        Some(6) => "skipped more than it may",
        Some(7) => "has unproven checks",
        Some(_) => "ended",
    }
}

/// How many checks came to what, without what there is none of; the worst but for passes first.
pub(crate) fn counts(tally: &Tally) -> Vec<(Word, u64, &'static str)> {
    let Tally {
        pass,
        fail,
        known,
        unexpected,
        skip,
        after,
        inconclusive,
        error,
        unproven: _,
        flaky,
        flaky_allowed,
    } = *tally;
    [
        (Word::Pass, pass, "passed"),
        (Word::Fail, fail, "failed"),
        (Word::Unexpected, unexpected, "passed unexpectedly"),
        (Word::Error, error, "not measured"),
        (Word::Flaky, flaky, "flaky"),
        (Word::Inconclusive, inconclusive, "inconclusive"),
        (Word::Allowed, flaky_allowed, "flaky as allowed"),
        (Word::Known, known, "failed as known"),
        (Word::Skip, skip, "skipped"),
        (Word::Skip, after, "not come to"),
    ]
    .into_iter()
    .filter(|(_, count, _)| *count > 0)
    .collect()
}

/// `1 check`, `2 checks`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

/// `a and b fail for the same cause`.
pub(crate) fn same_cause(others: &[&str]) -> Option<String> {
    match others {
        [] => None,
        [one] => Some(format!("{one} fails for the same cause")),
        [all @ .., last] => Some(format!("{} and {last} fail for the same cause", all.join(", "))),
    }
}

fn interval_text([low, high]: [f64; 2]) -> String {
    let end = |end: f64| {
        if end <= f64::MIN || end >= f64::MAX {
            "open".to_owned()
        } else {
            format!("{end:.6}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        }
    };
    format!("[{}, {}]", end(low), end(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_of_the_same_cause_are_one_sentence() {
        assert_eq!(same_cause(&[]), None);
        assert_eq!(same_cause(&["a"]).unwrap(), "a fails for the same cause");
        assert_eq!(
            same_cause(&["a", "b", "c"]).unwrap(),
            "a, b and c fail for the same cause"
        );
    }
}
