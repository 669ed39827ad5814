//! The mini-cluster in one process: API server, controllers, scheduler and nodes, put together.

mod cgroup;
mod config;
mod extension;
mod fault;
pub mod identity;
pub mod kubeconfig;
mod memory;
mod naming;
mod nodes;
mod scheduling;
mod serve;

pub use agent::{Families, FamiliesError, NetworkMode, NodeConfig, PodMode, RouteMode};
pub use config::{Config, check};
pub use fault::{Fault, faults};
pub use identity::Identity;
pub use serve::{Error, Ready, Serving, serve};
