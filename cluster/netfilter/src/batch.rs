//! Transactions.

use std::time::Duration;

use crate::attribute::Writer;
use crate::encode::{self, ANONYMOUS, Anonymous, ITEM};
use crate::message::{self, Kind};
use crate::set::{self, Type};
use crate::{Chain, Element, Family, Rule, Set, Statement};

/// `NLM_F_CREATE`; `NLM_F_APPEND` puts a rule at the end of its chain.
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// Elements in a message: an attribute holds 64 KiB, and an element with two long names about 600 bytes.
const ELEMENTS: usize = 100;
/// Elements that rules may put into a set: what `nft` takes unless told.
const DYNAMIC_SIZE: u32 = 0xffff;

/// `enum nft_set_flags`.
const SET_ANONYMOUS: u32 = 0x1;
const SET_CONSTANT: u32 = 0x2;
const SET_INTERVAL: u32 = 0x4;
const SET_MAP: u32 = 0x8;
const SET_TIMEOUT: u32 = 0x10;
const SET_EVAL: u32 = 0x20;
/// `NFT_DATA_VERDICT`.
const DATA_VERDICT: u32 = 0xffff_ff00;

/// A transaction on one table: everything in it happens at once, in this order, or nothing does.
#[derive(Debug, Clone)]
pub struct Batch {
    family: Family,
    table: String,
    messages: Writer,
    /// Where each message begins; the first opens the batch.
    places: Vec<usize>,
    anonymous: u32,
}

impl Batch {
    /// Nothing yet, on this table of IPv4. Its name has at most 255 bytes.
    pub fn new(table: &str) -> Self {
        Self::of(Family::Ipv4, table)
    }

    /// Nothing yet, on the table of that name and family.
    pub fn of(family: Family, table: &str) -> Self {
        let mut batch = Self {
            family,
            table: table.into(),
            messages: Writer::default(),
            places: Vec::new(),
            anonymous: 0,
        };
        batch.message(Kind::BATCH_BEGIN, 0, |_, _| {});
        batch
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.places.len() == 1
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.places.len() - 1
    }

    fn message(&mut self, kind: Kind, flags: u16, body: impl FnOnce(&str, &mut Writer)) {
        let sequence = self.sequence();
        self.places.push(self.messages.len());
        message::write(self.family, kind, flags, sequence, &mut self.messages, |to| {
            body(&self.table, to);
        });
    }

    fn sequence(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// The messages, without the one that closes the batch.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.messages.bytes()
    }

    /// The one that closes it.
    pub(crate) fn end(&self) -> Writer {
        let mut end = Writer::default();
        message::write(self.family, Kind::BATCH_END, 0, self.sequence(), &mut end, |_| {});
        end
    }

    /// What the message of this sequence number asks for.
    pub(crate) fn describe(&self, sequence: u32) -> String {
        let place = usize::try_from(sequence)
            .ok()
            .and_then(|number| self.places.get(number));
        let message = place.and_then(|place| self.bytes().get(*place..)).unwrap_or_default();
        match sequence {
            0 => format!("commit the batch on table `{}`", self.table),
            _ => message::describe(message),
        }
    }

    /// Makes the table if it is not there.
    pub fn add_table(&mut self) {
        self.message(Kind::NEW_TABLE, CREATE, |table, to| {
            to.text(1, table);
            to.u32(2, 0);
        });
    }

    /// Deletes the table with all that is in it. It must be there: to be rid of one that may be, add it first.
    pub fn delete_table(&mut self) {
        self.message(Kind::DELETE_TABLE, 0, |table, to| to.text(1, table));
    }

    /// Deletes every table of the family, whoever made it: `nft flush ruleset ip`, or `ip6`.
    pub fn delete_every_table(&mut self) {
        self.message(Kind::DELETE_TABLE, 0, |_, _| {});
    }

    /// Makes a chain if it is not there.
    pub fn add_chain(&mut self, chain: &Chain) {
        self.message(Kind::NEW_CHAIN, CREATE, |table, to| {
            // `enum nft_chain_attributes`, `enum nft_hook_attributes`.
            to.text(1, table);
            to.text(3, &chain.name);
            if let Some(base) = &chain.base {
                to.nest(4, |to| {
                    to.u32(1, base.hook.number());
                    to.put(2, &base.priority.to_be_bytes());
                });
                to.u32(5, u32::from(!base.drops));
                to.text(7, base.kind.name());
            }
        });
    }

