//! Statements as the kernel's expressions: small machines that load registers, look at them, and act on them.
//!
//! A register has four bytes here (`NFT_REG32_00` and on); what is longer, and keys, lie on consecutive ones.

use std::net::IpAddr;

use crate::attribute::Writer;
use crate::family;
use crate::set::Type;
use crate::statement::{Limit, Nat, Reject, Statement, Test};
use crate::value::{self, Value};
use crate::{Family, Field, Rule, Verdict};

/// `NFT_REG32_00`.
const FIRST: u32 = 8;
/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;
/// `NFTA_LIST_ELEM`.
pub(crate) const ITEM: u16 = 1;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;
/// `enum nft_cmp_ops`.
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

/// A set that a rule brings along, known in its batch by number.
pub(crate) struct Anonymous(pub(crate) u32);

/// Name of every such map; the kernel fills in a number.
pub(crate) const ANONYMOUS: &str = "__map%d";

/// Writes the expressions of a rule, in a table of that family, as items. `anonymous` are the maps of its [`Statement::Choose`], in order.
pub(crate) fn expressions(family: Family, rule: &Rule, anonymous: &[Anonymous], to: &mut Writer) {
    let mut anonymous = anonymous.iter();
    for statement in rule.statements() {
        match statement {
            Statement::Test(field, test) => {
                load(family, *field, FIRST, to);
                compare(*field, *test, to);
            }
            Statement::Lookup { fields, set, absent } => {
                load_all(family, fields, to);
                lookup(set, None, false, *absent, to);
            }
            Statement::Map { fields, map } => {
                load_all(family, fields, to);
                lookup(map, None, true, false, to);
            }
            Statement::Choose { field, .. } => {
                load(family, *field, FIRST, to);
                lookup(ANONYMOUS, anonymous.next(), true, false, to);
            }
            Statement::Remember { fields, set } => {
                load_all(family, fields, to);
                remember(set, to);
            }
            Statement::Mark { keep, flip } => {
                load(family, Field::Mark, FIRST, to);
                bits(&keep.to_ne_bytes(), &flip.to_ne_bytes(), to);
                set_mark(to);
            }
            Statement::Nat { nat, address, port } => self::nat(*nat, *address, *port, to),
            Statement::Masquerade => masquerade(to),
            Statement::Reject(reject) => self::reject(family, *reject, to),
            Statement::Count => expression("counter", to, |_| {}),
            Statement::Limit(limit) => self::limit(*limit, to),
            Statement::Verdict(verdict) => immediate_verdict(verdict, to),
        }
    }
}

fn expression(name: &str, to: &mut Writer, attributes: impl FnOnce(&mut Writer)) {
    /// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    to.nest(ITEM, |to| {
        to.text(NAME, name);
        to.nest(DATA, attributes);
    });
}

fn data(kind: u16, bytes: &[u8], to: &mut Writer) {
    to.nest(kind, |to| to.put(DATA_VALUE, bytes));
}

fn load_all(family: Family, fields: &[Field], to: &mut Writer) {
    let mut register = FIRST;
    for field in fields {
        load(family, *field, register, to);
        register += field.kind().length(family).div_ceil(4);
    }
}

/// `enum nft_payload_bases`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

fn load(family: Family, field: Field, register: u32, to: &mut Writer) {
    // RFC 791, 3.1; RFC 8200, 3.
    let [source, destination] = match family {
        Family::Ipv4 => [12, 16],
        Family::Ipv6 => [8, 24],
    };
    // `NFT_CT_SRC_IP`, `NFT_CT_SRC_IP6`.
    let sender = match family {
        Family::Ipv4 => 19,
        Family::Ipv6 => 21,
    };
    match field {
        Field::SourceAddress => payload(NETWORK, source, family.length(), register, to),
        Field::DestinationAddress => payload(NETWORK, destination, family.length(), register, to),
        // The same in TCP (RFC 9293, 3.1) and UDP (RFC 768).
        Field::SourcePort => payload(TRANSPORT, 0, 2, register, to),
        Field::DestinationPort => payload(TRANSPORT, 2, 2, register, to),
        // `enum nft_meta_keys`.
        Field::Mark => meta(3, register, to),
        Field::InputInterface => meta(4, register, to),
        Field::OutputInterface => meta(5, register, to),
        Field::Protocol => meta(16, register, to),
        // `enum nft_ct_keys`.
        Field::ConnectionState => connection(0, None, register, to),
        Field::ConnectionStatus => connection(2, None, register, to),
        Field::ConnectionSource => connection(sender, Some(ORIGINAL), register, to),
        Field::ConnectionDestination => connection(sender, Some(REPLY), register, to),
        Field::ConnectionProtocol => connection(10, Some(ORIGINAL), register, to),
        Field::ConnectionDestinationPort => connection(11, Some(REPLY), register, to),
        Field::SourceKind => kind_of_address(1 << 0, register, to),
        Field::DestinationKind => kind_of_address(1 << 1, register, to),
        Field::Random(below) => random(below, register, to),
    }
}

