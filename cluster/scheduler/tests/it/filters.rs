//! Who may go where, and what is said of the others.

use serde_json::{Value, json};

use crate::lab::{Lab, asks, both};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn message(got: Result<String, String>) -> String {
    got.unwrap_err()
}

#[test]
fn without_nodes_it_is_said_so() {
    let mut lab = Lab::new();
    assert_eq!(
        message(lab.try_pod("p", json!({}))),
        "no nodes available to schedule pods"
    );
    lab.node("n", json!({}));
    lab.run();
    assert_eq!(lab.place("p").as_deref(), Some("n"));
}

#[test]
fn the_message_counts_nodes_by_reason_in_kubernetes_words() {
    let mut lab = Lab::new();
    let taint = json!([{"key": "accel", "value": "gpu", "effect": "NoSchedule"}]);
    lab.node(
        "gpu",
        json!({"metadata": {"labels": {"zone": "a"}}, "spec": {"taints": taint}}),
    );
    lab.node("one", json!({}));
    lab.node("two", json!({}));
    assert_eq!(
        message(lab.try_pod("p", json!({"spec": {"nodeSelector": {"zone": "a"}}}))),
        "0/3 nodes are available: 1 node(s) had untolerated taint {accel: gpu}, 2 node(s) didn't match Pod's node \
         affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    let by_plugin: Vec<(String, &str)> = lab
        .explain("p")
        .nodes
        .into_iter()
        .map(|view| (view.node, view.rejected.unwrap().plugin))
        .collect();
    let want = [
        ("gpu", "TaintToleration"),
        ("one", "NodeAffinity"),
        ("two", "NodeAffinity"),
    ];
    assert_eq!(by_plugin, want.map(|(node, plugin)| (node.to_owned(), plugin)));
}

#[test]
fn what_a_node_lacks_is_named_resource_by_resource() {
    let mut lab = Lab::new();
    lab.node(
        "n",
        json!({"status": {"allocatable": {"example.com/gpu": "2", "pods": "2"}}}),
    );
    for (name, requests, want) in [
        ("cpu", json!({"cpu": "5"}), "1 Insufficient cpu"),
        ("memory", json!({"memory": "9Gi"}), "1 Insufficient memory"),
        (
            "disk",
            json!({"ephemeral-storage": "1Gi"}),
            "1 Insufficient ephemeral-storage",
        ),
        ("gpu", json!({"example.com/gpu": "3"}), "1 Insufficient example.com/gpu"),
        (
            "both",
            json!({"cpu": "5", "memory": "9Gi"}),
            "1 Insufficient cpu, 1 Insufficient memory",
        ),
    ] {
        let got = message(lab.try_pod(name, asks(requests)));
        let head = format!("0/1 nodes are available: {want}. preemption: ");
        assert!(got.starts_with(&head), "{got}");
    }
    lab.try_pod("a", asks(json!({"cpu": "3"}))).unwrap();
    assert_eq!(
        message(lab.try_pod("more", asks(json!({"cpu": "2"})))),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims \
         found for incoming pod."
    );
    lab.try_pod("b", json!({})).unwrap();
    assert!(message(lab.try_pod("c", json!({}))).contains("1 Too many pods."));
}

#[test]
fn pods_are_full_to_the_brim_and_no_further() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    lab.try_pod("a", asks(json!({"cpu": "2500m"}))).unwrap();
    lab.try_pod("b", asks(json!({"cpu": "1500m"}))).unwrap();
    assert!(lab.try_pod("c", asks(json!({"cpu": "1m"}))).is_err());
    lab.try_pod("d", json!({})).unwrap();
}

#[test]
fn cordoned_nodes_and_taken_ports_are_said_so() {
    let mut lab = Lab::new();
    lab.node("n", json!({}));
    let port = |port: Value| json!({"spec": {"containers": [{"name": "c", "ports": [port]}]}});
    lab.try_pod(
        "a",
        port(json!({"hostPort": 80, "protocol": "TCP", "hostIP": "127.0.0.1"})),
    )
    .unwrap();
    lab.try_pod(
        "b",
        port(json!({"hostPort": 80, "protocol": "UDP", "hostIP": "127.0.0.1"})),
    )
    .unwrap();
    lab.try_pod(
        "c",
        port(json!({"hostPort": 80, "protocol": "TCP", "hostIP": "127.0.0.2"})),
    )
    .unwrap();
    let everywhere = port(json!({"hostPort": 80, "protocol": "TCP"}));
    let got = message(lab.try_pod("d", everywhere));
    assert!(
        got.contains("1 node(s) didn't have free ports for the requested pod ports."),
        "{got}"
    );
    lab.change_node("n", json!({"spec": {"unschedulable": true}}));
    let got = message(lab.try_pod("e", json!({})));
    assert!(got.contains("1 node(s) were unschedulable."), "{got}");
}

