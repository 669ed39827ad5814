//! What wakes a pod that waits, and what does not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{Lab, asks, both};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn gated_pods_wait_until_the_last_gate_is_gone() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.pod(
        "p",
        json!({"spec": {"schedulingGates": [{"name": "a"}, {"name": "b"}]}}),
    );
    assert!(lab.run().is_empty());
    assert!(lab.explain("p").gated);
    lab.change_pod("p", json!({"spec": {"schedulingGates": [{"name": "b"}]}}));
    assert!(lab.run().is_empty());
    lab.change_pod("p", json!({"spec": {"schedulingGates": []}}));
    assert_eq!(lab.run().len(), 1);
    assert_eq!(lab.place("p").as_deref(), Some("n"));
}

#[test]
fn only_a_change_that_may_help_wakes_a_pod() {
    let mut lab = Lab::new();
    lab.node("n", json!({"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}}));
    lab.pod("p", json!({}));
    assert_eq!(lab.run().len(), 1);
    // Labels, room and other pods do not matter to a taint.
    lab.change_node("n", json!({"metadata": {"labels": {"x": "y"}}}));
    lab.change_node("n", json!({"status": {"allocatable": {"cpu": "64"}}}));
    lab.pod("other", json!({"spec": {"nodeName": "n"}}));
    lab.delete_pod("other");
    // Nor does another taint.
    lab.change_node("n", json!({"spec": {"taints": [{"key": "u", "effect": "NoExecute"}]}}));
    assert!(lab.run().is_empty());
    lab.change_node("n", json!({"spec": {"taints": []}}));
    lab.run();
    assert_eq!(lab.place("p").as_deref(), Some("n"));
}

#[test]
fn each_plugin_knows_what_may_help_its_pods() {
    let hurdles: [(&str, Value, Value, &str, Value); 4] = [
        (
            "cordon",
            json!({"spec": {"unschedulable": true}}),
            json!({}),
            "node",
            json!({"spec": {"unschedulable": null}}),
        ),
        (
            "selector",
            json!({}),
            json!({"spec": {"nodeSelector": {"disk": "ssd"}}}),
            "node",
            json!({"metadata": {"labels": {"disk": "ssd"}}}),
        ),
        (
            "room",
            json!({}),
            asks(json!({"cpu": "5"})),
            "node",
            json!({"status": {"allocatable": {"cpu": "6"}}}),
        ),
        (
            "own toleration",
            json!({"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}}),
            json!({}),
            "pod",
            json!({"spec": {"tolerations": [{"key": "t", "operator": "Exists"}]}}),
        ),
    ];
    for (name, node, pod, what, help) in hurdles {
        let mut lab = Lab::new();
        lab.node("n", node);
        assert!(lab.try_pod("p", pod).is_err(), "{name}");
        match what {
            "node" => lab.change_node("n", help),
            _ => lab.change_pod("p", help),
        }
        lab.run();
        assert_eq!(lab.place("p").as_deref(), Some("n"), "{name}");
    }
}

#[test]
fn a_port_is_free_when_the_pod_that_had_it_is_gone_or_has_ended() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    let port = json!({"spec": {"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}});
    lab.try_pod("a", port.clone()).unwrap();
    assert!(lab.try_pod("b", port.clone()).is_err());
    lab.delete_pod("a");
    lab.run();
    assert_eq!(lab.place("b").as_deref(), Some("n"));
    assert!(lab.try_pod("c", port).is_err());
    lab.change_pod("b", json!({"status": {"phase": "Succeeded"}}));
    lab.run();
    assert_eq!(lab.place("c").as_deref(), Some("n"));
}

#[test]
fn a_failed_binding_gives_the_room_back_and_is_tried_again_after_a_pause() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.pod("p", asks(json!({"cpu": "3"})));
    let decision = lab.engine.next(lab.now).unwrap();
    lab.engine.bind_failed(&decision.pod, lab.now);
    assert_eq!(lab.engine.next(lab.now), None);
    assert_eq!(lab.engine.wake_at(), Some(SECOND));
    // Meanwhile the room is free for others.
    lab.try_pod("q", asks(json!({"cpu": "1"}))).unwrap();
    lab.now = SECOND;
    lab.run();
    assert_eq!(lab.place("p").as_deref(), Some("n"));
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.try_pod("p", asks(json!({"cpu": "3"}))).unwrap();
    let again = both(asks(json!({"cpu": "4"})), json!({"metadata": {"uid": "another"}}));
    lab.pod("p", again);
    lab.run();
    assert_eq!(lab.place("p").as_deref(), Some("n"));
    assert_eq!(lab.engine.pods(), 1);
}

#[test]
fn pods_of_other_schedulers_are_left_alone_but_take_room() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    let foreign = json!({"spec": {"schedulerName": "other"}});
    lab.pod("foreign", both(asks(json!({"cpu": "3"})), foreign));
    assert!(lab.run().is_empty());
    lab.change_pod("foreign", json!({"spec": {"nodeName": "n"}}));
    assert!(lab.try_pod("p", asks(json!({"cpu": "2"}))).is_err());
}

#[test]
fn pods_on_a_node_that_comes_back_still_take_their_room() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.try_pod("a", asks(json!({"cpu": "3"}))).unwrap();
    lab.delete_node("n");
    assert!(lab.try_pod("b", asks(json!({"cpu": "2"}))).is_err());
    lab.node("n", json!({}));
    lab.run();
    assert_eq!(lab.place("b"), None);
    lab.delete_pod("a");
    lab.run();
    assert_eq!(lab.place("b").as_deref(), Some("n"));
}

#[test]
fn a_pod_that_is_taken_back_to_before_it_was_bound_is_placed_again() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.try_pod("p", asks(json!({"cpu": "3"}))).unwrap();
    lab.change_pod("p", json!({"spec": {"nodeName": null}}));
    lab.try_pod("q", asks(json!({"cpu": "1"}))).unwrap();
    assert_eq!(lab.place("p").as_deref(), Some("n"));
}

#[test]
fn news_from_before_a_binding_do_not_undo_it_but_those_from_after_do() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.pod("p", json!({}));
    let decision = lab.engine.next(lab.now).unwrap();
    lab.engine.bound(&decision.pod, 7);
    lab.change_pod("p", json!({"metadata": {"resourceVersion": "6"}}));
    assert_eq!(lab.engine.next(lab.now), None);
    lab.change_pod("p", json!({"metadata": {"resourceVersion": "8"}}));
    assert_eq!(lab.engine.next(lab.now).unwrap().pod, decision.pod);
}
