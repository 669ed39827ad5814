//! Many pods and policies.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::{FAR, Lab, WEB, pod, policy};

const PODS: u16 = 500;
const POLICIES: usize = 100;

#[test]
fn many_policies_are_one_transaction_and_a_change_touches_few() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    for number in 0..PODS {
        let [high, low] = number.to_be_bytes();
        let node = if number < 100 { "one" } else { "two" };
        let address = Ipv4Addr::new(10, 245, high, low);
        lab.tables
            .put_pod(&pod("shop", &format!("pod-{number}"), address, node).into());
    }
    for number in 0..POLICIES {
        let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [
            {"from": [{"podSelector": {}}], "ports": [{"port": 1000 + number, "protocol": "TCP"}]}]});
        lab.tables.put_policy(&policy(&format!("many-{number}"), spec).into());
    }
    let friends = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [
        {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"friend": "yes"}}}]}]});
    lab.tables.put_policy(&policy("friends", friends).into());
    let begun = Instant::now();
    lab.tables.sync().unwrap();
    let whole = begun.elapsed();

    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        let is_friend = round % 2 == 1;
        let mut far = pod("bank", "far", FAR, "two");
        far["metadata"]["labels"]["friend"] = json!(if is_friend { "yes" } else { "no" });
        let begun = Instant::now();
        lab.tables.put_pod(&far.into());
        lab.tables.sync().unwrap();
        slowest = slowest.max(begun.elapsed());
        assert_eq!(lab.far.dial(WEB, 80).is_ok(), is_friend);
    }
    eprintln!(
        "{POLICIES} policies for 100 of {PODS} pods: {whole:?}; the slowest of 6 changes of a label: {slowest:?}"
    );
}
