//! From policies and pods to what they need in the packet filter.
//!
//! A policy has a chain for each direction that it is about, which accepts what it allows. An isolated pod has a chain for
//! each direction in which it is, which asks the policies that select it and drops the rest. Pods that a rule names are
//! elements of a set, so that one that comes or goes is an element and not a rule; addresses and ports, which only the
//! policy itself can change, are in the rules.

use std::collections::BTreeSet;

use netfilter::{Field, Part, Rule, Set, Type, Value, Verdict};

use crate::base::{ISOLATED, map};
use crate::direction::{Direction, Ends};
use crate::fault::Faults;
use crate::pod::Pod;
use crate::policy::{Allowed, Block, Peer, Policy, Port};
use crate::world::World;

/// Bytes of a name that the names of chains and sets can hold.
const LONGEST: usize = 200;
/// What the rule says that drops what no policy allows, and counts it.
pub(crate) const DROPPED: &str = "no policy allows it";
/// How names of chains begin: those that drop, and those of policies.
pub(crate) const DROPPING: &str = "dropped-";
pub(crate) const POLICY: &str = "policy-";

/// Name of a pod's chain.
pub(crate) fn pod_chain(direction: Direction, pod: &Pod) -> String {
    format!("{direction}-{}", own(&pod.namespace, &pod.name, &pod.uid))
}

/// Name of the chain that drops what no policy allows a pod, and counts it. It is a chain of its own, which stays as it is
/// when the policies that select the pod become others, so that its counter goes on.
pub(crate) fn dropping_chain(pod_chain: &str) -> String {
    format!("{DROPPING}{pod_chain}")
}

fn policy_chain(direction: Direction, policy: &Policy) -> String {
    format!("{POLICY}{}", of_policy(direction, policy))
}

fn of_policy(direction: Direction, policy: &Policy) -> String {
    format!("{direction}-{}", own(&policy.namespace, &policy.name, &policy.uid))
}

/// Namespace and name, or the unique identifier where that is too long.
fn own(namespace: &str, name: &str, uid: &str) -> String {
    match namespace.len() + name.len() <= LONGEST {
        true => format!("{namespace}/{name}"),
        false => format!("{namespace}/{uid}"),
    }
}

/// Everything that all rules are made from.
pub(crate) struct Maker {
    pub(crate) faults: Faults,
    ends: Ends,
}

/// A rule of a policy, and where in it.
struct Place<'a> {
    world: &'a World,
    policy: &'a Policy,
    direction: Direction,
    /// Begins the names of its sets.
    name: String,
}

