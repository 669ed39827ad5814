//! How many pods of a kind are in each topology domain, kept up to date as pods come and go.
//!
//! A [`Matcher`] is whom a selector means. A [`Tally`] counts, by domain of a topology key, either the pods that a
//! matcher means or the pods that hold a term which names it (anti-affinity works both ways). Filters and scores only
//! look counts up.

use std::cell::Cell;
use std::collections::HashMap;

use crate::id::{EligibilityId, MatcherId, NodeId, TallyId, TopologyId};
use crate::node::Node;
use crate::selector::{Labels, Placement};
use crate::shape::Who;
use crate::taint::{Toleration, untolerated};
use crate::words::{Word, Words};

/// The node is in no domain: it lacks the label.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The nodes of a cluster by one label.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) key: Word,
    /// The domain of each node.
    pub(crate) of: Vec<u32>,
    values: HashMap<Word, u32>,
}

/// Whom a selector means; with several, pods that all of them mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Whom {
    pub(crate) all: Vec<Who>,
    /// Whether terminating pods are left out.
    pub(crate) live: bool,
}

impl Whom {
    pub(crate) fn means(
        &self,
        namespace: Word,
        labels: &Labels,
        namespaces: &HashMap<Word, Labels>,
        words: &Words,
    ) -> bool {
        self.all.iter().all(|who| {
            let selects = |selector: &crate::selector::Selector| match namespaces.get(&namespace) {
                Some(labels) => selector.matches(labels, words),
                None => selector.matches(&Labels::default(), words),
            };
            (who.namespaces.contains(&namespace) || who.namespace_selector.as_ref().is_some_and(selects))
                && who
                    .labels
                    .as_ref()
                    .is_some_and(|selector| selector.matches(labels, words))
        })
    }
}

/// A selector in use, and what is counted for it.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) whom: Whom,
    /// Tallies of the pods it means.
    pub(crate) meant: Vec<TallyId>,
    /// Tallies of the pods that hold a term about them.
    pub(crate) holders: Vec<TallyId>,
}

/// What pods that hold a term want of those whom it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Required anti-affinity.
    Repels,
    /// Required affinity.
    Requires,
    /// Preferred affinity of this weight; below 0: anti-affinity.
    Prefers(i64),
}

/// What a tally counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Meant,
    Holders(Role),
}

/// What makes two tallies the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TallyKey {
    pub(crate) matcher: MatcherId,
    pub(crate) counted: Counted,
    pub(crate) topology: TopologyId,
    /// Only pods on such nodes count. Absent: all nodes.
    pub(crate) eligibility: Option<EligibilityId>,
}

/// Counts by domain.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) key: TallyKey,
    pub(crate) counts: Vec<u32>,
    /// Eligible nodes in each domain.
    nodes: Vec<u32>,
    /// Domains with a node.
    pub(crate) domains: usize,
    pub(crate) total: u64,
    /// The smallest count of a domain with a node, if it is known.
    low: Cell<Option<u32>>,
}

impl Tally {
    fn grow(&mut self, domain: u32) {
        let wanted = domain as usize + 1;
        if self.counts.len() < wanted {
            self.counts.resize(wanted, 0);
            self.nodes.resize(wanted, 0);
        }
    }

    fn put_node(&mut self, domain: u32) {
        self.grow(domain);
        let nodes = &mut self.nodes[domain as usize];
        *nodes += 1;
        if *nodes == 1 {
            self.domains += 1;
            self.low.set(None);
        }
    }

    fn take_node(&mut self, domain: u32) {
        let nodes = &mut self.nodes[domain as usize];
        *nodes -= 1;
        if *nodes == 0 {
            self.domains -= 1;
            self.low.set(None);
        }
    }

    pub(crate) fn put_pod(&mut self, domain: u32) {
        let count = &mut self.counts[domain as usize];
        if self.low.get() == Some(*count) {
            self.low.set(None);
        }
        *count += 1;
        self.total += 1;
    }

    pub(crate) fn take_pod(&mut self, domain: u32) {
        let count = &mut self.counts[domain as usize];
        *count -= 1;
        self.total -= 1;
        if self.nodes[domain as usize] > 0 && self.low.get().is_some_and(|low| low > *count) {
            self.low.set(Some(*count));
        }
    }

