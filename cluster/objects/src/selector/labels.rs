//! Label selectors: as an object (`matchLabels`, `matchExpressions`) and as text (`a=b,c in (d)`).
//!
//! See <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>.

use std::fmt;

use serde_json::{Map, Value};

use super::SelectorError;
use crate::{meta, name};

/// All of its requirements must be met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    requirements: Vec<Requirement>,
    never: bool,
}

/// What one label must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; sorted for `In` and `NotIn`.
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Is one of the values.
    In,
    /// Is missing, or none of the values.
    NotIn,
    /// Is there.
    Exists,
    /// Is missing.
    DoesNotExist,
    /// Is a larger number.
    Gt,
    /// Is a smaller number.
    Lt,
}

impl Labels {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches none.
    pub fn nothing() -> Self {
        Self {
            never: true,
            ..Self::default()
        }
    }

    /// A `LabelSelector` object. One that is not there matches nothing, an empty one everything.
    pub fn of(selector: Option<&Value>) -> Result<Self, SelectorError> {
        let Some(selector) = selector.filter(|selector| !selector.is_null()) else {
            return Ok(Self::nothing());
        };
        let mut labels = Self::of_map(meta::map(selector, &["matchLabels"]));
        let expressions = meta::list(selector, &["matchExpressions"]);
        let more = Self::of_expressions(expressions)?.requirements;
        if let Some(bad) = more
            .iter()
            .find(|one| matches!(one.operator, Operator::Gt | Operator::Lt))
        {
            return Err(SelectorError(format!(
                "\"{}\" is not a valid label selector operator",
                bad.operator
            )));
        }
        labels.requirements.extend(more);
        Ok(labels)
    }

    /// A plain map of labels, each of which must be as it says; none matches everything.
    pub fn of_map(map: Option<&Map<String, Value>>) -> Self {
        let each = map.into_iter().flatten().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.as_str().unwrap_or("").into()],
        });
        Self {
            requirements: each.collect(),
            never: false,
        }
    }

    /// A list of `{key, operator, values}`, as node affinity has it too.
    pub fn of_expressions(expressions: &[Value]) -> Result<Self, SelectorError> {
        let each = expressions.iter().map(|one| {
            let operator = meta::text(one, &["operator"]);
            let operator = Operator::named(operator)
                .ok_or_else(|| SelectorError(format!("\"{operator}\" is not a valid label selector operator")))?;
            let values = meta::list(one, &["values"]).iter().filter_map(Value::as_str);
            let mut requirement = Requirement {
                key: meta::text(one, &["key"]).into(),
                operator,
                values: values.map(String::from).collect(),
            };
            requirement.values.sort_unstable();
            Ok(requirement)
        });
        Ok(Self {
            requirements: each.collect::<Result<_, _>>()?,
            never: false,
        })
    }

    /// Text as clients send it. Empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Parser::new(text).parse()
    }

    /// Whether these labels (a map, or nothing) are meant.
    pub fn matches(&self, labels: &Value) -> bool {
        self.matches_map(labels.as_object())
    }

    /// Whether the labels of an object are meant.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches_map(meta::labels(object))
    }

    /// Whether these labels are meant.
    pub fn matches_map(&self, labels: Option<&Map<String, Value>>) -> bool {
        let value = |key: &str| labels.and_then(|labels| labels.get(key)?.as_str());
        !self.never && self.requirements.iter().all(|one| one.is_met_by(value(&one.key)))
    }

    /// Whether every object is meant.
    pub fn is_everything(&self) -> bool {
        !self.never && self.requirements.is_empty()
    }

    /// Whether no object is meant.
    pub fn is_nothing(&self) -> bool {
        self.never
    }

    /// What must be met.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Adds a requirement.
    pub fn and(mut self, requirement: Requirement) -> Self {
        self.requirements.push(requirement);
        self
    }
}

impl Requirement {
    /// Whether a label with this value, or its absence, is good.
    pub fn is_met_by(&self, value: Option<&str>) -> bool {
        let is_listed = || value.is_some_and(|value| self.values.iter().any(|one| one == value));
        let compared = || {
            let value: i64 = value?.parse().ok()?;
            let limit: i64 = self.values.first()?.parse().ok()?;
            Some(value.cmp(&limit))
        };
        match self.operator {
            Operator::In => is_listed(),
            Operator::NotIn => !is_listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compared().is_some_and(std::cmp::Ordering::is_gt),
            Operator::Lt => compared().is_some_and(std::cmp::Ordering::is_lt),
        }
    }
}

