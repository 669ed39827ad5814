//! What name servers answered.

use record::packets::AnswerSeen;
use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::DnsCheck;

use super::super::{evidence::Evidence, matcher::Unit};
use super::duration;

pub(in crate::judge) fn judge(want: &DnsCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Answers { list, .. } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    for answer in list {
        one(want, answer, &mut evidence);
    }
    Some(evidence.verdict())
}

/// One question in words.
pub(crate) fn told(answer: &AnswerSeen) -> String {
    let mut text = format!("{} asked {} for {}", answer.from, server(answer), answer.kind);
    let asked = answer.asked.as_ref().unwrap_or(&answer.name);
    text.push_str(&format!(" of {asked}"));
    if let Some(node) = &answer.node {
        text.push_str(&format!(" on node {node}"));
    }
    match (&answer.rcode, &answer.errno) {
        (Some(rcode), _) => text.push_str(&format!(": {rcode}, {} records", answer.records.len())),
        (None, Some(errno)) => text.push_str(&format!(": {}, {errno}", answer.outcome)),
        (None, None) => text.push_str(&format!(": {}", answer.outcome)),
    }
    text.push_str(&format!(" after {}", duration(answer.micros)));
    text
}

fn server(answer: &AnswerSeen) -> &str {
    answer.server.as_deref().unwrap_or("no server")
}

/// Names that records of these types lead to.
fn leads_to(kind: &str, value: &str) -> Option<String> {
    let name = match kind {
        "CNAME" | "PTR" => value,
        "SRV" => value.split(' ').nth(3)?,
        _ => return None,
    };
    Some(name.trim_end_matches('.').to_owned())
}

fn one(want: &DnsCheck, answer: &AnswerSeen, evidence: &mut Evidence) {
    if answer.rcode.is_none() {
        evidence.missed("an answer".into(), told(answer));
        return;
    }
    let source = told(answer);
    let text = |value: &Option<String>| value.as_deref().map(Value::from);
    if let Some(want) = &want.rcode {
        evidence.compare("rcode", want, text(&answer.rcode).as_ref(), Unit::Plain, &source);
    }
    let of = |kinds: &[&str]| -> Vec<&str> {
        let fitting = answer
            .records
            .iter()
            .filter(|record| kinds.contains(&record.kind.as_str()));
        fitting.map(|record| record.value.as_str()).collect()
    };
    let names = answer
        .records
        .iter()
        .filter_map(|record| leads_to(&record.kind, &record.value));
    let records = answer
        .records
        .iter()
        .map(|record| format!("{} {}", record.kind, record.value));
    for (what, want, list) in [
        ("addresses", &want.addresses, Value::from(of(&["A", "AAAA"]))),
        ("names", &want.names, names.collect()),
        ("records", &want.records, records.collect()),
    ] {
        if let Some(want) = want {
            evidence.compare(what, want, Some(&list), Unit::Plain, &source);
        }
    }
    if let Some(want) = &want.ttl {
        if answer.records.is_empty() {
            evidence.missed(format!("ttl {want}"), format!("no record ({source})"));
        }
        for record in &answer.records {
            let what = format!("ttl of {} {}", record.kind, record.value);
            evidence.compare(&what, want, Some(&Value::from(record.ttl)), Unit::Seconds, "");
        }
    }
    if let Some(want) = &want.asked {
        evidence.compare("asked", want, text(&answer.asked).as_ref(), Unit::Plain, &source);
    }
    if let Some(want) = &want.via {
        evidence.compare("via", want, text(&answer.via).as_ref(), Unit::Plain, "");
    }
}

#[cfg(test)]
mod tests {
    use record::packets::RecordSeen;
    use serde_json::json;

    use super::*;

    fn answer(rcode: Option<&str>, records: &[(&str, &str)]) -> AnswerSeen {
        AnswerSeen {
            from: "client".into(),
            name: "headless.ns.svc".into(),
            kind: "A".into(),
            outcome: if rcode.is_some() { "answered" } else { "timeout" }.into(),
            server: Some("10.96.0.10:53".into()),
            rcode: rcode.map(str::to_owned),
            asked: Some("headless.ns.svc.cluster.local".into()),
            via: Some("udp".into()),
            micros: 300,
            records: records
                .iter()
                .map(|(kind, value)| RecordSeen {
                    kind: (*kind).into(),
                    value: (*value).into(),
                    ttl: 5,
                })
                .collect(),
            ..AnswerSeen::default()
        }
    }

    fn verdict(want: Value, answers: Vec<AnswerSeen>) -> Verdict {
        let seen = Seen::Answers {
            list: answers,
            references: [].into(),
        };
        judge(&serde_json::from_value(want).unwrap(), &seen).unwrap()
    }

    #[test]
    fn addresses_are_those_of_the_answer_in_any_order() {
        let found = answer(Some("NOERROR"), &[("A", "10.244.1.3"), ("A", "10.244.0.2")]);
        let want = json!({"addresses": {"exactly": ["10.244.0.2", "10.244.1.3"]}, "ttl": {"lte": "30s"}});
        assert_eq!(verdict(want.clone(), vec![found.clone()]).word(), "pass");
        let other = answer(Some("NOERROR"), &[("A", "10.96.0.7")]);
        assert_eq!(verdict(want.clone(), vec![other.clone()]).word(), "fail");
        // What is asked for each node must be so for each.
        assert_eq!(verdict(want, vec![found, other]).word(), "fail");
    }

    #[test]
    fn who_is_not_answered_knows_nothing_of_absence() {
        let silent = answer(None, &[]);
        for want in [json!({"rcode": {"ne": "NOERROR"}}), json!({"addresses": {"count": 0}})] {
            assert_eq!(verdict(want, vec![silent.clone()]).word(), "fail");
        }
        let no_name = answer(Some("NXDOMAIN"), &[]);
        assert_eq!(
            verdict(json!({"rcode": "NXDOMAIN"}), vec![no_name.clone()]).word(),
            "pass"
        );
        assert_eq!(verdict(json!({"ttl": {"lte": "30s"}}), vec![no_name]).word(), "fail");
    }

    #[test]
    fn names_are_where_records_lead() {
        let service = answer(
            Some("NOERROR"),
            &[("SRV", "0 100 80 web-0.web.ns.svc.cluster.local."), ("A", "10.244.0.2")],
        );
        let want = json!({
            "names": {"exactly": ["web-0.web.ns.svc.cluster.local"]},
            "records": {"contains": "SRV 0 100 80 web-0.web.ns.svc.cluster.local."},
            "asked": "headless.ns.svc.cluster.local",
            "via": "udp",
        });
        assert_eq!(verdict(want, vec![service]).word(), "pass");
    }
}
