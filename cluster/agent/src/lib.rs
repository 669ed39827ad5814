//! Nodes of the mini-cluster. Real ones: a network namespace, a cgroup subtree, a directory, and an agent that runs pods
//! with an OCI runtime. Simulated ones only say that they run pods.
//!
//! [`Node::start`] makes a node; what can happen to machines can happen to it ([`Node::kill`], [`Node::partition`] …).
//! `next.rs` decides what is to be done for a pod, and is a pure function; `worker.rs` has it done.

mod address;
mod agent;
mod backoff;
mod causes;
mod cgroup;
mod config;
mod console;
mod context;
mod engine;
mod env;
mod etc;
mod fault;
mod field;
mod heartbeat;
mod image_store;
mod log;
mod namespace;
mod network;
mod next;
mod node;
mod oci;
pub mod path;
mod probe;
mod process;
mod resolv;
mod resource;
mod security;
pub mod simulated;
mod span;
mod streams;
mod volume;
pub mod wiring;
mod worker;

pub use cgroup::CgroupError;
pub use config::{NodeConfig, Surroundings, Taint};
pub use fault::FAULTS;
pub use image_store::Images;
pub use network::{API, Families, FamiliesError, NetworkError, NetworkMode, PodMode, RouteMode, Underlay};
pub use node::{Node, NodeError};
pub use resolv::NAME_SERVER;
pub use simulated::Simulated;
