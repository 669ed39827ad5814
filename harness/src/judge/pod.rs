//! The status of the pods of a workload.

use record::{Seen, Verdict, pods::PodSeen};
use serde_json::Value;
use spec::{
    Matcher,
    check::{ConditionCheck, ContainerCheck, PodCheck},
};

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &PodCheck, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Pods { pods, source } = seen else {
        return None;
    };
    let who = on.unwrap_or("workload");
    let mut evidence = Evidence::default();
    let staying: Vec<&PodSeen> = pods.iter().filter(|pod| !pod.deleting).collect();
    if let Some(count) = &want.count {
        let names: Vec<&str> = staying.iter().map(|pod| pod.name.as_str()).collect();
        evidence.compare(
            &format!("pods of {who}:"),
            count,
            Some(&Value::from(staying.len())),
            Unit::Plain,
            &names.join(", "),
        );
        if *want
            == (PodCheck {
                count: want.count.clone(),
                ..PodCheck::default()
            })
        {
            return Some(evidence.verdict());
        }
    }
    // Beside pods that stay, those that are going are the old ones.
    let meant: Vec<&PodSeen> = if staying.is_empty() || want.deleting == Some(true) {
        pods.iter().collect()
    } else {
        staying
    };
    if meant.is_empty() {
        evidence.missed(format!("a pod of {who}"), format!("there is none ({source})"));
    }
    for pod in meant {
        one(want, pod, &mut evidence);
    }
    Some(evidence.verdict())
}

/// Number of ready pods.
pub(super) fn ready(want: &Matcher, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Pods { pods, .. } = seen else {
        return None;
    };
    let staying: Vec<&PodSeen> = pods.iter().filter(|pod| !pod.deleting).collect();
    let count = staying.iter().filter(|pod| pod.is_ready()).count();
    let states: Vec<String> = staying
        .iter()
        .map(|pod| {
            let word = if pod.is_ready() { "ready" } else { waits(pod) };
            format!("{} {word}", pod.name)
        })
        .collect();
    let mut evidence = Evidence::default();
    evidence.compare(
        &format!("ready pods of {}:", on.unwrap_or("workload")),
        want,
        Some(&Value::from(count)),
        Unit::Plain,
        &states.join(", "),
    );
    Some(evidence.verdict())
}

/// What a pod that is not ready waits for, in a word.
fn waits(pod: &PodSeen) -> &str {
    let of_container = pod
        .containers
        .values()
        .filter(|container| !container.ready)
        .find_map(|container| container.reason.as_deref());
    of_container.unwrap_or(&pod.phase)
}