/// `enum nft_payload_attributes`.
fn payload(base: u32, offset: u32, length: u32, register: u32, to: &mut Writer) {
    expression("payload", to, |to| {
        to.u32(1, register);
        to.u32(2, base);
        to.u32(3, offset);
        to.u32(4, length);
    });
}

/// `enum nft_meta_attributes`: 1 where to, 2 what.
fn meta(key: u32, register: u32, to: &mut Writer) {
    expression("meta", to, |to| {
        to.u32(1, register);
        to.u32(2, key);
    });
}

/// The mark from the first register: 3 is where from.
fn set_mark(to: &mut Writer) {
    expression("meta", to, |to| {
        to.u32(2, 3);
        to.u32(3, FIRST);
    });
}

/// `enum ip_conntrack_dir`.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;

/// `enum nft_ct_attributes`. What each direction has for itself needs to be told which.
fn connection(key: u32, direction: Option<u8>, register: u32, to: &mut Writer) {
    expression("ct", to, |to| {
        to.u32(1, register);
        to.u32(2, key);
        if let Some(direction) = direction {
            to.put(3, &[direction]);
        }
    });
}

/// `enum nft_fib_attributes`; the result is `NFT_FIB_RESULT_ADDRTYPE`.
fn kind_of_address(whose: u32, register: u32, to: &mut Writer) {
    expression("fib", to, |to| {
        to.u32(1, register);
        to.u32(2, 3);
        to.u32(3, whose);
    });
}

/// `enum nft_ng_attributes`; the type is `NFT_NG_RANDOM`.
fn random(below: u32, register: u32, to: &mut Writer) {
    expression("numgen", to, |to| {
        to.u32(1, register);
        to.u32(2, below);
        to.u32(3, 1);
        to.u32(4, 0);
    });
}

fn compare(field: Field, test: Test, to: &mut Writer) {
    let none = [0; 4];
    match test {
        Test::Is(value) => cmp(EQUAL, &value.bytes(), to),
        Test::IsNot(value) => cmp(UNEQUAL, &value.bytes(), to),
        Test::Within(base, prefix) => network(base, prefix, EQUAL, to),
        Test::Outside(base, prefix) => network(base, prefix, UNEQUAL, to),
        Test::Between(first, last) => range(field.kind(), first, last, to),
        Test::Has(wanted) => {
            bits(&wanted.to_ne_bytes(), &none, to);
            cmp(UNEQUAL, &none, to);
        }
        Test::Lacks(unwanted) => {
            bits(&unwanted.to_ne_bytes(), &none, to);
            cmp(EQUAL, &none, to);
        }
    }
}

fn network(base: IpAddr, prefix: u8, operator: u32, to: &mut Writer) {
    let base = family::octets(base);
    let mask: Vec<u8> = (0..).take(base.len()).map(|place| mask_byte(prefix, place)).collect();
    bits(&mask, &vec![0; base.len()], to);
    let base: Vec<u8> = base.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
    cmp(operator, &base, to);
}

/// The byte at this place of a mask with so many bits.
fn mask_byte(prefix: u8, place: u8) -> u8 {
    let bits = prefix.saturating_sub(place.saturating_mul(8)).min(8);
    u8::MAX.checked_shl(8 - u32::from(bits)).unwrap_or(0)
}

/// `enum nft_cmp_attributes`.
fn cmp(operator: u32, bytes: &[u8], to: &mut Writer) {
    expression("cmp", to, |to| {
        to.u32(1, FIRST);
        to.u32(2, operator);
        data(3, bytes, to);
    });
}

/// `enum nft_range_attributes`. Numbers are compared byte by byte, so those in the machine's order are turned around first.
fn range(kind: Type, first: Value, last: Value, to: &mut Writer) {
    let ends = match (kind, first, last) {
        (Type::Mark | Type::Number, Value::Number(first), Value::Number(last)) => {
            in_network_order(to);
            [first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec()]
        }
        _ => [first.bytes(), last.bytes()],
    };
    expression("range", to, |to| {
        to.u32(1, FIRST);
        to.u32(2, 0);
        data(3, &ends[0], to);
        data(4, &ends[1], to);
    });
}

