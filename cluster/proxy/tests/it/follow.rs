//! A proxy that follows an API.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use apiserver::{Api, Part, Settings};
use netfilter::Netfilter;
use objects::{Kind, kind};
use proxy::{Proxy, Tables};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::lab::{Lab, config, pod};
use crate::room::Room;

const WEB: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 9);
const DEADLINE: Duration = Duration::from_secs(10);

fn served(group: &str, plural: &str) -> &'static Kind {
    kind::find(group, "v1", plural).unwrap()
}

fn endpoints(place: usize) -> Value {
    json!([{"addresses": [pod(place).to_string()], "conditions": {"ready": true}, "nodeName": "one"}])
}

/// How long it takes until this answers.
fn until(from: &Room, name: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = from.dial(WEB, 80);
        if answer.as_ref().is_ok_and(|answer| answer.starts_with(name)) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < DEADLINE, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_follows_the_api_and_leaves_its_rules_behind() {
    let Some(lab) = Lab::new(3, &[]) else { return };
    lab.pods[0].serve("a", 8080);
    lab.pods[1].serve("b", 8080);
    let api = Api::new(Settings::default()).unwrap();
    let (services, slices) = (served("", "services"), served("discovery.k8s.io", "endpointslices"));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"clusterIP": WEB.to_string(), "clusterIPs": [WEB.to_string()], "ports": [{"port": 80, "targetPort": 8080}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints(0),
    });
    let socket = lab.node.run(|| Netfilter::open().unwrap());
    let proxy = Proxy::start(api.clone(), "one", vec![Tables::new(config(&[]), socket)]);
    api.create(services, "default", service).unwrap();
    api.create(slices, "default", slice).unwrap();
    let client = &lab.pods[2];
    block_in_place(|| until(client, "a"));

    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let place = (round + 1) % 2;
        let lead = |slice: &mut Value| slice["endpoints"] = endpoints(place);
        api.edit(slices, "default", "web-1", Part::Main, lead).unwrap();
        slowest = slowest.max(block_in_place(|| until(client, ["a", "b"][place])));
    }
    eprintln!("the slowest of 10 changed endpoints was reached after {slowest:?}");

    drop(proxy);
    block_in_place(|| until(client, "a"));
    let socket = lab.node.run(|| Netfilter::open().unwrap());
    let _another = Proxy::start(api.clone(), "one", vec![Tables::new(config(&[]), socket)]);
    let lead = |slice: &mut Value| slice["endpoints"] = endpoints(1);
    api.edit(slices, "default", "web-1", Part::Main, lead).unwrap();
    block_in_place(|| until(client, "b"));
}
