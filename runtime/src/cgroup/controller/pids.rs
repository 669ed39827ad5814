//! `linux.resources.pids`.

use oci_spec::runtime::LinuxPids;

use super::super::Error;
use super::super::setting::{Available, Setting};

pub(super) fn settings(available: &Available, pids: LinuxPids, all: &mut Vec<Setting>) -> Result<(), Error> {
    const LIMIT: &str = "linux.resources.pids.limit";
    // Engines write 0 as well as -1 for *unlimited*.
    let value = if pids.limit() <= 0 {
        "max".into()
    } else {
        pids.limit().to_string()
    };
    if value == "max" && available.find("pids").is_none() {
        return Ok(());
    }
    all.push(Setting::new(
        LIMIT,
        available.place("pids", LIMIT)?,
        "pids",
        "pids.max",
        value,
    ));
    Ok(())
}
