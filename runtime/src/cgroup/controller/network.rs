//! `linux.resources.network`: marks for packets, which only v1 has.

use oci_spec::runtime::LinuxNetwork;

use super::super::setting::{Available, Place, Setting};
use super::super::{Error, Reason, refused};

pub(super) fn settings(available: &Available, network: &LinuxNetwork, all: &mut Vec<Setting>) -> Result<(), Error> {
    const CLASS: &str = "linux.resources.network.classID";
    if let Some(class) = network.class_id() {
        let place = v1(available, "net_cls", CLASS)?;
        all.push(Setting::new(
            CLASS,
            place,
            "net_cls",
            "net_cls.classid",
            class.to_string(),
        ));
    }
    for (index, priority) in network.priorities().iter().flatten().enumerate() {
        let field = format!("linux.resources.network.priorities[{index}]");
        let place = v1(available, "net_prio", &field)?;
        let value = format!("{} {}", priority.name(), priority.priority());
        all.push(Setting::new(field, place, "net_prio", "net_prio.ifpriomap", value));
    }
    Ok(())
}

fn v1(available: &Available, controller: &str, field: &str) -> Result<Place, Error> {
    match available.find(controller) {
        Some(place) => Ok(place),
        None if available.has_v1() => Err(refused(field, Reason::NoController(controller.into()))),
        None => Err(refused(field, Reason::V1Only)),
    }
}
