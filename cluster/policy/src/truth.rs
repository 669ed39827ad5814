//! Truth tables of policies, by rules walked as the kernel walks them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use netfilter::{Family, Field, Part, Protocol, Rule, Statement, Test, Value, Verdict};
use serde_json::{Value as Json, json};

use crate::base::map;
use crate::direction::Direction;
use crate::fault::Faults;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::rules::Maker;
use crate::world::World;

/// Name, namespace, labels, last bytes of the address, node. All of them listen on 80 (`http`) and 81; `b` calls 8080 so.
const PODS: [(&str, &str, &str, [u8; 2], &str); 5] = [
    ("a", "x", "a", [1, 2], "one"),
    ("b", "x", "b", [1, 3], "one"),
    ("c", "x", "c", [2, 2], "two"),
    ("a", "y", "a", [1, 4], "one"),
    ("b", "y", "b", [2, 3], "two"),
];

fn address(name: &str) -> IpAddr {
    match PODS
        .iter()
        .find(|(pod, namespace, ..)| name == format!("{namespace}/{pod}"))
    {
        Some((.., [high, low], _)) => Ipv4Addr::new(10, 244, *high, *low).into(),
        None => name.parse().unwrap(),
    }
}

/// Everything of the node `one` under these policies, all in namespace `x`.
fn node(policies: &[Json], faults: &[&str]) -> Part {
    let faults = Faults::new(&faults.iter().map(|one| (*one).to_owned()).collect());
    let mut world = World::default();
    for namespace in ["x", "y"] {
        let object = json!({"metadata": {"labels": {"ns": namespace}}});
        world.replace_namespace(namespace, Some(&object));
    }
    for (name, namespace, label, [high, low], node) in PODS {
        let http = if name == "b" { 8080 } else { 80 };
        let pod = json!({
            "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}{name}"), "labels": {"pod": label}},
            "spec": {"nodeName": node, "containers": [{"ports": [{"name": "http", "containerPort": http}]}]},
            "status": {"phase": "Running", "podIP": format!("10.244.{high}.{low}")},
        });
        let pod = Pod::read(&pod, "one", Family::Ipv4).unwrap();
        world.replace_pod(&pod.key(), Some(pod));
    }
    for (number, spec) in policies.iter().enumerate() {
        let name = format!("p{number}");
        let mut policy = json!({"metadata": {"name": name, "namespace": "x"}, "spec": spec});
        let kind = objects::kind::find("networking.k8s.io", "v1", "networkpolicies").unwrap();
        objects::default::apply(kind, &mut policy);
        assert_eq!(objects::validate::create(kind, &policy), [], "{spec}");
        let policy = Policy::read(&policy, Family::Ipv4, &faults);
        world.policies.insert(("x".into(), name), policy);
    }
    let maker = Maker::new(faults);
    let of_policies = world.policies.values().map(|policy| maker.of_policy(&world, policy));
    let of_pods = world.pods().map(|pod| maker.of_pod(&world, pod));
    of_policies.chain(of_pods).fold(Part::default(), |mut all, one| {
        all.chains.extend(one.chains);
        all.sets.extend(one.sets);
        all.elements.extend(one.elements);
        all
    })
}

/// The first packet of a connection.
struct Packet(BTreeMap<Field, Value>);

impl Packet {
    fn new(from: &str, to: &str, protocol: Protocol, port: u16) -> Self {
        Self(
            [
                (Field::ConnectionSource, address(from).into()),
                (Field::ConnectionDestination, address(to).into()),
                (Field::ConnectionProtocol, protocol.into()),
                (Field::ConnectionDestinationPort, port.into()),
            ]
            .into(),
        )
    }

    fn passes(&self, node: &Part) -> bool {
        [
            (Direction::Egress, Field::ConnectionSource),
            (Direction::Ingress, Field::ConnectionDestination),
        ]
        .into_iter()
        .all(|(direction, end)| {
            let place = (map(direction).into(), vec![self.0[&end]]);
            match node.elements.get(&place) {
                Some(Some(Verdict::Goto(chain))) => self.walk(node, chain) == Some(true),
                Some(other) => panic!("{other:?}"),
                None => true,
            }
        })
    }

    /// Whether the chain accepts it, or drops it, or says nothing.
    fn walk(&self, node: &Part, chain: &str) -> Option<bool> {
        let chain = node.chains.get(chain).unwrap_or_else(|| panic!("there is no {chain}"));
        chain.iter().find_map(|rule| self.rule(node, rule))
    }

