//! What the kernel has.

use std::net::IpAddr;

use crate::attribute::Reader;
use crate::encode::ITEM;
use crate::message::Kind;
use crate::{Element, Error, Family, Netfilter, Set, Verdict, family};

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
    /// Verdicts that it gives itself, in order.
    pub verdicts: Vec<Verdict>,
    /// Maps that it takes verdicts from, in order. One that the rule brought along has a name that the kernel made.
    pub maps: Vec<String>,
    /// The address and port that it changes, by `dnat` or `snat`, a packet's own into.
    pub changed_to: Option<(IpAddr, Option<u16>)>,
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

    /// A table of the socket's family, if it is there.
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
        let family = self.family();
        self.dump(
            Kind::GET_ELEMENT,
            |to| {
                to.text(1, table);
                to.text(2, &set.name);
            },
            |attributes| {
                let list = attributes.nested(3).map(Reader::all);
                let items = list.into_iter().flatten().filter(|(kind, _)| *kind == ITEM);
                items
                    .filter_map(|(_, item)| element(family, set, Reader(item)))
                    .collect()
            },
        )
    }
}

fn rule(attributes: Reader<'_>) -> Option<RuleState> {
    let mut rule = RuleState {
        chain: attributes.text(2)?,
        handle: attributes.u64(3)?,
        counter: None,
        comment: attributes.get(7).and_then(comment),
        verdicts: Vec::new(),
        maps: Vec::new(),
        changed_to: None,
    };
    let mut loaded: Vec<&[u8]> = Vec::new();
    for (_, expression) in attributes.nested(4).map(Reader::all).into_iter().flatten() {
        let expression = Reader(expression);
        let (Some(name), Some(data)) = (expression.text(1), expression.nested(2)) else {
            continue;
        };
        match name.as_str() {
            "counter" if rule.counter.is_none() => rule.counter = counter(data),
            // `enum nft_immediate_attributes`: a verdict, or bytes for whoever comes next.
            "immediate" => {
                let value = data.nested(2);
                rule.verdicts
                    .extend(value.and_then(|value| value.nested(2)).and_then(Verdict::read));
                loaded.extend(value.and_then(|value| value.get(1)));
            }
            // `enum nft_lookup_attributes`: one that loads what it found asks a map.
            "lookup" if data.get(3).is_some() => rule.maps.extend(data.text(1)),
            "nat" => rule.changed_to = changed_to(&loaded),
            _ => {}
        }
    }
    Some(rule)
}

fn counter(data: Reader<'_>) -> Option<Counter> {
    Some(Counter {
        bytes: data.u64(1)?,
        packets: data.u64(2)?,
    })
}

/// An address, and a port if there is one.
fn changed_to(loaded: &[&[u8]]) -> Option<(IpAddr, Option<u16>)> {
    let address = family::address(loaded.first()?)?;
    let port = loaded.get(1).and_then(|port| (*port).try_into().ok());
    Some((address, port.map(u16::from_be_bytes)))
}

/// `NFTNL_UDATA_RULE_COMMENT`, if it is the first.
fn comment(data: &[u8]) -> Option<String> {
    let [0, length, text @ ..] = data else {
        return None;
    };
    let text = text.get(..usize::from(*length).saturating_sub(1))?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn element(family: Family, set: &Set, attributes: Reader<'_>) -> Option<Element> {
    let key = attributes.nested(1)?.get(1)?;
    Some(Element {
        key: set.read(family, key)?,
        last: None,
        verdict: attributes
            .nested(2)
            .and_then(|data| data.nested(2))
            .and_then(Verdict::read),
        timeout: attributes.u64(4).map(std::time::Duration::from_millis),
    })
}
