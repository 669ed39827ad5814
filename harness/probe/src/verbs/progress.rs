//! `counter` and `where`: what goes on while nobody looks.

use alloc::{format, vec::Vec};

use sys::freestanding::{
    clock, process,
    rustix::{
        fs::{self, Mode, OFlags},
        io,
    },
};

use crate::{
    call::{Call, Failure},
    facts::schedule,
    init, quantity,
};

/// Counts, in a file or in lines, until it is stopped or a time is over.
pub(super) fn counter(call: &Call) -> Result<u8, Failure> {
    call.only(&["every", "for"])?;
    let every = quantity::nanoseconds(call.option("every").unwrap_or("10ms"))?;
    let end = match call.option("for") {
        Some(time) => Some(clock::monotonic().saturating_add(quantity::nanoseconds(time)?)),
        None => None,
    };
    let file = match call.words().next() {
        Some(path) => Some(
            fs::open(
                path,
                OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o644),
            )
            .map_err(Failure::of(format!("open `{path}`")))?,
        ),
        None => None,
    };
    let mut count = 0_u64;
    loop {
        count += 1;
        match &file {
            // The number only grows, so that writing over it leaves nothing of the old one.
            Some(file) => {
                io::pwrite(file, format!("{count}\n").as_bytes(), 0).map_err(Failure::of("write the counter"))?;
            }
            None => call.line(|json| {
                json.key("count").plain(count);
                json.key("monotonic_ns").plain(clock::monotonic());
            })?,
        }
        if end.is_some_and(|end| clock::monotonic() >= end) {
            return Ok(0);
        }
        init::idle_for(every);
    }
}

/// Runs for a while and tells on which CPUs and memory nodes it ran.
pub(super) fn whereabouts(call: &Call) -> Result<u8, Failure> {
    call.only(&["for"])?;
    let end = clock::monotonic().saturating_add(quantity::nanoseconds(call.option("for").unwrap_or("500ms"))?);
    let (mut cpus, mut nodes): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    while clock::monotonic() < end {
        let (cpu, node) = process::cpu_and_node().map_err(Failure::of("ask for the cpu"))?;
        if !cpus.contains(&cpu) {
            cpus.push(cpu);
        }
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    cpus.sort_unstable();
    nodes.sort_unstable();
    call.line(|json| {
        json.key("cpus")
            .array(|json| cpus.iter().for_each(|cpu| json.plain(cpu)));
        json.key("nodes")
            .array(|json| nodes.iter().for_each(|node| json.plain(node)));
        match schedule::affinity() {
            Some(cpus) => json
                .key("affinity")
                .array(|json| cpus.iter().for_each(|cpu| json.plain(cpu))),
            None => json.key("affinity").null(),
        }
    })?;
    Ok(0)
}
