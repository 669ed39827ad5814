//! One line about one thing.

use crate::{
    call::{Call, Failure},
    facts::{capabilities, descriptors, identity, limits, mounts, namespaces, network, processes, signals, sockets},
    json::Json,
};

/// Writes the line whose fields are `fields`, and succeeds.
fn tell(call: &Call, fields: impl FnOnce(&mut Json)) -> Result<u8, Failure> {
    call.only(&[])?;
    call.line(fields)?;
    Ok(0)
}

/// `report`.
pub(super) fn report(call: &Call) -> Result<u8, Failure> {
    let inherited = signals::inherited();
    tell(call, |json| {
        json.key("report")
            .object(|json| crate::report::all(json, call, &inherited))
    })
}

/// `processes`.
pub(super) fn processes(call: &Call) -> Result<u8, Failure> {
    tell(call, processes::shown)
}

/// `namespaces`.
pub(super) fn namespaces(call: &Call) -> Result<u8, Failure> {
    tell(call, |json| {
        namespaces::links(json);
        namespaces::maps(json);
    })
}

/// `mounts`.
pub(super) fn mounts(call: &Call) -> Result<u8, Failure> {
    tell(call, |json| {
        mounts::table(json);
        identity::root(json);
    })
}

/// `interfaces`.
pub(super) fn interfaces(call: &Call) -> Result<u8, Failure> {
    tell(call, network::interfaces)
}

/// `routes`.
pub(super) fn routes(call: &Call) -> Result<u8, Failure> {
    tell(call, network::routes)
}

/// `ids`.
pub(super) fn ids(call: &Call) -> Result<u8, Failure> {
    tell(call, |json| {
        identity::process(json);
        identity::user(json);
    })
}

/// `capabilities`.
pub(super) fn capabilities(call: &Call) -> Result<u8, Failure> {
    tell(call, capabilities::sets)
}

/// `limits`.
pub(super) fn limits(call: &Call) -> Result<u8, Failure> {
    tell(call, limits::all)
}

/// `cwd`.
pub(super) fn cwd(call: &Call) -> Result<u8, Failure> {
    tell(call, identity::directory)
}

/// `fds`.
pub(super) fn fds(call: &Call) -> Result<u8, Failure> {
    tell(call, |json| {
        descriptors::open(json);
        descriptors::terminals(json);
    })
}

/// `seccomp`.
pub(super) fn seccomp(call: &Call) -> Result<u8, Failure> {
    tell(call, capabilities::confinement)
}

/// `signals`.
pub(super) fn signals(call: &Call) -> Result<u8, Failure> {
    let inherited = signals::inherited();
    tell(call, |json| signals::all(json, &inherited))
}

/// `sockets`.
pub(super) fn sockets(call: &Call) -> Result<u8, Failure> {
    tell(call, sockets::listening)
}

/// `clock`.
pub(super) fn clock(call: &Call) -> Result<u8, Failure> {
    tell(call, identity::clocks)
}

/// `env`.
pub(super) fn env(call: &Call) -> Result<u8, Failure> {
    tell(call, |json| identity::environment(json, &call.env))
}

/// `hostname`.
pub(super) fn hostname(call: &Call) -> Result<u8, Failure> {
    tell(call, identity::host)
}
