use apiserver::{DeleteOptions, ListQuery};
use controllers::Options;
use objects::{Reason, meta};
use serde_json::json;

use crate::running::{Running, kind};

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_an_account_and_the_authority_and_gets_them_back() {
    let options = Options {
        authority: "PEM".into(),
        ..Options::default()
    };
    let cluster = Running::start(&options);
    cluster
        .until("the account is there", || {
            cluster.get("ServiceAccount", "default").is_some()
        })
        .await;
    cluster
        .until("the authority is there", || {
            let found = cluster.get("ConfigMap", "kube-root-ca.crt");
            found.is_some_and(|map| map["data"]["ca.crt"] == "PEM")
        })
        .await;
    cluster.delete("ServiceAccount", "default", &DeleteOptions::default());
    cluster.edit("ConfigMap", "kube-root-ca.crt", apiserver::Part::Main, |map| {
        meta::set(map, &["data", "ca.crt"], "other");
    });
    cluster
        .until("both are back", || {
            let found = cluster.get("ConfigMap", "kube-root-ca.crt");
            cluster.get("ServiceAccount", "default").is_some()
                && found.is_some_and(|map| map["data"]["ca.crt"] == "PEM")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_ends_pods_first() {
    let cluster = Running::start(&Options::default());
    let api = cluster.api.clone();
    cluster.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}));
    let map = json!({"metadata": {"name": "map"}});
    api.create(kind("ConfigMap"), "a", map).expect("it is created");
    // A pod that is held until somebody lets it go.
    let pod = json!({
        "metadata": {"name": "pod", "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    api.create(kind("Pod"), "a", pod).expect("it is created");
    cluster.delete("Namespace", "a", &DeleteOptions::default());
    cluster
        .until("the namespace says what holds it", || {
            let namespace = cluster.get("Namespace", "a").expect("a pod holds it");
            let remaining = meta::condition(&namespace, "NamespaceFinalizersRemaining");
            remaining.is_some_and(|one| {
                one["message"] == "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            })
        })
        .await;
    api.get(kind("ConfigMap"), "a", "map").expect("pods go first");
    let refused = api.create(kind("ConfigMap"), "a", json!({"metadata": {"name": "late"}}));
    assert_eq!(refused.expect_err("it ends").reason, Reason::Forbidden);
    api.edit(kind("Pod"), "a", "pod", apiserver::Part::Main, |pod| {
        meta::remove(pod, &["metadata", "finalizers"]);
    })
    .expect("it is let go");
    cluster
        .until("the namespace is gone", || cluster.get("Namespace", "a").is_none())
        .await;
    for one in objects::kind::KINDS.iter().filter(|one| one.stored && one.namespaced) {
        let left = api.list(one, Some("a"), &ListQuery::default()).expect("a list").items;
        assert_eq!(left.len(), 0, "{}", one.kind);
    }
}
