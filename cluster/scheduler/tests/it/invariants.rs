//! What holds whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scheduler::{Config, Engine};
use serde_json::{Value, json};

use crate::lab::{Lab, both};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Pod(Value),
    DeletePod(usize),
    Node(usize, Value),
    DeleteNode(usize),
}

fn labels() -> impl Strategy<Value = Value> {
    (0..3u8, 0..3u8).prop_map(|(app, zone)| json!({"app": format!("a{app}"), "zone": format!("z{zone}")}))
}

fn pod() -> impl Strategy<Value = Value> {
    let requests = (0..25u32, 0..5u32, 0..3u32, prop::option::of(0..3u16));
    (requests, 0..4i64, 0..3u8, 0..6u8, 0..3u8).prop_map(|(asked, priority, app, wish, other)| {
        let (cpu, memory, gpus, port) = asked;
        let mut requests = json!({"cpu": format!("{cpu}00m"), "memory": format!("{memory}Gi")});
        if gpus > 1 {
            requests["example.com/gpu"] = json!(gpus.to_string());
        }
        let ports: Vec<Value> = port.into_iter().map(|port| json!({"hostPort": 80 + port})).collect();
        let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": format!("a{other}")}}});
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let mut spec = json!({"priority": priority, "containers": [
            {"name": "c", "image": "i", "resources": {"requests": requests}, "ports": ports}]});
        match wish {
            0 => spec["affinity"] = json!({"podAffinity": {required: [term]}}),
            1 => spec["affinity"] = json!({"podAntiAffinity": {required: [term]}}),
            2 => {
                spec["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": format!("a{app}")}}}]);
            }
            3 => {
                let preferred = json!([{"weight": 10, "podAffinityTerm": term}]);
                spec["affinity"] = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
            }
            4 => spec["nodeSelector"] = json!({"zone": format!("z{other}")}),
            _ => {}
        }
        json!({"metadata": {"labels": {"app": format!("a{app}")}}, "spec": spec})
    })
}

fn node() -> impl Strategy<Value = Value> {
    (labels(), 0..4u8, 1..6u8, any::<bool>()).prop_map(|(labels, taint, cpu, cordoned)| {
        let taints = if taint == 0 {
            json!([{"key": "t", "effect": "NoSchedule"}])
        } else {
            json!([])
        };
        json!({
            "metadata": {"labels": labels}, "spec": {"taints": taints, "unschedulable": cordoned && taint == 1},
            "status": {"allocatable": {"cpu": cpu.to_string(), "memory": "8Gi", "pods": "5", "example.com/gpu": "4"}},
        })
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => pod().prop_map(Step::Pod),
        2 => any::<usize>().prop_map(Step::DeletePod),
        2 => (0..6usize, node()).prop_map(|(index, node)| Step::Node(index, node)),
        1 => (0..6usize).prop_map(Step::DeleteNode),
    ];
    prop::collection::vec(step, 1..60)
}

/// Plays the steps; calls back after each decision with the nodes and pods as they are.
fn play(
    lab: &mut Lab,
    steps: Vec<Step>,
    mut check: impl FnMut(&Lab, &BTreeMap<String, Value>),
) -> BTreeMap<String, Value> {
    let mut nodes: BTreeMap<String, Value> = BTreeMap::new();
    for (count, step) in steps.into_iter().enumerate() {
        match step {
            Step::Pod(pod) => lab.pod(&format!("p{count}"), pod),
            Step::DeletePod(index) => {
                let names: Vec<String> = lab.pods.keys().cloned().collect();
                if let Some(name) = names.get(index % names.len().max(1)) {
                    lab.delete_pod(name);
                }
            }
            Step::Node(index, node) => {
                let name = format!("n{index}");
                // A node that shrinks below what is on it is overcommitted by no decision.
                let node = match nodes.get(&name) {
                    Some(known) => both(node, json!({"status": known["status"]})),
                    None => node,
                };
                lab.node(&name, node.clone());
                nodes.insert(name, node);
            }
            Step::DeleteNode(index) => {
                let name = format!("n{index}");
                if nodes.remove(&name).is_some() {
                    lab.delete_node(&name);
                    // Its pods are gone with it.
                    let lost = |pod: &&Value| pod["spec"]["nodeName"] == *name;
                    let lost: Vec<Value> = lab.pods.values().filter(lost).cloned().collect();
                    for pod in lost {
                        lab.delete_pod(pod["metadata"]["name"].as_str().unwrap_or_default());
                    }
                }
            }
        }
        while lab.step().is_some() {
            check(lab, &nodes);
        }
    }
    nodes
}

fn whole(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("0");
    match text.strip_suffix("Gi") {
        Some(number) => number.parse::<i64>().unwrap() << 30,
        None => text.parse().unwrap(),
    }
}

fn milli(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("0");
    match text.strip_suffix('m') {
        Some(number) => number.parse().unwrap(),
        None => text.parse::<i64>().unwrap() * 1000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_decision_ever_overcommits_a_node(steps in steps()) {
        let mut lab = Lab::new();
        play(&mut lab, steps, |lab, nodes| {
            for (name, node) in nodes {
                let here: Vec<&Value> = lab.pods.values().filter(|pod| pod["spec"]["nodeName"] == **name).collect();
                let has = &node["status"]["allocatable"];
                let asked = |of: &dyn Fn(&Value) -> i64| -> i64 {
                    here.iter().map(|pod| of(&pod["spec"]["containers"][0]["resources"]["requests"])).sum()
                };
                assert!(here.len() as i64 <= whole(&has["pods"]), "{name}: pods");
                assert!(asked(&|requests| milli(&requests["cpu"])) <= milli(&has["cpu"]), "{name}: cpu");
                assert!(asked(&|requests| whole(&requests["memory"])) <= whole(&has["memory"]), "{name}: memory");
                let gpus = asked(&|requests| whole(&requests["example.com/gpu"]));
                assert!(gpus <= whole(&has["example.com/gpu"]), "{name}: gpus");
                let mut ports: Vec<i64> = here
                    .iter()
                    .filter_map(|pod| pod["spec"]["containers"][0]["ports"][0]["hostPort"].as_i64())
                    .collect();
                let all = ports.len();
                ports.sort_unstable();
                ports.dedup();
                assert_eq!(ports.len(), all, "{name}: ports");
            }
        });
    }

    /// What was kept up to date change by change is what a scheduler sees that is told everything at once.
    #[test]
    fn counts_kept_up_to_date_are_those_counted_anew(steps in steps(), probe in pod()) {
        let mut lab = Lab::new();
        let nodes = play(&mut lab, steps, |_, _| {});
        lab.pod("probe", probe);
        let mut anew = Engine::new(&Config::default());
        for (name, node) in &nodes {
            let node = both(node.clone(), json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}));
            anew.put("Node", &node, lab.now);
        }
        for (name, pod) in &lab.pods {
            // Where it waits is the scheduler's own knowledge: a node that came back is not the one it waited for.
            let waits = lab.engine.explain("default", name).unwrap().nominated_node;
            anew.put("Pod", &both(pod.clone(), json!({"status": {"nominatedNodeName": waits}})), lab.now);
        }
        for name in lab.pods.keys() {
            let mut kept = lab.engine.explain("default", name).unwrap();
            let mut fresh = anew.explain("default", name).unwrap();
            kept.message = None;
            fresh.message = None;
            prop_assert_eq!(kept, fresh);
        }
    }
}
