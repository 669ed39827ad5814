//! The mini-cluster in one process: API server, controllers, scheduler and nodes, put together.

pub mod identity;
pub mod kubeconfig;

pub use identity::Identity;
#[cfg_attr(not(test), expect(dead_code, reason = "the assembly, which comes next, starts it"))]
mod scheduling;
