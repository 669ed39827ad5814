//! The bundled OCI runtime: synchronous, single-threaded, one file per verb.

pub mod cgroup;
pub mod seccomp;
