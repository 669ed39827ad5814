//! The part of the packet filter that is there without any Service: where packets come in, and what is done with all alike.
//!
//! In the shape of kube-proxy's nftables mode:
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/proxy/nftables/README.md>. Service chains are reached through
//! two verdict maps, by address, protocol and port, so that a packet's way does not grow with the number of Services.

use std::net::IpAddr;

use netfilter::{Batch, Chain, Element, Family, Field, Hook, Protocol, Reject, Rule, Set, Statement, Type, state};

use crate::config::{Config, Subnet};
use crate::fault::Faults;

/// Name of the table.
pub const TABLE: &str = "kube-proxy";

/// Addresses of Services.
pub(crate) const CLUSTER_ADDRESSES: &str = "cluster-ips";
/// Addresses on which node ports are served.
pub(crate) const NODE_ADDRESSES: &str = "nodeport-ips";
/// Where a Service's address and port lead.
pub(crate) const SERVICES: &str = "service-ips";
/// Where a node port leads.
pub(crate) const NODE_PORTS: &str = "service-nodeports";
/// What is done about Services without backends.
pub(crate) const NO_ENDPOINTS: &str = "no-endpoint-services";
/// What is done about node ports without backends.
pub(crate) const NO_ENDPOINTS_NODE: &str = "no-endpoint-nodeports";
/// Backends that are pods of this node, each twice: who is sent to himself by a Service would not take the answer for one.
pub(crate) const HAIRPINS: &str = "hairpin-ips";
/// Where pods go under their own address.
const DIRECT: &str = "direct-ips";

/// Refuses a packet.
pub(crate) const REJECT: &str = "reject-chain";
const DISPATCH: &str = "services";
const MASQUERADING: &str = "masquerading";
const SERVICE_CHECK: &str = "service-endpoints-check";
const NODE_PORT_CHECK: &str = "nodeport-endpoints-check";
const ADDRESS_CHECK: &str = "cluster-ips-check";

/// `RTN_LOCAL`: an address of this machine.
pub(crate) const OWN: u32 = 2;

/// The bit of the mark of a packet that is to leave under the node's address, kube-proxy's own. It is set where that is found,
/// and not in a chain for it, as kube-proxy has: whenever a chain changes the kernel follows every way through the table
/// anew, and half of them would be ways into that one.
pub(crate) const MASQUERADE: u32 = 0x4000;
/// Turns of chains: where destinations and sources are changed, and where packets are judged.
const DNAT: i32 = -100;
const SNAT: i32 = 100;
const FILTER: i32 = 0;

/// Chains that packets come into by themselves. If one of them is empty, somebody else was at the table.
pub(crate) const ENTRIES: [(&str, Hook, i32); 6] = [
    ("nat-prerouting", Hook::Prerouting, DNAT),
    ("nat-output", Hook::Output, DNAT),
    ("nat-postrouting", Hook::Postrouting, SNAT),
    ("filter-input", Hook::Input, FILTER),
    ("filter-forward", Hook::Forward, FILTER),
    ("filter-output", Hook::Output, FILTER),
];

