use apiserver::{DeleteOptions, Propagation};
use controllers::Options;
use objects::meta;
use serde_json::{Value, json};

use crate::running::{Running, broken, deployment, is_rolled_out};

fn by(propagation: Propagation) -> DeleteOptions {
    DeleteOptions {
        propagation: Some(propagation),
        ..DeleteOptions::default()
    }
}

async fn deployed(options: &Options) -> Running {
    let cluster = Running::start(options);
    cluster.create(deployment(2, "one", json!({})));
    cluster
        .until("it is deployed", || {
            cluster.get("Deployment", "web").is_some_and(|one| is_rolled_out(&one))
        })
        .await;
    cluster
}

fn map(name: &str, owners: &[(&Value, bool)]) -> Value {
    let references = owners.iter().map(|(owner, block)| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": meta::name(owner), "uid": meta::uid(owner),
            "blockOwnerDeletion": block,
        })
    });
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "ownerReferences": references.collect::<Vec<_>>(),
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_deployment_goes_with_it() {
    let cluster = deployed(&Options::default()).await;
    cluster.delete("Deployment", "web", &by(Propagation::Background));
    assert_eq!(cluster.get("Deployment", "web"), None);
    cluster
        .until("sets and pods are gone", || {
            cluster.all("ReplicaSet").is_empty() && cluster.all("Pod").is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_foreground_the_owner_goes_last() {
    let cluster = deployed(&Options::default()).await;
    cluster.delete("Deployment", "web", &by(Propagation::Foreground));
    cluster
        .until("the Deployment is gone", || {
            // Read in this order: what is gone in the end must have been gone before.
            let owner = cluster.get("Deployment", "web");
            let pods = cluster.all("Pod").len() + cluster.all("ReplicaSet").len();
            assert!(owner.is_some() || pods == 0, "{pods} are left");
            owner.is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_stay() {
    let cluster = deployed(&Options::default()).await;
    cluster.delete("Deployment", "web", &by(Propagation::Orphan));
    cluster
        .until("the Deployment is gone", || cluster.get("Deployment", "web").is_none())
        .await;
    let sets = cluster.all("ReplicaSet");
    assert_eq!((sets.len(), meta::owners(&sets[0]).len()), (1, 0));
    assert_eq!(cluster.all("Pod").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_owners_an_object_stays_until_both_are_gone() {
    let cluster = Running::start(&Options::default());
    let (one, two) = (cluster.create(map("one", &[])), cluster.create(map("two", &[])));
    cluster.create(map("dependent", &[(&one, true), (&two, false)]));
    cluster.delete("ConfigMap", "one", &by(Propagation::Background));
    cluster
        .until("the lost owner is forgotten", || {
            let found = cluster.get("ConfigMap", "dependent").expect("it has another owner");
            meta::owners(&found).len() == 1
        })
        .await;
    cluster.delete("ConfigMap", "two", &by(Propagation::Background));
    cluster
        .until("it goes", || cluster.get("ConfigMap", "dependent").is_none())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_ends_even_in_the_foreground() {
    let cluster = Running::start(&Options::default());
    let one = cluster.create(map("one", &[]));
    let two = cluster.create(map("two", &[(&one, true)]));
    cluster.edit("ConfigMap", "one", apiserver::Part::Main, |found| {
        meta::set(
            found,
            &["metadata", "ownerReferences"],
            map("", &[(&two, true)])["metadata"]["ownerReferences"].clone(),
        );
    });
    cluster.delete("ConfigMap", "one", &by(Propagation::Foreground));
    cluster
        .until("both are gone", || {
            cluster.get("ConfigMap", "one").is_none() && cluster.get("ConfigMap", "two").is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_collection_pods_outlive_their_owner() {
    let cluster = deployed(&broken(&["gc-off"])).await;
    cluster.delete("Deployment", "web", &by(Propagation::Background));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(cluster.all("Pod").len(), 2);
}
