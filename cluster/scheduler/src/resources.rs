//! Amounts of resources: millicores, bytes, counts.

use objects::quantity::Quantity;
use objects::requests::{Resources, assumed, requests};
use serde_json::Value;

use crate::words::{Word, Words};

/// Some of each resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Amounts {
    /// Millicores.
    pub(crate) cpu: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes of `ephemeral-storage`.
    pub(crate) storage: i64,
    /// Everything else, but pods; sorted.
    pub(crate) others: Vec<(Word, i64)>,
}

impl Amounts {
    /// What a node's `status.allocatable` says.
    pub(crate) fn read(map: &Value, words: &mut Words) -> Self {
        let listed = map.as_object().into_iter().flatten();
        Self::of(
            listed.filter_map(|(name, value)| Some((name.as_str(), Quantity::of(value)?))),
            words,
        )
    }

    fn of<'a>(amounts: impl Iterator<Item = (&'a str, Quantity)>, words: &mut Words) -> Self {
        let mut read = Self::default();
        for (name, quantity) in amounts {
            match name {
                "cpu" => read.cpu = quantity.milli(),
                "memory" => read.memory = quantity.value(),
                "ephemeral-storage" => read.storage = quantity.value(),
                "pods" => {}
                _ => read.others.push((words.word(name), quantity.value())),
            }
        }
        read.others.sort_unstable();
        read
    }

    pub(crate) fn other(&self, name: Word) -> i64 {
        amount(&self.others, name)
    }
}

/// One of a list of amounts; 0 if it is not there.
pub(crate) fn amount(list: &[(Word, i64)], name: Word) -> i64 {
    list.iter()
        .find(|(have, _)| *have == name)
        .map_or(0, |(_, amount)| *amount)
}

/// What a pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    /// What is reserved on a node.
    pub(crate) real: Amounts,
    /// Millicores that count in scoring: containers that say nothing count as if they asked for some.
    pub(crate) score_cpu: i64,
    /// Bytes that count in scoring.
    pub(crate) score_memory: i64,
}

impl Requests {
    pub(crate) fn read(pod: &Value, words: &mut Words) -> Self {
        let asked = requests(pod);
        let mut real = Amounts::of(asked.iter().map(|(name, quantity)| (name.as_str(), *quantity)), words);
        real.others.retain(|(_, amount)| *amount != 0);
        let scored: Resources = assumed(pod);
        let of = |name: &str| scored.get(name).copied().unwrap_or(Quantity::ZERO);
        Self {
            real,
            score_cpu: of("cpu").milli(),
            score_memory: of("memory").value(),
        }
    }
}