    /// Deletes a chain and its rules. Nothing may lead to it any more.
    pub fn delete_chain(&mut self, chain: &str) {
        self.message(Kind::DELETE_CHAIN, 0, |table, to| {
            to.text(1, table);
            to.text(3, chain);
        });
    }

    /// Deletes every rule of a chain.
    pub fn flush_chain(&mut self, chain: &str) {
        self.delete_rules(chain, None);
    }

    /// Deletes one rule, by the handle that [`crate::Netfilter::rules`] tells.
    pub fn delete_rule(&mut self, chain: &str, handle: u64) {
        self.delete_rules(chain, Some(handle));
    }

    fn delete_rules(&mut self, chain: &str, handle: Option<u64>) {
        self.message(Kind::DELETE_RULE, 0, |table, to| {
            to.text(1, table);
            to.text(2, chain);
            if let Some(handle) = handle {
                to.u64(3, handle);
            }
        });
    }

    /// Adds a rule at the end of a chain, and before it the maps that it brings along.
    pub fn add_rule(&mut self, chain: &str, rule: &Rule) {
        let mut maps = Vec::new();
        for statement in rule.statements() {
            if let Statement::Choose { field, choices } = statement {
                let elements: Vec<Element> = choices
                    .iter()
                    .map(|(value, verdict)| Element::to(&[*value], verdict.clone()))
                    .collect();
                maps.push(self.add_anonymous_map(field.kind(), &elements));
            }
        }
        let family = self.family;
        self.message(Kind::NEW_RULE, CREATE | APPEND, |table, to| {
            // `enum nft_rule_attributes`.
            to.text(1, table);
            to.text(2, chain);
            to.nest(4, |to| encode::expressions(family, rule, &maps, to));
            if let Some(comment) = rule.comment() {
                to.put(7, &comment_data(comment));
            }
        });
    }

    fn add_anonymous_map(&mut self, key: Type, elements: &[Element]) -> Anonymous {
        self.anonymous += 1;
        let number = self.anonymous;
        let size = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        let family = self.family;
        self.message(Kind::NEW_SET, CREATE, |table, to| {
            to.text(1, table);
            to.text(2, ANONYMOUS);
            to.u32(3, SET_ANONYMOUS | SET_CONSTANT | SET_MAP);
            types(family, &[key], to);
            to.u32(6, DATA_VERDICT);
            to.nest(9, |to| to.u32(1, size));
            to.u32(10, number);
            byte_order(&[key], to);
        });
        self.elements(Kind::NEW_ELEMENT, ANONYMOUS, Some(number), elements);
        Anonymous(number)
    }

    /// Makes a set or map if it is not there.
    pub fn add_set(&mut self, set: &Set) {
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let flags = flag(set.ranges, SET_INTERVAL)
            | flag(set.verdicts, SET_MAP)
            | flag(set.timeout.is_some(), SET_TIMEOUT)
            | flag(set.dynamic, SET_EVAL);
        self.anonymous += 1;
        let (number, family) = (self.anonymous, self.family);
        self.message(Kind::NEW_SET, CREATE, |table, to| {
            // `enum nft_set_attributes`.
            to.text(1, table);
            to.text(2, &set.name);
            to.u32(3, flags);
            types(family, &set.key, to);
            if set.verdicts {
                to.u32(6, DATA_VERDICT);
            }
            if set.dynamic {
                to.nest(9, |to| to.u32(1, DYNAMIC_SIZE));
            }
            to.u32(10, number);
            if let Some(timeout) = set.timeout {
                to.u64(11, milliseconds(timeout));
            }
            byte_order(&set.key, to);
        });
    }

    /// Deletes a set or map. No rule may look into it any more.
    pub fn delete_set(&mut self, set: &str) {
        self.message(Kind::DELETE_SET, 0, |table, to| {
            to.text(1, table);
            to.text(2, set);
        });
    }

