//! What came back over HTTP.

use std::collections::BTreeMap;

use record::packets::AttemptSeen;
use record::{Seen, Verdict};
use serde_json::Value;
use spec::Matcher;
use spec::check::{Even, LatencyCheck, ResponsesCheck, Statistic};

use super::super::statistic::{self, even};
use super::super::{
    evidence::Evidence,
    matcher::{Finding, Unit, holds},
};
use super::{duration, tally, told};

/// Distinct bodies that are told by their text; more are only counted.
const TOLD: usize = 8;

pub(in crate::judge) fn judge(want: &ResponsesCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Attempts { list, wanted, .. } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    let mut open = None;
    let whole: Vec<&AttemptSeen> = list.iter().filter(|attempt| attempt.status.is_some()).collect();
    if let Some(want) = &want.status {
        statuses(want, &whole, list, &mut evidence);
    }
    if let Some(want) = &want.failed {
        failed(want, &whole, list, *wanted, &mut evidence);
    }
    let bodies = Bodies::of(&whole);
    if let Some(want) = &want.distinct_bodies {
        let count = Value::from(bodies.counts.len());
        evidence.compare("distinct bodies", want, Some(&count), Unit::Plain, &bodies.told());
    }
    if let Some(want) = &want.bodies {
        let texts = Value::from(bodies.texts());
        evidence.compare("bodies", want, Some(&texts), Unit::Plain, "");
    }
    if let Some(want) = &want.latency {
        latency(want, &whole, &mut evidence, &mut open);
    }
    if let Some(spread) = &want.spread {
        is_even(&spread.even, &bodies, &mut evidence, &mut open);
    }
    Some(match open {
        // What does not hold is not mended by more requests.
        Some(open) if evidence.stands() => open,
        _ => evidence.verdict(),
    })
}

fn statuses(want: &Matcher, whole: &[&AttemptSeen], list: &[AttemptSeen], evidence: &mut Evidence) {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for status in whole.iter().filter_map(|attempt| attempt.status) {
        *counts.entry(status).or_default() += 1;
    }
    if counts.is_empty() {
        let first = list.first().map(|first| format!("; first {}", told(first)));
        evidence.missed(
            format!("status {want}"),
            format!("no response ({}{})", tally(list), first.unwrap_or_default()),
        );
        return;
    }
    let shown: Vec<String> = counts
        .iter()
        .map(|(status, count)| format!("{status} × {count}"))
        .collect();
    let shown = format!("status {}", shown.join(", "));
    for status in counts.keys() {
        match holds(want, Some(&Value::from(*status)), Unit::Plain) {
            Finding::Holds => {}
            Finding::Misses => return evidence.missed(format!("status {want}"), shown),
            Finding::Unfit(why) => return evidence.fault(format!("status: {why}")),
        }
    }
    evidence.held(shown);
}

fn failed(want: &Matcher, whole: &[&AttemptSeen], list: &[AttemptSeen], wanted: u64, evidence: &mut Evidence) {
    let all = wanted.max(list.len() as u64);
    let count = all - whole.len() as u64;
    let mut source = format!("of {all}");
    if count > 0 {
        let unmade = all - list.len() as u64;
        source = format!("{source}: {}", tally(list));
        if unmade > 0 {
            source.push_str(&format!(", {unmade} that there was no time for"));
        }
        if let Some(first) = list.iter().find(|attempt| attempt.status.is_none()) {
            source.push_str(&format!("; first {}", told(first)));
        }
    }
    evidence.compare("failed requests", want, Some(&Value::from(count)), Unit::Plain, &source);
}

/// How often each body came.
struct Bodies<'a> {
    /// By hash and length: a text of it, and the count.
    counts: BTreeMap<(&'a str, u64), (&'a str, u64)>,
}

impl<'a> Bodies<'a> {
    fn of(whole: &[&'a AttemptSeen]) -> Self {
        let mut counts = BTreeMap::new();
        for body in whole.iter().filter_map(|attempt| attempt.body.as_ref()) {
            let text = body.text.strip_suffix('\n').unwrap_or(&body.text);
            counts.entry((body.hash.as_str(), body.length)).or_insert((text, 0)).1 += 1;
        }
        Self { counts }
    }

    /// In the order of the alphabet, so that two looks at the same tell the same.
    fn sorted(&self) -> Vec<(&'a str, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.values().copied().collect();
        all.sort_unstable();
        all
    }

    fn texts(&self) -> Vec<&'a str> {
        self.sorted().into_iter().map(|(text, _)| text).collect()
    }

