use apiserver::{DeleteOptions, Part};
use controllers::Options;
use objects::{Reason, meta};
use serde_json::json;

use crate::running::{Running, deployment, is_rolled_out};

async fn deployed(replicas: i64) -> Running {
    deployed_on(&Options::default(), replicas).await
}

async fn deployed_on(options: &Options, replicas: i64) -> Running {
    let cluster = Running::start(options);
    cluster.create(deployment(replicas, "one", json!({})));
    cluster
        .until("it is deployed", || {
            cluster.get("Deployment", "web").is_some_and(|one| is_rolled_out(&one))
        })
        .await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_follow_readiness() {
    let cluster = deployed(3).await;
    cluster.create(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80}],
        }}),
    );
    let ready = || -> usize {
        let slices = cluster.all("EndpointSlice");
        let endpoints = slices.iter().flat_map(|one| meta::list(one, &["endpoints"]));
        endpoints.filter(|one| one["conditions"]["ready"] == true).count()
    };
    cluster.until("three are ready", || ready() == 3).await;
    let name = meta::name(&cluster.all("Pod")[0]).to_owned();
    cluster.edit("Pod", &name, Part::Status, |pod| {
        meta::set_condition(pod, "Ready", "False", "", "", "2026-01-01T00:00:00Z");
    });
    cluster.until("two are ready", || ready() == 2).await;
    cluster.delete("Service", "web", &DeleteOptions::default());
    cluster
        .until("the slices are gone", || cluster.all("EndpointSlice").is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_waits_for_its_budget() {
    let cluster = deployed(2).await;
    cluster.create(
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}}, "minAvailable": 2,
        }}),
    );
    let said = |key: &str| {
        let found = cluster.get("PodDisruptionBudget", "web").expect("it is there");
        meta::number(&found, &["status", key]).unwrap_or_default()
    };
    cluster
        .until("two are healthy", || {
            said("currentHealthy") == 2 && said("observedGeneration") == 1
        })
        .await;
    let name = meta::name(&cluster.all("Pod")[0]).to_owned();
    let refused = cluster
        .api
        .evict("default", &name, &DeleteOptions::default())
        .expect_err("both are needed");
    assert_eq!(refused.reason, Reason::TooManyRequests);
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::set(found, &["spec", "replicas"], 3)
    });
    cluster.until("one may go", || said("disruptionsAllowed") == 1).await;
    cluster
        .api
        .evict("default", &name, &DeleteOptions::default())
        .expect("one may go");
    cluster
        .until("it is replaced", || {
            cluster.get("Pod", &name).is_none() && said("currentHealthy") == 3 && said("disruptionsAllowed") == 1
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_follow_the_families_of_their_service() {
    let options = Options {
        dual_stack: true,
        ..Options::default()
    };
    let cluster = deployed_on(&options, 2).await;
    let made = cluster.create(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80}], "ipFamilyPolicy": "RequireDualStack",
        }}),
    );
    let addresses = meta::list(&made, &["spec", "clusterIPs"]);
    assert!(
        matches!(addresses, [four, six] if four.as_str().is_some_and(|one| one.starts_with("10.96."))
            && six.as_str().is_some_and(|one| one.starts_with("fd00:10:96::"))),
        "{addresses:?}"
    );
    let counts = |cluster: &Running| -> Vec<(String, usize)> {
        let slices = cluster.all("EndpointSlice");
        let ours = slices.iter().filter(|one| meta::name(one).starts_with("web-"));
        let mut counts: Vec<(String, usize)> = ours
            .map(|one| {
                (
                    meta::text(one, &["addressType"]).to_owned(),
                    meta::list(one, &["endpoints"]).len(),
                )
            })
            .collect();
        counts.sort();
        counts
    };
    cluster
        .until("both families have endpoints", || {
            counts(&cluster) == [("IPv4".to_owned(), 2), ("IPv6".to_owned(), 2)]
        })
        .await;
    cluster.edit("Service", "web", Part::Main, |service| {
        meta::set(service, &["spec", "ipFamilyPolicy"], "SingleStack");
    });
    cluster
        .until("the first family is left", || {
            counts(&cluster) == [("IPv4".to_owned(), 2)]
        })
        .await;
    let left = cluster.get("Service", "web").expect("it is there");
    assert_eq!(left["spec"]["ipFamilies"], json!(["IPv4"]));
    assert_eq!(meta::list(&left, &["spec", "clusterIPs"]).len(), 1);
}