impl Maker {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            ends: Ends::new(&faults),
            faults,
        }
    }

    /// What this policy needs: nothing, unless it is about a pod of this node.
    pub(crate) fn of_policy(&self, world: &World, policy: &Policy) -> Part {
        let mut part = Part::default();
        if world.selected(policy).next().is_none() {
            return part;
        }
        for direction in Direction::BOTH {
            let Some(all) = policy.allowed(direction) else {
                continue;
            };
            let mut rules = Vec::new();
            for (index, allowed) in all.iter().enumerate() {
                let place = Place {
                    world,
                    policy,
                    direction,
                    name: format!("{}__{index}", of_policy(direction, policy)),
                };
                rules.extend(self.allow(&place, allowed, &mut part));
            }
            part.chains.insert(policy_chain(direction, policy), rules);
        }
        part
    }

    /// A rule for each way to be one of the peers, and each way to be one of the ports.
    fn allow(&self, place: &Place<'_>, allowed: &Allowed, part: &mut Part) -> Vec<Rule> {
        let peers = match &allowed.peers {
            None => vec![Rule::new()],
            Some(peers) => self.peers(place, peers, part),
        };
        let Some(ports) = &allowed.ports else {
            return peers.into_iter().map(Rule::accept).collect();
        };
        let mut rules = Vec::new();
        for port in ports {
            if let Port::Named(protocol, name) = port {
                let addresses = named(place, *protocol, name);
                let key = self.ends.answering().map(Field::kind);
                let set = Set::new(&format!("{}__{protocol}/{name}", place.name), &key);
                fill(set, addresses, part);
            }
            let on_port = |peer: &Rule| self.on_port(place, peer.clone(), port).accept();
            rules.extend(peers.iter().map(on_port));
        }
        rules
    }

    fn peers(&self, place: &Place<'_>, peers: &[Peer], part: &mut Part) -> Vec<Rule> {
        let field = self.ends.peer(place.direction);
        let mut rules = Vec::new();
        if peers.iter().any(|peer| matches!(peer, Peer::Pods { .. })) {
            let is_one = |pod: &&Pod| {
                let labels = place.world.labels(&pod.namespace);
                peers.iter().any(|peer| place.policy.meets(peer, pod, labels))
            };
            let pods = place.world.pods().filter(is_one);
            let addresses = pods.map(|pod| vec![pod.address.into()]).collect();
            fill(Set::new(&place.name, &[Type::Address]), addresses, part);
            rules.push(Rule::new().in_set(&[field], &place.name));
        }
        rules.extend(peers.iter().filter_map(|peer| match peer {
            Peer::Block { block, except } => Some(within(field, *block, except)),
            Peer::Pods { .. } => None,
        }));
        rules
    }

    fn on_port(&self, place: &Place<'_>, rule: Rule, port: &Port) -> Rule {
        let Ends {
            protocol, port: number, ..
        } = self.ends;
        match port {
            Port::Every(of) => rule.is(protocol, *of),
            Port::Range(of, first, last) if first == last => rule.is(protocol, *of).is(number, *first),
            Port::Range(of, first, last) => rule.is(protocol, *of).between(number, *first, *last),
            Port::Named(of, name) => rule.in_set(&self.ends.answering(), &format!("{}__{of}/{name}", place.name)),
        }
    }

    /// What a pod of this node needs: nothing, unless it is isolated.
    pub(crate) fn of_pod(&self, world: &World, pod: &Pod) -> Part {
        let mut part = Part::default();
        if !pod.is_local {
            return part;
        }
        for direction in Direction::BOTH {
            let is_isolating = |policy: &&Policy| policy.selects(pod) && policy.allowed(direction).is_some();
            let mut policies: Vec<&Policy> = world.policies.values().filter(is_isolating).collect();
            if self.faults.has("one-policy-only") {
                policies.truncate(1);
            }
            if policies.is_empty() {
                continue;
            }
            let itself = Rule::new().is(self.ends.peer(direction), pod.address);
            let mut rules = vec![itself.accept().about("it reaches itself")];
            rules.extend(
                policies
                    .iter()
                    .map(|policy| Rule::new().jump(&policy_chain(direction, policy))),
            );
            let chain = pod_chain(direction, pod);
            let dropping = dropping_chain(&chain);
            rules.push(Rule::new().goto(&dropping));
            part.chains
                .insert(dropping, vec![Rule::new().count().drop().about(DROPPED)]);
            let address = vec![Value::from(pod.address)];
            part.elements.insert(
                (map(direction).into(), address.clone()),
                Some(Verdict::Goto(chain.clone())),
            );
            part.elements.insert((ISOLATED.into(), address), None);
            part.chains.insert(chain, rules);
        }
        part
    }
}

/// A set of a part's own, with these elements.
fn fill(set: Set, keys: BTreeSet<Vec<Value>>, part: &mut Part) {
    let elements = keys.into_iter().map(|key| ((set.name.clone().into(), key), None));
    part.elements.extend(elements);
    part.sets.insert(set.name.clone(), set);
}

/// Where pods that may answer have a port of this name: those that the policy is about, or any to which they go.
fn named(place: &Place<'_>, protocol: netfilter::Protocol, name: &str) -> BTreeSet<Vec<Value>> {
    let of_pod = |pod: &Pod| -> Vec<Vec<Value>> {
        let own = pod.ports.iter().filter(|(own, of, _)| own == name && *of == protocol);
        own.map(|(_, _, number)| vec![pod.address.into(), protocol.into(), (*number).into()])
            .collect()
    };
    match place.direction {
        Direction::Ingress => place.world.selected(place.policy).flat_map(of_pod).collect(),
        Direction::Egress => place.world.pods().flat_map(of_pod).collect(),
    }
}

fn within(field: Field, (base, bits): Block, except: &[Block]) -> Rule {
    let rule = match bits {
        0 => Rule::new(),
        bits => Rule::new().within(field, base, bits),
    };
    except
        .iter()
        .fold(rule, |rule, (base, bits): &Block| rule.outside(field, *base, *bits))
}
