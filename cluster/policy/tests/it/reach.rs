//! Who reaches whom.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use netfilter::{Batch, Chain, Field, Hook, Netfilter, Protocol, Rule};
use policy::{Direction, Drops, drops};
use serde_json::json;

use crate::lab::{DB, FAR, Lab, NAMES, NODE, WEB, WORLD, deny};
use crate::room::{Room, exchange};

/// From, to, port, and whether it is to be answered.
type Line<'a> = (&'a Room, Ipv4Addr, u16, bool);

/// Those of different rooms are dialled side by side.
fn assert_reach(lines: &[Line<'_>]) {
    std::thread::scope(|scope| {
        for (from, to, port, reached) in lines.iter().copied() {
            scope.spawn(move || {
                let answer = from.dial(to, port);
                assert_eq!(answer.is_ok(), reached, "{to}:{port}: {answer:?}");
            });
        }
    });
}

#[test]
fn a_truth_table() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    let all_reach = |lab: &Lab| {
        assert_reach(&[
            (&lab.web, DB, 80, true),
            (&lab.db, WEB, 81, true),
            (&lab.far, WEB, 80, true),
            (&lab.world, DB, 81, true),
            (&lab.web, WORLD, 80, true),
            (&lab.node, WEB, 80, true),
        ]);
    };
    lab.tables.sync().unwrap();
    all_reach(&lab);

    // Nothing of one pod, but its node, and itself.
    lab.only(&[deny("web")]);
    assert_reach(&[
        (&lab.web, DB, 80, false),
        (&lab.web, NODE, 80, true),
        (&lab.web, WEB, 80, true),
        (&lab.db, WEB, 80, false),
        (&lab.db, FAR, 80, true),
        (&lab.far, WEB, 80, false),
        (&lab.far, DB, 80, true),
        (&lab.world, WEB, 81, false),
        (&lab.node, WEB, 80, true),
    ]);

    // By namespace and pod, named port, address and exception.
    lab.only(&[
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [{
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "bank"}},
                      "podSelector": {"matchLabels": {"app": "far"}}}],
            "ports": [{"port": "http", "protocol": "TCP"}],
        }]}),
        json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": [
            {"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24"]}}],
             "ports": [{"port": 80, "endPort": 90, "protocol": "TCP"}]},
        ]}),
    ]);
    assert_reach(&[
        (&lab.far, WEB, 80, true),
        (&lab.far, WEB, 81, false),
        (&lab.far, DB, 80, false),
        (&lab.world, WEB, 80, false),
        (&lab.world, DB, 81, true),
        (&lab.web, DB, 80, true),
        (&lab.db, WEB, 80, false),
        (&lab.db, FAR, 80, true),
    ]);
    assert!(exchange(&lab.web.udp(), DB, 53).is_err(), "UDP is not among the ports");

    // From one to the other, and both have to agree.
    let to_db = json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 53, "protocol": "UDP"}, {"port": "http"}]}]});
    lab.only(std::slice::from_ref(&to_db));
    assert_reach(&[
        (&lab.web, DB, 80, true),
        (&lab.web, DB, 81, false),
        (&lab.web, FAR, 80, false),
        (&lab.far, WEB, 80, true),
    ]);
    assert_eq!(exchange(&lab.web.udp(), DB, 53).unwrap(), "db");
    lab.only(&[to_db, deny("db")]);
    assert_reach(&[(&lab.web, DB, 80, false), (&lab.far, WEB, 80, true)]);

    lab.only(&[]);
    all_reach(&lab);
}

#[test]
fn names_are_asked_for_where_policies_allow_it() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    lab.only(&[deny("web")]);
    assert!(exchange(&lab.web.udp(), NAMES, 53).is_err());
    assert_eq!(exchange(&lab.db.udp(), NAMES, 53).unwrap(), "node");
    let usual = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "ports": [{"port": 53, "protocol": "UDP"}],
    }]});
    lab.only(&[deny("web"), usual]);
    assert_eq!(exchange(&lab.web.udp(), NAMES, 53).unwrap(), "node");
    assert_reach(&[(&lab.web, NAMES, 80, false), (&lab.web, NODE, 80, true)]);
}

