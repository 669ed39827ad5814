//! Lists: as of now or as of a remembered revision, whole or in pieces.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use objects::{Cause, Kind, Reason, Status};
use serde::{Deserialize, Serialize};

use crate::{
    api::{ListQuery, VersionMatch},
    store::{Path, Shelf, State},
    stored::Stored,
};

/// A piece of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Stored>>,
    pub(crate) revision: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<u64>,
}

/// Where a list goes on. Clients treat it as opaque.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    /// The revision of the first piece; zero for one that takes what is there when it is asked for.
    rv: u64,
    namespace: String,
    name: String,
}

impl Token {
    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(text: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| {
                Status::new(
                    Reason::BadRequest,
                    "continue key is not valid: it is not what an earlier list returned",
                )
            })
    }
}

/// Why there is no list; the token is one with which the rest can be had, though not of the same revision.
#[derive(Debug)]
pub(crate) struct NoPage {
    pub(crate) status: Status,
    pub(crate) inconsistent: Option<String>,
}

impl From<Status> for NoPage {
    fn from(status: Status) -> Self {
        Self {
            status,
            inconsistent: None,
        }
    }
}

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";

pub(crate) fn expired(wanted: u64, oldest: u64) -> Status {
    Status::new(
        Reason::Expired,
        format!("too old resource version: {wanted} ({oldest})"),
    )
}

pub(crate) fn too_large(wanted: u64, current: u64) -> Status {
    let mut status = Status::new(
        Reason::Timeout,
        format!("Too large resource version: {wanted}, current: {current}"),
    );
    status.details = Some(Box::new(objects::status::Details {
        causes: vec![Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }],
        retry_after: Some(1),
        ..Default::default()
    }));
    status
}

/// Reads a resource version that a client sent; empty and `0` are none.
///
/// # Errors
/// `BadRequest` where it is no number.
pub(crate) fn version(text: &str) -> Result<Option<u64>, Status> {
    match text {
        "" | "0" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Status::new(
                Reason::BadRequest,
                format!("resourceVersion: Invalid value: \"{text}\": not a resource version"),
            )
        }),
    }
}

pub(crate) fn page(state: &State, kind: &Kind, namespace: Option<&str>, query: &ListQuery) -> Result<Page, NoPage> {
    let Some(shelf) = state.shelf(kind) else {
        return Err(Status::new(
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        )
        .into());
    };
    let mut at = state.revision;
    let mut after: Option<Path> = None;
    match &query.resume {
        Some(token) => {
            let token = Token::read(token)?;
            if token.rv != 0 {
                at = token.rv;
            }
            if at < shelf.forgotten {
                let rest = Token { rv: 0, ..token };
                return Err(NoPage {
                    status: Status::new(Reason::Expired, TOO_OLD),
                    inconsistent: Some(rest.text()),
                });
            }
            after = Some((token.namespace, token.name));
        }
        None => {
            if let Some(wanted) = version(&query.resource_version)? {
                if wanted > state.revision {
                    return Err(too_large(wanted, state.revision).into());
                }
                if query.version_match == VersionMatch::Exact {
                    if wanted < shelf.forgotten {
                        return Err(expired(wanted, shelf.forgotten).into());
                    }
                    at = wanted;
                }
            }
        }
    }
    if at > state.revision {
        return Err(too_large(at, state.revision).into());
    }
    let limit = query.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut last: Option<Path> = None;
    let mut next = None;
    let mut remaining = 0u64;
    let mut take = |path: &Path, stored: &Arc<Stored>| {
        if !query.takes(path, stored) {
            return true;
        }
        if items.len() < limit {
            items.push(stored.clone());
            last = Some(path.clone());
            return true;
        }
        if next.is_none() {
            next = last.take();
        }
        remaining += 1;
        // With a selector nobody is told how many there are, and looking at the rest would cost.
        !query.selects()
    };
    if at == state.revision {
        range(shelf, namespace, after.as_ref(), |path, stored| take(path, stored));
    } else {
        for (path, stored) in as_of(shelf, at, namespace, after.as_ref()) {
            if !take(&path, &stored) {
                break;
            }
        }
    }
    let next = next.map(|(namespace, name)| {
        Token {
            rv: at,
            namespace,
            name,
        }
        .text()
    });
    Ok(Page {
        items,
        revision: at,
        remaining: (next.is_some() && !query.selects()).then_some(remaining),
        next,
    })
}

fn range(
    shelf: &Shelf,
    namespace: Option<&str>,
    after: Option<&Path>,
    mut take: impl FnMut(&Path, &Arc<Stored>) -> bool,
) {
    let first = namespace.map(|namespace| (namespace.to_owned(), String::new()));
    let from = match (after, &first) {
        (Some(after), Some(first)) if after < first => Included(first),
        (Some(after), _) => Excluded(after),
        (None, Some(first)) => Included(first),
        (None, None) => Unbounded,
    };
    for (path, stored) in shelf.objects.range((from, Unbounded)) {
        if namespace.is_some_and(|namespace| path.0 != namespace) || !take(path, stored) {
            break;
        }
    }
}

/// The objects as they were: what happened since is undone.
fn as_of(shelf: &Shelf, revision: u64, namespace: Option<&str>, after: Option<&Path>) -> BTreeMap<Path, Arc<Stored>> {
    let mut objects = BTreeMap::new();
    range(shelf, namespace, after, |path, stored| {
        objects.insert(path.clone(), stored.clone());
        true
    });
    let inside = |path: &Path| namespace.is_none_or(|one| path.0 == one) && after.is_none_or(|after| path > after);
    let undo = shelf.events.range(shelf.after(revision)..).rev();
    for past in undo.filter(|past| inside(&past.path)) {
        match &past.before {
            Some(before) => objects.insert(past.path.clone(), before.clone()),
            None => objects.remove(&past.path),
        };
    }
    objects
}
