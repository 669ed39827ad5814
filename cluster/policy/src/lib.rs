//! The network policies of a node: NetworkPolicies, pods and namespaces in, packet filter rules out.
//!
//! [`Enforcer`] follows the API. [`Tables`] is the same without it: objects go in, and [`Tables::sync`] writes what changed
//! as one transaction. What a policy and a pod need is made by pure functions (`rules.rs`). [`drops()`] tells what was dropped.
//!
//! A packet is judged by its connection: who began it, who answers, and on which port of his. So an answer is judged as
//! what it answers is, a Service is judged by the pod that was chosen, and a connection that is allowed no more ends with
//! its next packet, whichever way that goes.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/network-policies/>.

mod base;
mod config;
mod direction;
mod drops;
mod fault;
mod follow;
mod pod;
mod policy;
mod rules;
mod tables;
#[cfg(test)]
mod truth;
mod world;

pub use base::TABLE;
pub use config::Config;
pub use direction::Direction;
pub use drops::{Drops, drops};
pub use fault::FAULTS;
pub use follow::Enforcer;
pub use tables::Tables;