fn one(want: &PodCheck, pod: &PodSeen, evidence: &mut Evidence) {
    let who = pod.name.as_str();
    let restarts: i64 = pod.containers.values().map(|container| container.restart_count).sum();
    let mut compare = |what: &str, want: &Option<Matcher>, value: Option<Value>| {
        if let Some(want) = want {
            evidence.compare(&format!("{who}: {what}"), want, value.as_ref(), Unit::Plain, "");
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    compare("phase", &want.phase, Some(Value::from(pod.phase.as_str())));
    compare("reason", &want.reason, text(&pod.reason));
    compare("message", &want.message, text(&pod.message));
    compare("restarts", &want.restarts, Some(Value::from(restarts)));
    compare("qosClass", &want.qos_class, text(&pod.qos_class));
    compare("podIP", &want.pod_ip, text(&pod.pod_ip));
    for (what, want, is) in [
        ("ready", want.ready, pod.is_ready()),
        ("deleting", want.deleting, pod.deleting),
    ] {
        if let Some(want) = want {
            let (wanted, got) = (format!("{who}: {what} {want}"), format!("{who}: {what} {is}"));
            if want == is {
                evidence.held(got);
            } else {
                evidence.missed(wanted, format!("{got} ({})", waits(pod)));
            }
        }
    }
    for (kind, want) in &want.conditions {
        condition(want, kind, pod, evidence);
    }
    for (name, want) in &want.containers {
        container(want, name, pod, evidence);
    }
}

fn condition(want: &ConditionCheck, kind: &str, pod: &PodSeen, evidence: &mut Evidence) {
    let seen = pod.conditions.get(kind);
    for (what, want, value) in [
        ("", &want.status, seen.map(|seen| seen.status.clone())),
        (" reason", &want.reason, seen.and_then(|seen| seen.reason.clone())),
        (" message", &want.message, seen.and_then(|seen| seen.message.clone())),
    ] {
        if let Some(want) = want {
            let what = format!("{}: {kind}{what}", pod.name);
            evidence.compare(&what, want, value.map(Value::from).as_ref(), Unit::Plain, "");
        }
    }
}

fn container(want: &ContainerCheck, name: &str, pod: &PodSeen, evidence: &mut Evidence) {
    let who = format!("{} {name}:", pod.name);
    let Some(seen) = pod.containers.get(name) else {
        let known: Vec<&str> = pod.containers.keys().map(String::as_str).collect();
        evidence.missed(
            format!("a status of container {name}"),
            format!("{} tells of [{}]", pod.name, known.join(", ")),
        );
        return;
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let last = want.last.as_ref();
    let was = seen.last.as_ref();
    let wants = [
        ("state", want.state.as_ref(), text(&seen.state)),
        ("reason", want.reason.as_ref(), text(&seen.reason)),
        ("message", want.message.as_ref(), text(&seen.message)),
        ("exitCode", want.exit_code.as_ref(), seen.exit_code.map(Value::from)),
        (
            "restartCount",
            want.restart_count.as_ref(),
            Some(Value::from(seen.restart_count)),
        ),
        (
            "last reason",
            last.and_then(|last| last.reason.as_ref()),
            was.and_then(|was| text(&was.reason)),
        ),
        (
            "last message",
            last.and_then(|last| last.message.as_ref()),
            was.and_then(|was| text(&was.message)),
        ),
        (
            "last exitCode",
            last.and_then(|last| last.exit_code.as_ref()),
            was.and_then(|was| was.exit_code.map(Value::from)),
        ),
    ];
    for (what, want, value) in wants {
        if let Some(want) = want {
            let source = match (what, &seen.reason) {
                ("state", Some(reason)) => reason.as_str(),
                _ => "",
            };
            evidence.compare(&format!("{who} {what}"), want, value.as_ref(), Unit::Plain, source);
        }
    }
    for (what, want, is) in [
        ("ready", want.ready, seen.ready),
        ("started", want.started, seen.started == Some(true)),
    ] {
        if let Some(want) = want {
            let got = format!("{who} {what} {is}");
            if want == is {
                evidence.held(got);
            } else {
                evidence.missed(format!("{who} {what} {want}"), got);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use record::pods::{ConditionSeen, ContainerSeen, EndingSeen};
    use serde_json::json;

    use super::*;

    fn pod() -> PodSeen {
        PodSeen {
            name: "app".into(),
            phase: "Running".into(),
            qos_class: Some("Burstable".into()),
            conditions: [(
                "Ready".to_owned(),
                ConditionSeen {
                    status: "False".into(),
                    reason: Some("ContainersNotReady".into()),
                    message: None,
                },
            )]
            .into(),
            containers: [(
                "c".to_owned(),
                ContainerSeen {
                    state: Some("waiting".into()),
                    reason: Some("CrashLoopBackOff".into()),
                    restart_count: 3,
                    last: Some(EndingSeen {
                        reason: Some("OOMKilled".into()),
                        exit_code: Some(137),
                        message: None,
                    }),
                    ..ContainerSeen::default()
                },
            )]
            .into(),
            ..PodSeen::default()
        }
    }

    fn verdict(want: Value, pods: Vec<PodSeen>) -> Verdict {
        let seen = Seen::Pods {
            pods,
            source: "test".into(),
        };
        judge(&super::super::placed(want), Some("app"), &seen).unwrap()
    }

    #[track_caller]
    fn passes(want: Value) {
        let verdict = verdict(want, vec![pod()]);
        assert!(matches!(verdict, Verdict::Pass { .. }), "{verdict:?}");
    }

    #[track_caller]
    fn fails(want: Value) {
        let verdict = verdict(want, vec![pod()]);
        assert!(matches!(verdict, Verdict::Fail { .. }), "{verdict:?}");
    }

    #[test]
    fn every_field_is_compared() {
        passes(json!({"phase": "Running", "ready": false, "restarts": 3, "qosClass": "Burstable", "count": 1}));
        fails(json!({"phase": "Pending"}));
        fails(json!({"ready": true}));
        fails(json!({"restarts": {"lt": 3}}));
        fails(json!({"podIP": {"exists": true}}));
        fails(json!({"deleting": true}));
        passes(json!({"conditions": {"Ready": "False", "Initialized": {"status": {"exists": false}}}}));
        fails(json!({"conditions": {"Ready": {"reason": "Other"}}}));
        passes(
            json!({"containers": {"c": {"state": "waiting", "reason": "CrashLoopBackOff",
            "last": {"reason": "OOMKilled", "exitCode": 137}}}}),
        );
        fails(json!({"containers": {"c": {"exitCode": 0}}}));
        fails(json!({"containers": {"d": {"state": "running"}}}));
        fails(json!({"containers": {"c": {"ready": true}}}));
    }

    #[test]
    fn without_pods_nothing_holds_but_their_number() {
        assert!(matches!(
            verdict(json!({"phase": {"ne": "Failed"}}), vec![]),
            Verdict::Fail { .. }
        ));
        assert!(matches!(verdict(json!({"count": 0}), vec![]), Verdict::Pass { .. }));
    }

    #[test]
    fn pods_that_are_going_do_not_count_beside_others() {
        let going = PodSeen {
            deleting: true,
            phase: "Failed".into(),
            ..pod()
        };
        assert!(matches!(
            verdict(json!({"phase": "Running", "count": 1}), vec![going.clone(), pod()]),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"deleting": true}), vec![going]),
            Verdict::Pass { .. }
        ));
    }

    #[test]
    fn ready_pods_are_counted() {
        let mut good = pod();
        if let Some(ready) = good.conditions.get_mut("Ready") {
            ready.status = "True".into();
        }
        let seen = Seen::Pods {
            pods: vec![good, pod()],
            source: "test".into(),
        };
        assert!(matches!(
            ready(&Matcher::eq(1), Some("app"), &seen),
            Some(Verdict::Pass { .. })
        ));
        assert!(matches!(
            ready(&Matcher::eq(2), Some("app"), &seen),
            Some(Verdict::Fail { .. })
        ));
    }
}