#[test]
fn a_service_is_judged_by_the_pod_that_is_chosen() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    let [to_db, to_web] = [9, 8].map(|last| Ipv4Addr::new(10, 96, 0, last));
    lab.node.run(move || {
        let mut batch = Batch::new("services");
        batch.add_table();
        batch.add_chain(&Chain::nat("in", Hook::Prerouting, -100));
        batch.add_chain(&Chain::nat("out", Hook::Postrouting, 100));
        for (service, pod) in [(to_db, DB), (to_web, WEB)] {
            let rule = Rule::new().is(Field::DestinationAddress, service);
            batch.add_rule("in", &rule.is(Field::Protocol, Protocol::Tcp).dnat(pod, Some(80)));
        }
        let itself = Rule::new()
            .is(Field::SourceAddress, WEB)
            .is(Field::DestinationAddress, WEB);
        batch.add_rule("out", &itself.masquerade());
        Netfilter::open().unwrap().commit(&batch).unwrap();
    });
    lab.only(&[
        deny("web"),
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [
            {"to": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 80, "protocol": "TCP"}]}]}),
    ]);
    assert_reach(&[
        (&lab.web, to_db, 8000, true),
        (&lab.web, to_web, 8000, true),
        (&lab.far, to_db, 8000, true),
        (&lab.far, to_web, 8000, false),
    ]);
    lab.only(&[deny("web")]);
    assert_reach(&[(&lab.web, to_db, 8000, false)]);
}

#[test]
fn what_is_dropped_is_counted_by_pod_and_direction() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    lab.only(&[deny("web")]);
    let failure = lab.db.failure(WEB, 80);
    assert!(
        matches!(failure, ErrorKind::TimedOut | ErrorKind::WouldBlock),
        "{failure}"
    );
    assert!(exchange(&lab.web.udp(), WORLD, 53).is_err());
    let found = lab.node.run(|| drops(&mut Netfilter::open().unwrap()).unwrap());
    let of = |wanted: Direction| {
        let mut found = found.iter().filter(|one| one.direction == wanted);
        let one: &Drops = found.next().expect("there is a counter");
        assert_eq!((one.pod.as_str(), found.next()), ("shop/web", None));
        one.packets
    };
    // A SYN may have been sent again.
    let counted = of(Direction::Ingress);
    assert!(counted >= 1);
    assert_eq!(of(Direction::Egress), 1);
    let policies = |found: &[Drops]| {
        let mut all: Vec<String> = found.iter().flat_map(|one| one.policies.clone()).collect();
        all.dedup();
        all
    };
    assert_eq!(policies(&found), ["shop/p0"]);

    // Another policy selects it, too: the counters go on.
    lab.only(&[
        deny("web"),
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"]}),
    ]);
    let found = lab.node.run(|| drops(&mut Netfilter::open().unwrap()).unwrap());
    let of = |wanted: Direction| found.iter().find(|one| one.direction == wanted).unwrap();
    assert!(of(Direction::Ingress).packets >= counted);
    assert_eq!(of(Direction::Egress).packets, 1);
    assert_eq!(of(Direction::Egress).policies, ["shop/p0", "shop/p1"]);
}

#[test]
fn without_policies_there_is_one_rule_and_whoever_empties_the_table_finds_it_anew() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    let rules = |lab: &Lab| {
        let rules = |mut socket: Netfilter| socket.rules(policy::TABLE, None).unwrap().len();
        lab.node.run(move || rules(Netfilter::open().unwrap()))
    };
    lab.tables.sync().unwrap();
    assert_eq!(rules(&lab), 1);
    assert!(lab.tables.is_whole().unwrap());
    lab.only(&[deny("web")]);
    assert!(lab.tables.is_whole().unwrap());
    let spoil = |act: fn(&mut Batch)| {
        lab.node.run(move || {
            let mut batch = Batch::new(policy::TABLE);
            act(&mut batch);
            Netfilter::open().unwrap().commit(&batch).unwrap();
        });
    };
    for act in [
        |batch: &mut Batch| batch.flush_chain("forward-ingress"),
        Batch::delete_table,
    ] {
        spoil(act);
        assert!(!lab.tables.is_whole().unwrap());
        lab.tables.forget();
        lab.tables.sync().unwrap();
        assert!(lab.tables.is_whole().unwrap());
    }
    assert_reach(&[(&lab.db, WEB, 80, false)]);
    lab.only(&[]);
    assert_eq!(rules(&lab), 1);
}

#[test]
fn faults_of_packets_are_what_they_say() {
    let Some(mut broken) = Lab::new(&["replies-dropped", "node-judged"]) else {
        return;
    };
    let closed = json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"], "ingress": [
        {"ports": [{"port": 81, "protocol": "TCP"}]}]});
    broken.only(std::slice::from_ref(&closed));
    assert_reach(&[
        (&broken.far, WEB, 81, false),
        (&broken.node, WEB, 80, false),
        (&broken.far, DB, 80, true),
    ]);
    let Some(mut lab) = Lab::new(&[]) else { return };
    lab.only(&[closed]);
    assert_reach(&[(&lab.far, WEB, 81, true), (&lab.node, WEB, 80, true)]);
}
