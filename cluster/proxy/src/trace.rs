//! What a packet to a Service is to meet, by the API, and what it meets in the kernel.

use std::net::{IpAddr, SocketAddr};

use netfilter::{Element, Error, Family, Netfilter, Protocol, RuleState, Set, Value, Verdict};

use crate::base::{FRONT, NO_ENDPOINTS, NO_ENDPOINTS_NODE, NODE_FRONT, NODE_PORTS, SERVICES, TABLE};
use crate::endpoint;
use crate::rules::{ENDPOINT, of_backend};
use crate::service::{Port, Service};
use crate::tables::Object;

/// Chains that lead on to chains: `external` to `service` to `endpoint`.
const DEPTH: usize = 4;

/// Where a client finds a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// An address of the Service's own.
    Address(IpAddr, Protocol, u16),
    /// A port of every node.
    NodePort(Protocol, u16),
}

impl Front {
    /// The map that leads from it, and its key there, in `nft`'s words.
    pub fn element(self) -> String {
        let key: Vec<String> = self.key().iter().map(ToString::to_string).collect();
        format!("{} of map {}", key.join(" . "), self.maps()[0])
    }

    fn key(self) -> Vec<Value> {
        match self {
            Self::Address(address, protocol, port) => vec![address.into(), protocol.into(), port.into()],
            Self::NodePort(protocol, port) => vec![protocol.into(), port.into()],
        }
    }

    /// Where it leads to, and what is done if it leads nowhere.
    fn maps(self) -> [&'static str; 2] {
        match self {
            Self::Address(..) => [SERVICES, NO_ENDPOINTS],
            Self::NodePort(..) => [NODE_PORTS, NO_ENDPOINTS_NODE],
        }
    }

    fn fields(self) -> &'static [netfilter::Field] {
        match self {
            Self::Address(..) => &FRONT,
            Self::NodePort(..) => &NODE_FRONT,
        }
    }
}

/// What the API says about an address and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// A port of a Service.
    Port {
        /// As `NAMESPACE/NAME`.
        service: String,
        /// Where clients find it.
        front: Front,
        /// Who serves it: what is ready, or else what still serves while it ends.
        backends: Vec<SocketAddr>,
    },
    /// The address is a Service's, which has no such port.
    OtherPorts {
        /// As `NAMESPACE/NAME`.
        service: String,
        /// `PORT/PROTOCOL` of those that it has.
        ports: Vec<String>,
    },
}

/// What Services mean by an address and port; nothing if it is none of theirs. `nodes` are addresses that have node ports.
pub fn meant(
    services: &[Object],
    slices: &[Object],
    to: SocketAddr,
    protocol: Protocol,
    nodes: &[IpAddr],
) -> Option<Meant> {
    let family = Family::of(to.ip());
    let all = || services.iter().filter_map(|service| Service::read(service, family));
    let of_port = |service: &Service, front: Front, port: &Port| {
        let own = |slice: &&Object| {
            endpoint::service_of(slice).is_some_and(|(space, name)| space == service.namespace && name == service.name)
        };
        let endpoints = endpoint::read(slices.iter().filter(own).map(AsRef::as_ref), family);
        let endpoints = endpoints.get(&(port.name.clone(), protocol));
        let serving = endpoint::serving(endpoints.map(Vec::as_slice).unwrap_or_default(), |_| true);
        Meant::Port {
            service: format!("{}/{}", service.namespace, service.name),
            front,
            backends: serving
                .iter()
                .map(|one| SocketAddr::new(one.address, one.port))
                .collect(),
        }
    };
    for service in all() {
        let ports = || service.ports.iter().filter(|port| port.protocol == protocol);
        if to.ip() == service.address || service.external.contains(&to.ip()) {
            let Some(port) = ports().find(|port| port.number == to.port()) else {
                let told = |port: &Port| format!("{}/{}", port.number, port.protocol);
                return Some(Meant::OtherPorts {
                    service: format!("{}/{}", service.namespace, service.name),
                    ports: service.ports.iter().map(told).collect(),
                });
            };
            return Some(of_port(&service, Front::Address(to.ip(), protocol, to.port()), port));
        }
        let by_node = ports().find(|port| port.node_port == Some(to.port()));
        if let Some(port) = by_node.filter(|_| nodes.contains(&to.ip())) {
            return Some(of_port(&service, Front::NodePort(protocol, to.port()), port));
        }
    }
    None
}

/// What a node's kernel does with a Service's address and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// The proxy's table is not there.
    NoTable,
    /// The maps do not have it.
    Nowhere,
    /// The map of what has no backend has it: refused or dropped.
    Refused,
    /// To one of these.
    To(Vec<Backend>),
}

/// A backend as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Its chain, or the comment of its rule, which are named alike.
    pub chain: String,
    /// Where a packet is sent; nowhere if there is no such rule.
    pub target: Option<SocketAddr>,
}

impl Backend {
    /// Whether its chain is called as that of this backend is.
    pub fn is_named(&self, target: SocketAddr) -> bool {
        self.chain.ends_with(&of_backend(target.ip(), target.port()))
    }
}

/// Reads from a node's packet filter, by a socket of the address' family, where a Service's address and port lead.
///
/// # Errors
/// What netfilter says.
pub fn leads(socket: &mut Netfilter, front: Front) -> Result<Leads, Error> {
    if socket.table(TABLE)?.is_none() {
        return Ok(Leads::NoTable);
    }
    let [leading, lacking] = front.maps();
    let key = front.key();
    let mut verdict = |map: &str| -> Result<Option<Verdict>, Error> {
        let types: Vec<_> = front.fields().iter().map(|field| field.kind()).collect();
        let elements = socket.elements(TABLE, &Set::verdict_map(map, &types))?;
        let own = elements.into_iter().find(|element: &Element| element.key == key);
        Ok(own.and_then(|element| element.verdict))
    };
    let Some(first) = verdict(leading)? else {
        return Ok(match verdict(lacking)? {
            Some(_) => Leads::Refused,
            None => Leads::Nowhere,
        });
    };
    let mut backends = Vec::new();
    let mut chains: Vec<String> = first.chain().map(str::to_owned).into_iter().collect();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for chain in std::mem::take(&mut chains) {
            let rules = socket.rules(TABLE, Some(&chain))?;
            if chain.starts_with(ENDPOINT) {
                let target = rules.iter().find_map(target);
                backends.push(Backend { chain, target });
                continue;
            }
            for rule in rules {
                if let Some(name) = rule.comment.as_deref().filter(|name| name.starts_with(ENDPOINT)) {
                    backends.push(Backend {
                        chain: name.to_owned(),
                        target: target(&rule),
                    });
                    continue;
                }
                let mut found = rule.verdicts;
                for map in rule.maps {
                    let map = Set::verdict_map(&map, &[netfilter::Type::Number]);
                    let elements = socket.elements(TABLE, &map)?;
                    found.extend(elements.into_iter().filter_map(|element| element.verdict));
                }
                // What is jumped through comes back.
                next.extend(found.into_iter().filter_map(|verdict| match verdict {
                    Verdict::Goto(chain) => Some(chain),
                    _ => None,
                }));
            }
        }
        next.sort();
        next.dedup();
        chains = next;
    }
    Ok(Leads::To(backends))
}

fn target(rule: &RuleState) -> Option<SocketAddr> {
    let (address, port) = rule.changed_to?;
    Some(SocketAddr::new(address, port?))
}
