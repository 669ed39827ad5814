//! Which of the fit nodes is taken. Where the outcome must not hang on a tie, one node is clearly the best.

use scheduler::{Config, Explanation, Strategy};
use serde_json::{Value, json};

use crate::lab::{Lab, asks, both};

fn score(explained: &Explanation, node: &str, plugin: &str) -> i64 {
    let view = explained.nodes.iter().find(|view| view.node == node).unwrap();
    view.scores.iter().find(|score| score.plugin == plugin).unwrap().score
}

fn two_nodes(config: &Config) -> Lab {
    let mut lab = Lab::with(config);
    lab.node("empty", json!({"metadata": {"labels": {"zone": "a"}}}));
    lab.node("full", json!({"metadata": {"labels": {"zone": "b"}}}));
    let filler = both(
        asks(json!({"cpu": "2", "memory": "4Gi"})),
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": "full"}}),
    );
    lab.pod("filler", filler);
    lab
}

#[test]
fn the_strategy_says_whether_empty_or_full_is_better() {
    let ratio = Strategy::RequestedToCapacityRatio(vec![(0, 0), (100, 10)]);
    for (strategy, want, scores) in [
        (Strategy::LeastAllocated, "empty", [75, 25]),
        (Strategy::MostAllocated, "full", [25, 75]),
        (ratio, "full", [25, 75]),
    ] {
        let mut lab = two_nodes(&Config {
            strategy: strategy.clone(),
            ..Config::default()
        });
        let got = lab.try_pod("p", asks(json!({"cpu": "1", "memory": "2Gi"}))).unwrap();
        assert_eq!(got, want, "{strategy:?}");
        let explained = lab.explain("p");
        let got = ["empty", "full"].map(|node| score(&explained, node, "NodeResourcesFit"));
        assert_eq!(got, scores, "{strategy:?}");
        assert_eq!(score(&explained, "full", "NodeResourcesBalancedAllocation"), 100);
    }
}

#[test]
fn an_inverted_score_prefers_the_worst() {
    let fault = "NodeResourcesFit:score-inverted".parse().unwrap();
    let mut lab = two_nodes(&Config {
        faults: vec![fault],
        ..Config::default()
    });
    let got = lab.try_pod("p", asks(json!({"cpu": "1", "memory": "2Gi"}))).unwrap();
    assert_eq!(got, "full");
}

fn preferring(field: &str, weight: i64, key: &str) -> Value {
    let term = json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}});
    let preferred = json!([{"weight": weight, "podAffinityTerm": term}]);
    json!({"spec": {"affinity": {field: {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}})
}

#[test]
fn preferences_among_pods_pull_and_push() {
    let mut lab = two_nodes(&Config::default());
    assert_eq!(
        lab.try_pod("near", preferring("podAffinity", 100, "zone")).unwrap(),
        "full"
    );
    let mut lab = two_nodes(&Config {
        strategy: Strategy::MostAllocated,
        ..Config::default()
    });
    assert_eq!(
        lab.try_pod("far", preferring("podAntiAffinity", 100, "zone")).unwrap(),
        "empty"
    );
    // What placed pods prefer counts too.
    let mut lab = two_nodes(&Config::default());
    lab.change_pod("filler", preferring("podAffinity", 100, "zone"));
    let wanted = lab
        .try_pod("wanted", json!({"metadata": {"labels": {"app": "web"}}}))
        .unwrap();
    assert_eq!(wanted, "full");
    assert_eq!(score(&lab.explain("wanted"), "full", "InterPodAffinity"), 100);
}

#[test]
fn preferred_nodes_and_taints_that_ask_and_images_weigh_in() {
    let mut lab = two_nodes(&Config::default());
    let preference = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]});
    let preferred = json!([{"weight": 50, "preference": preference}]);
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
    assert_eq!(
        lab.try_pod("p", json!({"spec": {"affinity": affinity}})).unwrap(),
        "full"
    );
    let mut lab = two_nodes(&Config::default());
    let taints = json!([{"key": "t", "effect": "PreferNoSchedule"}]);
    lab.change_node("empty", json!({"spec": {"taints": taints}}));
    assert_eq!(lab.try_pod("q", json!({})).unwrap(), "full");
    let images = json!([{"names": ["i:latest"], "sizeBytes": 800 << 20}]);
    lab.change_node("full", json!({"status": {"images": images}}));
    lab.pod("r", json!({}));
    lab.run();
    // On half of the nodes: half of 800 MiB, of 1000 at most, beyond 23.
    assert_eq!(
        score(&lab.explain("r"), "full", "ImageLocality"),
        100 * (400 - 23) / (1000 - 23)
    );
}

#[test]
fn spreading_by_asking_prefers_the_emptier_domain() {
    let mut lab = two_nodes(&Config {
        strategy: Strategy::MostAllocated,
        ..Config::default()
    });
    let constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": {"app": "web"}}});
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"topologySpreadConstraints": [constraint]}});
    assert_eq!(lab.try_pod("p", pod).unwrap(), "empty");
}

#[test]
fn pods_of_a_service_are_spread_over_hosts_and_zones_unasked() {
    let mut lab = two_nodes(&Config {
        strategy: Strategy::MostAllocated,
        ..Config::default()
    });
    let small = json!({"metadata": {"labels": {"app": "web"}}});
    assert_eq!(lab.try_pod("before", small.clone()).unwrap(), "full");
    let service = json!({"metadata": {"namespace": "default", "name": "s"}, "spec": {"selector": {"app": "web"}}});
    lab.engine.put("Service", &service, lab.now);
    assert_eq!(lab.try_pod("after", small).unwrap(), "empty");
}

#[test]
fn the_same_seed_decides_the_same_and_ties_are_shared_out() {
    let places = |seed| {
        let mut lab = Lab::with(&Config {
            seed,
            ..Config::default()
        });
        for index in 0..5 {
            lab.node(&format!("n{index}"), json!({}));
        }
        let place = |index| lab.try_pod(&format!("p{index}"), json!({})).unwrap();
        (0..20).map(place).collect::<Vec<_>>()
    };
    assert_eq!(places(1), places(1));
    assert_ne!(places(1), places(2));
}
