//! Policies as rules are made from them.

use std::net::IpAddr;

use netfilter::{Family, Protocol};
use objects::meta;
use objects::selector::Labels;
use serde_json::{Map, Value};

use crate::direction::Direction;
use crate::fault::Faults;
use crate::pod::{Pod, protocol};

/// A policy.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    selector: Labels,
    ingress: Option<Vec<Allowed>>,
    egress: Option<Vec<Allowed>>,
}

/// One rule: what it allows.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    /// `None`: anybody.
    pub(crate) peers: Option<Vec<Peer>>,
    /// `None`: any port, of any protocol.
    pub(crate) ports: Option<Vec<Port>>,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Pods.
    Pods {
        /// Labels of their namespaces; `None`: the policy's own namespace.
        namespaces: Option<Labels>,
        /// Their labels.
        pods: Labels,
    },
    /// Addresses.
    Block {
        /// These.
        block: Block,
        /// But not these.
        except: Vec<Block>,
    },
}

/// Base and bits of a range of addresses.
pub(crate) type Block = (IpAddr, u8);

/// Ports of who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    /// Every one of the protocol.
    Every(Protocol),
    /// From one to another, both included.
    Range(Protocol, u16, u16),
    /// What the pod that answers calls so.
    Named(Protocol, String),
}

impl Policy {
    /// Reads a policy, as it is understood under these faults. Blocks of addresses of another family meet nobody.
    pub(crate) fn read(policy: &Value, family: Family, faults: &Faults) -> Self {
        Self {
            namespace: meta::namespace(policy).into(),
            name: meta::name(policy).into(),
            uid: meta::uid(policy).into(),
            selector: labels(meta::at(policy, &["spec", "podSelector"])),
            ingress: allowed(policy, Direction::Ingress, family, faults),
            egress: allowed(policy, Direction::Egress, family, faults),
        }
    }

    /// What it allows; `None` if it is not about this direction and isolates nobody in it.
    pub(crate) fn allowed(&self, direction: Direction) -> Option<&[Allowed]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    /// Whether it is about this pod.
    pub(crate) fn selects(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace && self.selector.matches_map(Some(&pod.labels))
    }

    /// Whether a peer that it names is this pod, whose namespace has these labels.
    pub(crate) fn meets(&self, peer: &Peer, pod: &Pod, namespace: Option<&Map<String, Value>>) -> bool {
        match peer {
            Peer::Block { .. } => false,
            Peer::Pods { namespaces, pods } => {
                let in_namespace = match namespaces {
                    None => self.namespace == pod.namespace,
                    Some(namespaces) => namespaces.matches_map(namespace),
                };
                in_namespace && pods.matches_map(Some(&pod.labels))
            }
        }
    }

    /// Everything that it allows, in any direction.
    pub(crate) fn all_allowed(&self) -> impl Iterator<Item = &Allowed> {
        Direction::BOTH
            .into_iter()
            .filter_map(|direction| self.allowed(direction))
            .flatten()
    }
}

/// What is no selector finds nothing.
fn labels(selector: Option<&Value>) -> Labels {
    Labels::of(selector).unwrap_or_else(|_| Labels::nothing())
}

fn allowed(policy: &Value, direction: Direction, family: Family, faults: &Faults) -> Option<Vec<Allowed>> {
    let rules = meta::list(policy, &["spec", &direction.to_string()]);
    let types = meta::list(policy, &["spec", "policyTypes"]);
    let is_about = match types.is_empty() || faults.has("policy-types-ignored") {
        true => direction == Direction::Ingress || !rules.is_empty(),
        false => types.iter().any(|one| one == direction.policy_type()),
    };
    let ignored = match direction {
        Direction::Ingress => "ingress-ignored",
        Direction::Egress => "egress-ignored",
    };
    let forgotten = rules.is_empty() && faults.has("default-deny-forgotten");
    if !is_about || forgotten || faults.has(ignored) || faults.has("policies-ignored") {
        return None;
    }
    let read = |rule: &Value| Allowed {
        peers: peers(meta::list(rule, &[direction.peers()]), family, faults),
        ports: ports(meta::list(rule, &["ports"]), faults),
    };
    Some(rules.iter().map(read).collect())
}

/// None are everybody.
fn peers(peers: &[Value], family: Family, faults: &Faults) -> Option<Vec<Peer>> {
    (!peers.is_empty()).then(|| peers.iter().flat_map(|one| peer(one, family, faults)).collect())
}

fn peer(peer: &Value, family: Family, faults: &Faults) -> Vec<Peer> {
    if let Some(ip_block) = peer.get("ipBlock") {
        let Some(block) = block(meta::text(ip_block, &["cidr"]), family) else {
            return Vec::new();
        };
        let except = match faults.has("except-ignored") {
            true => &[],
            false => meta::list(ip_block, &["except"]),
        };
        let except = except
            .iter()
            .filter_map(Value::as_str)
            .filter_map(|cidr| self::block(cidr, family));
        return vec![Peer::Block {
            block,
            except: except.collect(),
        }];
    }
    let pods = match peer.get("podSelector") {
        Some(selector) if !faults.has("pod-selector-ignored") => labels(Some(selector)),
        _ => Labels::everything(),
    };
    let namespaces = peer
        .get("namespaceSelector")
        .map(|selector| match faults.has("namespace-selector-ignored") {
            true => Labels::everything(),
            false => labels(Some(selector)),
        });
    match namespaces {
        Some(namespaces) if peer.get("podSelector").is_some() && faults.has("selectors-either") => vec![
            Peer::Pods {
                namespaces: Some(namespaces),
                pods: Labels::everything(),
            },
            Peer::Pods {
                namespaces: Some(Labels::everything()),
                pods,
            },
        ],
        namespaces => vec![Peer::Pods { namespaces, pods }],
    }
}

/// Reads a range of a family.
fn block(cidr: &str, family: Family) -> Option<Block> {
    let (base, bits) = cidr.split_once('/')?;
    let base: IpAddr = base.parse().ok().filter(|base| Family::of(*base) == family)?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    Some((base, bits.parse().ok().filter(|bits| *bits <= most)?))
}

/// None are all. What is of neither TCP nor UDP is allowed nowhere.
fn ports(ports: &[Value], faults: &Faults) -> Option<Vec<Port>> {
    if ports.is_empty() || faults.has("policy-ports-ignored") {
        return None;
    }
    let mut all = Vec::new();
    for one in ports {
        let protocols = match protocol(one) {
            None => continue,
            Some(_) if faults.has("policy-protocol-ignored") => vec![Protocol::Tcp, Protocol::Udp],
            Some(protocol) => vec![protocol],
        };
        all.extend(protocols.into_iter().filter_map(|protocol| port(one, protocol, faults)));
    }
    Some(all)
}

fn port(port: &Value, protocol: Protocol, faults: &Faults) -> Option<Port> {
    let number = |key| meta::number(port, &[key]).and_then(|number| u16::try_from(number).ok());
    match port.get("port") {
        None => Some(Port::Every(protocol)),
        Some(Value::String(_)) if faults.has("named-port-unresolved") => None,
        Some(Value::String(name)) => Some(Port::Named(protocol, name.clone())),
        Some(_) => {
            let first = number("port")?;
            let last = number("endPort").filter(|_| !faults.has("end-port-ignored"));
            Some(Port::Range(protocol, first, last.unwrap_or(first)))
        }
    }
}
