//! Who is who: the cluster's own certificate authority, and those who have a way in from the beginning.

use std::io;
use std::path::{Path, PathBuf};

use apiserver::{Authority, ServerError, Tokens, User};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// The administrator and the group of those who may do everything.
pub const ADMINISTRATOR: (&str, &str) = ("kubernetes-admin", "system:masters");

/// The one who may read everything and change nothing.
pub const READER: (&str, &str) = ("plimsoll-reader", "plimsoll:readers");

/// Keys, certificates and tokens of a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The authority.
    pub authority: Pair,
    /// The administrator.
    pub administrator: Pair,
    /// Bearer token of the administrator.
    pub token: String,
    /// Bearer token of the reader.
    pub reader_token: String,
}

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or certificate.
    #[error(transparent)]
    Certificate(#[from] ServerError),
    /// Random numbers.
    #[error("failed to get random numbers for a token")]
    Random {
        /// Cause.
        source: io::Error,
    },
    /// The file in which it is kept.
    #[error("failed to {act} `{path}`", path = path.display())]
    Kept {
        /// What was done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Certificate`] or [`Error::Random`].
    pub fn make() -> Result<Self, Error> {
        let authority = Authority::new()?;
        Ok(Self {
            administrator: authority.client(ADMINISTRATOR.0, ADMINISTRATOR.1)?.into(),
            authority: authority.pair().clone().into(),
            token: random_token()?,
            reader_token: random_token()?,
        })
    }

    /// That of a cluster whose state is kept in this directory: whoever had a kubeconfig can go on using it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn kept_in(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("identity.json");
        let failed = |act: &'static str| {
            let path = path.clone();
            move |source| Error::Kept { act, path, source }
        };
        match fs_err::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed("read")(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::make()?;
                let text = serde_json::to_vec(&made).map_err(|error| failed("write")(error.into()))?;
                write_private(&path, &text).map_err(failed("write"))?;
                Ok(made)
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// The authority, which signs the server's certificate.
    pub(crate) fn authority(&self) -> Result<Authority, ServerError> {
        Authority::read(apiserver::Pair {
            certificate: self.authority.certificate.clone(),
            key: self.authority.key.clone(),
        })
    }

    /// Whose the bearer tokens are.
    pub(crate) fn tokens(&self) -> Tokens {
        let mut tokens = Tokens::default();
        for (token, (name, group)) in [(&self.token, ADMINISTRATOR), (&self.reader_token, READER)] {
            let user = User {
                name: name.into(),
                groups: vec![group.into()],
                uid: String::new(),
            };
            tokens.add(token, user);
        }
        tokens
    }
}

impl From<apiserver::Pair> for Pair {
    fn from(pair: apiserver::Pair) -> Self {
        Self {
            certificate: pair.certificate,
            key: pair.key,
        }
    }
}

/// A bearer token that nobody guesses.
fn random_token() -> Result<String, Error> {
    let mut bytes = [0; 24];
    // So few bytes come whole, and no signal cuts them short (`getrandom(2)`).
    let got =
        getrandom(&mut bytes[..], GetRandomFlags::empty()).map_err(|errno| Error::Random { source: errno.into() })?;
    if got < bytes.len() {
        let source = io::ErrorKind::UnexpectedEof.into();
        return Err(Error::Random { source });
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that nobody but its owner may read, whole or not at all.
///
/// # Errors
/// What the file system says.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let unborn = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unborn)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&unborn, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_identity_is_the_same_the_next_time_and_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let first = Identity::kept_in(directory.path()).expect("made");
        let second = Identity::kept_in(directory.path()).expect("read");
        assert_eq!(first.token, second.token);
        assert_eq!(first.authority.certificate, second.authority.certificate);
        let path = directory.path().join("identity.json");
        let mode = std::fs::metadata(path).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(Identity::make().expect("made").token, first.token);
    }
}
