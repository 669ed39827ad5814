//! Policies that follow an API.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use apiserver::{Api, Part, Settings};
use netfilter::Netfilter;
use objects::{Kind, kind};
use policy::{Enforcer, Tables};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::lab::{DB, FAR, Lab, WEB, config, deny, pod, policy};
use crate::room::Room;

const DEADLINE: Duration = Duration::from_secs(10);
/// How long one attempt takes at most.
const STEP: Duration = Duration::from_millis(20);

fn served(group: &str, plural: &str) -> &'static Kind {
    kind::find(group, "v1", plural).unwrap()
}

/// How long it takes until `web` can be reached, or cannot, to [`STEP`].
fn until(from: &Room, reached: bool) -> Duration {
    let begun = Instant::now();
    let reach = || from.run(|| TcpStream::connect_timeout(&(WEB, 80).into(), STEP).is_ok());
    block_in_place(|| {
        while reach() != reached {
            assert!(begun.elapsed() < DEADLINE, "is reached: {}", !reached);
        }
    });
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_follow_the_api_and_stay_when_nobody_follows() {
    let Some(lab) = Lab::new(&[]) else { return };
    let api = Api::new(Settings::default()).unwrap();
    let (pods, policies) = (served("", "pods"), served("networking.k8s.io", "networkpolicies"));
    for namespace in ["shop", "bank"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        api.create(served("", "namespaces"), "", object).unwrap();
    }
    for (namespace, name, address, node) in [
        ("shop", "web", WEB, "one"),
        ("shop", "db", DB, "one"),
        ("bank", "far", FAR, "two"),
    ] {
        let object = pod(namespace, name, address, node);
        let status = object["status"].clone();
        api.create(pods, namespace, object).unwrap();
        let run = |pod: &mut Value| pod["status"] = status.clone();
        api.edit(pods, namespace, name, Part::Status, run).unwrap();
    }
    let start = || {
        let socket = lab.node.run(|| Netfilter::open().unwrap());
        Enforcer::start(api.clone(), "one", vec![Tables::new(&config(&[]), socket)])
    };
    let enforcer = start();
    until(&lab.db, true);
    api.create(policies, "shop", policy("deny", deny("web"))).unwrap();
    until(&lab.db, false);

    let friends = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [
        {"from": [{"namespaceSelector": {"matchLabels": {"team": "money"}}}]}]});
    api.create(policies, "shop", policy("friends", friends)).unwrap();
    let namespaces = served("", "namespaces");
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        let label = |object: &mut Value| object["metadata"]["labels"]["team"] = json!("money");
        api.edit(namespaces, "", "bank", Part::Main, label).unwrap();
        slowest = slowest.max(until(&lab.far, true));
        let unlabel = |object: &mut Value| object["metadata"]["labels"]["team"] = json!("none");
        api.edit(namespaces, "", "bank", Part::Main, unlabel).unwrap();
        slowest = slowest.max(until(&lab.far, false));
    }
    eprintln!("the slowest of 6 labels of a namespace was effective after {slowest:?}");

    drop(enforcer);
    until(&lab.db, false);
    let _another = start();
    api.delete(policies, "shop", "deny", &apiserver::DeleteOptions::now())
        .unwrap();
    api.delete(policies, "shop", "friends", &apiserver::DeleteOptions::now())
        .unwrap();
    until(&lab.db, true);
}
