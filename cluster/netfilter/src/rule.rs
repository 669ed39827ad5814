//! Rules.

use std::fmt;
use std::net::IpAddr;

use crate::statement::{Limit, Nat, Reject, Statement, Test};
use crate::{Field, Value, Verdict};

/// A rule, built from left to right as one writes it for `nft`; it prints itself that way, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    statements: Vec<Statement>,
    comment: Option<String>,
}

impl Rule {
    /// A rule that every packet passes, and that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it does, in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// What it says about itself.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// Adds any statement.
    #[must_use]
    pub fn then(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }

    /// Says something about itself; at most 250 bytes of it are kept.
    #[must_use]
    pub fn about(mut self, comment: &str) -> Self {
        let end = comment.floor_char_boundary(250);
        self.comment = Some(comment[..end].to_owned());
        self
    }

    /// Goes on if the field has this value.
    #[must_use]
    pub fn is(self, field: Field, value: impl Into<Value>) -> Self {
        self.then(Statement::Test(field, Test::Is(value.into())))
    }

    /// Goes on if it has another.
    #[must_use]
    pub fn is_not(self, field: Field, value: impl Into<Value>) -> Self {
        self.then(Statement::Test(field, Test::IsNot(value.into())))
    }

    /// Goes on if the address is of this network.
    #[must_use]
    pub fn within(self, field: Field, base: impl Into<IpAddr>, prefix: u8) -> Self {
        self.then(Statement::Test(field, Test::Within(base.into(), prefix)))
    }

    /// Goes on if it is not.
    #[must_use]
    pub fn outside(self, field: Field, base: impl Into<IpAddr>, prefix: u8) -> Self {
        self.then(Statement::Test(field, Test::Outside(base.into(), prefix)))
    }

    /// Goes on if the field is one of these values, both ends included.
    #[must_use]
    pub fn between(self, field: Field, first: impl Into<Value>, last: impl Into<Value>) -> Self {
        self.then(Statement::Test(field, Test::Between(first.into(), last.into())))
    }

    /// Goes on if the field has one of these bits.
    #[must_use]
    pub fn has(self, field: Field, bits: u32) -> Self {
        self.then(Statement::Test(field, Test::Has(bits)))
    }

    /// Goes on if it has none of them.
    #[must_use]
    pub fn lacks(self, field: Field, bits: u32) -> Self {
        self.then(Statement::Test(field, Test::Lacks(bits)))
    }

    /// Goes on if the set has these fields.
    #[must_use]
    pub fn in_set(self, fields: &[Field], set: &str) -> Self {
        self.lookup(fields, set, false)
    }

    /// Goes on if the set has them not.
    #[must_use]
    pub fn not_in_set(self, fields: &[Field], set: &str) -> Self {
        self.lookup(fields, set, true)
    }

    fn lookup(self, fields: &[Field], set: &str, absent: bool) -> Self {
        self.then(Statement::Lookup {
            fields: fields.to_vec(),
            set: set.into(),
            absent,
        })
    }

    /// Does what the verdict map says of these fields.
    #[must_use]
    pub fn map(self, fields: &[Field], map: &str) -> Self {
        self.then(Statement::Map {
            fields: fields.to_vec(),
            map: map.into(),
        })
    }

    /// Does what is said here of the field's value.
    #[must_use]
    pub fn choose(self, field: Field, choices: Vec<(Value, Verdict)>) -> Self {
        self.then(Statement::Choose { field, choices })
    }

    /// Goes to one of these chains, each as likely as any other. Without chains, goes on.
    #[must_use]
    pub fn any_of(self, chains: impl IntoIterator<Item = String>) -> Self {
        let choices: Vec<(Value, Verdict)> = (0u32..)
            .zip(chains)
            .map(|(number, chain)| (Value::Number(number), Verdict::Goto(chain)))
            .collect();
        match u32::try_from(choices.len()) {
            Ok(count @ 1..) => self.choose(Field::Random(count), choices),
            _ => self,
        }
    }

