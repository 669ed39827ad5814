//! Messages of netfilter: which there are, their headers, and what one asks for in words.

use crate::Family;
use crate::attribute::{Reader, Writer};

/// Bytes of `struct nlmsghdr`, and of `struct nfgenmsg` behind it.
pub(crate) const HEADER: usize = 16;
pub(crate) const FAMILY: usize = 4;

/// Subsystems of netfilter.
const TABLES: u16 = 10;
const CONNECTIONS: u16 = 1;

/// Types of messages: `enum nf_tables_msg_types`, `enum cntl_msg_types`, `NFNL_MSG_BATCH_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u16);

impl Kind {
    pub(crate) const BATCH_BEGIN: Self = Self(16);
    pub(crate) const BATCH_END: Self = Self(17);
    pub(crate) const NEW_TABLE: Self = Self::table(0);
    pub(crate) const GET_TABLE: Self = Self::table(1);
    pub(crate) const DELETE_TABLE: Self = Self::table(2);
    pub(crate) const NEW_CHAIN: Self = Self::table(3);
    pub(crate) const DELETE_CHAIN: Self = Self::table(5);
    pub(crate) const NEW_RULE: Self = Self::table(6);
    pub(crate) const GET_RULE: Self = Self::table(7);
    pub(crate) const DELETE_RULE: Self = Self::table(8);
    pub(crate) const NEW_SET: Self = Self::table(9);
    pub(crate) const DELETE_SET: Self = Self::table(11);
    pub(crate) const NEW_ELEMENT: Self = Self::table(12);
    pub(crate) const GET_ELEMENT: Self = Self::table(13);
    pub(crate) const DELETE_ELEMENT: Self = Self::table(14);
    pub(crate) const GET_GENERATION: Self = Self::table(16);
    pub(crate) const GET_FLOW: Self = Self::connection(1);
    pub(crate) const DELETE_FLOW: Self = Self::connection(2);

    const fn table(number: u16) -> Self {
        Self(TABLES << 8 | number)
    }

    const fn connection(number: u16) -> Self {
        Self(CONNECTIONS << 8 | number)
    }

    /// Act, object, and where its name is: the attributes of the table, and of the object itself if it is none.
    fn words(self) -> Option<(&'static str, &'static str, u16, Option<u16>)> {
        Some(match self {
            Self::NEW_TABLE => ("add", "table", 1, None),
            Self::GET_TABLE => ("tell of", "table", 1, None),
            Self::DELETE_TABLE => ("delete", "table", 1, None),
            Self::NEW_CHAIN => ("add", "chain", 1, Some(3)),
            Self::DELETE_CHAIN => ("delete", "chain", 1, Some(3)),
            Self::NEW_RULE => ("add", "a rule to chain", 1, Some(2)),
            Self::GET_RULE => ("tell of", "rules of chain", 1, Some(2)),
            Self::DELETE_RULE => ("delete", "rules of chain", 1, Some(2)),
            Self::NEW_SET => ("add", "set", 1, Some(2)),
            Self::DELETE_SET => ("delete", "set", 1, Some(2)),
            Self::NEW_ELEMENT => ("add", "elements to set", 1, Some(2)),
            Self::GET_ELEMENT => ("tell of", "elements of set", 1, Some(2)),
            Self::DELETE_ELEMENT => ("delete", "elements of set", 1, Some(2)),
            _ => return None,
        })
    }
}

/// Writes a message whole.
pub(crate) fn write(
    family: Family,
    kind: Kind,
    flags: u16,
    sequence: u32,
    to: &mut Writer,
    body: impl FnOnce(&mut Writer),
) {
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    let begin = to.len();
    to.raw(&[0; 4]);
    to.raw(&kind.0.to_ne_bytes());
    to.raw(&(flags | REQUEST).to_ne_bytes());
    to.raw(&sequence.to_ne_bytes());
    to.raw(&[0; 4]);
    // A batch says of which subsystem it is where others say nothing.
    let (family, subsystem) = match kind {
        Kind::BATCH_BEGIN | Kind::BATCH_END => (0, TABLES),
        _ => (family.number(), 0),
    };
    to.raw(&[family, 0]);
    to.raw(&subsystem.to_be_bytes());
    body(to);
    let length = u32::try_from(to.len() - begin).unwrap_or(u32::MAX);
    to.patch(begin, &length.to_ne_bytes());
}

/// What the message that begins here asks for, to go after "refused to".
pub(crate) fn describe(message: &[u8]) -> String {
    let kind = message.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let kind = Kind(kind.map_or(0, u16::from_ne_bytes));
    let length = message.get(..4).and_then(|bytes| bytes.try_into().ok());
    let length = length.map_or(0, u32::from_ne_bytes);
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(message.len());
    let body = Reader(message.get(HEADER + FAMILY..end).unwrap_or_default());
    let Some((act, object, table, name)) = kind.words() else {
        return match kind {
            Kind::BATCH_BEGIN | Kind::BATCH_END => "commit the batch".into(),
            Kind::GET_FLOW => "tell of connections".into(),
            Kind::DELETE_FLOW => "forget a connection".into(),
            _ => "answer".into(),
        };
    };
    let table = body.text(table).unwrap_or_default();
    match name.and_then(|name| body.text(name)) {
        Some(name) => format!("{act} {object} `{name}` of table `{table}`"),
        None => format!("{act} {object} `{table}`"),
    }
}