    fn told(&self) -> String {
        let all = self.sorted();
        let mut parts: Vec<String> = all
            .iter()
            .take(TOLD)
            .map(|(text, count)| format!("{} × {count}", text.chars().take(60).collect::<String>()))
            .collect();
        if all.len() > TOLD {
            parts.push(format!("and {} more", all.len() - TOLD));
        }
        parts.join(", ")
    }
}

fn latency(want: &LatencyCheck, whole: &[&AttemptSeen], evidence: &mut Evidence, open: &mut Option<Verdict>) {
    let values: Vec<f64> = whole.iter().map(|attempt| attempt.micros as f64 / 1e6).collect();
    let slowest = whole.iter().map(|attempt| attempt.micros).max();
    if let Some(want) = &want.max {
        let value = slowest.map(|micros| Value::from(micros as f64 / 1e6));
        let shown = slowest.map(duration).unwrap_or_default();
        evidence.compare("longest latency", want, value.as_ref(), Unit::Seconds, &shown);
    }
    let samples = Seen::Samples {
        values,
        unit: "s".into(),
        complete: true,
        plan: None,
        conditions: Vec::new(),
    };
    for (which, want) in [
        (Statistic::P50, &want.p50),
        (Statistic::P95, &want.p95),
        (Statistic::P99, &want.p99),
    ] {
        let Some(want) = want else { continue };
        if whole.is_empty() {
            evidence.missed(format!("latency {want}"), "no response".into());
            continue;
        }
        match statistic::judge(which, want, &samples) {
            Some(Verdict::Pass { seen }) => evidence.held(format!("latency {seen}")),
            Some(Verdict::Fail { want, got, .. }) => evidence.missed(format!("latency {want}"), got),
            Some(Verdict::Inconclusive { n, interval, more }) => {
                // Requests are drawn in one look: `repeat` says how many.
                let more = format!("{more}; raise `repeat`");
                open.get_or_insert(Verdict::Inconclusive { n, interval, more });
            }
            Some(Verdict::Error { message }) => evidence.fault(format!("latency: {message}")),
            Some(Verdict::Skip { .. }) | None => evidence.fault("latency: it was not judged".into()),
        }
    }
}