    fn rule(&self, node: &Part, rule: &Rule) -> Option<bool> {
        for statement in rule.statements() {
            let goes_on = match statement {
                Statement::Test(field, test) => self.test(*field, test),
                Statement::Lookup { fields, set, absent } => {
                    assert!(node.sets.contains_key(set), "{set}");
                    let key = fields.iter().map(|field| self.0[field]).collect();
                    node.elements.contains_key(&(set.clone().into(), key)) != *absent
                }
                Statement::Count => true,
                Statement::Verdict(Verdict::Accept) => return Some(true),
                Statement::Verdict(Verdict::Drop) => return Some(false),
                Statement::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => return self.walk(node, chain),
                other => panic!("{other}"),
            };
            if !goes_on {
                return None;
            }
        }
        None
    }

    fn test(&self, field: Field, test: &Test) -> bool {
        let value = self.0[&field];
        let within = |base: IpAddr, bits: u8| match (value, base) {
            (Value::Address(IpAddr::V4(address)), IpAddr::V4(base)) => {
                (u32::from(address) ^ u32::from(base))
                    .checked_shr(32 - u32::from(bits))
                    .unwrap_or(0)
                    == 0
            }
            other => panic!("{other:?}"),
        };
        match test {
            Test::Is(other) => value == *other,
            Test::Between(first, last) => (*first..=*last).contains(&value),
            Test::Within(base, bits) => within(*base, *bits),
            Test::Outside(base, bits) => !within(*base, *bits),
            other => panic!("{other}"),
        }
    }
}

/// What passes of `FROM>TO` or `FROM>TO:PORT` or `FROM>TO:PORT/udp`; the port is 80 and the protocol TCP unless told.
fn passing<'a>(node: &Part, connections: &'a str) -> Vec<&'a str> {
    let passes = |connection: &&str| {
        let (from, to) = connection.split_once('>').unwrap();
        let (to, port) = to.split_once(':').unwrap_or((to, "80"));
        let (port, protocol) = match port.strip_suffix("/udp") {
            Some(port) => (port, Protocol::Udp),
            None => (port, Protocol::Tcp),
        };
        Packet::new(from, to, protocol, port.parse().unwrap()).passes(node)
    };
    connections.split_whitespace().filter(passes).collect()
}

/// A row: policies, what passes, what is dropped.
fn row(policies: &[Json], passes: &str, dropped: &str) {
    let node = node(policies, &[]);
    let passes: Vec<&str> = passes.split_whitespace().collect();
    assert_eq!(
        passing(&node, &passes.join(" ")),
        passes,
        "should pass, under {policies:?}"
    );
    assert!(
        passing(&node, dropped).is_empty(),
        "{:?} should not pass, under {policies:?}",
        passing(&node, dropped)
    );
}

const EVERYTHING: &str = "x/a>x/b x/b>x/a x/c>x/a x/a>x/c y/a>x/a y/b>x/a x/a>y/b x/b>y/a 192.0.2.1>x/a x/a>192.0.2.1 \
                          x/a>x/a x/c>x/a:81 x/c>x/a:80/udp";

#[test]
fn who_is_not_selected_is_open() {
    row(&[], EVERYTHING, "");
    row(
        &[json!({"podSelector": {"matchLabels": {"pod": "none"}}})],
        EVERYTHING,
        "",
    );
    // The pod is on another node, which judges what comes to it.
    row(&[json!({"podSelector": {"matchLabels": {"pod": "c"}}})], EVERYTHING, "");
}

#[test]
fn default_deny_is_for_its_namespace_and_its_direction() {
    row(
        &[json!({"podSelector": {}})],
        "x/a>x/c x/a>y/a x/b>y/b x/a>192.0.2.1 y/b>y/a x/a>x/a",
        "x/a>x/b x/b>x/a x/c>x/a y/a>x/a y/b>x/b 192.0.2.1>x/a",
    );
    row(
        &[json!({"podSelector": {}, "policyTypes": ["Egress"]})],
        "x/c>x/a y/a>x/b 192.0.2.1>x/a y/a>y/b x/b>x/b",
        "x/a>x/b x/a>x/c x/b>y/b x/a>192.0.2.1",
    );
    row(
        &[json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})],
        "y/a>y/b x/a>x/a",
        "x/a>x/b x/a>x/c x/c>x/a 192.0.2.1>x/a x/a>192.0.2.1",
    );
    // A rule for egress makes it about egress, and about ingress it is anyway.
    row(
        &[json!({"podSelector": {"matchLabels": {"pod": "a"}}, "egress": [{}]})],
        "x/a>x/b x/a>y/b x/c>x/b",
        "x/b>x/a y/a>x/a",
    );
}

