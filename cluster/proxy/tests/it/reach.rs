//! Who reaches what.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::Ipv4Addr;

use serde_json::json;

use crate::lab::{Lab, NODE, OUTSIDE, pod, slice};
use crate::room::exchange;

const WEB: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 9);

fn web() -> serde_json::Value {
    json!({"clusterIP": WEB.to_string(), "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]})
}

fn three(faults: &[&str]) -> Option<Lab> {
    let lab = Lab::new(3, faults)?;
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        lab.pods[place].serve(name, 8080);
    }
    Some(lab)
}

fn name(answer: &str) -> String {
    answer.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn every_backend_gets_a_share_of_a_cluster_address_and_sees_the_pod() {
    let Some(mut lab) = three(&[]) else { return };
    lab.put("web", web(), &[(0, 8080), (1, 8080)]);
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..60 {
        *shares.entry(lab.pods[2].dial(WEB, 80).unwrap()).or_default() += 1;
    }
    let names: Vec<_> = shares.keys().cloned().collect();
    assert_eq!(
        names,
        [format!("a {}", pod(2)), format!("b {}", pod(2))],
        "the source is kept"
    );
    // Of 60 fair throws fewer than 10 for one side come once in 10^7.
    assert!(shares.values().all(|share| *share >= 10), "{shares:?}");
}

#[test]
fn what_nobody_serves_is_refused_and_what_is_nobodys_is_dropped() {
    let Some(mut lab) = three(&[]) else { return };
    lab.put("web", web(), &[(0, 8080)]);
    lab.put("none", json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}), &[]);
    let none = Ipv4Addr::new(10, 96, 0, 10);
    for room in [&lab.pods[1], &lab.node] {
        assert_eq!(room.failure(none, 80), ErrorKind::ConnectionRefused, "no backends");
        assert_eq!(room.failure(WEB, 81), ErrorKind::ConnectionRefused, "a wrong port");
        let nobodys = room.failure(Ipv4Addr::new(10, 96, 0, 11), 80);
        assert!(
            matches!(nobodys, ErrorKind::TimedOut | ErrorKind::WouldBlock),
            "{nobodys}"
        );
    }
    assert_eq!(name(&lab.node.dial(WEB, 80).unwrap()), "a");
    lab.endpoints("web", &[]);
    assert_eq!(lab.pods[1].failure(WEB, 80), ErrorKind::ConnectionRefused);
    assert_eq!(lab.outside.failure(NODE, 30080), ErrorKind::ConnectionRefused);
    lab.endpoints("web", &[(1, 8080)]);
    assert_eq!(name(&lab.pods[0].dial(WEB, 80).unwrap()), "b");
}

#[test]
fn a_client_with_affinity_stays_with_its_backend() {
    let Some(mut lab) = three(&[]) else { return };
    let mut spec = web();
    spec["sessionAffinity"] = json!("ClientIP");
    lab.put("web", spec, &[(0, 8080), (1, 8080), (2, 8080)]);
    let first = lab.outside.dial(NODE, 30080).unwrap();
    for _ in 0..12 {
        assert_eq!(lab.outside.dial(NODE, 30080).unwrap(), first);
    }
    let place = ["a", "b", "c"].iter().position(|one| name(&first) == *one).unwrap();
    let left: Vec<(usize, u16)> = (0..3).filter(|one| *one != place).map(|one| (one, 8080)).collect();
    lab.endpoints("web", &left);
    assert_ne!(
        name(&lab.outside.dial(NODE, 30080).unwrap()),
        name(&first),
        "its backend is gone"
    );
}

#[test]
fn a_pod_reaches_itself_through_its_service_and_sees_its_node() {
    let Some(mut lab) = three(&[]) else { return };
    lab.put("web", web(), &[(0, 8080)]);
    assert_eq!(lab.pods[0].dial(WEB, 80).unwrap(), format!("a {NODE}"));
    let Some(mut broken) = three(&["hairpin-not-masqueraded"]) else {
        return;
    };
    broken.put("web", web(), &[(0, 8080)]);
    assert!(broken.pods[0].dial(WEB, 80).is_err());
}

#[test]
fn a_node_port_is_open_to_all_and_a_local_one_shows_who_comes() {
    let Some(mut lab) = three(&[]) else { return };
    lab.put("web", web(), &[(0, 8080)]);
    assert_eq!(lab.outside.dial(NODE, 30080).unwrap(), format!("a {NODE}"));
    assert_eq!(name(&lab.pods[1].dial(NODE, 30080).unwrap()), "a");
    assert_eq!(name(&lab.node.dial(NODE, 30080).unwrap()), "a");

    let mut spec = web();
    spec["externalTrafficPolicy"] = json!("Local");
    lab.put("web", spec, &[(0, 8080)]);
    assert_eq!(lab.outside.dial(NODE, 30080).unwrap(), format!("a {OUTSIDE}"));
    lab.tables.put_slice(slice("web", &[pod(0)], 8080, "another"), None);
    lab.tables.sync().unwrap();
    let dropped = lab.outside.failure(NODE, 30080);
    assert!(
        matches!(dropped, ErrorKind::TimedOut | ErrorKind::WouldBlock),
        "{dropped}"
    );
    assert_eq!(
        name(&lab.pods[1].dial(NODE, 30080).unwrap()),
        "a",
        "who is inside is served"
    );
}

