//! What one Service needs in the packet filter, and how one such becomes another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use netfilter::{Batch, Chain, Element, Rule, Set, Value, Verdict};

/// Name of a set or map, and a key in it.
pub(crate) type Place = (&'static str, Vec<Value>);
/// Where clients of UDP send to, and the backends that may answer there.
pub(crate) type Answering = BTreeMap<(Ipv4Addr, u16), BTreeSet<(Ipv4Addr, u16)>>;

/// What one Service needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Chains by name, with their rules.
    pub(crate) chains: BTreeMap<String, Vec<Rule>>,
    /// Sets of its own, by name.
    pub(crate) sets: BTreeMap<String, Set>,
    /// Elements of the sets and maps that all Services share.
    pub(crate) elements: BTreeMap<Place, Option<Verdict>>,
    /// For UDP, of which the kernel remembers who answers.
    pub(crate) answering: Answering,
}

/// From what is to what shall be, for one Service.
pub(crate) struct Step<'a> {
    pub(crate) old: &'a Part,
    pub(crate) new: &'a Part,
}

impl Step<'_> {
    fn fresh_chains(&self) -> impl Iterator<Item = &String> {
        self.new
            .chains
            .keys()
            .filter(|name| !self.old.chains.contains_key(*name))
    }

    fn lost_chains(&self) -> impl Iterator<Item = &String> {
        self.old
            .chains
            .keys()
            .filter(|name| !self.new.chains.contains_key(*name))
    }

    fn changed_chains(&self) -> impl Iterator<Item = (&String, &Vec<Rule>)> {
        let changed = |(name, rules): &(&String, &Vec<Rule>)| self.old.chains.get(*name) != Some(*rules);
        self.new.chains.iter().filter(changed)
    }

    fn lost_elements(&self) -> impl Iterator<Item = (&Place, &Option<Verdict>)> {
        let lost = |(place, verdict): &(&Place, &Option<Verdict>)| self.new.elements.get(*place) != Some(*verdict);
        self.old.elements.iter().filter(lost)
    }

    fn fresh_elements(&self) -> impl Iterator<Item = (&Place, &Option<Verdict>)> {
        let fresh = |(place, verdict): &(&Place, &Option<Verdict>)| self.old.elements.get(*place) != Some(*verdict);
        self.new.elements.iter().filter(fresh)
    }
}

/// Elements by the set that they belong to.
fn by_set<'a>(
    elements: impl Iterator<Item = (&'a Place, &'a Option<Verdict>)>,
) -> BTreeMap<&'static str, Vec<Element>> {
    let mut all: BTreeMap<&'static str, Vec<Element>> = BTreeMap::new();
    for ((set, key), verdict) in elements {
        let element = Element {
            verdict: verdict.clone(),
            ..Element::new(key)
        };
        all.entry(set).or_default().push(element);
    }
    all
}

/// Writes all steps into one batch. Nothing is pointed at before it is there, nor after it is gone: chains and sets come
/// first, then rules, then the elements that lead to them; and they go the other way around.
pub(crate) fn write(steps: &[Step<'_>], batch: &mut Batch) {
    for name in steps.iter().flat_map(Step::fresh_chains) {
        batch.add_chain(&Chain::regular(name));
    }
    for step in steps {
        let fresh = step
            .new
            .sets
            .iter()
            .filter(|(name, _)| !step.old.sets.contains_key(*name));
        fresh.for_each(|(_, set)| batch.add_set(set));
    }
    for step in steps {
        for (name, rules) in step.changed_chains() {
            if step.old.chains.contains_key(name) {
                batch.flush_chain(name);
            }
            rules.iter().for_each(|rule| batch.add_rule(name, rule));
        }
    }
    for (set, elements) in by_set(steps.iter().flat_map(Step::lost_elements)) {
        batch.delete_elements(set, &elements);
    }
    for (set, elements) in by_set(steps.iter().flat_map(Step::fresh_elements)) {
        batch.add_elements(set, &elements);
    }
    for name in steps.iter().flat_map(Step::lost_chains) {
        batch.flush_chain(name);
    }
    for name in steps.iter().flat_map(Step::lost_chains) {
        batch.delete_chain(name);
    }
    for step in steps {
        let lost = step.old.sets.keys().filter(|name| !step.new.sets.contains_key(*name));
        lost.for_each(|name| batch.delete_set(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(chains: &[(&str, &str)]) -> Part {
        let rules = |(name, to): &(&str, &str)| ((*name).to_owned(), vec![Rule::new().goto(to)]);
        Part {
            chains: chains.iter().map(rules).collect(),
            ..Part::default()
        }
    }

    fn messages(old: &Part, new: &Part) -> usize {
        let mut batch = Batch::new("t");
        write(&[Step { old, new }], &mut batch);
        batch.len()
    }

    #[test]
    fn only_what_changed_is_touched() {
        let old = part(&[("a", "x"), ("b", "x")]);
        assert_eq!(messages(&old, &old), 0);
        assert_eq!(messages(&Part::default(), &old), 4, "two chains, a rule in each");
        assert_eq!(
            messages(&old, &part(&[("a", "x"), ("b", "y")])),
            2,
            "one chain is filled anew"
        );
        assert_eq!(messages(&old, &part(&[("a", "x")])), 2, "one is emptied and deleted");
    }

    #[test]
    fn an_element_with_another_verdict_is_deleted_first() {
        let with = |verdict| Part {
            elements: [(("map", vec![Value::Port(80)]), Some(verdict))].into(),
            ..Part::default()
        };
        assert_eq!(messages(&with(Verdict::Drop), &with(Verdict::Accept)), 2);
        assert_eq!(messages(&with(Verdict::Drop), &with(Verdict::Drop)), 0);
        assert_eq!(messages(&with(Verdict::Drop), &Part::default()), 1);
    }
}