    /// Adds elements. One that is there stays, but a map refuses another verdict for it: delete it before.
    pub fn add_elements<'a>(&mut self, set: &str, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(Kind::NEW_ELEMENT, set, None, elements);
    }

    /// Deletes elements, which must be there.
    pub fn delete_elements<'a>(&mut self, set: &str, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(Kind::DELETE_ELEMENT, set, None, elements);
    }

    /// Deletes every element.
    pub fn flush_set(&mut self, set: &str) {
        self.message(Kind::DELETE_ELEMENT, 0, |table, to| {
            to.text(1, table);
            to.text(2, set);
        });
    }

    fn elements<'a>(
        &mut self,
        kind: Kind,
        set: &str,
        number: Option<u32>,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        let flags = if kind == Kind::NEW_ELEMENT { CREATE } else { 0 };
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            self.message(kind, flags, |table, to| {
                // `enum nft_set_elem_list_attributes`.
                to.text(1, table);
                to.text(2, set);
                if let Some(number) = number {
                    to.u32(4, number);
                }
                to.nest(3, |to| {
                    elements.by_ref().take(ELEMENTS).for_each(|one| element(one, to))
                });
            });
        }
    }
}

/// `enum nft_set_elem_attributes`. The end of a range is an element of its own, the one after its last.
fn element(element: &Element, to: &mut Writer) {
    to.nest(ITEM, |to| {
        encode::key(1, &element.key, to);
        if let Some(verdict) = &element.verdict {
            verdict.write(2, to);
        }
        if let Some(timeout) = element.timeout {
            to.u64(4, milliseconds(timeout));
        }
    });
    if let Some(end) = element.last.and_then(crate::Value::next) {
        to.nest(ITEM, |to| {
            encode::key(1, &[end], to);
            // `NFT_SET_ELEM_INTERVAL_END`.
            to.u32(3, 1);
        });
    }
}

fn types(family: Family, key: &[Type], to: &mut Writer) {
    to.u32(4, set::number(family, key));
    to.u32(5, set::length(family, key));
}

/// `nft` wants to be told how numbers are to be read; the kernel keeps it (`NFTNL_UDATA_SET_KEYBYTEORDER`).
fn byte_order(key: &[Type], to: &mut Writer) {
    /// `BYTEORDER_HOST_ENDIAN`, `BYTEORDER_BIG_ENDIAN`.
    const HOST: u32 = 1;
    const NETWORK: u32 = 2;
    let order = match key {
        [Type::Mark | Type::Number] => HOST,
        _ => NETWORK,
    };
    let mut data = vec![0, 4];
    data.extend(order.to_ne_bytes());
    to.put(13, &data);
}

/// `NFTNL_UDATA_RULE_COMMENT`: type, length, text.
fn comment_data(comment: &str) -> Vec<u8> {
    let mut data = vec![0, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
    data.extend(comment.as_bytes());
    data.push(0);
    data
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn each_message_can_be_told_by_name() {
        let mut batch = Batch::new("t");
        assert!(batch.is_empty());
        batch.add_table();
        batch.add_chain(&Chain::regular("c"));
        batch.add_rule("c", &Rule::new().any_of(["c".to_owned()]));
        batch.add_set(&Set::new("s", &[Type::Address]));
        batch.delete_set("s");
        let told: Vec<String> = (0..8).map(|number| batch.describe(number)).collect();
        assert_eq!(
            told,
            [
                "commit the batch on table `t`",
                "add table `t`",
                "add chain `c` of table `t`",
                "add set `__map%d` of table `t`",
                "add elements to set `__map%d` of table `t`",
                "add a rule to chain `c` of table `t`",
                "add set `s` of table `t`",
                "delete set `s` of table `t`",
            ]
        );
        assert_eq!(batch.len(), 7);
    }

    #[test]
    fn many_elements_are_several_messages() {
        let mut batch = Batch::new("t");
        let all: Vec<Element> = (0..250u32).map(|number| Element::new(&[number.into()])).collect();
        batch.add_elements("s", &all);
        assert_eq!(batch.len(), 3);
        batch.add_elements("s", &[]);
        assert_eq!(batch.len(), 3, "none are none");
    }

    #[test]
    fn a_message_says_how_long_it_is() {
        let mut batch = Batch::new("t");
        batch.add_rule(
            "c",
            &Rule::new().is(Field::DestinationPort, 80u16).about("why").accept(),
        );
        let length = u32::from_ne_bytes(batch.bytes()[..4].try_into().unwrap());
        let rest = &batch.bytes()[usize::try_from(length).unwrap()..];
        let length = u32::from_ne_bytes(rest[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), rest.len());
    }
}