#[test]
fn peers_are_pods_by_their_labels_and_those_of_their_namespace() {
    let from = |peers: Json| [json!({"podSelector": {"matchLabels": {"pod": "a"}}, "ingress": [{"from": peers}]})];
    let (b, y) = (
        json!({"matchLabels": {"pod": "b"}}),
        json!({"matchLabels": {"ns": "y"}}),
    );
    row(
        &from(json!([{"podSelector": b}])),
        "x/b>x/a x/a>x/b",
        "x/c>x/a y/b>x/a y/a>x/a 192.0.2.1>x/a",
    );
    row(
        &from(json!([{"namespaceSelector": y}])),
        "y/a>x/a y/b>x/a",
        "x/b>x/a x/c>x/a 192.0.2.1>x/a",
    );
    row(
        &from(json!([{"namespaceSelector": y, "podSelector": b}])),
        "y/b>x/a",
        "y/a>x/a x/b>x/a x/c>x/a",
    );
    row(
        &from(json!([{"namespaceSelector": y}, {"podSelector": b}])),
        "y/a>x/a y/b>x/a x/b>x/a",
        "x/c>x/a",
    );
    row(
        &from(json!([{"namespaceSelector": {}, "podSelector": {"matchExpressions": [
            {"key": "pod", "operator": "In", "values": ["b", "c"]}]}}])),
        "x/b>x/a x/c>x/a y/b>x/a",
        "y/a>x/a 192.0.2.1>x/a",
    );
    row(
        &from(json!([{"podSelector": {}}])),
        "x/b>x/a x/c>x/a",
        "y/a>x/a y/b>x/a",
    );
    row(&from(json!([])), "x/b>x/a y/b>x/a 192.0.2.1>x/a", "");
}

#[test]
fn blocks_are_addresses_whoever_has_them() {
    let from = |block: Json| [json!({"podSelector": {}, "ingress": [{"from": [{"ipBlock": block}]}]})];
    row(
        &from(json!({"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25", "192.0.2.8/32"]})),
        "192.0.2.1>x/a 192.0.2.9>x/b",
        "192.0.2.8>x/a 192.0.2.200>x/a 192.0.3.1>x/a x/c>x/a",
    );
    row(
        &from(json!({"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24"]})),
        "192.0.2.1>x/a x/b>x/a",
        "x/c>x/a y/b>x/a",
    );
    row(&from(json!({"cidr": "10.244.2.2/32"})), "x/c>x/a", "y/b>x/a x/b>x/a");
    row(&from(json!({"cidr": "2001:db8::/32"})), "", "x/c>x/a 192.0.2.1>x/a");
}

#[test]
fn ports_are_those_of_who_answers() {
    let on = |ports: Json| [json!({"podSelector": {}, "ingress": [{"ports": ports}]})];
    row(&on(json!([{"port": 80}])), "x/c>x/a", "x/c>x/a:81 x/c>x/a:80/udp");
    row(
        &on(json!([{"port": 80, "protocol": "UDP"}])),
        "x/c>x/a:80/udp",
        "x/c>x/a",
    );
    row(&on(json!([{"protocol": "TCP"}])), "x/c>x/a x/c>x/a:9", "x/c>x/a:80/udp");
    row(&on(json!([{"protocol": "SCTP"}])), "", "x/c>x/a x/c>x/a:80/udp");
    row(
        &on(json!([{"port": 80, "endPort": 82}, {"port": 9}])),
        "x/c>x/a x/c>x/a:81 x/c>x/a:82 x/c>x/a:9",
        "x/c>x/a:79 x/c>x/a:83 x/c>x/a:81/udp",
    );
    row(
        &on(json!([{"port": "http"}])),
        "x/c>x/a x/c>x/b:8080",
        "x/c>x/b x/c>x/a:8080 x/c>x/a:80/udp",
    );
    row(&on(json!([{"port": "unknown"}])), "", "x/c>x/a x/c>x/b:8080");
    let to = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}}], "ports": [{"port": "http"}]}]});
    row(
        &[to],
        "x/a>y/a x/a>y/b:8080",
        "x/a>y/b x/a>x/b:8080 x/a>y/a:8080 x/a>192.0.2.1",
    );
}

