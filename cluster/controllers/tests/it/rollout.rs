use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::Part;
use controllers::Options;
use objects::meta;
use serde_json::{Value, json};

use crate::running::{Running, broken, deployment, is_rolled_out};

fn rolling(surge: i64, unavailable: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn image(cluster: &Running, image: &str) {
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::set(
            &mut found["spec"]["template"]["spec"]["containers"][0],
            &["image"],
            image,
        );
    });
}

async fn rolled_out(cluster: &Running) {
    cluster
        .until("the Deployment is rolled out", || {
            cluster.get("Deployment", "web").is_some_and(|one| is_rolled_out(&one))
        })
        .await;
}

/// Fewest available and most pods while `rollout` runs.
async fn sampled(cluster: &Running, rollout: impl Future<Output = ()>) -> (usize, usize) {
    let (ended, extremes) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new((usize::MAX, 0))));
    let (api, is_over, seen) = (cluster.api.clone(), ended.clone(), extremes.clone());
    let sampling = std::thread::spawn(move || {
        let pods = crate::running::kind("Pod");
        while !is_over.load(Ordering::Relaxed) {
            let all = api
                .list(pods, Some("default"), &Default::default())
                .expect("a list")
                .items;
            let live: Vec<_> = all.iter().filter(|pod| !meta::is_deleting(pod)).collect();
            let ready = live.iter().filter(|pod| meta::is_true(pod, "Ready")).count();
            let mut seen = seen.lock().expect("not poisoned");
            *seen = (seen.0.min(ready), seen.1.max(live.len()));
        }
    });
    rollout.await;
    ended.store(true, Ordering::Relaxed);
    sampling.join().expect("sampled");
    *extremes.lock().expect("not poisoned")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_never_leaves_its_bounds() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(6, "one", rolling(2, 1)));
    rolled_out(&cluster).await;
    let (fewest, most) = sampled(&cluster, async {
        image(&cluster, "two");
        rolled_out(&cluster).await;
    })
    .await;
    assert!(fewest >= 5, "{fewest} available");
    assert!(most <= 8, "{most} pods");
    let sets = cluster.all("ReplicaSet");
    assert_eq!(sets.len(), 2);
    let found = cluster.get("Deployment", "web").expect("it is there");
    assert_eq!(meta::annotation(&found, "deployment.kubernetes.io/revision"), Some("2"));
    let progressing = meta::condition(&found, "Progressing").expect("it is said");
    assert_eq!(progressing["reason"], "NewReplicaSetAvailable");
    assert!(meta::is_true(&found, "Available"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_overtaken_by_the_next_keeps_its_bounds_too() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(6, "one", rolling(2, 1)));
    rolled_out(&cluster).await;
    let (fewest, most) = sampled(&cluster, async {
        for version in ["two", "three", "four"] {
            image(&cluster, version);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        rolled_out(&cluster).await;
    })
    .await;
    assert!(fewest >= 5, "{fewest} available");
    assert!(most <= 8, "{most} pods");
    let left: Vec<_> = cluster
        .all("ReplicaSet")
        .into_iter()
        .filter(|set| set["spec"]["replicas"] != 0)
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["spec"]["template"]["spec"]["containers"][0]["image"], "four");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_changes_in_a_rollout_is_shared_by_its_sets() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(10, "one", rolling(3, 2)));
    rolled_out(&cluster).await;
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::set(found, &["spec", "template", "metadata", "labels", "stuck"], "yes");
    });
    let sizes = || -> Vec<i64> {
        let mut sets = cluster.all("ReplicaSet");
        sets.sort_by_key(|set| meta::annotation(set, "deployment.kubernetes.io/revision").map(str::to_owned));
        sets.iter()
            .filter_map(|set| meta::number(set, &["spec", "replicas"]))
            .collect()
    };
    cluster.until("the rollout is stuck", || sizes() == [8, 5]).await;
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::set(found, &["spec", "replicas"], 15)
    });
    cluster.until("both sets have grown", || sizes() == [11, 7]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_deployment_controller_is_seen_to_leave_the_bounds() {
    let cluster = Running::start(&broken(&["deployment-overshoots-surge"]));
    cluster.create(deployment(6, "one", rolling(1, 0)));
    rolled_out(&cluster).await;
    let (_, most) = sampled(&cluster, async {
        image(&cluster, "two");
        rolled_out(&cluster).await;
    })
    .await;
    assert!(most > 7, "{most} pods");
    let cluster = Running::start(&broken(&["deployment-undershoots-available"]));
    cluster.create(deployment(6, "one", rolling(1, 0)));
    rolled_out(&cluster).await;
    let (fewest, _) = sampled(&cluster, async {
        image(&cluster, "two");
        rolled_out(&cluster).await;
    })
    .await;
    assert!(fewest < 6, "{fewest} available");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_makes_the_old_set_the_newest_again() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(2, "one", rolling(1, 0)));
    rolled_out(&cluster).await;
    let first = meta::name(&cluster.all("ReplicaSet")[0]).to_owned();
    image(&cluster, "two");
    rolled_out(&cluster).await;
    image(&cluster, "one");
    rolled_out(&cluster).await;
    let set = cluster.get("ReplicaSet", &first).expect("it is remembered");
    assert_eq!(meta::annotation(&set, "deployment.kubernetes.io/revision"), Some("3"));
    assert_eq!(
        meta::annotation(&set, "deployment.kubernetes.io/revision-history"),
        Some("1")
    );
    assert_eq!(set["spec"]["replicas"], 2);
    assert_eq!(cluster.all("ReplicaSet").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_old_sets_are_remembered() {
    let cluster = Running::start(&Options::default());
    let mut object = deployment(1, "0", rolling(1, 0));
    meta::set(&mut object, &["spec", "revisionHistoryLimit"], 1);
    cluster.create(object);
    rolled_out(&cluster).await;
    for version in ["1", "2", "3"] {
        image(&cluster, version);
        rolled_out(&cluster).await;
    }
    cluster
        .until("two sets are left", || cluster.all("ReplicaSet").len() == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recreate_never_has_two_generations_at_once() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(3, "one", json!({"type": "Recreate"})));
    rolled_out(&cluster).await;
    let (fewest, most) = sampled(&cluster, async {
        image(&cluster, "two");
        rolled_out(&cluster).await;
    })
    .await;
    assert_eq!((fewest, most), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(2, "one", rolling(1, 0)));
    rolled_out(&cluster).await;
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::set(found, &["spec", "paused"], true);
        meta::set(found, &["spec", "replicas"], 4);
        meta::set(
            &mut found["spec"]["template"]["spec"]["containers"][0],
            &["image"],
            "two",
        );
    });
    cluster
        .until("there are four pods", || {
            let found = cluster.get("Deployment", "web").expect("it is there");
            meta::number(&found, &["status", "availableReplicas"]) == Some(4)
        })
        .await;
    assert_eq!(cluster.all("ReplicaSet").len(), 1);
    let found = cluster.get("Deployment", "web").expect("it is there");
    let progressing = meta::condition(&found, "Progressing").expect("it is said");
    assert_eq!(progressing["reason"], "DeploymentPaused");
    cluster.edit("Deployment", "web", Part::Main, |found| {
        meta::remove(found, &["spec", "paused"]);
    });
    rolled_out(&cluster).await;
    assert_eq!(cluster.all("ReplicaSet").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_gets_nowhere_says_so_after_its_deadline() {
    let cluster = Running::start(&Options::default());
    let mut object = deployment(1, "one", rolling(1, 0));
    meta::set(&mut object, &["spec", "progressDeadlineSeconds"], 1);
    meta::set(&mut object, &["spec", "template", "metadata", "labels", "stuck"], "yes");
    cluster.create(object);
    cluster
        .until("the deadline is missed", || {
            let found = cluster.get("Deployment", "web").expect("it is there");
            meta::condition(&found, "Progressing").is_some_and(|one| one["reason"] == "ProgressDeadlineExceeded")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_released_and_adopted_by_their_labels() {
    let cluster = Running::start(&Options::default());
    cluster.create(deployment(2, "one", rolling(1, 0)));
    rolled_out(&cluster).await;
    let name = meta::name(&cluster.all("Pod")[0]).to_owned();
    cluster.edit("Pod", &name, Part::Main, |pod| meta::set_label(pod, "app", "other"));
    cluster
        .until("there is a third pod", || cluster.all("Pod").len() == 3)
        .await;
    let free = cluster.get("Pod", &name).expect("it is there");
    assert_eq!(meta::controller(&free), None);
    cluster.edit("Pod", &name, Part::Main, |pod| meta::set_label(pod, "app", "web"));
    cluster
        .until("there are two pods again", || cluster.all("Pod").len() == 2)
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(cluster.all("Pod").len(), 2);
}
