//! 10 000 pods, their events, and one copy of them: what that takes.

use std::time::{Duration, Instant};

use apiserver::{Api, Change, Informer, ListQuery, Part, Settings};
use objects::{kind, meta};
use serde_json::json;

const PODS: usize = 10_000;
/// Bytes that all of it may take.
const MOST: u64 = 300 << 20;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kib << 10
}

#[tokio::test]
async fn ten_thousand_pods_and_who_watches_them_fit_in_300_mib() {
    let before = resident();
    let pods = kind::find("", "v1", "pods").expect("served");
    let api = Api::new(Settings::default()).expect("starts");
    let begun = Instant::now();
    for n in 0..PODS {
        let pod = json!({
            "metadata": {"name": format!("web-5d9c7b9f6-{n:05}"), "labels": {"app": "web", "pod-template-hash": "5d9c7b9f6"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c7b9f6",
                    "uid": "6c5e6f6e-8f4c-4c5e-8d5a-0c2f3c1b7a11", "controller": true, "blockOwnerDeletion": true}]},
            "spec": {"containers": [{"name": "web", "image": "plimsoll/probe", "command": ["probe", "serve"],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}, "ports": [{"containerPort": 8080}]}]},
        });
        api.create(pods, "default", pod).expect("created");
    }
    let stored = resident() - before;
    let mut informer = Informer::start(&api, pods, ListQuery::default());
    while !matches!(informer.recv().await, Change::Synced) {}
    for n in 0..PODS {
        let name = format!("web-5d9c7b9f6-{n:05}");
        api.bind("default", &name, &format!("node-{}", n % 100)).expect("bound");
        api.edit(pods, "default", &name, Part::Status, |pod| {
            meta::set(pod, &["status", "phase"], "Running");
            meta::set(pod, &["status", "podIP"], format!("10.244.{}.{}", n % 100, n / 100));
            for condition in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
                meta::set_condition(pod, condition, "True", "", "", "2026-01-01T00:00:00Z");
            }
        })
        .expect("runs");
        if n % 100 == 99 {
            while tokio::time::timeout(Duration::ZERO, informer.recv()).await.is_ok() {}
        }
    }
    assert_eq!(informer.cache().objects().len(), PODS);
    let all = resident() - before;
    println!(
        "{PODS} pods: {} MiB stored, {} MiB with every event and a copy, {:.1} s",
        stored >> 20,
        all >> 20,
        begun.elapsed().as_secs_f64()
    );
    assert!(all < MOST, "{} MiB", all >> 20);
}
