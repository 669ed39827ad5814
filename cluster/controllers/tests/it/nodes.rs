use std::time::Duration;

use apiserver::{DeleteOptions, Part};
use controllers::Options;
use objects::{meta, time};
use serde_json::{Value, json};

use crate::running::{Running, broken, kind};

fn node(cluster: &Running, name: &str) {
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]},
    }));
}

fn pod(cluster: &Running, name: &str, node: &str, tolerations: Value) {
    cluster.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "nodeName": node, "tolerations": tolerations, "containers": [{"name": "c", "image": "i"}],
        },
    }));
}

fn taint(cluster: &Running, node: &str, taints: Value) {
    cluster.edit("Node", node, Part::Main, |node| {
        meta::set(node, &["spec", "taints"], taints.clone())
    });
}

fn tainted() -> Value {
    json!([{"key": "example.com/broken", "effect": "NoExecute"}])
}

fn tolerant(seconds: i64) -> Value {
    json!([{"key": "example.com/broken", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}])
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_leave_a_tainted_node_when_their_time_is_up() {
    let cluster = Running::start(&Options::default());
    node(&cluster, "a");
    pod(&cluster, "intolerant", "a", json!([]));
    pod(&cluster, "patient", "a", tolerant(1));
    pod(&cluster, "forgiven", "a", tolerant(2));
    pod(&cluster, "tolerant", "a", json!([{"operator": "Exists"}]));
    let start = std::time::Instant::now();
    taint(&cluster, "a", tainted());
    cluster
        .until("the intolerant is gone", || cluster.get("Pod", "intolerant").is_none())
        .await;
    assert!(start.elapsed() < Duration::from_millis(900));
    cluster
        .until("the patient is gone", || cluster.get("Pod", "patient").is_none())
        .await;
    assert!(start.elapsed() >= Duration::from_millis(1000));
    taint(&cluster, "a", json!([]));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(cluster.get("Pod", "forgiven").is_some());
    assert!(cluster.get("Pod", "tolerant").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_eviction_takes_the_patient_at_once() {
    let cluster = Running::start(&broken(&["taint-eviction-ignores-tolerationSeconds"]));
    node(&cluster, "a");
    pod(&cluster, "patient", "a", tolerant(3600));
    taint(&cluster, "a", tainted());
    cluster
        .until("the patient is gone", || cluster.get("Pod", "patient").is_none())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_lost_and_comes_back() {
    let options = Options {
        node_grace: Duration::from_millis(300),
        ..Options::default()
    };
    let cluster = Running::start(&options);
    node(&cluster, "alive");
    node(&cluster, "silent");
    pod(&cluster, "default", "silent", json!([]));
    let api = cluster.api.clone();
    let lease = json!({"metadata": {"name": "alive"}, "spec": {"holderIdentity": "alive"}});
    api.create(kind("Lease"), "kube-node-lease", lease)
        .expect("it is created");
    tokio::spawn(async move {
        loop {
            let renewed = api.edit(kind("Lease"), "kube-node-lease", "alive", Part::Main, |lease| {
                meta::set(
                    lease,
                    &["spec", "renewTime"],
                    time::micros(std::time::SystemTime::now()),
                );
            });
            renewed.expect("it is renewed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let taints = |name: &str| -> Vec<String> {
        let node = cluster.get("Node", name).expect("it is there");
        let text = |one: &Value| format!("{}:{}", one["key"].as_str().unwrap(), one["effect"].as_str().unwrap());
        meta::list(&node, &["spec", "taints"]).iter().map(text).collect()
    };
    cluster
        .until("the silent node is tainted", || {
            taints("silent")
                == [
                    "node.kubernetes.io/unreachable:NoSchedule",
                    "node.kubernetes.io/unreachable:NoExecute",
                ]
        })
        .await;
    let silent = cluster.get("Node", "silent").expect("it is there");
    assert_eq!(
        meta::condition(&silent, "Ready").expect("it is said")["status"],
        "Unknown"
    );
    cluster
        .until("its pod is not ready", || {
            let pod = cluster.get("Pod", "default").expect("it is tolerated for 300 s");
            !meta::is_true(&pod, "Ready")
        })
        .await;
    assert!(taints("alive").is_empty());
    cluster.edit("Node", "silent", Part::Status, |node| {
        let now = time::seconds(std::time::SystemTime::now());
        meta::set_condition(node, "Ready", "True", "KubeletReady", "", &now);
    });
    cluster
        .until("the taints are gone", || taints("silent").is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_node_that_is_gone_go_too() {
    let options = Options {
        gone_node_grace: Duration::from_millis(100),
        ..Options::default()
    };
    let cluster = Running::start(&options);
    node(&cluster, "a");
    pod(&cluster, "left", "a", json!([]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(cluster.get("Pod", "left").is_some());
    cluster.delete("Node", "a", &DeleteOptions::default());
    cluster
        .until("the pod is gone", || cluster.get("Pod", "left").is_none())
        .await;
}