    pub(crate) fn count(&self, domain: u32) -> u32 {
        self.counts.get(domain as usize).copied().unwrap_or(0)
    }

    /// The smallest count of a domain with a node; 0 without domains.
    pub(crate) fn low(&self) -> u32 {
        if let Some(low) = self.low.get() {
            return low;
        }
        let pairs = self.counts.iter().zip(&self.nodes);
        let counted = pairs.map(|(count, nodes)| if *nodes > 0 { *count } else { u32::MAX });
        let low = counted.min().filter(|low| *low != u32::MAX).unwrap_or(0);
        self.low.set(Some(low));
        low
    }
}

/// Which nodes count for a spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Eligible {
    /// Labels that a node must have.
    pub(crate) keys: Vec<Word>,
    pub(crate) placement: Option<Placement>,
    pub(crate) tolerations: Option<Vec<Toleration>>,
}

impl Eligible {
    fn allows(&self, node: &Node, words: &Words) -> bool {
        let tolerated = |tolerations: &Vec<Toleration>| untolerated(&node.taints, tolerations).is_none();
        self.keys.iter().all(|key| node.labels.get(*key).is_some())
            && self.tolerations.as_ref().is_none_or(tolerated)
            && self
                .placement
                .as_ref()
                .is_none_or(|placement| placement.matches(node.name, &node.labels, words))
    }
}

#[derive(Debug)]
struct Eligibility {
    rule: Eligible,
    nodes: Vec<bool>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) topologies: Vec<Topology>,
    by_topology: HashMap<Word, TopologyId>,
    eligibilities: Vec<Eligibility>,
    by_rule: HashMap<Eligible, EligibilityId>,
    pub(crate) matchers: Vec<Matcher>,
    by_whom: HashMap<Whom, MatcherId>,
    pub(crate) tallies: Vec<Tally>,
    by_key: HashMap<TallyKey, TallyId>,
    /// Pods that hold a term of required anti-affinity, by term.
    pub(crate) repelling: u64,
}

impl Tallies {
    pub(crate) fn tally(&self, id: TallyId) -> &Tally {
        &self.tallies[id.at()]
    }

    /// The domain of a node in the topology of a tally.
    pub(crate) fn domain(&self, tally: TallyId, node: NodeId) -> u32 {
        let topology = self.tallies[tally.at()].key.topology;
        self.topologies[topology.at()].of[node.at()]
    }

