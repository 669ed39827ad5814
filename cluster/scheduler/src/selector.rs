//! Selectors over interned labels: `labelSelector`, `nodeSelector` and node affinity terms.

use serde_json::Value;

use crate::words::{Word, Words};

/// Labels, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels(Box<[(Word, Word)]>);

impl Labels {
    /// Reads a map of strings; anything else is no labels.
    pub(crate) fn read(map: &Value, words: &mut Words) -> Self {
        let mut labels: Vec<(Word, Word)> = map
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((words.word(key), words.word(value.as_str()?))))
            .collect();
        labels.sort_unstable();
        Self(labels.into())
    }

    pub(crate) fn get(&self, key: Word) -> Option<Word> {
        self.0.iter().find(|(have, _)| *have == key).map(|(_, value)| *value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a selector: every label as it is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Word, Word)> + '_ {
        self.0.iter().copied()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    /// Greater than the whole number.
    Above(i64),
    /// Less than the whole number.
    Below(i64),
    /// An operator that is not known: never true.
    Never,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Want {
    pub(crate) key: Word,
    pub(crate) operator: Operator,
    pub(crate) values: Box<[Word]>,
}

impl Want {
    pub(crate) fn equals(key: Word, value: Word) -> Self {
        Self {
            key,
            operator: Operator::In,
            values: [value].into(),
        }
    }

    fn read(expression: &Value, words: &mut Words) -> Self {
        let values = || {
            expression["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
        };
        let number = || values().next().and_then(|text| text.parse().ok());
        let operator = match expression["operator"].as_str().unwrap_or_default() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => number().map_or(Operator::Never, Operator::Above),
            "Lt" => number().map_or(Operator::Never, Operator::Below),
            _ => Operator::Never,
        };
        let key = words.word(expression["key"].as_str().unwrap_or_default());
        let values = values().map(|text| words.word(text)).collect();
        Self { key, operator, values }
    }

    pub(crate) fn holds(&self, value: Option<Word>, words: &Words) -> bool {
        let number = || value.and_then(|value| words.text(value).parse::<i64>().ok());
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(&value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(&value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Above(than) => number().is_some_and(|number| number > than),
            Operator::Below(than) => number().is_some_and(|number| number < than),
            Operator::Never => false,
        }
    }
}

/// All requirements must hold; none at all always hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Selector(pub(crate) Vec<Want>);

impl Selector {
    /// Reads `matchLabels` and `matchExpressions`. An absent selector means nobody.
    pub(crate) fn read(selector: &Value, words: &mut Words) -> Option<Self> {
        let selector = selector.as_object()?;
        let mut wants = Vec::new();
        if let Some(map) = selector.get("matchLabels") {
            wants.extend(
                Labels::read(map, words)
                    .iter()
                    .map(|(key, value)| Want::equals(key, value)),
            );
        }
        let expressions = selector.get("matchExpressions").and_then(Value::as_array);
        wants.extend(expressions.into_iter().flatten().map(|one| Want::read(one, words)));
        Some(Self(wants))
    }

    pub(crate) fn matches(&self, labels: &Labels, words: &Words) -> bool {
        self.0.iter().all(|want| want.holds(labels.get(want.key), words))
    }
}

/// One term of node affinity: labels and fields, of which only `metadata.name` exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeTerm {
    labels: Selector,
    names: Vec<Want>,
}

impl NodeTerm {
    pub(crate) fn read(term: &Value, words: &mut Words) -> Self {
        let mut read = |field: &str| -> Vec<Want> {
            let expressions = term[field].as_array().into_iter().flatten();
            expressions.map(|one| Want::read(one, words)).collect()
        };
        Self {
            labels: Selector(read("matchExpressions")),
            names: read("matchFields"),
        }
    }

    /// A term without requirements matches no node.
    pub(crate) fn matches(&self, name: Word, labels: &Labels, words: &Words) -> bool {
        let named = |want: &Want| want.key == Word::NAME_FIELD && want.holds(Some(name), words);
        !(self.labels.0.is_empty() && self.names.is_empty())
            && self.names.iter().all(named)
            && self.labels.matches(labels, words)
    }

    /// The names a node must have one of, if the term says so.
    pub(crate) fn only(&self) -> Option<Vec<Word>> {
        let mut only: Option<Vec<Word>> = None;
        for want in &self.names {
            if want.key != Word::NAME_FIELD || want.operator != Operator::In {
                continue;
            }
            only = Some(match only {
                None => want.values.to_vec(),
                Some(names) => names.into_iter().filter(|name| want.values.contains(name)).collect(),
            });
        }
        only
    }
}

/// Where a pod must go by its own words: `nodeSelector` and required node affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Placement {
    pub(crate) selector: Labels,
    /// One of these; absent means anywhere.
    pub(crate) terms: Option<Vec<NodeTerm>>,
}

impl Placement {
    pub(crate) fn is_free(&self) -> bool {
        self.selector.is_empty() && self.terms.is_none()
    }

    pub(crate) fn matches(&self, name: Word, labels: &Labels, words: &Words) -> bool {
        self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self
                .terms
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels, words)))
    }

    /// The names of the only nodes that can match, if every term names some.
    pub(crate) fn only(&self) -> Option<Vec<Word>> {
        let mut names = Vec::new();
        for term in self.terms.as_ref()? {
            names.extend(term.only()?);
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operator_says_what_kubernetes_says() {
        let mut words = Words::new();
        let labels = Labels::read(&json!({"zone": "a", "cores": "8"}), &mut words);
        let mut holds = |key: &str, operator: &str, values: &[&str]| {
            let selector = json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
            let selector = Selector::read(&selector, &mut words).unwrap_or_default();
            selector.matches(&labels, &words)
        };
        assert!(holds("zone", "In", &["b", "a"]));
        assert!(!holds("zone", "In", &["b"]));
        assert!(!holds("other", "In", &["b"]));
        assert!(holds("zone", "NotIn", &["b"]));
        assert!(holds("other", "NotIn", &["b"]));
        assert!(!holds("zone", "NotIn", &["a"]));
        assert!(holds("zone", "Exists", &[]));
        assert!(!holds("other", "Exists", &[]));
        assert!(holds("other", "DoesNotExist", &[]));
        assert!(holds("cores", "Gt", &["7"]));
        assert!(!holds("cores", "Gt", &["8"]));
        assert!(holds("cores", "Lt", &["9"]));
        assert!(!holds("zone", "Lt", &["9"]));
        assert!(!holds("zone", "Like", &["a"]));
    }

    #[test]
    fn no_selector_means_nobody_and_an_empty_one_everybody() {
        let mut words = Words::new();
        assert_eq!(Selector::read(&json!(null), &mut words), None);
        let all = Selector::read(&json!({}), &mut words).unwrap_or_default();
        assert!(all.matches(&Labels::default(), &words));
        let term = NodeTerm::read(&json!({}), &mut words);
        assert!(!term.matches(Word::EMPTY, &Labels::default(), &words));
    }

    #[test]
    fn a_term_by_name_narrows_the_search() {
        let mut words = Words::new();
        let by_name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]});
        let by_label = json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]});
        let n1 = words.word("n1");
        let terms = vec![NodeTerm::read(&by_name, &mut words)];
        let mut placement = Placement {
            selector: Labels::default(),
            terms: Some(terms),
        };
        assert_eq!(placement.only(), Some(vec![n1]));
        if let Some(terms) = &mut placement.terms {
            terms.push(NodeTerm::read(&by_label, &mut words));
        }
        assert_eq!(placement.only(), None);
        assert!(placement.matches(n1, &Labels::default(), &words));
    }
}
