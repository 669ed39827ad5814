//! `burn`.

use core::hint::black_box;

use sys::freestanding::{
    clock,
    process::{self, Fork},
    rustix::process::getpid,
};

use crate::{
    call::{Call, Failure},
    quantity,
};

/// How many steps are taken between two looks at the clock.
const ROUND: u64 = 1 << 16;

/// Keeps as many CPUs busy as it has processes, until a time is over.
pub(super) fn burn(call: &Call) -> Result<u8, Failure> {
    call.only(&["procs", "threads", "for"])?;
    let count = call.number("procs", call.number("threads", 1)?)?;
    let begun = clock::monotonic();
    let deadline = match call.option("for") {
        Some(time) => Some(begun.saturating_add(quantity::nanoseconds(time)?)),
        None => None,
    };
    let parent = getpid();
    let mut children = alloc::vec::Vec::new();
    for _ in 1..count {
        match process::fork().map_err(Failure::of("fork"))? {
            Fork::Child => {
                // Without the parent nobody would end this one.
                if process::die_with(parent).is_err() {
                    process::exit(1);
                }
                spin(deadline);
                process::exit(0)
            }
            Fork::Parent(pid) => children.push(pid),
        }
    }
    let rounds = spin(deadline);
    for child in children {
        process::wait_for(child).map_err(Failure::of("wait for a child"))?;
    }
    let wall = clock::monotonic() - begun;
    call.line(|json| {
        json.key("rounds").plain(rounds);
        json.key("cpu_ns").plain(clock::cpu());
        json.key("wall_ns").plain(wall);
    })?;
    Ok(0)
}

/// Counts until `deadline`, or for ever, and tells how many rounds it took.
fn spin(deadline: Option<u64>) -> u64 {
    let mut rounds = 0_u64;
    while deadline.is_none_or(|deadline| clock::monotonic() < deadline) {
        for step in 0..ROUND {
            black_box(step);
        }
        rounds += 1;
    }
    rounds
}
