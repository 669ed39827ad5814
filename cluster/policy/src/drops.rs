//! What policies dropped.

use std::collections::BTreeMap;

use netfilter::{Error, Netfilter, Verdict};

use crate::base::TABLE;
use crate::direction::Direction;
use crate::rules::{DROPPED, DROPPING, POLICY};

/// What was dropped because no policy allows it, since there is a policy that selects the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops {
    /// The pod, as `NAMESPACE/NAME`.
    pub pod: String,
    /// To it, or from it.
    pub direction: Direction,
    /// How many packets.
    pub packets: u64,
    /// Policies that select it and are about this direction, as `NAMESPACE/NAME`.
    pub policies: Vec<String>,
}

/// For each isolated pod of a node what was dropped, from the counters in the node's network namespace.
///
/// # Errors
/// What netfilter says.
pub fn drops(socket: &mut Netfilter) -> Result<Vec<Drops>, Error> {
    let rules = socket.rules(TABLE, None)?;
    let mut policies: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for rule in &rules {
        let asked = rule.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Jump(chain) => chain.strip_prefix(POLICY)?.split_once('-'),
            _ => None,
        });
        let asked = asked.map(|(_direction, policy)| policy.to_owned());
        policies.entry(&rule.chain).or_default().extend(asked);
    }
    let mut all = Vec::new();
    for rule in &rules {
        let (Some(DROPPED), Some(counter)) = (rule.comment.as_deref(), rule.counter) else {
            continue;
        };
        let Some(chain) = rule.chain.strip_prefix(DROPPING) else {
            continue;
        };
        let of = |direction: &Direction| chain.strip_prefix(&format!("{direction}-")).map(str::to_owned);
        let found = Direction::BOTH
            .into_iter()
            .find_map(|direction| Some((direction, of(&direction)?)));
        all.extend(found.map(|(direction, pod)| Drops {
            pod,
            direction,
            packets: counter.packets,
            policies: policies.get(chain).cloned().unwrap_or_default(),
        }));
    }
    Ok(all)
}
