//! The API of a cluster: what it remembers, the client in the same process, and HTTPS for everybody else.
//!
//! [`Api`] is the one way to read and to write. A request that comes over the wire and a call of a controller take the
//! same path: defaults, admission, validation, one revision for all kinds, and then the watchers.

mod admission;
mod api;
mod bind;
mod create;
mod delete;
mod event;
mod evict;
mod informer;
mod keep;
mod link;
mod metadata;
mod owners;
mod page;
mod patch;
mod rewind;
mod scale;
mod server;
mod store;
mod stored;
mod strategy;
mod streams;
mod token;
mod update;
mod user;
mod watch;

pub use admission::{Admission, Attempt, Verb, View};
pub use api::{Api, EventWindow, List, ListQuery, Object, Part, Settings, VersionMatch, WriteOptions};
pub use delete::{DeleteOptions, Deleted, Preconditions, Propagation};
pub use informer::{Cache, Change, Informer, Key};
pub use link::Link;
pub use patch::{Patch, Patched};
pub use rewind::Snapshot;
pub use server::{
    AllowAuthenticated, Attributes, Authority, Authorizer, Extension, ExtensionRequest, ExtensionResponse, Options,
    Pair, RequestEntry, RequestLog, Server, ServerError, Tokens,
};
pub use streams::{ContainerRef, Exit, Io, LogOptions, Session, StreamRegistry, Streams};
pub use token::AUDIENCE;
pub use user::User;
pub use watch::{EventKind, Watch, WatchEvent, WatchQuery};
