//! The service proxy of a node: Services and EndpointSlices in, packet filter rules out, in the shape of kube-proxy's
//! nftables mode.
//!
//! [`Proxy`] follows the API. [`Tables`] is the same without it: objects go in, and [`Tables::sync`] writes what changed as
//! one transaction. What a Service needs is made by a pure function (`rules.rs`); two such make a difference
//! ([`netfilter::Batch::change`]), which touches only chains and elements that changed.
//!
//! See <https://kubernetes.io/docs/reference/networking/virtual-ips/>.

mod base;
mod config;
mod endpoint;
mod fault;
mod follow;
mod rules;
mod service;
mod tables;
mod trace;

pub use base::TABLE;
pub use config::{Config, Subnet};
pub use fault::FAULTS;
pub use follow::Proxy;
pub use tables::Tables;
pub use trace::{Backend, Front, Leads, Meant, leads, meant};