    /// Puts these fields into a set.
    #[must_use]
    pub fn remember(self, fields: &[Field], set: &str) -> Self {
        self.then(Statement::Remember {
            fields: fields.to_vec(),
            set: set.into(),
        })
    }

    /// Sets these bits of the mark.
    #[must_use]
    pub fn mark(self, bits: u32) -> Self {
        self.then(Statement::Mark {
            keep: !bits,
            flip: bits,
        })
    }

    /// Clears these bits of the mark.
    #[must_use]
    pub fn unmark(self, bits: u32) -> Self {
        self.then(Statement::Mark { keep: !bits, flip: 0 })
    }

    /// Changes the destination.
    #[must_use]
    pub fn dnat(self, address: impl Into<IpAddr>, port: Option<u16>) -> Self {
        let (nat, address) = (Nat::Destination, address.into());
        self.then(Statement::Nat { nat, address, port })
    }

    /// Changes the source.
    #[must_use]
    pub fn snat(self, address: impl Into<IpAddr>, port: Option<u16>) -> Self {
        let (nat, address) = (Nat::Source, address.into());
        self.then(Statement::Nat { nat, address, port })
    }

    /// The source becomes this machine.
    #[must_use]
    pub fn masquerade(self) -> Self {
        self.then(Statement::Masquerade)
    }

    /// Refuses the packet, as if nobody listened.
    #[must_use]
    pub fn reject(self) -> Self {
        self.then(Statement::Reject(Reject::PortUnreachable))
    }

    /// Counts packets and bytes.
    #[must_use]
    pub fn count(self) -> Self {
        self.then(Statement::Count)
    }

    /// Goes on as often as this.
    #[must_use]
    pub fn limit(self, limit: Limit) -> Self {
        self.then(Statement::Limit(limit))
    }

    /// Lets the packet pass.
    #[must_use]
    pub fn accept(self) -> Self {
        self.then(Statement::Verdict(Verdict::Accept))
    }

    /// Drops the packet.
    #[must_use]
    pub fn drop(self) -> Self {
        self.then(Statement::Verdict(Verdict::Drop))
    }

    /// Goes back to where the packet came from.
    #[must_use]
    pub fn back(self) -> Self {
        self.then(Statement::Verdict(Verdict::Return))
    }

    /// Through that chain, and back.
    #[must_use]
    pub fn jump(self, chain: &str) -> Self {
        self.then(Statement::Verdict(Verdict::Jump(chain.into())))
    }

    /// Through that chain.
    #[must_use]
    pub fn goto(self, chain: &str) -> Self {
        self.then(Statement::Verdict(Verdict::Goto(chain.into())))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.statements.iter().map(Statement::to_string).collect();
        f.write_str(&all.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Protocol, state};

    #[test]
    fn a_rule_reads_as_nft_writes_it() {
        let rule = Rule::new()
            .has(Field::ConnectionState, state::NEW)
            .is(Field::DestinationAddress, Ipv4Addr::new(10, 96, 0, 1))
            .is(Field::Protocol, Protocol::Tcp)
            .is(Field::DestinationPort, 80u16)
            .outside(Field::SourceAddress, Ipv4Addr::new(10, 244, 1, 0), 24)
            .jump("mark");
        assert_eq!(
            rule.to_string(),
            "ct state and 0x8 != 0 ip daddr 10.96.0.1 meta l4proto tcp th dport 80 ip saddr != 10.244.1.0/24 jump mark"
        );
        let rule = Rule::new().any_of(["a".to_owned(), "b".to_owned()]);
        assert_eq!(rule.to_string(), "numgen random mod 2 vmap { 0 : goto a, 1 : goto b }");
        assert_eq!(Rule::new().any_of([]), Rule::new(), "nothing to choose from");
        let rule = Rule::new().map(&[Field::Protocol, Field::DestinationPort], "ports");
        assert_eq!(rule.to_string(), "meta l4proto . th dport vmap @ports");
    }
}