/// A Service's address, protocol and port.
pub(crate) const FRONT: [Field; 3] = [Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
/// A node port.
pub(crate) const NODE_FRONT: [Field; 2] = [Field::Protocol, Field::DestinationPort];

/// Writes it into a batch, in place of whatever table of that name there is.
pub(crate) fn write(config: &Config, faults: &Faults, batch: &mut Batch) {
    batch.add_table();
    batch.delete_table();
    batch.add_table();
    sets(config, batch);
    for (name, hook, priority) in ENTRIES {
        batch.add_chain(&match name.starts_with("nat-") {
            true => Chain::nat(name, hook, priority),
            false => Chain::filter(name, hook, priority),
        });
    }
    let rules = rules(config, faults);
    for (chain, _) in &rules {
        batch.add_chain(&Chain::regular(chain));
    }
    for (chain, rules) in rules {
        rules.iter().for_each(|rule| batch.add_rule(chain, rule));
    }
    for (name, _, _) in ENTRIES {
        entry(name, config).iter().for_each(|rule| batch.add_rule(name, rule));
    }
}

fn sets(config: &Config, batch: &mut Batch) {
    let front = FRONT.map(Field::kind);
    let node_front = NODE_FRONT.map(Field::kind);
    batch.add_set(&Set::new(CLUSTER_ADDRESSES, &[Type::Address]));
    batch.add_set(&Set::new(NODE_ADDRESSES, &[Type::Address]));
    batch.add_set(&Set::new(HAIRPINS, &[Type::Address; 2]));
    batch.add_set(&Set::new(DIRECT, &[Type::Address]).of_ranges());
    batch.add_set(&Set::verdict_map(SERVICES, &front));
    batch.add_set(&Set::verdict_map(NODE_PORTS, &node_front));
    batch.add_set(&Set::verdict_map(NO_ENDPOINTS, &front));
    batch.add_set(&Set::verdict_map(NO_ENDPOINTS_NODE, &node_front));
    let addresses: Vec<Element> = config
        .addresses
        .iter()
        .map(|one| Element::new(&[(*one).into()]))
        .collect();
    batch.add_elements(NODE_ADDRESSES, &addresses);
    batch.add_elements(DIRECT, &ranges(&config.direct));
}

/// Ranges without overlap, which the kernel does not want in a set.
fn ranges(subnets: &[Subnet]) -> Vec<Element> {
    let mut ends: Vec<(IpAddr, IpAddr)> = subnets.iter().map(|one| (one.base, one.last())).collect();
    ends.sort_unstable();
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let mut merged: Vec<(IpAddr, IpAddr)> = Vec::new();
    for (first, last) in ends {
        match merged.last_mut() {
            Some((_, before)) if number(first) <= number(*before).saturating_add(1) => *before = last.max(*before),
            _ => merged.push((first, last)),
        }
    }
    let element = |(first, last): (IpAddr, IpAddr)| Element::range(first, last);
    merged.into_iter().map(element).collect()
}

/// Who reaches a ClusterIP and is no pod of this node is answered through it: its packets leave under the node's address. That
/// is said once and not in the chain of each Service, for the kernel to have less to follow. Where the node itself answers, as
/// it does for the DNS, nothing leaves it.
fn strangers(config: &Config, faults: &Faults) -> Rule {
    let rule = Rule::new()
        .in_set(&[Field::DestinationAddress], CLUSTER_ADDRESSES)
        .is_not(Field::DestinationKind, OWN);
    let pods = config.pods.iter().filter(|_| !faults.has("source-lost"));
    pods.fold(rule, |rule, pods| {
        rule.outside(Field::SourceAddress, pods.base, pods.prefix)
    })
    .mark(MASQUERADE)
}

fn new() -> Rule {
    Rule::new().has(Field::ConnectionState, state::NEW)
}

/// Refuses what passes a rule. A socket that is just sending its first packet takes no errors of ICMP: by IPv4 it is told of them
/// when it is done, and by IPv6 it asks again after a second. A reset is kept for it.
fn refuse(family: Family, rule: &Rule) -> Vec<Rule> {
    let reset = || {
        rule.clone()
            .is(Field::Protocol, Protocol::Tcp)
            .then(Statement::Reject(Reject::Reset))
    };
    let reset = (family == Family::Ipv6).then(reset);
    reset.into_iter().chain([rule.clone().reject()]).collect()
}

fn rules(config: &Config, faults: &Faults) -> Vec<(&'static str, Vec<Rule>)> {
    let unknown_port = Rule::new().in_set(&[Field::DestinationAddress], CLUSTER_ADDRESSES);
    let unknown_ports = match faults.has("wrong-port-dropped") {
        true => vec![unknown_port.drop()],
        false => refuse(config.family, &unknown_port),
    };
    let unknown_ports = unknown_ports
        .into_iter()
        .map(|rule| rule.about("a port that the Service does not have"));
    let nowhere = Rule::new().within(Field::DestinationAddress, config.services.base, config.services.prefix);
    vec![
        (
            DISPATCH,
            vec![
                strangers(config, faults),
                Rule::new().map(&FRONT, SERVICES),
                Rule::new()
                    .in_set(&[Field::DestinationAddress], NODE_ADDRESSES)
                    .map(&NODE_FRONT, NODE_PORTS),
            ],
        ),
        (
            MASQUERADING,
            vec![
                Rule::new().lacks(Field::Mark, MASQUERADE).back(),
                // The mark has said what it had to, and must not be seen by whoever gets the packet next.
                Rule::new().unmark(MASQUERADE),
                Rule::new().masquerade(),
            ],
        ),
        (REJECT, refuse(config.family, &Rule::new())),
        (SERVICE_CHECK, vec![Rule::new().map(&FRONT, NO_ENDPOINTS)]),
        (
            NODE_PORT_CHECK,
            vec![
                Rule::new()
                    .in_set(&[Field::DestinationAddress], NODE_ADDRESSES)
                    .map(&NODE_FRONT, NO_ENDPOINTS_NODE),
            ],
        ),
        (
            ADDRESS_CHECK,
            // The DNS is served at its Service's own address, on each node.
            [Rule::new().is(Field::DestinationKind, OWN).back()]
                .into_iter()
                .chain(unknown_ports)
                .chain([nowhere.drop().about("an address of no Service")])
                .collect(),
        ),
    ]
}

/// The rules of the chains that packets come into by themselves.
fn entry(name: &str, config: &Config) -> Vec<Rule> {
    match name {
        "nat-prerouting" | "nat-output" => vec![Rule::new().jump(DISPATCH)],
        "nat-postrouting" => {
            let outside = |pods: &Subnet| {
                Rule::new()
                    .within(Field::SourceAddress, pods.base, pods.prefix)
                    .not_in_set(&[Field::DestinationAddress], DIRECT)
                    .masquerade()
            };
            let itself = [Field::SourceAddress, Field::DestinationAddress];
            let mut rules = vec![
                Rule::new().jump(MASQUERADING),
                Rule::new().in_set(&itself, HAIRPINS).masquerade(),
            ];
            rules.extend(config.pods.iter().map(outside));
            rules
        }
        "filter-input" => vec![new().jump(NODE_PORT_CHECK), new().jump(SERVICE_CHECK)],
        // What has a backend has its address by now.
        _ => vec![new().jump(SERVICE_CHECK), new().jump(ADDRESS_CHECK)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let subnet = |base: [u8; 4], prefix| Subnet {
            base: base.into(),
            prefix,
        };
        let merged = ranges(&[
            subnet([10, 245, 0, 0], 16),
            subnet([10, 244, 0, 0], 16),
            subnet([10, 244, 7, 0], 24),
            subnet([172, 30, 0, 0], 16),
        ]);
        let addresses = |first: [u8; 4], last: [u8; 4]| Element::range(IpAddr::from(first), IpAddr::from(last));
        assert_eq!(
            merged,
            [
                addresses([10, 244, 0, 0], [10, 245, 255, 255]),
                addresses([172, 30, 0, 0], [172, 30, 255, 255]),
            ]
        );
    }
}
