//! Why something could not be done.

use std::io;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no socket.
    #[error("failed to open a netfilter socket")]
    Open {
        /// Cause.
        source: io::Error,
    },
    /// The kernel did not take a request.
    #[error("failed to send {bytes} bytes to netfilter")]
    Send {
        /// How many.
        bytes: usize,
        /// Cause.
        source: io::Error,
    },
    /// The kernel's answer could not be had.
    #[error("failed to read netfilter's answer")]
    Receive {
        /// Cause.
        source: io::Error,
    },
    /// The kernel refused one message, and with it everything of its batch.
    #[error("netfilter refused to {act}{}", beside(.others))]
    Refused {
        /// What the message asked for, by name: the first that was refused.
        act: String,
        /// How many others were refused, too; some for want of the first.
        others: usize,
        /// The errno, and what the kernel says about it.
        source: Refusal,
    },
}

/// What the kernel says of a message that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The errno.
    pub errno: i32,
    /// `NLMSGERR_ATTR_MSG`, if there is one.
    pub words: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        match &self.words {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

fn beside(count: &usize) -> String {
    match count {
        0 => String::new(),
        count => format!(", and {count} other messages of the batch"),
    }
}

impl Error {
    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => Some(source.errno),
            Self::Open { .. } | Self::Send { .. } | Self::Receive { .. } => None,
        }
    }
}
