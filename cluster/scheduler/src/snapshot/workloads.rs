//! Namespaces, services and controllers: which pods belong together.

use super::Snapshot;
use crate::id::ClassId;
use crate::selector::{Labels, Selector, Want};
use crate::shape::{Spread, Who};
use crate::words::Word;

impl Snapshot {
    /// A namespace's labels; whether they changed anything.
    pub(crate) fn put_namespace(&mut self, name: Word, labels: Labels) -> bool {
        if self.namespaces.get(&name) == Some(&labels) {
            return false;
        }
        self.namespaces.insert(name, labels);
        let selects = |who: &Who| who.namespace_selector.is_some();
        if self.tallies.matchers.iter().any(|one| one.whom.all.iter().any(selects)) {
            self.rebuild();
        }
        true
    }

    pub(crate) fn remove_namespace(&mut self, name: Word) {
        self.namespaces.remove(&name);
    }

    pub(crate) fn put_service(&mut self, key: String, namespace: Word, selector: Option<Labels>) {
        self.workloads += 1;
        match selector {
            Some(selector) => self.services.insert(key, (namespace, selector)),
            None => self.services.remove(&key),
        };
    }

    pub(crate) fn put_owner(&mut self, kind: Word, namespace: Word, name: Word, selector: Option<Selector>) {
        self.workloads += 1;
        match selector {
            Some(selector) => self.owners.insert((kind, namespace, name), selector),
            None => self.owners.remove(&(kind, namespace, name)),
        };
    }

    /// Makes the constraints for pods that say none, if services or a controller tell which pods belong together:
    /// hosts within a skew of 3, zones within 5, neither by force.
    pub(crate) fn prepare_default_spread(&mut self, id: ClassId) {
        let class = &self.classes[id.at()];
        if !class.shape.spread.is_empty()
            || class
                .default_spread
                .as_ref()
                .is_some_and(|(at, _)| *at == self.workloads)
        {
            return;
        }
        let shape = class.shape.clone();
        let mut wants: Vec<Want> = Vec::new();
        for (namespace, selector) in self.services.values() {
            let holds = |(key, value): (Word, Word)| shape.labels.get(key) == Some(value);
            if *namespace == shape.namespace && !selector.is_empty() && selector.iter().all(holds) {
                wants.extend(selector.iter().map(|(key, value)| Want::equals(key, value)));
            }
        }
        if let Some((kind, name)) = shape.owner
            && let Some(selector) = self.owners.get(&(kind, shape.namespace, name))
        {
            wants.extend(selector.0.iter().cloned());
        }
        wants.sort_unstable_by_key(|want| (want.key, want.values.first().copied()));
        wants.dedup();
        let mut uses = Vec::new();
        if !wants.is_empty() {
            for (topology, max_skew) in [(Word::HOSTNAME, 3), (Word::ZONE, 5)] {
                let constraint = Spread {
                    topology,
                    max_skew,
                    hard: false,
                    min_domains: 1,
                    who: Who {
                        namespaces: vec![shape.namespace],
                        namespace_selector: None,
                        labels: Some(Selector(wants.clone())),
                    },
                    honor_affinity: true,
                    honor_taints: false,
                };
                uses.push(self.spread_use(&constraint, &shape, Vec::new()));
            }
        }
        self.classes[id.at()].default_spread = Some((self.workloads, uses.into()));
    }
}