/// `enum nft_byteorder_attributes`; the operation is `NFT_BYTEORDER_HTON`.
fn in_network_order(to: &mut Writer) {
    expression("byteorder", to, |to| {
        to.u32(1, FIRST);
        to.u32(2, FIRST);
        to.u32(3, 1);
        to.u32(4, 4);
        to.u32(5, 4);
    });
}

/// `enum nft_bitwise_attributes`: and, then exclusive or.
fn bits(and: &[u8], xor: &[u8], to: &mut Writer) {
    expression("bitwise", to, |to| {
        to.u32(1, FIRST);
        to.u32(2, FIRST);
        to.u32(3, u32::try_from(and.len()).unwrap_or(u32::MAX));
        data(4, and, to);
        data(5, xor, to);
    });
}

/// `enum nft_lookup_attributes`.
fn lookup(set: &str, anonymous: Option<&Anonymous>, verdicts: bool, absent: bool, to: &mut Writer) {
    expression("lookup", to, |to| {
        to.text(1, set);
        to.u32(2, FIRST);
        if verdicts {
            to.u32(3, VERDICT);
        }
        if let Some(Anonymous(number)) = anonymous {
            to.u32(4, *number);
        }
        if absent {
            to.u32(5, 1);
        }
    });
}

/// `enum nft_dynset_attributes`; the operation is `NFT_DYNSET_OP_UPDATE`.
fn remember(set: &str, to: &mut Writer) {
    expression("dynset", to, |to| {
        to.text(1, set);
        to.u32(3, 1);
        to.u32(4, FIRST);
    });
}

/// `enum nft_immediate_attributes`.
fn immediate(register: u32, bytes: &[u8], to: &mut Writer) {
    expression("immediate", to, |to| {
        to.u32(1, register);
        data(2, bytes, to);
    });
}

fn immediate_verdict(verdict: &Verdict, to: &mut Writer) {
    expression("immediate", to, |to| {
        to.u32(1, VERDICT);
        verdict.write(2, to);
    });
}

/// `enum nft_nat_attributes`.
fn nat(nat: Nat, address: IpAddr, port: Option<u16>, to: &mut Writer) {
    let family = Family::of(address);
    let behind = FIRST + family.length() / 4;
    immediate(FIRST, &family::octets(address), to);
    if let Some(port) = port {
        immediate(behind, &port.to_be_bytes(), to);
    }
    expression("nat", to, |to| {
        to.u32(
            1,
            match nat {
                Nat::Source => 0,
                Nat::Destination => 1,
            },
        );
        to.u32(2, u32::from(family.number()));
        to.u32(3, FIRST);
        if port.is_some() {
            to.u32(5, behind);
        }
    });
}

/// `enum nft_masq_attributes`; the flag is `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
fn masquerade(to: &mut Writer) {
    expression("masq", to, |to| to.u32(1, 1 << 4));
}

/// `enum nft_reject_attributes`; types are `enum nft_reject_types`, codes those of ICMP's destination unreachable (RFC 792 and
/// RFC 1812, 5.2.7.1; RFC 4443, 3.1).
fn reject(family: Family, reject: Reject, to: &mut Writer) {
    let (kind, code) = match (reject, family) {
        (Reject::PortUnreachable, Family::Ipv4) => (0, Some(3)),
        (Reject::PortUnreachable, Family::Ipv6) => (0, Some(4)),
        (Reject::Prohibited, Family::Ipv4) => (0, Some(13)),
        (Reject::Prohibited, Family::Ipv6) => (0, Some(1)),
        (Reject::Reset, _) => (1, None),
    };
    expression("reject", to, |to| {
        to.u32(1, kind);
        if let Some(code) = code {
            to.put(2, &[code]);
        }
    });
}

/// `enum nft_limit_attributes`; the type is `NFT_LIMIT_PKTS`.
fn limit(limit: Limit, to: &mut Writer) {
    expression("limit", to, |to| {
        to.u64(1, limit.packets);
        to.u64(2, limit.per.as_secs());
        to.u32(3, limit.burst);
        to.u32(4, 0);
    });
}

/// A key of a set as `NFTA_SET_ELEM_KEY`.
pub(crate) fn key(kind: u16, values: &[Value], to: &mut Writer) {
    data(kind, &value::key(values), to);
}
