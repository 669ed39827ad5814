//! The part of the packet filter that is there without any policy: where packets come in, and where they go on to.
//!
//! Two verdict maps lead from a pod's address to its chain, one for each direction, so that a packet's way grows with the
//! policies that select its pods and not with those that there are. Each direction has a base chain of its own: what one
//! accepts comes to the next, so that nothing has to be remembered of a packet in between, and the kernel, which follows
//! every way through a table when it changes, has no product of ways to follow.

use netfilter::{Batch, Chain, Field, Hook, Rule, Set, Type, state};

use crate::config::Config;
use crate::direction::{Direction, Ends};
use crate::fault::Faults;

/// Name of the table.
pub const TABLE: &str = "network-policy";

/// Addresses of pods that are isolated in any direction.
pub(crate) const ISOLATED: &str = "isolated-ips";

/// Turns: behind the service proxy's, which refuses what has no backend.
const FIRST: i32 = 10;
const SECOND: i32 = 11;

/// The verdict map of a direction.
pub(crate) fn map(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress-ips",
        Direction::Egress => "egress-ips",
    }
}

/// A chain that packets come into by themselves, with its rules.
pub(crate) struct Entry {
    pub(crate) chain: Chain,
    rules: Vec<Rule>,
}

/// What there is without policies. Who began a connection is known of those only that are tracked from their beginning, so
/// they are tracked before the first policy comes; a rule that asks about connections is what has the kernel do so.
pub(crate) fn idle() -> Vec<Entry> {
    vec![Entry {
        chain: Chain::filter("track", Hook::Forward, FIRST),
        rules: vec![Rule::new().has(Field::ConnectionState, state::INVALID)],
    }]
}

/// Packets through the node are judged by where they are from, then by where they go to. Those to the node itself are not
/// judged but for the DNS, which is a pod elsewhere, and those of the node itself are not either, but under a fault.
pub(crate) fn entries(config: &Config, faults: &Faults) -> Vec<Entry> {
    let ends = Ends::new(faults);
    let judge = |direction| Rule::new().map(&[ends.pod(direction)], map(direction));
    let spared = faults.has("live-connections-spared").then(|| {
        Rule::new()
            .has(Field::ConnectionState, state::ESTABLISHED | state::RELATED)
            .accept()
    });
    let stray = |field| {
        Rule::new()
            .has(Field::ConnectionState, state::INVALID)
            .in_set(&[field], ISOLATED)
            .drop()
            .about("of no connection that could be judged")
    };
    let entry = |name: &str, hook, priority, rules: Vec<Rule>| Entry {
        chain: Chain::filter(name, hook, priority),
        rules: spared.iter().cloned().chain(rules).collect(),
    };
    let mut all = vec![
        entry(
            "forward-egress",
            Hook::Forward,
            FIRST,
            vec![
                stray(Field::SourceAddress),
                stray(Field::DestinationAddress),
                judge(Direction::Egress),
            ],
        ),
        entry(
            "forward-ingress",
            Hook::Forward,
            SECOND,
            vec![judge(Direction::Ingress)],
        ),
    ];
    if let Some(address) = config.name_server {
        let asked = Rule::new().is(ends.peer(Direction::Egress), address);
        let judged = asked.map(&[ends.pod(Direction::Egress)], map(Direction::Egress));
        all.push(entry("input-egress", Hook::Input, FIRST, vec![judged]));
    }
    if faults.has("node-judged") {
        let judged = vec![judge(Direction::Ingress)];
        all.push(entry("output-ingress", Hook::Output, FIRST, judged));
    }
    all
}

/// Writes it into a batch, in place of whatever table of that name there is.
pub(crate) fn write(entries: &[Entry], batch: &mut Batch) {
    batch.add_table();
    batch.delete_table();
    batch.add_table();
    batch.add_set(&Set::new(ISOLATED, &[Type::Address]));
    for direction in Direction::BOTH {
        batch.add_set(&Set::verdict_map(map(direction), &[Type::Address]));
    }
    for Entry { chain, rules } in entries {
        batch.add_chain(chain);
        rules.iter().for_each(|rule| batch.add_rule(&chain.name, rule));
    }
}
