//! The cluster's own authority: it signs the server's certificate and those of the clients.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::ServerError;

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub struct Pair {
    /// `BEGIN CERTIFICATE`
    pub certificate: String,
    /// `BEGIN PRIVATE KEY`
    pub key: String,
}

/// The authority. Whoever has its key is the cluster.
pub struct Authority {
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
}

fn sign(act: &'static str) -> impl Fn(rcgen::Error) -> ServerError {
    move |source| ServerError::Certificate { act, source }
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn new() -> Result<Self, ServerError> {
        let fault = sign("make the authority");
        let key = KeyPair::generate().map_err(&fault)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name("plimsoll-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let certificate = params.self_signed(&key).map_err(&fault)?;
        let pair = Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        Ok(Self {
            pair,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority that was kept.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(pair: Pair) -> Result<Self, ServerError> {
        let fault = sign("read the authority");
        let key = KeyPair::from_pem(&pair.key).map_err(&fault)?;
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key).map_err(&fault)?;
        Ok(Self { pair, issuer })
    }

    /// Its certificate, by which clients know the server.
    pub fn certificate(&self) -> &str {
        &self.pair.certificate
    }

    /// Both parts, to be kept.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// A certificate with which a client is this user, in this group.
    ///
    /// # Errors
    /// Where no key can be made, or the name cannot be written.
    pub fn client(&self, user: &str, group: &str) -> Result<Pair, ServerError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(user, Some(group));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, "sign a client's certificate")
    }

    pub(super) fn server(&self, addresses: &[IpAddr]) -> Result<Pair, ServerError> {
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let mut params = CertificateParams::new(names.map(str::to_owned)).map_err(sign("name the server"))?;
        params
            .subject_alt_names
            .extend(addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = name("kube-apiserver", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, "sign the server's certificate")
    }

    fn issue(&self, mut params: CertificateParams, act: &'static str) -> Result<Pair, ServerError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(sign(act))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(sign(act))?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Pair {
    pub(super) fn der(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), ServerError> {
        let fault = |source| ServerError::Pem { source };
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(fault)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(fault)?;
        Ok((certificate, key))
    }
}

fn name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common);
    name
}
