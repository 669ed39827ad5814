//! `linux.resources.rdma`.

use std::collections::HashMap;

use oci_spec::runtime::LinuxRdma;

use super::super::Error;
use super::super::setting::{Available, Setting};

pub(super) fn settings(
    available: &Available,
    limits: &HashMap<String, LinuxRdma>,
    all: &mut Vec<Setting>,
) -> Result<(), Error> {
    let mut devices: Vec<_> = limits.iter().collect();
    devices.sort_by_key(|(name, _)| name.as_str());
    for (device, limit) in devices {
        let field = format!("linux.resources.rdma.{device}");
        let place = available.place("rdma", &field)?;
        let mut value = device.clone();
        for (name, limit) in [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())] {
            if let Some(limit) = limit {
                value += &format!(" {name}={limit}");
            }
        }
        all.push(Setting::new(field, place, "rdma", "rdma.max", value));
    }
    Ok(())
}