#[test]
fn what_any_policy_allows_is_allowed_and_both_ends_have_to_agree() {
    let deny = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let into_a = json!({"podSelector": {"matchLabels": {"pod": "a"}}, "ingress": [
        {"from": [{"podSelector": {"matchLabels": {"pod": "b"}}}], "ports": [{"port": 80}]},
        {"from": [{"podSelector": {"matchLabels": {"pod": "c"}}}], "ports": [{"port": 81}]},
    ]});
    let from_b = json!({"podSelector": {"matchLabels": {"pod": "b"}}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"podSelector": {"matchLabels": {"pod": "a"}}}]}]});
    row(
        &[deny.clone(), into_a.clone()],
        "x/c>x/a:81",
        "x/b>x/a x/c>x/a x/b>x/a:81",
    );
    row(
        &[deny.clone(), into_a.clone(), from_b.clone()],
        "x/b>x/a x/c>x/a:81",
        "x/b>x/a:81 x/c>x/a x/a>x/b x/b>x/c",
    );
    row(
        &[into_a.clone(), json!({"podSelector": {}, "ingress": [{}]})],
        EVERYTHING,
        "",
    );
    row(&[from_b], "x/b>x/a x/c>x/b", "x/b>x/c x/b>y/a");
}

#[test]
fn every_fault_of_rules_lets_through_what_should_not_or_drops_what_should() {
    let policies = [
        json!({"podSelector": {"matchLabels": {"pod": "a"}}, "policyTypes": ["Ingress"], "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"pod": "b"}}}], "ports": [{"port": "http"}]},
            {"from": [{"namespaceSelector": {"matchLabels": {"ns": "x"}}, "podSelector": {"matchLabels": {"pod": "b"}}}],
             "ports": [{"port": 81, "endPort": 83}]},
            {"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.8/32"]}}]},
        ]}),
        json!({"podSelector": {"matchLabels": {"pod": "a"}}, "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"pod": "c"}}}]}]}),
        json!({"podSelector": {"matchLabels": {"pod": "b"}}, "policyTypes": ["Egress"]}),
    ];
    let connections = "x/b>x/a x/b>x/a:82 x/b>x/a:9 x/b>x/a:82/udp x/c>x/a y/a>x/a:82 y/b>x/a:82 192.0.2.8>x/a x/b>y/a x/a>y/b \
                       x/c>x/b x/b>x/c 192.0.2.1>x/a";
    // Without egress of `b` in the way, what `a` takes is seen.
    let sets = [&policies[..2], &policies[..]];
    let healthy = sets.map(|some| passing(&node(some, &[]), connections));
    assert_ne!(healthy[0], healthy[1]);
    // These are faults of time, or of packets that are not the first.
    let elsewhere = [
        "policy-update-late",
        "live-connections-spared",
        "replies-dropped",
        "node-judged",
    ];
    for (name, _, _) in crate::FAULTS.iter().filter(|(name, _, _)| !elsewhere.contains(name)) {
        let broken = sets.map(|some| passing(&node(some, &[name]), connections));
        assert_ne!(broken, healthy, "{name}");
    }
}

#[test]
fn a_pod_and_a_policy_read_as_they_are() {
    let part = node(
        &[json!({"podSelector": {"matchLabels": {"pod": "a"}}, "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"pod": "c"}}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
             "ports": [{"port": 80}, {"port": "http"}]}]})],
        &[],
    );
    let mut told = Vec::new();
    for ((set, key), verdict) in &part.elements {
        let key: Vec<String> = key.iter().map(Value::to_string).collect();
        let verdict = verdict
            .as_ref()
            .map_or(String::new(), |verdict| format!(" : {verdict}"));
        told.push(format!("{set} {}{verdict}", key.join(" . ")));
    }
    for (chain, rules) in &part.chains {
        told.extend(rules.iter().map(|rule| format!("{chain}: {rule}")));
    }
    let (name, answering) = (
        "ingress-x/p0__0",
        "ct reply ip saddr . ct original protocol . ct reply proto-src",
    );
    assert_eq!(
        told,
        [
            "ingress-ips 10.244.1.2 : goto ingress-x/a".to_owned(),
            format!("{name} 10.244.2.2"),
            format!("{name}__tcp/http 10.244.1.2 . tcp . 80"),
            "isolated-ips 10.244.1.2".to_owned(),
            "dropped-ingress-x/a: counter drop".to_owned(),
            "ingress-x/a: ct original ip saddr 10.244.1.2 accept".to_owned(),
            "ingress-x/a: jump policy-ingress-x/p0".to_owned(),
            "ingress-x/a: goto dropped-ingress-x/a".to_owned(),
            format!("policy-ingress-x/p0: ct original ip saddr @{name} ct original protocol tcp ct reply proto-src 80 accept"),
            "policy-ingress-x/p0: ct original ip saddr 192.0.2.0/24 ct original protocol tcp ct reply proto-src 80 accept".to_owned(),
            format!("policy-ingress-x/p0: ct original ip saddr @{name} {answering} @{name}__tcp/http accept"),
            format!("policy-ingress-x/p0: ct original ip saddr 192.0.2.0/24 {answering} @{name}__tcp/http accept"),
        ]
    );
}
