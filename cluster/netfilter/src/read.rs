//! What the kernel has.

use crate::attribute::Reader;
use crate::encode::ITEM;
use crate::message::Kind;
use crate::{Element, Error, Netfilter, Set, Verdict};

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableState {
    /// Another table of the same name has another.
    pub handle: u64,
    /// How many chains and sets it has.
    pub parts: u32,
}

/// What a rule counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Their bytes, with IP's header.
    pub bytes: u64,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// Its chain.
    pub chain: String,
    /// For [`crate::Batch::delete_rule`].
    pub handle: u64,
    /// What its first counter counted.
    pub counter: Option<Counter>,
    /// What it says about itself.
    pub comment: Option<String>,
}

impl Netfilter {
    /// A number that changes with each batch of anybody in this network namespace.
    ///
    /// # Errors
    /// [`Error`].
    pub fn generation(&mut self) -> Result<u32, Error> {
        let found = self.ask(Kind::GET_GENERATION, |_| {}, |attributes| attributes.u32(1))?;
        Ok(found.unwrap_or_default())
    }

    /// A table, if it is there.
    ///
    /// # Errors
    /// [`Error`].
    pub fn table(&mut self, name: &str) -> Result<Option<TableState>, Error> {
        self.ask(
            Kind::GET_TABLE,
            |to| to.text(1, name),
            |attributes| {
                Some(TableState {
                    parts: attributes.u32(3)?,
                    handle: attributes.u64(4)?,
                })
            },
        )
    }

    /// The rules of a table, or of one of its chains, in order. Nothing if there is no such thing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rules(&mut self, table: &str, chain: Option<&str>) -> Result<Vec<RuleState>, Error> {
        self.dump(
            Kind::GET_RULE,
            |to| {
                to.text(1, table);
                if let Some(chain) = chain {
                    to.text(2, chain);
                }
            },
            |attributes| rule(attributes).into_iter().collect(),
        )
    }

    /// The elements of a set. Of ranges, both ends are told as elements: the first of a range, and the first after it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn elements(&mut self, table: &str, set: &Set) -> Result<Vec<Element>, Error> {
        self.dump(
            Kind::GET_ELEMENT,
            |to| {
                to.text(1, table);
                to.text(2, &set.name);
            },
            |attributes| {
                let list = attributes.nested(3).map(Reader::all);
                let items = list.into_iter().flatten().filter(|(kind, _)| *kind == ITEM);
                items.filter_map(|(_, item)| element(set, Reader(item))).collect()
            },
        )
    }
}

fn rule(attributes: Reader<'_>) -> Option<RuleState> {
    let expressions = attributes.nested(4).map(Reader::all);
    let counter = expressions
        .into_iter()
        .flatten()
        .map(|(_, expression)| Reader(expression))
        .find(|expression| expression.text(1).as_deref() == Some("counter"));
    Some(RuleState {
        chain: attributes.text(2)?,
        handle: attributes.u64(3)?,
        counter: counter.and_then(|counter| counter.nested(2)).and_then(|data| {
            Some(Counter {
                bytes: data.u64(1)?,
                packets: data.u64(2)?,
            })
        }),
        comment: attributes.get(7).and_then(comment),
    })
}

/// `NFTNL_UDATA_RULE_COMMENT`, if it is the first.
fn comment(data: &[u8]) -> Option<String> {
    let [0, length, text @ ..] = data else {
        return None;
    };
    let text = text.get(..usize::from(*length).saturating_sub(1))?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn element(set: &Set, attributes: Reader<'_>) -> Option<Element> {
    let key = attributes.nested(1)?.get(1)?;
    Some(Element {
        key: set.read(key)?,
        last: None,
        verdict: attributes
            .nested(2)
            .and_then(|data| data.nested(2))
            .and_then(Verdict::read),
        timeout: attributes.u64(4).map(std::time::Duration::from_millis),
    })
}
