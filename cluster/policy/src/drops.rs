//! What policies dropped.

use netfilter::{Error, Netfilter};

use crate::base::TABLE;
use crate::direction::Direction;
use crate::rules::DROPPED;

/// What was dropped because no policy allows it, since the policies that select the pod, or its address, changed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops {
    /// The pod, as `NAMESPACE/NAME`.
    pub pod: String,
    /// To it, or from it.
    pub direction: Direction,
    /// How many packets.
    pub packets: u64,
}

/// For each isolated pod of a node what was dropped, from the counters in the node's network namespace.
///
/// # Errors
/// What netfilter says.
pub fn drops(socket: &mut Netfilter) -> Result<Vec<Drops>, Error> {
    let mut all = Vec::new();
    for rule in socket.rules(TABLE, None)? {
        let (Some(DROPPED), Some(counter)) = (rule.comment.as_deref(), rule.counter) else {
            continue;
        };
        let of = |direction: &Direction| rule.chain.strip_prefix(&format!("{direction}-")).map(str::to_owned);
        let found = Direction::BOTH
            .into_iter()
            .find_map(|direction| Some((direction, of(&direction)?)));
        all.extend(found.map(|(direction, pod)| Drops {
            pod,
            direction,
            packets: counter.packets,
        }));
    }
    Ok(all)
}
