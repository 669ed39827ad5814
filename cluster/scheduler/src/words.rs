//! Strings as numbers: label keys and values, names of nodes, namespaces, resources and images.

use std::collections::HashMap;
use std::sync::Arc;

/// A string that was seen before; equal words are equal strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Word(u32);

macro_rules! known {
    ($($name:ident = $number:literal $text:literal),* $(,)?) => {
        impl Word {
            $(pub(crate) const $name: Word = Word($number);)*
        }
        const KNOWN: &[(Word, &str)] = &[$((Word::$name, $text)),*];
    };
}

known! {
    EMPTY = 0 "",
    ANY_ADDRESS = 1 "0.0.0.0",
    HOSTNAME = 2 "kubernetes.io/hostname",
    ZONE = 3 "topology.kubernetes.io/zone",
    REGION = 4 "topology.kubernetes.io/region",
    NAME_FIELD = 5 "metadata.name",
    UNSCHEDULABLE = 6 "node.kubernetes.io/unschedulable",
    TCP = 7 "TCP",
}

/// All words.
#[derive(Debug)]
pub(crate) struct Words {
    by_text: HashMap<Arc<str>, Word>,
    texts: Vec<Arc<str>>,
}

impl Words {
    pub(crate) fn new() -> Self {
        let mut words = Self {
            by_text: HashMap::new(),
            texts: Vec::new(),
        };
        for (word, text) in KNOWN {
            let given = words.word(text);
            debug_assert_eq!(given, *word);
        }
        words
    }

    pub(crate) fn word(&mut self, text: &str) -> Word {
        if let Some(word) = self.by_text.get(text) {
            return *word;
        }
        let word = Word(self.texts.len() as u32);
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.by_text.insert(text, word);
        word
    }

    pub(crate) fn known(&self, text: &str) -> Option<Word> {
        self.by_text.get(text).copied()
    }

    pub(crate) fn text(&self, word: Word) -> &str {
        &self.texts[word.0 as usize]
    }

    pub(crate) fn shared(&self, word: Word) -> Arc<str> {
        self.texts[word.0 as usize].clone()
    }
}
