//! Taints of nodes and tolerations of pods.

use serde_json::Value;

use crate::words::{Word, Words};

/// What a taint does to a pod that does not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

impl Effect {
    fn read(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }
}

/// A taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Taint {
    pub(crate) key: Word,
    pub(crate) value: Word,
    pub(crate) effect: Effect,
}

impl Taint {
    pub(crate) fn read(taint: &Value, words: &mut Words) -> Option<Self> {
        Some(Self {
            key: words.word(taint["key"].as_str()?),
            value: words.word(taint["value"].as_str().unwrap_or_default()),
            effect: Effect::read(taint["effect"].as_str()?)?,
        })
    }

    /// Whether it keeps pods away, rather than asking them to stay away.
    pub(crate) fn forbids(&self) -> bool {
        self.effect != Effect::PreferNoSchedule
    }
}

/// What a pod puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toleration {
    /// Empty: every key.
    key: Word,
    /// Absent: any value.
    value: Option<Word>,
    /// Absent: every effect.
    effect: Option<Effect>,
}

impl Toleration {
    pub(crate) fn read(toleration: &Value, words: &mut Words) -> Self {
        let text = |field: &str| toleration[field].as_str().unwrap_or_default();
        Self {
            key: words.word(text("key")),
            value: (text("operator") != "Exists").then(|| words.word(text("value"))),
            effect: Effect::read(text("effect")),
        }
    }

    pub(crate) fn covers(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key == taint.key || self.key == Word::EMPTY)
            && self.value.is_none_or(|value| value == taint.value)
    }

    /// Whether it is about asking, too.
    pub(crate) fn may_prefer(&self) -> bool {
        self.effect.is_none_or(|effect| effect == Effect::PreferNoSchedule)
    }
}

/// The first taint that keeps a pod away.
pub(crate) fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    let tolerated = |taint: &Taint| tolerations.iter().any(|one| one.covers(taint));
    taints.iter().find(|taint| taint.forbids() && !tolerated(taint))
}
