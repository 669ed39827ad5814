//! The table of faults, one file an area.

mod accepting;
mod capabilities;
pub(crate) mod cost;
mod devices;
mod exec;
mod hooks;
mod ids;
mod joining;
mod kill;
mod lifecycle;
mod limits;
mod membership;
mod mounts;
mod namespaces;
mod neighbours;
mod paths;
mod process;
mod seccomp;
mod state;
mod surroundings;
mod sysctl;
mod update;

use crate::catalogue::{Act, Fault, knockout};

const HEALTHY: [Fault; 1] = [knockout(
    "none",
    &[],
    "hands every call on as it is: the wrapper itself changes nothing",
    Act::Nothing,
)];

/// Every area.
pub(crate) const AREAS: &[&[Fault]] = &[
    &HEALTHY,
    namespaces::ALL,
    ids::ALL,
    mounts::ALL,
    paths::ALL,
    devices::ALL,
    limits::ALL,
    membership::ALL,
    capabilities::ALL,
    seccomp::ALL,
    sysctl::ALL,
    process::ALL,
    hooks::ALL,
    accepting::ALL,
    lifecycle::ALL,
    state::ALL,
    kill::ALL,
    exec::ALL,
    joining::ALL,
    neighbours::ALL,
    surroundings::ALL,
    update::ALL,
    cost::ALL,
];
