use apiserver::{DeleteOptions, Part};
use controllers::Options;
use objects::{Status, meta};
use serde_json::{Value, json};

use crate::running::{Running, broken, deployment, kind};

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    for (key, value) in spec.as_object().expect("a map") {
        meta::set(&mut pod, &["spec", key], value.clone());
    }
    pod
}

fn asking(name: &str, cpu: &str) -> Value {
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}});
    pod(name, json!({"containers": [container]}))
}

fn refused(cluster: &Running, object: Value) -> Status {
    let kind = kind(meta::kind(&object));
    cluster.api.create(kind, "default", object).expect_err("it is refused")
}

fn quota(hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_completed_on_its_way_in() {
    let cluster = Running::start(&Options::default());
    let made = cluster.create(pod("p", json!({})));
    assert_eq!(made["spec"]["serviceAccountName"], "default");
    assert_eq!(made["spec"]["priority"], 0);
    assert_eq!(made["spec"]["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(made["spec"]["volumes"][0]["projected"]["defaultMode"], 420);
    let tolerated: Vec<_> = meta::list(&made, &["spec", "tolerations"])
        .iter()
        .map(|one| (one["key"].as_str().expect("a key"), &one["tolerationSeconds"]))
        .collect();
    assert_eq!(
        tolerated,
        [
            ("node.kubernetes.io/not-ready", &json!(300)),
            ("node.kubernetes.io/unreachable", &json!(300))
        ]
    );
    let unknown = refused(&cluster, pod("x", json!({"serviceAccountName": "nobody"})));
    assert_eq!(
        unknown.message,
        "pods \"x\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_give_priorities_and_only_one_of_them_by_default() {
    let cluster = Running::start(&Options::default());
    cluster
        .until("the system's classes are there", || {
            cluster.all("PriorityClass").len() == 2
        })
        .await;
    let class = |name: &str, value: i64, default: bool| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "globalDefault": default, "preemptionPolicy": "Never",
        })
    };
    cluster.create(class("high", 1000, false));
    cluster.create(class("normal", 10, true));
    let high = cluster.create(pod("high", json!({"priorityClassName": "high"})));
    assert_eq!(
        (&high["spec"]["priority"], &high["spec"]["preemptionPolicy"]),
        (&json!(1000), &json!("Never"))
    );
    let none = cluster.create(pod("none", json!({})));
    assert_eq!(
        (&none["spec"]["priority"], &none["spec"]["priorityClassName"]),
        (&json!(10), &json!("normal"))
    );
    let critical = cluster.create(pod("critical", json!({"priorityClassName": "system-node-critical"})));
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let unknown = refused(&cluster, pod("x", json!({"priorityClassName": "gold"})));
    assert_eq!(
        unknown.message,
        "pods \"x\" is forbidden: no PriorityClass with name gold was found"
    );
    let second = cluster.api.create(kind("PriorityClass"), "", class("other", 1, true));
    assert_eq!(
        second.expect_err("one is enough").message,
        "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass normal is already marked as default. \
         Only one default can exist"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_never_exceeded_and_says_what_is_used() {
    let cluster = Running::start(&Options::default());
    cluster.create(quota(json!({"pods": "2", "requests.cpu": "1"})));
    let used = |resource: &str| {
        let found = cluster.get("ResourceQuota", "q").expect("it is there");
        found["status"]["used"][resource].as_str().map(str::to_owned)
    };
    cluster
        .until("it says that nothing is used", || used("pods").as_deref() == Some("0"))
        .await;
    cluster.create(asking("a", "600m"));
    assert_eq!(
        refused(&cluster, asking("b", "600m")).message,
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: \
         requests.cpu=1"
    );
    assert_eq!(
        refused(&cluster, pod("c", json!({}))).message,
        "pods \"c\" is forbidden: failed quota: q: must specify requests.cpu for: c"
    );
    cluster.create(asking("b", "400m"));
    cluster
        .until("it says what is used", || {
            used("requests.cpu").as_deref() == Some("1") && used("pods").as_deref() == Some("2")
        })
        .await;
    cluster.delete("Pod", "a", &DeleteOptions::now());
    cluster
        .until("it says what is free again", || used("pods").as_deref() == Some("1"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_come_at_once_do_not_both_get_the_last_of_a_quota() {
    let cluster = Running::start(&Options::default());
    cluster.create(quota(json!({"configmaps": "6"})));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let api = cluster.api.clone();
            std::thread::spawn(move || {
                let made = (0..10).filter(|index| {
                    let map = json!({"metadata": {"name": format!("m-{writer}-{index}")}});
                    api.create(kind("ConfigMap"), "default", map).is_ok()
                });
                made.count()
            })
        })
        .collect();
    let made: usize = writers.into_iter().map(|one| one.join().expect("it ends")).sum();
    let there = cluster.all("ConfigMap").len();
    // The authority's map counts as one, whenever it comes.
    assert!(there <= 6 && made >= 5, "{made} made, {there} there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_says_that_a_quota_stops_it_and_goes_on_when_it_can() {
    let cluster = Running::start(&Options::default());
    cluster.create(quota(json!({"pods": "1"})));
    cluster.create(deployment(2, "one", json!({})));
    let failure = || {
        let found = cluster.get("Deployment", "web")?;
        let said = meta::condition(&found, "ReplicaFailure")?;
        Some((said["reason"].clone(), said["message"].as_str()?.to_owned()))
    };
    cluster.until("the failure is said", || failure().is_some()).await;
    let (reason, message) = failure().expect("just seen");
    assert_eq!(reason, "FailedCreate");
    assert!(
        message.ends_with("is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
        "{message}"
    );
    cluster.edit("ResourceQuota", "q", Part::Main, |quota| {
        meta::set(quota, &["spec", "hard", "pods"], "2")
    });
    cluster
        .until("both are there and nothing is said", || {
            cluster.all("Pod").len() == 2 && failure().is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_range_completes_and_refuses() {
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "r"}, "spec": {"limits": [{
        "type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "1"},
        "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"},
    }]}});
    let cluster = Running::start(&Options::default());
    cluster.create(range.clone());
    let made = cluster.create(pod("a", json!({})));
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}})
    );
    assert_eq!(
        refused(&cluster, asking("b", "2")).message,
        "pods \"b\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
    );
    let cluster = Running::start(&broken(&["limitrange-defaults-dropped", "limitrange-not-enforced"]));
    cluster.create(range);
    let made = cluster.create(pod("a", json!({})));
    assert_eq!(
        meta::at(&made, &["spec", "containers"]).expect("it has one")[0]["resources"],
        json!({})
    );
    cluster.create(asking("b", "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_get_addresses_and_the_api_has_the_first() {
    let cluster = Running::start(&Options::default());
    cluster
        .until("the API has its Service", || {
            cluster.get("Service", "kubernetes").is_some()
        })
        .await;
    let api = cluster.get("Service", "kubernetes").expect("just seen");
    assert_eq!(api["spec"]["clusterIP"], "10.96.0.1");
    let web = cluster.create(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
            "type": "NodePort", "ports": [{"port": 80}],
        }}),
    );
    assert!(
        web["spec"]["clusterIP"]
            .as_str()
            .expect("it has one")
            .starts_with("10.96.")
    );
    let port = web["spec"]["ports"][0]["nodePort"].as_i64().expect("it has one");
    assert!((30_000..=32_767).contains(&port));
    let taken = refused(
        &cluster,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": {
            "clusterIP": "10.96.0.1", "ports": [{"port": 80}],
        }}),
    );
    assert_eq!(
        taken.message,
        "Service \"other\" is invalid: spec.clusterIPs: Invalid value: []string{\"10.96.0.1\"}: failed to allocate IP \
         10.96.0.1: provided IP is already allocated"
    );
}
