//! The kernel's packet filter, without a program in between: nf_tables and connection tracking over `NETLINK_NETFILTER`.
//!
//! A [`Batch`] is a transaction on one table: all of it happens at once, or nothing. Rules are made of [`Rule`]'s words,
//! which are those of `nft`, and print themselves as `nft` would. A [`Netfilter`] is the socket that batches go through; it
//! belongs to the network namespace that its thread was in when it was opened, and may then be used from anywhere.
//!
//! ```no_run
//! use std::net::Ipv4Addr;
//! use netfilter::{Batch, Chain, Field, Hook, Netfilter, Rule};
//!
//! # fn main() -> Result<(), netfilter::Error> {
//! let mut batch = Batch::new("example");
//! batch.add_table();
//! batch.add_chain(&Chain::filter("input", Hook::Input, 0));
//! let stranger = Rule::new().is(Field::SourceAddress, Ipv4Addr::new(192, 0, 2, 1)).count().drop();
//! batch.add_rule("input", &stranger);
//! Netfilter::open()?.commit(&batch)?;
//! # Ok(())
//! # }
//! ```
//!
//! A table is of IPv4 or of IPv6, `ip` or `ip6` in `nft`'s words, and so is a socket. Rules say the same for both: what an
//! address is comes from the table. They print themselves as those of IPv4.
//!
//! Sources: `include/uapi/linux/netfilter/nf_tables.h`, `nfnetlink.h` and `nfnetlink_conntrack.h`, and the kernel's own
//! description <https://docs.kernel.org/networking/netlink_spec/nftables.html>.

mod attribute;
mod batch;
mod chain;
mod element;
mod encode;
mod error;
mod family;
mod field;
mod flow;
mod message;
mod part;
mod read;
mod rule;
mod set;
mod socket;
mod statement;
mod value;
mod verdict;

pub use batch::Batch;
pub use chain::{Base, Chain, ChainKind, Hook};
pub use element::Element;
pub use error::{Error, Refusal};
pub use family::Family;
pub use field::Field;
pub use flow::{Flow, Way};
pub use part::{Part, Place, Step};
pub use read::{Counter, RuleState, TableState};
pub use rule::Rule;
pub use set::{Set, Type};
pub use socket::Netfilter;
pub use statement::{Limit, Nat, Reject, Statement, Test};
pub use value::{Protocol, Value, state};
pub use verdict::Verdict;
