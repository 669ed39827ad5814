//! The line that the probe writes about itself before it goes on.

use sys::freestanding::descriptor;

use crate::{
    call::{Call, Failure},
    facts::{
        capabilities, descriptors, identity, ipc, limits, mounts, namespaces, network, schedule,
        signals::{self, Inherited},
        sockets,
    },
    init,
    json::Json,
};

/// Writes the report if the environment asks for it, with `PLIMSOLL_REPORT` = `off`, `last`
/// (see [`last`]), `min`, or anything else for all.
pub(crate) fn first(call: &Call, started: u64) -> Result<(), Failure> {
    let style = call.variable("PLIMSOLL_REPORT");
    if call.nonce.is_none() || matches!(style.as_deref(), Some("off" | "last")) {
        init::begin();
        return Ok(());
    }
    let number = match call.variable("PLIMSOLL_REPORT_FD") {
        None => 1,
        Some(text) => text
            .parse()
            .map_err(|_| Failure::usage("PLIMSOLL_REPORT_FD is not a number"))?,
    };
    let fd = descriptor::inherited(number).map_err(Failure::of("write the report"))?;
    if style.as_deref() == Some("min") {
        call.line_to(fd, |json| {
            json.key("report").object(|json| {
                json.key("pid")
                    .plain(sys::freestanding::rustix::process::getpid().as_raw_nonzero());
                json.key("t_ns").plain(started);
            });
        })?;
        init::begin();
        return Ok(());
    }
    // Asked before the handlers of PID 1 are there, told after: whoever reads the line may send a signal at once.
    let inherited = signals::inherited();
    init::begin();
    call.line_to(fd, |json| {
        json.key("report").object(|json| {
            json.key("t_ns").plain(started);
            all(json, call, &inherited);
        });
    })
}

/// Writes a short report when the verb is done, with `PLIMSOLL_REPORT=last`: whoever measures how soon the verb's own output
/// comes, is told only then when the process began and in which namespaces it is.
pub(crate) fn last(call: &Call, started: u64) -> Result<(), Failure> {
    if call.nonce.is_none() || call.variable("PLIMSOLL_REPORT").as_deref() != Some("last") {
        return Ok(());
    }
    call.line(|json| {
        json.key("report").object(|json| {
            json.key("t_ns").plain(started);
            namespaces::links(json);
        });
    })
}

/// All facts.
pub(crate) fn all(json: &mut Json, call: &Call, inherited: &Inherited) {
    // First, because looking opens descriptors.
    descriptors::open(json);
    identity::process(json);
    identity::user(json);
    identity::directory(json);
    identity::arguments(json, &call.argv);
    identity::environment(json, &call.env);
    identity::host(json);
    capabilities::sets(json);
    capabilities::confinement(json);
    limits::all(json);
    identity::traits(json);
    namespaces::links(json);
    namespaces::maps(json);
    signals::all(json, inherited);
    schedule::all(json);
    descriptors::terminals(json);
    identity::clocks(json);
    identity::root(json);
    identity::proc_files(json);
    mounts::table(json);
    json.key("net").object(|json| {
        network::interfaces(json);
        network::routes(json);
        sockets::listening(json);
    });
    ipc::visible(json);
}
