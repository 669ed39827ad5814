//! Who is who: the cluster's own certificate authority, its server, and the administrator.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// Names under which the server answers. A service of the first address of the service range is called `kubernetes`.
const SERVER_NAMES: [&str; 8] = [
    "127.0.0.1",
    "10.96.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster",
    "kubernetes.default.svc.cluster.local",
];

/// Common name and organisation of the administrator: a user and a group.
pub const ADMINISTRATOR: (&str, &str) = ("kubernetes-admin", "system:masters");

/// Keys, certificates and tokens of a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The server's certificate and key.
    pub server: Pair,
    /// The administrator's certificate and key.
    pub administrator: Pair,
    /// Bearer token of the administrator.
    pub token: String,
    /// What tokens of service accounts are signed with.
    pub token_key: [u8; 32],
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
    #[error("failed to make the certificate of `{of}`")]
    Make {
        /// Whose.
        of: &'static str,
        /// Cause.
        source: rcgen::Error,
    },
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
    /// [`Error::Make`] or [`Error::Random`].
    pub fn make() -> Result<Self, Error> {
        let make = |of| move |source| Error::Make { of, source };
        let mut authority = CertificateParams::default();
        authority.distinguished_name = name(("plimsoll-cluster", "plimsoll"));
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().map_err(make("authority"))?;
        let certificate = authority.self_signed(&key).map_err(make("authority"))?.pem();
        let issuer = Issuer::new(authority, key);
        let names = SERVER_NAMES.map(String::from).to_vec();
        let mut server = CertificateParams::new(names).map_err(make("server"))?;
        server.distinguished_name = name(("kube-apiserver", "plimsoll"));
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut administrator = CertificateParams::default();
        administrator.distinguished_name = name(ADMINISTRATOR);
        administrator.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(Self {
            authority: certificate,
            server: Pair::signed(server, &issuer).map_err(make("server"))?,
            administrator: Pair::signed(administrator, &issuer).map_err(make("administrator"))?,
            token: random::<24>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
            token_key: random()?,
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
}

impl Pair {
    fn signed(mut params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<Self, rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Python's client is strict about it.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.signed_by(&key, issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn name((user, group): (&str, &str)) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, user);
    name.push(DnType::OrganizationName, group);
    name
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    // So few bytes come whole, and no signal cuts them short (`getrandom(2)`).
    match getrandom(&mut bytes[..], GetRandomFlags::empty()) {
        Ok(n) if n == N => Ok(bytes),
        Ok(_) => Err(Error::Random {
            source: io::ErrorKind::UnexpectedEof.into(),
        }),
        Err(errno) => Err(Error::Random { source: errno.into() }),
    }
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
        assert_eq!(first.authority, second.authority);
        let mode = std::fs::metadata(directory.path().join("identity.json"))
            .expect("kept")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(Identity::make().expect("made").token, first.token);
    }
}