#[test]
fn a_term_by_node_name_leaves_all_others_out() {
    let mut lab = Lab::new();
    for name in ["n1", "n2", "n3"] {
        lab.node(name, json!({}));
    }
    let named = |name: &str| {
        let fields = json!([{"key": "metadata.name", "operator": "In", "values": [name]}]);
        json!({"spec": {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": fields}]}}}}})
    };
    assert_eq!(lab.try_pod("a", named("n2")).unwrap(), "n2");
    let got = message(lab.try_pod("b", both(asks(json!({"cpu": "9"})), named("n2"))));
    assert_eq!(
        got,
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: \
         0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

fn zoned(lab: &mut Lab) {
    for (name, zone) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
        lab.node(name, json!({"metadata": {"labels": {"zone": zone}}}));
    }
    lab.node("bare", json!({}));
}

fn affine(field: &str, app: &str, extra: Value) -> Value {
    let term = both(
        json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}}),
        extra,
    );
    json!({"spec": {"affinity": {field: {REQUIRED: [term]}}}})
}

fn app(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}})
}

fn zone_of(place: &str) -> &str {
    &place[..1]
}

#[test]
fn affinity_follows_and_the_first_pod_may_start_anywhere_with_the_label() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    let got = message(lab.try_pod("lonely", affine("podAffinity", "web", json!({}))));
    assert!(got.contains("5 node(s) didn't match pod affinity rules."), "{got}");
    let first = lab
        .try_pod("first", both(app("web"), affine("podAffinity", "web", json!({}))))
        .unwrap();
    assert_ne!(first, "bare");
    let second = lab
        .try_pod("second", both(app("web"), affine("podAffinity", "web", json!({}))))
        .unwrap();
    assert_eq!(zone_of(&first), zone_of(&second));
    // The lonely one has company now.
    assert_eq!(zone_of(&lab.place("lonely").unwrap()), zone_of(&first));
}

#[test]
fn anti_affinity_works_both_ways() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    lab.delete_node("bare");
    let hermit = lab
        .try_pod(
            "hermit",
            both(app("hermit"), affine("podAntiAffinity", "web", json!({}))),
        )
        .unwrap();
    for name in ["w1", "w2", "w3"] {
        let place = lab.try_pod(name, app("web")).unwrap();
        assert_ne!(zone_of(&place), zone_of(&hermit), "{name}");
    }
    lab.change_node("b1", json!({"spec": {"unschedulable": true}}));
    lab.change_node("b2", json!({"spec": {"unschedulable": true}}));
    lab.change_node("a1", json!({"spec": {"unschedulable": true}}));
    lab.change_node("a2", json!({"spec": {"unschedulable": true}}));
    for node in ["a1", "a2", "b1", "b2"]
        .iter()
        .filter(|node| zone_of(node) == zone_of(&hermit))
    {
        lab.change_node(node, json!({"spec": {"unschedulable": null}}));
    }
    let got = message(lab.try_pod("w4", app("web")));
    assert!(
        got.contains("2 node(s) didn't satisfy existing pods anti-affinity rules"),
        "{got}"
    );
    let got = message(lab.try_pod(
        "second",
        both(app("web"), affine("podAntiAffinity", "hermit", json!({}))),
    ));
    assert!(got.contains("2 node(s) didn't match pod anti-affinity rules"), "{got}");
    // The hermit leaves: whom it kept away comes.
    lab.delete_pod("hermit");
    lab.run();
    assert_eq!(zone_of(&lab.place("w4").unwrap()), zone_of(&hermit));
}

#[test]
fn affinity_looks_into_the_namespaces_it_names() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    for (name, team) in [("red", "red"), ("blue", "blue")] {
        let namespace = json!({"metadata": {"name": name, "labels": {"team": team}}});
        lab.engine.put("Namespace", &namespace, lab.now);
    }
    lab.pod("web", both(app("web"), json!({"metadata": {"namespace": "red"}})));
    lab.run();
    let home = lab.place("web").unwrap();
    let near = |extra: Value| affine("podAffinity", "web", extra);
    assert!(lab.try_pod("own", near(json!({}))).is_err());
    assert!(lab.try_pod("blue", near(json!({"namespaces": ["blue"]}))).is_err());
    let blue = near(json!({"namespaceSelector": {"matchLabels": {"team": "blue"}}}));
    assert!(lab.try_pod("selects-blue", blue).is_err());
    if zone_of(&home) != "b" || home != "bare" {
        for (name, extra) in [
            ("red", json!({"namespaces": ["red"]})),
            (
                "selects-red",
                json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}),
            ),
            ("selects-all", json!({"namespaceSelector": {}})),
        ] {
            let got = lab.try_pod(name, near(extra));
            assert_eq!(got.is_ok(), home != "bare", "{name}: {got:?}");
        }
    }
    // A namespace joins the other team: what was selected by it changes.
    let turned = json!({"metadata": {"name": "red", "labels": {"team": "blue"}}});
    lab.engine.put("Namespace", &turned, lab.now);
    lab.run();
    assert_eq!(lab.place("selects-blue").is_some(), home != "bare");
}

