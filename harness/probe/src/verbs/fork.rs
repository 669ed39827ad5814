//! `fork` and `forkbomb`.

use alloc::format;

use sys::freestanding::{
    process::{self, Fork},
    rustix::{
        io::{Errno, ioctl_fionread, read},
        pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
        process::getpid,
    },
};

use crate::{
    call::{self, Call, Failure},
    errno, init,
};

/// Forks up to `count` children that sleep until their parent dies; tells how many, and why no more.
pub(super) fn many(count: u32) -> (u32, Option<Errno>) {
    let parent = getpid();
    for made in 0..count {
        match process::fork() {
            Ok(Fork::Child) => {
                // Without the parent nobody would end this one.
                if process::die_with(parent).is_err() {
                    process::exit(1);
                }
                init::idle(None);
                process::exit(0)
            }
            Ok(Fork::Parent(_)) => {}
            Err(errno) => return (made, Some(errno)),
        }
    }
    (count, None)
}

/// Forks children, tells how many it got, and holds them if told so.
pub(super) fn fork(call: &Call) -> Result<u8, Failure> {
    call.only(&["hold"])?;
    let word = call.word(0, "N")?;
    let count = word
        .parse()
        .map_err(|_| Failure::usage(format!("`{word}` is not a number")))?;
    let (made, refused) = many(count);
    call.line(|json| {
        json.key("forked").plain(made);
        json.key("refused")
            .bytes_or_null(refused.map(errno::name).as_deref().map(str::as_bytes));
    })?;
    if call.has("hold") {
        init::idle(None);
    }
    Ok(0)
}

/// Every process forks as long as a common store of tokens lasts, or the kernel refuses.
pub(super) fn bomb(call: &Call) -> Result<u8, Failure> {
    call.only(&["max"])?;
    let max = call.number("max", 512)?.min(60_000) as usize;
    let make = |errno| Failure::of("make a pipe of tokens")(errno);
    let (tokens, store) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(make)?;
    fcntl_setpipe_size(&store, 64 << 10).map_err(make)?;
    call::write_all(&store, &alloc::vec![0; max]).map_err(make)?;
    let mut refused = None;
    let mut first = true;
    while read(&tokens, &mut [0_u8; 1]) == Ok(1) {
        let parent = getpid();
        match process::fork() {
            Ok(Fork::Child) => {
                first = false;
                // Without the parent nobody would end this one.
                if process::die_with(parent).is_err() {
                    process::exit(1);
                }
            }
            Ok(Fork::Parent(_)) => {}
            Err(errno) => {
                refused = Some(errno);
                break;
            }
        }
    }
    if !first {
        init::idle(None);
        process::exit(0);
    }
    let (mut left, mut same) = (0, 0);
    while same < 4 {
        init::idle_for(50_000_000);
        let now = ioctl_fionread(&tokens).map_err(Failure::of("count the tokens"))?;
        same = if now == left { same + 1 } else { 0 };
        left = now;
    }
    call.line(|json| {
        json.key("tokensUsed").plain(max as u64 - left);
        json.key("refused")
            .bytes_or_null(refused.map(errno::name).as_deref().map(str::as_bytes));
    })?;
    init::idle(None);
    Ok(0)
}
