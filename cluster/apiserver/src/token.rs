//! Tokens of service accounts: JSON Web Tokens with Kubernetes' claims, signed with a secret of this API alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
};
use objects::{Cause, Reason, Status, kind, meta, time};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signature::{Signer, Verifier};
use uuid::Uuid;

use crate::{Api, User, bind::pods};

/// Whom a token is for where nothing else is said, and who gave it.
pub const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";
const SHORTEST: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(1 << 32);
/// Seconds that a token lives where nothing is said.
const USUAL: i64 = 3600;

/// Bytes of a secret.
pub(crate) const SECRET: usize = 32;

/// What is signed with.
pub(crate) struct Secret {
    bytes: [u8; SECRET],
    sign: EncodingKey,
    check: DecodingKey,
}

impl Secret {
    /// # Errors
    /// Where the machine has no randomness.
    pub(crate) fn new() -> Result<Self, Status> {
        let mut bytes = [0; SECRET];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| Status::new(Reason::InternalError, "no random bytes can be had"))?;
        Ok(Self::of(bytes))
    }

    pub(crate) fn of(bytes: [u8; SECRET]) -> Self {
        // Somebody else in the process may have brought a provider; any does HS256.
        let _other = PROVIDER.install_default();
        Self {
            bytes,
            sign: EncodingKey::from_secret(&bytes),
            check: DecodingKey::from_secret(&bytes),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8; SECRET] {
        &self.bytes
    }
}

/// `jsonwebtoken` without the crates of RustCrypto: HS256 alone, by `ring`.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: Vec<String>,
    exp: u64,
    iat: u64,
    nbf: u64,
    iss: String,
    jti: String,
    sub: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

/// What a token hangs on: it is worth nothing when one of them is gone.
#[derive(Debug, Serialize, Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<Reference>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Api {
    /// Answers a `TokenRequest` for a service account, which is returned with its `status`.
    ///
    /// # Errors
    /// `NotFound` for what is not there, `Invalid` for a life that is too short.
    pub fn token(&self, namespace: &str, account: &str, mut request: Value) -> Result<Value, Status> {
        self.check_link()?;
        let accounts = kind::find("", "v1", "serviceaccounts")
            .ok_or_else(|| Status::new(Reason::InternalError, "service accounts are not served"))?;
        let owner = self.get(accounts, namespace, account)?;
        let wanted = meta::number(&request, &["spec", "expirationSeconds"]).unwrap_or(USUAL);
        let life = Duration::from_secs(u64::try_from(wanted).unwrap_or(0)).min(LONGEST);
        if life < SHORTEST {
            let cause = Cause {
                reason: "FieldValueInvalid".into(),
                message: format!("Invalid value: {wanted}: may not specify a duration less than 10 minutes"),
                field: "spec.expirationSeconds".into(),
            };
            return Err(Status::invalid(accounts, account, vec![cause]));
        }
        let mut audiences: Vec<String> = meta::list(&request, &["spec", "audiences"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if audiences.is_empty() {
            audiences.push(AUDIENCE.into());
        }
        let pod = self.bound_pod(namespace, &request)?;
        let now = SystemTime::now();
        let claims = Claims {
            aud: audiences.clone(),
            exp: seconds(now + life),
            iat: seconds(now),
            nbf: seconds(now),
            iss: AUDIENCE.into(),
            jti: Uuid::new_v4().to_string(),
            sub: format!("system:serviceaccount:{namespace}:{account}"),
            kubernetes: Bound {
                namespace: namespace.into(),
                serviceaccount: Reference {
                    name: account.into(),
                    uid: meta::uid(&owner).into(),
                },
                pod,
            },
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.shared.secret.sign);
        let token =
            token.map_err(|error| Status::new(Reason::InternalError, format!("cannot sign a token: {error}")))?;
        meta::set(&mut request, &["apiVersion"], "authentication.k8s.io/v1");
        meta::set(&mut request, &["kind"], "TokenRequest");
        meta::set(&mut request, &["metadata", "name"], account);
        meta::set(&mut request, &["metadata", "namespace"], namespace);
        meta::set(&mut request, &["spec", "audiences"], audiences);
        meta::set(&mut request, &["spec", "expirationSeconds"], life.as_secs());
        meta::set(
            &mut request,
            &["status"],
            json!({"token": token, "expirationTimestamp": time::seconds(now + life)}),
        );
        Ok(request)
    }

    fn bound_pod(&self, namespace: &str, request: &Value) -> Result<Option<Reference>, Status> {
        let Some(bound) = meta::at(request, &["spec", "boundObjectRef"]) else {
            return Ok(None);
        };
        if meta::text(bound, &["kind"]) != "Pod" {
            return Err(Status::new(
                Reason::BadRequest,
                format!("cannot bind token to object of type {}", meta::text(bound, &["kind"])),
            ));
        }
        let name = meta::text(bound, &["name"]);
        let pod = self.get(pods()?, namespace, name)?;
        let (wanted, is) = (meta::text(bound, &["uid"]), meta::uid(&pod));
        if !wanted.is_empty() && wanted != is {
            let why =
                format!("the UID in the bound object reference ({wanted}) does not match the UID in record ({is})");
            return Err(Status::conflict(pods()?, name, &why));
        }
        Ok(Some(Reference {
            name: name.into(),
            uid: is.into(),
        }))
    }

    /// The service account behind a token that is good now.
    pub(crate) fn token_user(&self, token: &str) -> Option<User> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[AUDIENCE]);
        validation.leeway = 0;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.shared.secret.check, &validation)
            .ok()?
            .claims;
        let Bound {
            namespace,
            serviceaccount,
            pod,
        } = claims.kubernetes;
        let store = &self.shared.store;
        let is_there = |kind, reference: &Reference| {
            let stored = store.get(kind, &namespace, &reference.name);
            stored.is_some_and(|stored| meta::uid(&stored.value()) == reference.uid)
        };
        let accounts = kind::find("", "v1", "serviceaccounts")?;
        let holds =
            is_there(accounts, &serviceaccount) && pod.is_none_or(|pod| pods().is_ok_and(|kind| is_there(kind, &pod)));
        holds.then(|| User {
            name: claims.sub,
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ],
            uid: serviceaccount.uid,
        })
    }
}