#[test]
fn match_label_keys_narrow_affinity_to_the_same_revision() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    lab.delete_node("bare");
    let revision = |hash: &str| json!({"metadata": {"labels": {"app": "web", "hash": hash}}});
    let old = lab.try_pod("old", revision("1")).unwrap();
    let apart = affine("podAntiAffinity", "web", json!({"matchLabelKeys": ["hash"]}));
    let one = lab.try_pod("same-1", both(revision("1"), apart.clone())).unwrap();
    assert_ne!(zone_of(&one), zone_of(&old));
    // Another revision does not see these two.
    lab.try_pod("next-1", both(revision("2"), apart.clone())).unwrap();
    lab.try_pod("next-2", both(revision("2"), apart.clone())).unwrap();
    assert!(lab.try_pod("next-3", both(revision("2"), apart)).is_err());
}

fn spread(extra: Value) -> Value {
    let constraint = both(
        json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
               "labelSelector": {"matchLabels": {"app": "web"}}}),
        extra,
    );
    both(app("web"), json!({"spec": {"topologySpreadConstraints": [constraint]}}))
}

#[test]
fn spread_keeps_the_skew_and_needs_the_label() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    for index in 0..6 {
        lab.try_pod(&format!("w{index}"), spread(json!({}))).unwrap();
        let count = |zone: &str| {
            lab.pods
                .values()
                .filter(|pod| {
                    pod["spec"]["nodeName"]
                        .as_str()
                        .is_some_and(|node| node != "bare" && zone_of(node) == zone)
                })
                .count()
        };
        assert!(count("a").abs_diff(count("b")) <= 1, "after {index}");
    }
    for node in ["b1", "b2"] {
        lab.change_node(node, json!({"spec": {"unschedulable": true}}));
    }
    lab.try_pod("w6", spread(json!({}))).unwrap();
    assert_eq!(
        message(lab.try_pod("w7", spread(json!({})))),
        "0/5 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), 2 \
         node(s) didn't match pod topology spread constraints, 2 node(s) were unschedulable. preemption: 0/5 nodes are \
         available: 2 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn spread_counts_only_nodes_that_its_policies_honour() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    let taint = json!({"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}});
    lab.change_node("b1", taint.clone());
    lab.change_node("b2", taint);
    // By default tainted nodes count: zone b stays empty, and one more in zone a is too much.
    lab.try_pod("d0", spread(json!({}))).unwrap();
    assert!(lab.try_pod("d1", spread(json!({}))).is_err());
    // If taints are honoured, zone a is all there is.
    lab.try_pod("h0", spread(json!({"nodeTaintsPolicy": "Honor"}))).unwrap();
    // The same for node affinity, which is honoured by default.
    let in_a = json!({"spec": {"nodeSelector": {"zone": "a"}}});
    lab.try_pod("s0", both(spread(json!({})), in_a.clone())).unwrap();
    assert!(
        lab.try_pod("s1", both(spread(json!({"nodeAffinityPolicy": "Ignore"})), in_a))
            .is_err()
    );
}

#[test]
fn too_few_domains_make_the_least_nothing() {
    let mut lab = Lab::new();
    zoned(&mut lab);
    for index in 0..2 {
        lab.try_pod(&format!("w{index}"), spread(json!({"minDomains": 3})))
            .unwrap();
    }
    assert!(lab.try_pod("w2", spread(json!({"minDomains": 3}))).is_err());
    assert!(lab.try_pod("w3", spread(json!({"minDomains": 2}))).is_ok());
}

#[test]
fn each_fault_shows() {
    let tainted = json!({"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}});
    for fault in ["TaintToleration:always-yes", "TaintToleration:off"] {
        let mut lab = Lab::broken(fault);
        lab.node("n", tainted.clone());
        assert!(lab.try_pod("p", json!({})).is_ok(), "{fault}");
    }
    let mut lab = Lab::broken("symmetry-ignored");
    lab.node("n", json!({"metadata": {"labels": {"zone": "a"}}}));
    lab.try_pod("hermit", affine("podAntiAffinity", "web", json!({})))
        .unwrap();
    assert!(lab.try_pod("web", app("web")).is_ok());
    let mut lab = Lab::broken("gates-ignored");
    lab.node("n", json!({}));
    assert!(
        lab.try_pod("p", json!({"spec": {"schedulingGates": [{"name": "g"}]}}))
            .is_ok()
    );
}
