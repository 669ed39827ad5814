//! Parts of a table that change by themselves: what one thing of many needs, and how one such becomes another.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{Batch, Chain, Element, Rule, Set, Value, Verdict};

/// Name of a set or map, and a key in it.
pub type Place = (Cow<'static, str>, Vec<Value>);

/// What one of many has in a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Chains by name, with their rules.
    pub chains: BTreeMap<String, Vec<Rule>>,
    /// Sets of its own, by name.
    pub sets: BTreeMap<String, Set>,
    /// Elements of its own sets, and of sets and maps that it shares with others. A place is in one part only.
    pub elements: BTreeMap<Place, Option<Verdict>>,
}

/// From what a part is to what it shall be.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// As it is.
    pub old: &'a Part,
    /// As it shall be.
    pub new: &'a Part,
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

    fn fresh_sets(&self) -> impl Iterator<Item = &Set> {
        let fresh = |(name, _): &(&String, &Set)| !self.old.sets.contains_key(*name);
        self.new.sets.iter().filter(fresh).map(|(_, set)| set)
    }

    fn lost_sets(&self) -> impl Iterator<Item = &String> {
        self.old.sets.keys().filter(|name| !self.new.sets.contains_key(*name))
    }

    /// Those of sets that stay.
    fn lost_elements(&self) -> impl Iterator<Item = (&Place, &Option<Verdict>)> {
        let goes = |set: &str| self.old.sets.contains_key(set) && !self.new.sets.contains_key(set);
        let lost = move |(place, verdict): &(&Place, &Option<Verdict>)| {
            self.new.elements.get(*place) != Some(*verdict) && !goes(&place.0)
        };
        self.old.elements.iter().filter(lost)
    }

    fn fresh_elements(&self) -> impl Iterator<Item = (&Place, &Option<Verdict>)> {
        let fresh = |(place, verdict): &(&Place, &Option<Verdict>)| self.old.elements.get(*place) != Some(*verdict);
        self.new.elements.iter().filter(fresh)
    }
}

/// Elements by the set that they belong to.
fn by_set<'a>(elements: impl Iterator<Item = (&'a Place, &'a Option<Verdict>)>) -> BTreeMap<&'a str, Vec<Element>> {
    let mut all: BTreeMap<&'a str, Vec<Element>> = BTreeMap::new();
    for ((set, key), verdict) in elements {
        let element = Element {
            verdict: verdict.clone(),
            ..Element::new(key)
        };
        all.entry(set.as_ref()).or_default().push(element);
    }
    all
}

impl Batch {
    /// Makes parts what they shall be, and touches only what changes. Nothing is pointed at before it is there, nor after it
    /// is gone, not even from one part to another: chains and sets come first, then rules, then the elements that lead to
    /// them; and they go the other way around.
    pub fn change(&mut self, steps: &[Step<'_>]) {
        for name in steps.iter().flat_map(Step::fresh_chains) {
            self.add_chain(&Chain::regular(name));
        }
        for set in steps.iter().flat_map(Step::fresh_sets) {
            self.add_set(set);
        }
        for step in steps {
            for (name, rules) in step.changed_chains() {
                if step.old.chains.contains_key(name) {
                    self.flush_chain(name);
                }
                rules.iter().for_each(|rule| self.add_rule(name, rule));
            }
        }
        for (set, elements) in by_set(steps.iter().flat_map(Step::lost_elements)) {
            self.delete_elements(set, &elements);
        }
        for (set, elements) in by_set(steps.iter().flat_map(Step::fresh_elements)) {
            self.add_elements(set, &elements);
        }
        for name in steps.iter().flat_map(Step::lost_chains) {
            self.flush_chain(name);
        }
        for name in steps.iter().flat_map(Step::lost_chains) {
            self.delete_chain(name);
        }
        for name in steps.iter().flat_map(Step::lost_sets) {
            self.delete_set(name);
        }
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
        batch.change(&[Step { old, new }]);
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
            elements: [(("map".into(), vec![Value::Port(80)]), Some(verdict))].into(),
            ..Part::default()
        };
        assert_eq!(messages(&with(Verdict::Drop), &with(Verdict::Accept)), 2);
        assert_eq!(messages(&with(Verdict::Drop), &with(Verdict::Drop)), 0);
        assert_eq!(messages(&with(Verdict::Drop), &Part::default()), 1);
    }

    #[test]
    fn a_set_goes_with_all_that_is_in_it() {
        let old = Part {
            sets: [("s".to_owned(), Set::new("s", &[crate::Type::Port]))].into(),
            elements: [(("s".into(), vec![Value::Port(80)]), None)].into(),
            ..Part::default()
        };
        assert_eq!(messages(&Part::default(), &old), 2);
        assert_eq!(messages(&old, &Part::default()), 1);
    }
}