fn is_even(want: &Even, bodies: &Bodies<'_>, evidence: &mut Evidence, open: &mut Option<Verdict>) {
    let counts: Vec<u64> = bodies.counts.values().map(|(_, count)| *count).collect();
    let asked = even::Question {
        over: want.over,
        confidence: want.confidence.unwrap_or(even::CONFIDENCE),
        detect: want.detect.unwrap_or(even::DETECT),
    };
    let wanted = format!("an even spread over {}", want.over);
    if counts.len() as u64 > u64::from(want.over) {
        return evidence.missed(
            wanted,
            format!("{} different answered: {}", counts.len(), bodies.told()),
        );
    }
    match even::test(&asked, &counts) {
        Ok(even::Found { verdict, p, n }) => {
            let shown = format!("spread {} (n {n}, chi-square p {p:.4})", bodies.told());
            match verdict {
                even::Spread::Even => evidence.held(shown),
                even::Spread::Uneven => evidence.missed(wanted, shown),
                even::Spread::Open { least } => {
                    let needed = least.map_or_else(
                        || "no number of requests that one look may have tells it".to_owned(),
                        |least| format!("`repeat: {least}` would tell"),
                    );
                    let part = asked.detect * 100.0;
                    open.get_or_insert(Verdict::Inconclusive {
                        n,
                        interval: [0.0, p],
                        more: format!(
                            "a server that gets {part} % less than its share could stay unseen; {needed}: {shown}"
                        ),
                    });
                }
            }
        }
        Err(why) => evidence.fault(format!("spread: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use record::packets::BodySeen;
    use serde_json::json;

    use super::*;

    fn answered(body: &str, micros: u64) -> AttemptSeen {
        AttemptSeen {
            from: "client".into(),
            to: "http://svc/".into(),
            outcome: "connected".into(),
            micros,
            status: Some(200),
            body: Some(BodySeen {
                hash: format!("hash of {body}"),
                length: body.len() as u64,
                text: format!("{body}\n"),
            }),
            ..AttemptSeen::default()
        }
    }

    fn refused() -> AttemptSeen {
        AttemptSeen {
            from: "client".into(),
            to: "http://svc/".into(),
            outcome: "refused".into(),
            errno: Some("ECONNREFUSED".into()),
            micros: 40,
            ..AttemptSeen::default()
        }
    }

    fn verdict(want: Value, list: Vec<AttemptSeen>, wanted: u64) -> Verdict {
        let seen = Seen::Attempts {
            list,
            wanted,
            references: [].into(),
        };
        judge(&serde_json::from_value(want).unwrap(), &seen).unwrap()
    }

    fn round_robin(counts: &[usize]) -> Vec<AttemptSeen> {
        let names = ["web-a", "web-b", "web-c", "web-d"];
        counts
            .iter()
            .zip(names)
            .flat_map(|(count, name)| vec![answered(name, 500); *count])
            .collect()
    }

    #[test]
    fn without_a_response_no_status_holds() {
        let Verdict::Fail { got, .. } = verdict(json!({"status": {"lt": 1000}}), vec![refused()], 1) else {
            panic!("must fail");
        };
        assert!(
            got.starts_with("no response (1 refused; first client to http://svc/: refused, ECONNREFUSED"),
            "{got}"
        );
    }

    #[test]
    fn each_status_and_each_failure_counts() {
        let mut list = round_robin(&[2, 1]);
        let want = json!({"status": {"eq": 200}, "failed": 0});
        assert!(matches!(verdict(want.clone(), list.clone(), 3), Verdict::Pass { .. }));
        list[1].status = Some(503);
        assert!(matches!(verdict(want.clone(), list.clone(), 3), Verdict::Fail { .. }));
        list[1] = refused();
        let Verdict::Fail { want: missed, got, .. } = verdict(want.clone(), list, 3) else {
            panic!("must fail");
        };
        assert_eq!(missed, "failed requests 0");
        assert!(got.contains("1 (of 3: 2 connected, 1 refused; first client"), "{got}");
        // Those that there was no time for have failed, too.
        assert!(matches!(verdict(want, round_robin(&[2]), 3), Verdict::Fail { .. }));
    }

    #[test]
    fn bodies_are_counted_by_what_is_in_them() {
        let want = json!({"distinctBodies": {"eq": 3}});
        assert!(matches!(
            verdict(want.clone(), round_robin(&[5, 1, 1]), 7),
            Verdict::Pass { .. }
        ));
        let Verdict::Fail { got, .. } = verdict(want, round_robin(&[5, 2]), 7) else {
            panic!("must fail");
        };
        assert_eq!(got, "distinct bodies 2 (web-a × 5, web-b × 2)");
        let want = json!({"bodies": {"exactly": ["web-b", "web-a"]}});
        assert!(matches!(verdict(want, round_robin(&[1, 1]), 2), Verdict::Pass { .. }));
    }

    #[test]
    fn every_backend_gets_its_share_or_it_is_told() {
        let want = json!({"spread": {"even": {"over": 3}}});
        let word = |counts: &[usize]| verdict(want.clone(), round_robin(counts), 0).word();
        assert_eq!(word(&[70, 62, 68]), "pass");
        assert_eq!(word(&[120, 70, 10]), "fail");
        assert_eq!(word(&[100, 100]), "fail");
        assert_eq!(word(&[5, 5, 5]), "inconclusive");
        assert_eq!(word(&[50, 50, 50, 50]), "fail");
    }

    #[test]
    fn a_percentile_needs_responses_enough() {
        let want = |bound: &str| json!({"latency": {"p50": {"lt": bound}}});
        let list = |n: usize| (0..n).map(|i| answered("a", 400 + i as u64)).collect::<Vec<_>>();
        assert_eq!(verdict(want("5ms"), list(50), 50).word(), "pass");
        assert_eq!(verdict(want("100us"), list(50), 50).word(), "fail");
        assert_eq!(verdict(want("5ms"), list(3), 3).word(), "inconclusive");
        let failed_too = json!({"latency": {"p50": {"lt": "5ms"}}, "failed": 1});
        assert_eq!(verdict(failed_too, list(3), 3).word(), "fail");
        let longest = json!({"latency": {"max": {"lte": "402us"}}});
        assert_eq!(verdict(longest, list(3), 3).word(), "pass");
    }
}