#[test]
fn an_external_address_leads_to_the_service_that_had_it_first() {
    let Some(mut lab) = three(&[]) else { return };
    let external = Ipv4Addr::new(10, 200, 0, 1);
    let mut spec = web();
    spec["externalIPs"] = json!([external.to_string()]);
    lab.put("web", spec.clone(), &[(0, 8080)]);
    assert_eq!(name(&lab.outside.dial(external, 80).unwrap()), "a");
    spec["clusterIP"] = json!("10.96.0.12");
    spec["ports"][0]["nodePort"] = json!(30081);
    lab.put("web2", spec, &[(1, 8080)]);
    assert_eq!(name(&lab.outside.dial(external, 80).unwrap()), "a");
    lab.put("web", web(), &[(0, 8080)]);
    assert_eq!(name(&lab.outside.dial(external, 80).unwrap()), "b", "it was given back");
}

#[test]
fn datagrams_find_another_backend_when_theirs_is_gone() {
    let Some(mut lab) = Lab::new(3, &[]) else { return };
    lab.pods[0].answer("a", 5353);
    lab.pods[1].answer("b", 5353);
    let spec = json!({"clusterIP": WEB.to_string(), "ports": [{"port": 53, "protocol": "UDP"}]});
    lab.put("dns", spec, &[(0, 5353)]);
    let client = lab.pods[2].udp();
    assert_eq!(exchange(&client, WEB, 53).unwrap(), "a");
    lab.endpoints("dns", &[(1, 5353)]);
    assert_eq!(exchange(&client, WEB, 53).unwrap(), "b", "over the same socket");
    lab.endpoints("dns", &[]);
    assert!(exchange(&client, WEB, 53).is_err());
    lab.endpoints("dns", &[(0, 5353)]);
    assert_eq!(exchange(&client, WEB, 53).unwrap(), "a");
}

#[test]
fn pods_go_outside_under_their_nodes_address_and_to_pods_under_their_own() {
    let Some(mut lab) = three(&[]) else { return };
    lab.tables.sync().unwrap();
    lab.outside.serve("world", 80);
    let world = Ipv4Addr::new(198, 51, 100, 1);
    assert_eq!(lab.pods[0].dial(world, 80).unwrap(), format!("world {NODE}"));
    assert_eq!(lab.pods[0].dial(pod(1), 8080).unwrap(), format!("b {}", pod(0)));
}

#[test]
fn a_table_that_somebody_deleted_or_emptied_is_written_anew() {
    let Some(mut lab) = three(&[]) else { return };
    lab.put("web", web(), &[(0, 8080)]);
    assert!(lab.tables.is_whole().unwrap());
    let spoil = |act: fn(&mut netfilter::Batch)| {
        lab.node.run(move || {
            let mut batch = netfilter::Batch::new(proxy::TABLE);
            act(&mut batch);
            netfilter::Netfilter::open().unwrap().commit(&batch).unwrap();
        });
    };
    spoil(|batch| batch.flush_chain("nat-prerouting"));
    assert!(!lab.tables.is_whole().unwrap());
    lab.tables.forget();
    lab.tables.sync().unwrap();
    assert!(lab.tables.is_whole().unwrap());
    spoil(|batch| batch.delete_table());
    assert!(!lab.tables.is_whole().unwrap());
    lab.tables.forget();
    lab.tables.sync().unwrap();
    assert_eq!(name(&lab.pods[1].dial(WEB, 80).unwrap()), "a");
}

#[test]
fn faults_are_what_they_say() {
    let Some(mut lab) = three(&["stale-endpoints-kept", "wrong-port-dropped", "node-port-closed"]) else {
        return;
    };
    lab.put("web", web(), &[(0, 8080)]);
    lab.endpoints("web", &[]);
    assert_eq!(name(&lab.pods[1].dial(WEB, 80).unwrap()), "a");
    let wrong = lab.pods[1].failure(WEB, 81);
    assert!(matches!(wrong, ErrorKind::TimedOut | ErrorKind::WouldBlock), "{wrong}");
    assert_eq!(
        lab.outside.failure(NODE, 30080),
        ErrorKind::ConnectionRefused,
        "nobody listens there"
    );
}