impl Operator {
    /// The operator of an expression.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::Gt,
            "Lt" => Self::Lt,
            _ => return None,
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The text that would select the same.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.requirements.iter().map(ToString::to_string).collect();
        f.write_str(&each.join(","))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values = self.values.join(",");
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{key}={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn if self.values.len() == 1 => write!(f, "{key}!={values}"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Gt => write!(f, "{key}>{values}"),
            Operator::Lt => write!(f, "{key}<{values}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Sign(text) => text,
            Self::End => "",
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn next(&mut self) -> Token<'a> {
        const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if self.rest.is_empty() {
            return Token::End;
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            let (sign, rest) = self.rest.split_at(sign.len());
            self.rest = rest;
            return Token::Sign(sign);
        }
        let end = self
            .rest
            .find(|c: char| " \t\r\n=!(),><".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Word(word)
    }

    fn peek(&self) -> Token<'a> {
        Self { rest: self.rest }.next()
    }

    fn parse(mut self) -> Result<Labels, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => break,
                Token::Word(_) | Token::Sign("!") => {}
                other => return found(other, "!, identifier, or 'end of string'"),
            }
            let requirement = self
                .requirement()
                .map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))?;
            requirements.push(requirement);
            match (self.next(), self.peek()) {
                (Token::End, _) => break,
                (Token::Sign(","), Token::Word(_) | Token::Sign("!")) => {}
                (Token::Sign(","), other) => return found(other, "identifier after ','"),
                (other, _) => return found(other, "',' or 'end of string'"),
            }
        }
        Ok(Labels {
            requirements,
            never: false,
        })
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut first = self.next();
        let is_negated = first == Token::Sign("!");
        if is_negated {
            first = self.next();
        }
        let Token::Word(key) = first else {
            return found(first, "identifier");
        };
        let faults = name::qualified(key);
        if !faults.is_empty() {
            return Err(SelectorError(format!(
                "<nil>: Invalid value: \"{key}\": {}",
                faults.join("; ")
            )));
        }
        let bare = |operator| Requirement {
            key: key.into(),
            operator,
            values: Vec::new(),
        };
        if is_negated {
            return Ok(bare(Operator::DoesNotExist));
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(bare(Operator::Exists));
        }
        let operator = match self.next() {
            Token::Sign("=" | "==") => Operator::In,
            Token::Sign("!=") => Operator::NotIn,
            Token::Sign(">") => Operator::Gt,
            Token::Sign("<") => Operator::Lt,
            Token::Word("in") => return self.among(bare(Operator::In)),
            Token::Word("notin") => return self.among(bare(Operator::NotIn)),
            other => return found(other, "in, notin, =, ==, !=, gt, lt"),
        };
        let value = match self.peek() {
            Token::End | Token::Sign(",") => "",
            Token::Word(word) => {
                self.next();
                word
            }
            other => return found(other, "identifier"),
        };
        check(key, value)?;
        if matches!(operator, Operator::Gt | Operator::Lt) && value.parse::<i64>().is_err() {
            return Err(SelectorError(format!(
                "values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )));
        }
        Ok(Requirement {
            values: vec![value.into()],
            ..bare(operator)
        })
    }

    fn among(&mut self, mut requirement: Requirement) -> Result<Requirement, SelectorError> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(SelectorError(format!("found '{}' expected: '('", other.text()))),
        }
        loop {
            let (value, after) = match self.next() {
                Token::Word(word) => (word, self.next()),
                sign @ Token::Sign("," | ")") => ("", sign),
                other => return found(other, "',', ')' or identifier"),
            };
            check(&requirement.key, value)?;
            if !requirement.values.iter().any(|one| one == value) {
                requirement.values.push(value.into());
            }
            match after {
                Token::Sign(",") => {}
                Token::Sign(")") => break,
                other => return found(other, "',' or ')'"),
            }
        }
        requirement.values.sort_unstable();
        Ok(requirement)
    }
}

fn found<T>(token: Token<'_>, expected: &str) -> Result<T, SelectorError> {
    Err(SelectorError(format!("found '{}', expected: {expected}", token.text())))
}

fn check(key: &str, value: &str) -> Result<(), SelectorError> {
    let faults = name::label_value(value);
    if faults.is_empty() {
        return Ok(());
    }
    Err(SelectorError(format!(
        "values[0][{key}]: Invalid value: \"{value}\": {}",
        faults.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_object_select_the_same() {
        let object = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["b", "a"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "zone", "operator": "NotIn", "values": ["z"]},
            {"key": "x", "operator": "Exists"},
        ]});
        let text = "app=web,tier in (a,b),!old,zone!=z,x";
        let labels = Labels::of(Some(&object)).expect("good");
        assert_eq!(labels, Labels::parse(text).expect("good"));
        assert_eq!(labels.to_string(), text);
        assert!(labels.matches(&json!({"app": "web", "tier": "a", "x": ""})));
        assert!(!labels.matches(&json!({"app": "web", "tier": "a", "x": "", "zone": "z"})));
        assert!(!labels.matches(&json!({"app": "web", "tier": "a", "x": "", "old": "1"})));
        assert!(!labels.matches(&Value::Null));
    }

    #[test]
    fn no_selector_selects_nothing_and_an_empty_one_everything() {
        assert!(!Labels::of(None).expect("good").matches(&json!({})));
        assert!(Labels::of(Some(&json!({}))).expect("good").matches(&json!({})));
        assert!(Labels::parse(" ").expect("good").matches(&Value::Null));
    }

    #[test]
    fn spaces_and_words_that_look_like_operators_are_understood() {
        let labels = Labels::parse("in in (in, notin ,), a == b , n>3").expect("good");
        assert!(labels.matches(&json!({"in": "notin", "a": "b", "n": "4"})));
        assert!(labels.matches(&json!({"in": "", "a": "b", "n": "4"})));
        assert!(!labels.matches(&json!({"in": "in", "a": "b", "n": "3"})));
        assert!(Labels::parse("a=").expect("good").matches(&json!({"a": ""})));
    }

    #[test]
    fn faults_are_told_as_kubernetes_does() {
        for (text, fault) in [
            ("a=b,", "found '', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("=b", "found '=', expected: !, identifier, or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            (
                "a ~ b",
                "unable to parse requirement: found '~', expected: in, notin, =, ==, !=, gt, lt",
            ),
        ] {
            assert_eq!(Labels::parse(text).expect_err(text).to_string(), fault);
        }
        assert!(Labels::parse("a=$").is_err());
        let object = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
        assert_eq!(
            Labels::of(Some(&object)).expect_err("bad").to_string(),
            "\"Like\" is not a valid label selector operator"
        );
    }
}
