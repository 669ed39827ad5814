//! Who has to go for whom.

use scheduler::{Decision, Nomination, Outcome};
use serde_json::{Value, json};

use crate::lab::{Lab, asks, both};

fn pod(priority: i64, cpu: &str) -> Value {
    both(asks(json!({"cpu": cpu})), json!({"spec": {"priority": priority}}))
}

fn on(node: &str, pod: Value) -> Value {
    both(pod, json!({"spec": {"nodeName": node}}))
}

fn victims(decision: &Decision) -> Vec<String> {
    match &decision.outcome {
        Outcome::Unschedulable { victims, .. } => victims.iter().map(|pod| pod.name.to_string()).collect(),
        Outcome::Bind { .. } => Vec::new(),
    }
}

fn nominated(decision: &Decision) -> Option<String> {
    match &decision.outcome {
        Outcome::Unschedulable {
            nomination: Nomination::Node(node),
            ..
        } => Some(node.to_string()),
        _ => None,
    }
}

#[test]
fn the_least_important_pod_goes_and_its_room_is_kept() {
    let mut lab = Lab::new();
    lab.node("n1", json!({}));
    lab.node("n2", json!({}));
    lab.pod("low", on("n1", pod(1, "4")));
    lab.pod("medium", on("n2", pod(5, "4")));
    lab.pod("high", pod(10, "4"));
    let decisions = lab.run();
    assert_eq!(victims(&decisions[0]), ["low"]);
    assert_eq!(nominated(&decisions[0]).as_deref(), Some("n1"));
    let Outcome::Unschedulable { message, .. } = &decisions[0].outcome else {
        panic!("{decisions:?}");
    };
    assert_eq!(message, "0/2 nodes are available: 2 Insufficient cpu.");
    assert_eq!(lab.place("high").as_deref(), Some("n1"));
}

#[test]
fn only_as_many_go_as_must_and_the_newest_first() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    for (name, cpu, started) in [("old", "1", "08:00"), ("new", "1", "09:00"), ("big", "2", "07:00")] {
        let started = json!({"status": {"startTime": format!("2026-01-01T{started}:00Z")}});
        lab.pod(name, both(on("n", pod(1, cpu)), started));
    }
    lab.pod("high", pod(10, "1"));
    let decisions = lab.run();
    assert_eq!(victims(&decisions[0]), ["new"]);
}

#[test]
fn budgets_are_broken_only_where_there_is_no_other_way() {
    let build = |fault: Option<&str>| {
        let mut lab = fault.map_or_else(Lab::new, Lab::broken);
        lab.node("n1", json!({}));
        lab.node("n2", json!({}));
        let guarded = json!({"metadata": {"labels": {"app": "guarded"}}});
        lab.pod("guarded", both(on("n1", pod(1, "4")), guarded));
        lab.pod("free", on("n2", pod(2, "4")));
        let budget = json!({"metadata": {"namespace": "default", "name": "b"},
            "spec": {"selector": {"matchLabels": {"app": "guarded"}}}, "status": {"disruptionsAllowed": 0}});
        lab.engine.put("PodDisruptionBudget", &budget, lab.now);
        lab
    };
    let mut lab = build(None);
    lab.pod("high", pod(10, "4"));
    assert_eq!(victims(&lab.run()[0]), ["free"]);
    lab.pod(
        "higher",
        both(
            pod(20, "4"),
            json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "n1"}}}),
        ),
    );
    assert_eq!(victims(&lab.run()[0]), ["guarded"]);
    let mut lab = build(Some("budgets-ignored"));
    lab.pod("high", pod(10, "4"));
    assert_eq!(victims(&lab.run()[0]), ["guarded"]);
}

#[test]
fn a_pod_that_never_preempts_says_so_and_waits() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.pod("low", on("n", pod(1, "4")));
    let never = both(pod(10, "1"), json!({"spec": {"preemptionPolicy": "Never"}}));
    let mut empty = Lab::new();
    assert_eq!(
        empty.try_pod("p", never.clone()).unwrap_err(),
        "no nodes available to schedule pods"
    );
    assert_eq!(
        lab.try_pod("p", never).unwrap_err(),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    );
}

