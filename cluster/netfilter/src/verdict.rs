//! What becomes of a packet.

use std::fmt;

use crate::attribute::{Reader, Writer};

/// What becomes of a packet, or where its way goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It goes on behind this hook's chain.
    Accept,
    /// It is no more.
    Drop,
    /// Back to the chain that jumped here; in a base chain, its policy.
    Return,
    /// Through that chain, and back if it says nothing.
    Jump(String),
    /// Through that chain, and not back.
    Goto(String),
}

/// `NFTA_VERDICT_CODE`, `NFTA_VERDICT_CHAIN`.
const CODE: u16 = 1;
const CHAIN: u16 = 2;

impl Verdict {
    /// `NF_DROP`, `NF_ACCEPT`, `enum nft_verdicts`.
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
        }
    }

    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop | Self::Return => None,
        }
    }

    /// As an attribute `NFTA_DATA_VERDICT` in `NFTA_DATA`.
    pub(crate) fn write(&self, data: u16, to: &mut Writer) {
        const VERDICT: u16 = 2;
        to.nest(data, |to| {
            to.nest(VERDICT, |to| {
                to.put(CODE, &self.code().to_be_bytes());
                if let Some(chain) = self.chain() {
                    to.text(CHAIN, chain);
                }
            });
        });
    }

    /// From inside of `NFTA_DATA_VERDICT`.
    pub(crate) fn read(from: Reader<'_>) -> Option<Self> {
        let chain = || from.text(CHAIN);
        Some(match i32::from_be_bytes(from.get(CODE)?.try_into().ok()?) {
            0 => Self::Drop,
            1 => Self::Accept,
            -3 => Self::Jump(chain()?),
            -4 => Self::Goto(chain()?),
            -5 => Self::Return,
            _ => return None,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}
