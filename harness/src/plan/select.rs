//! Choosing by label, as `kubectl -l` does, and by name with `*` and `?`.

use std::{collections::BTreeMap, str::FromStr};

/// One condition on the labels of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelSelector {
    /// `key=a`, `key in (a, b)`: the label has one of these values.
    In(String, Vec<String>),
    /// `key!=a`, `key notin (a, b)`: the label is missing or has none of these values.
    NotIn(String, Vec<String>),
    /// `key`: the label is there.
    Exists(String),
    /// `!key`: the label is not there.
    Missing(String),
}

/// A text that is not a label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a label selector such as `area=cgroup`, `area!=cgroup`, `area in (cgroup, security)` or `area`")]
pub struct ParseSelector(String);

impl LabelSelector {
    /// Reads conditions that are separated by commas.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn list(text: &str) -> Result<Vec<Self>, ParseSelector> {
        let mut list = Vec::new();
        let (mut depth, mut start) = (0usize, 0);
        for (at, character) in text.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    list.push(text[start..at].parse()?);
                    start = at + 1;
                }
                _ => {}
            }
        }
        list.push(text[start..].parse()?);
        Ok(list)
    }

    /// Whether it holds for labels.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
        }
    }
}

impl FromStr for LabelSelector {
    type Err = ParseSelector;
    fn from_str(text: &str) -> Result<Self, ParseSelector> {
        let fault = || ParseSelector(text.to_owned());
        let word = |word: &str| {
            let word = word.trim();
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
            (!word.is_empty() && word.chars().all(fits))
                .then(|| word.to_owned())
                .ok_or_else(fault)
        };
        let set = |text: &str| {
            let inner = text.trim().strip_prefix('(').and_then(|t| t.strip_suffix(')'));
            inner
                .ok_or_else(fault)?
                .split(',')
                .map(word)
                .collect::<Result<Vec<_>, _>>()
        };
        if let Some((key, value)) = text.split_once("!=") {
            return Ok(Self::NotIn(word(key)?, vec![word(value)?]));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return Ok(Self::In(word(key)?, vec![word(value)?]));
        }
        if let Some((key, values)) = text.split_once(" notin ") {
            return Ok(Self::NotIn(word(key)?, set(values)?));
        }
        if let Some((key, values)) = text.split_once(" in ") {
            return Ok(Self::In(word(key)?, set(values)?));
        }
        match text.trim().strip_prefix('!') {
            Some(key) => word(key).map(Self::Missing),
            None => word(text).map(Self::Exists),
        }
    }
}

/// A name in which `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it matches the whole of a name.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name): (Vec<_>, Vec<_>) = (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut n) = (0, 0);
        // The last `*`, and how far into the name it reaches.
        let mut star = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((at, reach)) => {
                        p = at + 1;
                        n = reach + 1;
                        star = Some((at, n));
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_read_as_kubectl_reads_them() {
        let labels = BTreeMap::from([("area".to_owned(), "cgroup".to_owned())]);
        for (text, holds) in [
            ("area=cgroup", true),
            ("area==cgroup", true),
            ("area!=cgroup", false),
            ("area!=x", true),
            ("dimension!=x", true),
            ("area in (cgroup, security)", true),
            ("area notin (cgroup,security)", false),
            ("area", true),
            ("!area", false),
            ("dimension", false),
            ("area=cgroup,!dimension,area in (x,cgroup)", true),
            ("area=cgroup,dimension", false),
        ] {
            let selectors = LabelSelector::list(text).unwrap();
            assert_eq!(selectors.iter().all(|s| s.holds(&labels)), holds, "{text}");
        }
        for wrong in ["", "a b", "a in x", "a=", "=a", "a,,b", "a in ()"] {
            assert!(LabelSelector::list(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn stars_match_any_characters_and_question_marks_one() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.b.*", "a.b.b.c", true),
            ("abc", "abc", true),
            ("", "x", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), fits, "{pattern} {name}");
        }
    }
}
