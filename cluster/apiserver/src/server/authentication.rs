//! Who asks: by client certificate, by bearer token, or by a service account's token.

use std::{collections::BTreeMap, fmt};

use hyper::{HeaderMap, header::AUTHORIZATION};
use objects::{Reason, Status};
use ring::digest;
use x509_parser::parse_x509_certificate;

use crate::{Api, User};

/// Bearer tokens and whose they are. A token is remembered as its digest only.
#[derive(Clone, Default)]
pub struct Tokens(BTreeMap<Vec<u8>, User>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values()).finish()
    }
}

impl Tokens {
    /// From now on this token is this user's.
    pub fn add(&mut self, token: &str, user: User) {
        self.0.insert(digest_of(token), user);
    }

    fn find(&self, token: &str) -> Option<&User> {
        // Looking up a digest tells nothing of a token by the time it takes.
        self.0.get(&digest_of(token))
    }
}

fn digest_of(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

/// Groups that may act as somebody else.
const IMPERSONATORS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";

/// The user a client certificate names: `CN`, in the groups `O`.
pub(crate) fn by_certificate(der: &[u8]) -> Option<User> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|one| one.as_str().ok());
    Some(User {
        name,
        groups: groups.map(str::to_owned).collect(),
        uid: String::new(),
    })
}

/// # Errors
/// `Unauthorized` for who is not known, `Forbidden` for who may not act as somebody else.
pub(crate) fn authenticate(
    api: &Api,
    tokens: &Tokens,
    certificate: Option<&User>,
    headers: &HeaderMap,
) -> Result<User, Status> {
    let known = certificate.cloned().or_else(|| {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = header.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return None;
        }
        tokens.find(token).cloned().or_else(|| api.token_user(token))
    });
    let mut user = known.ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))?;
    if !user.groups.iter().any(|group| group == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
    impersonate(user, headers)
}

fn impersonate(user: User, headers: &HeaderMap) -> Result<User, Status> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(user);
    }
    let name = text("impersonate-user");
    if name.is_empty() {
        return Err(Status::new(
            Reason::BadRequest,
            "requested other impersonation headers without impersonating a user",
        ));
    }
    if !user.groups.iter().any(|group| group == IMPERSONATORS) {
        let why = format!(
            "users \"{name}\" is forbidden: User \"{}\" cannot impersonate resource \"users\" in API group \"\" at the \
             cluster scope",
            user.name
        );
        return Err(Status::new(Reason::Forbidden, why));
    }
    let groups = headers.get_all("impersonate-group").iter();
    let mut groups: Vec<String> = groups.filter_map(|one| one.to_str().ok()).map(str::to_owned).collect();
    groups.push(AUTHENTICATED.into());
    Ok(User {
        name: name.to_owned(),
        groups,
        uid: text("impersonate-uid").to_owned(),
    })
}