    pub(crate) fn topology(&mut self, key: Word, nodes: &[Node]) -> TopologyId {
        if let Some(id) = self.by_topology.get(&key) {
            return *id;
        }
        let id = TopologyId::new(self.topologies.len());
        let mut topology = Topology {
            key,
            of: vec![NOWHERE; nodes.len()],
            values: HashMap::new(),
        };
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.here) {
            topology.join(index, node);
        }
        self.topologies.push(topology);
        self.by_topology.insert(key, id);
        id
    }

    pub(crate) fn eligibility(&mut self, rule: Eligible, nodes: &[Node], words: &Words) -> EligibilityId {
        if let Some(id) = self.by_rule.get(&rule) {
            return *id;
        }
        let id = EligibilityId::new(self.eligibilities.len());
        self.by_rule.insert(rule.clone(), id);
        self.eligibilities.push(Eligibility {
            nodes: nodes.iter().map(|node| node.here && rule.allows(node, words)).collect(),
            rule,
        });
        id
    }

    /// The matcher of a selector, and whether it is new.
    pub(crate) fn matcher(&mut self, whom: Whom) -> (MatcherId, bool) {
        if let Some(id) = self.by_whom.get(&whom) {
            return (*id, false);
        }
        let id = MatcherId::new(self.matchers.len());
        self.by_whom.insert(whom.clone(), id);
        self.matchers.push(Matcher {
            whom,
            meant: Vec::new(),
            holders: Vec::new(),
        });
        (id, true)
    }

    /// The tally, and whether it is new: pods are not counted in a new one yet.
    pub(crate) fn tally_of(&mut self, key: TallyKey, nodes: &[Node]) -> (TallyId, bool) {
        if let Some(id) = self.by_key.get(&key) {
            return (*id, false);
        }
        let id = TallyId::new(self.tallies.len());
        let mut tally = Tally {
            key,
            counts: Vec::new(),
            nodes: Vec::new(),
            domains: 0,
            total: 0,
            low: Cell::new(None),
        };
        for index in (0..nodes.len()).filter(|index| nodes[*index].here) {
            if let Some(domain) = self.counted_domain(&key, NodeId::new(index)) {
                tally.put_node(domain);
            }
        }
        self.tallies.push(tally);
        self.by_key.insert(key, id);
        let matcher = &mut self.matchers[key.matcher.at()];
        match key.counted {
            Counted::Meant => matcher.meant.push(id),
            Counted::Holders(_) => matcher.holders.push(id),
        }
        (id, true)
    }

    /// The domain a node's pods are counted in, if they are.
    fn counted_domain(&self, key: &TallyKey, node: NodeId) -> Option<u32> {
        let domain = self.topologies[key.topology.at()].of[node.at()];
        let counts = key
            .eligibility
            .is_none_or(|eligibility| self.eligibilities[eligibility.at()].nodes[node.at()]);
        (domain != NOWHERE && counts).then_some(domain)
    }

    /// A pod that a matcher means comes to or leaves a node.
    pub(crate) fn count_meant(&mut self, matcher: MatcherId, terminating: bool, node: NodeId, comes: bool) {
        let matcher = &self.matchers[matcher.at()];
        if matcher.whom.live && terminating {
            return;
        }
        for id in &matcher.meant {
            let key = self.tallies[id.at()].key;
            if let Some(domain) = self.counted_domain(&key, node) {
                let tally = &mut self.tallies[id.at()];
                if comes {
                    tally.put_pod(domain);
                } else {
                    tally.take_pod(domain);
                }
            }
        }
    }

    /// A pod that holds a term comes to or leaves a node.
    pub(crate) fn count(&mut self, tally: TallyId, node: NodeId, comes: bool) {
        let key = self.tallies[tally.at()].key;
        let Some(domain) = self.counted_domain(&key, node) else {
            return;
        };
        let tally = &mut self.tallies[tally.at()];
        if comes {
            tally.put_pod(domain);
        } else {
            tally.take_pod(domain);
        }
        if key.counted == Counted::Holders(Role::Repels) {
            if comes {
                self.repelling += 1;
            } else {
                self.repelling -= 1;
            }
        }
    }

    /// A node came, or its labels or taints changed. No pods may be counted on it meanwhile.
    pub(crate) fn put_node(&mut self, id: NodeId, node: &Node, words: &Words) {
        for topology in &mut self.topologies {
            if topology.of.len() <= id.at() {
                topology.of.resize(id.at() + 1, NOWHERE);
            }
            topology.join(id.at(), node);
        }
        for eligibility in &mut self.eligibilities {
            if eligibility.nodes.len() <= id.at() {
                eligibility.nodes.resize(id.at() + 1, false);
            }
            eligibility.nodes[id.at()] = eligibility.rule.allows(node, words);
        }
        for index in 0..self.tallies.len() {
            let key = self.tallies[index].key;
            if let Some(domain) = self.counted_domain(&key, id) {
                self.tallies[index].put_node(domain);
            }
        }
    }

    /// A node goes, or is about to change. No pods may be counted on it any more.
    pub(crate) fn take_node(&mut self, id: NodeId) {
        for index in 0..self.tallies.len() {
            let key = self.tallies[index].key;
            if let Some(domain) = self.counted_domain(&key, id) {
                self.tallies[index].take_node(domain);
            }
        }
        for topology in &mut self.topologies {
            topology.of[id.at()] = NOWHERE;
        }
        for eligibility in &mut self.eligibilities {
            eligibility.nodes[id.at()] = false;
        }
    }
}

impl Topology {
    fn join(&mut self, index: usize, node: &Node) {
        self.of[index] = match node.labels.get(self.key) {
            Some(value) => {
                let next = self.values.len() as u32;
                *self.values.entry(value).or_insert(next)
            }
            None => NOWHERE,
        };
    }
}
