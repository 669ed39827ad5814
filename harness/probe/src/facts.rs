//! What the probe can tell about itself; each fact writes its fields into an object that is open.

pub(crate) mod capabilities;
pub(crate) mod descriptors;
pub(crate) mod identity;
pub(crate) mod ipc;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod processes;
pub(crate) mod schedule;
pub(crate) mod signals;
pub(crate) mod sockets;
