//! What each part of `linux.resources` means for the control files; one file per part.

mod blkio;
mod cpu;
mod cpuset;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod unified;

use oci_spec::runtime::LinuxResources;

use super::Error;
use super::setting::{Available, Setting};

/// All settings for `resources` but the devices, in the order in which they are to be written.
pub(super) fn settings(available: &Available, resources: &LinuxResources) -> Result<Vec<Setting>, Error> {
    let mut all = Vec::new();
    if let Some(cpu) = resources.cpu() {
        cpuset::settings(available, cpu, &mut all)?;
        cpu::settings(available, cpu, &mut all)?;
    }
    if let Some(memory) = resources.memory() {
        memory::settings(available, memory, &mut all)?;
    }
    if let Some(pids) = resources.pids() {
        pids::settings(available, *pids, &mut all)?;
    }
    if let Some(block_io) = resources.block_io() {
        blkio::settings(available, block_io, &mut all)?;
    }
    if let Some(limits) = resources.hugepage_limits() {
        hugetlb::settings(available, limits, &mut all)?;
    }
    if let Some(network) = resources.network() {
        network::settings(available, network, &mut all)?;
    }
    if let Some(limits) = resources.rdma() {
        rdma::settings(available, limits, &mut all)?;
    }
    // Last, because it is the caller's own word about single files.
    if let Some(files) = resources.unified() {
        unified::settings(available, files, &mut all)?;
    }
    Ok(all)
}

/// A limit as v2 writes it.
fn or_max(limit: i64) -> String {
    if limit < 0 { "max".into() } else { limit.to_string() }
}
