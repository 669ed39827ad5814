//! `orphans`.

use alloc::format;

use sys::freestanding::{
    clock,
    process::{self, Fork},
};

use crate::{
    call::{Call, Failure},
    facts::processes,
    init,
};

/// Makes grandchildren whose parents are gone when they end, so that PID 1 must take their exit codes.
pub(super) fn orphans(call: &Call) -> Result<u8, Failure> {
    call.only(&[])?;
    let word = call.words().next().unwrap_or("8");
    let count: u32 = word
        .parse()
        .map_err(|_| Failure::usage(format!("`{word}` is not a number")))?;
    for _ in 0..count {
        match process::fork().map_err(Failure::of("fork"))? {
            Fork::Child => {
                let grandchild = process::fork();
                if matches!(grandchild, Ok(Fork::Child)) {
                    init::idle_for(50_000_000);
                    process::exit(0);
                }
                process::exit(i32::from(grandchild.is_err()))
            }
            Fork::Parent(child) => {
                process::wait_for(child).map_err(Failure::of("wait for a child"))?;
            }
        }
    }
    let deadline = clock::monotonic() + 2_000_000_000;
    let mut zombies = None;
    init::idle_for(100_000_000);
    while clock::monotonic() < deadline {
        zombies = processes::zombies();
        if zombies == Some(0) {
            break;
        }
        init::idle_for(20_000_000);
    }
    call.line(|json| {
        json.key("orphans").plain(count);
        json.key("zombies").plain_or_null(zombies);
        json.key("first").plain(init::is_first());
    })?;
    Ok(0)
}
