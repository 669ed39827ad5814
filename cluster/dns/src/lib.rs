//! The DNS of a cluster: the names of Services and pods, kept up to date and answered from memory.
//!
//! What there is to be found is said by the [Kubernetes DNS specification] 1.1.0, and where that is silent by what
//! CoreDNS does. `service.rs` and `pod.rs` are pure functions from objects to records, `zone.rs` holds the records,
//! [`Names::follow`] keeps them as the API has it. `answer.rs` finds what a question asks for, `message.rs` turns packets
//! into packets, and [`Server`] sends them by the sockets that it is given.
//!
//! [Kubernetes DNS specification]: https://github.com/kubernetes/dns/blob/master/docs/specification.md

mod answer;
mod fault;
mod follow;
mod message;
mod names;
mod path;
mod pod;
mod server;
mod service;
mod upstream;
mod zone;

pub use fault::{FAULTS, Fault, Faults, named};
pub use follow::{FollowError, Following};
pub use names::{Names, Options};
pub use server::{Server, Sockets};
pub use upstream::Upstream;

/// The domain below which everything of the cluster is.
pub const DOMAIN: &str = "cluster.local";