#[test]
fn while_victims_go_no_others_are_taken_and_lesser_pods_do_not_slip_in() {
    let mut lab = Lab::new();
    lab.victims_linger = true;
    lab.node("n", json!({}));
    lab.pod("low", on("n", pod(1, "4")));
    lab.pod("high", pod(10, "3"));
    assert_eq!(victims(&lab.run()[0]), ["low"]);
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}});
    lab.change_pod("low", going);
    let again = lab.run();
    for decision in &again {
        let Outcome::Unschedulable { message, victims, .. } = &decision.outcome else {
            panic!("{again:?}");
        };
        assert!(victims.is_empty());
        assert!(
            message.ends_with("preemption: not eligible due to a terminating pod on the nominated node."),
            "{message}"
        );
    }
    lab.delete_pod("low");
    // The room of 4 CPUs is free, but 3 of them are spoken for: 2 do not fit, 1 does.
    lab.pod("slips", pod(5, "2"));
    lab.pod("fits", pod(5, "1"));
    lab.run();
    assert_eq!(lab.place("high").as_deref(), Some("n"));
    assert_eq!(lab.place("slips"), None);
    assert_eq!(lab.place("fits").as_deref(), Some("n"));
}

#[test]
fn a_more_important_pod_takes_the_nomination_over() {
    let mut lab = Lab::new();
    lab.victims_linger = true;
    lab.node("n", json!({}));
    lab.pod("low", on("n", pod(1, "4")));
    lab.pod("high", pod(10, "3"));
    assert_eq!(nominated(&lab.run()[0]).as_deref(), Some("n"));
    lab.pod("higher", pod(20, "3"));
    let decisions = lab.run();
    let Outcome::Unschedulable { displaced, .. } = &decisions[0].outcome else {
        panic!("{decisions:?}");
    };
    assert_eq!(displaced.iter().map(|pod| &*pod.name).collect::<Vec<_>>(), ["high"]);
}

#[test]
fn victims_are_those_that_spread_needs_gone() {
    // Zone b can take the pod only if the skew allows it: two of the three in zone a must stay.
    let mut lab = Lab::new();
    lab.node("a", json!({"metadata": {"labels": {"zone": "a"}}}));
    lab.node("b", json!({"metadata": {"labels": {"zone": "b"}}}));
    let web = |priority: i64| both(pod(priority, "100m"), json!({"metadata": {"labels": {"app": "web"}}}));
    lab.pod("a1", on("a", web(1)));
    lab.pod("a2", on("a", web(1)));
    let constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                            "labelSelector": {"matchLabels": {"app": "web"}}});
    let spread = json!({"spec": {"topologySpreadConstraints": [constraint], "nodeSelector": {"zone": "a"},
                                 "priority": 10}});
    let ignore = json!("Ignore");
    let mut high = both(web(10), spread);
    high["spec"]["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = ignore;
    lab.pod("high", high);
    let decisions = lab.run();
    assert_eq!(victims(&decisions[0]).len(), 2, "{decisions:?}");
    assert_eq!(lab.place("high").as_deref(), Some("a"));
}

#[test]
fn taken_in_the_order_they_came_if_priority_is_broken() {
    let order = |mut lab: Lab| {
        lab.node("n", json!({}));
        lab.pod("first", pod(0, "1"));
        lab.pod("second", pod(10, "1"));
        let decisions = lab.run();
        decisions
            .iter()
            .map(|decision| decision.pod.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(Lab::new()), ["second", "first"]);
    assert_eq!(order(Lab::broken("priority-ignored")), ["first", "second"]);
}

#[test]
fn priority_classes_stand_in_for_a_priority_that_is_not_said() {
    let mut lab = Lab::new();
    let class = |name: &str, value: i64, default: bool| json!({"metadata": {"name": name}, "value": value, "globalDefault": default, "preemptionPolicy": "Never"});
    lab.engine.put("PriorityClass", &class("high", 100, false), lab.now);
    lab.engine.put("PriorityClass", &class("usual", 7, true), lab.now);
    lab.node("n", json!({}));
    lab.pod("low", on("n", pod(5, "4")));
    let usual = lab.try_pod("usual", asks(json!({"cpu": "1"}))).unwrap_err();
    assert!(usual.ends_with("preemptionPolicy=Never."), "{usual}");
    let named = both(
        asks(json!({"cpu": "1"})),
        json!({"spec": {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"}}),
    );
    lab.pod("named", named);
    assert_eq!(victims(&lab.run()[0]), ["low"]);
}
