//! Where a pod goes, and why.
//!
//! kube-scheduler's framework and names as a value: [`Engine::put`] and [`Engine::gone`] feed it objects,
//! [`Engine::next`] takes one decision. It does no IO, reads no clock (time is passed in) and draws its random numbers
//! from a seed, so the same feed gives the same decisions.
//!
//! What is dear in a large cluster is kept up to date, not computed: how many pods of a kind are in each zone or on each
//! node (`tally`), what a node has left (`snapshot`). Pods that look the same to the scheduler share one class.
//! A plugin is a file in `plugin`: its name, its reasons and pure functions.

pub mod config;
mod cycle;
pub mod decision;
mod engine;
mod event;
mod explain;
mod id;
mod memory;
mod message;
mod node;
pub mod perf;
mod plugin;
mod pod;
mod queue;
mod random;
mod refused;
mod resources;
mod selector;
mod shape;
mod snapshot;
mod taint;
mod tally;
mod words;

pub use config::{Config, Fault, Strategy};
pub use decision::{Decision, Nomination, Outcome, PodKey};
pub use engine::Engine;
pub use explain::{Explanation, NodeView, PluginScore, Rejection};
