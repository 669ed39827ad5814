//! `blocks` and `readblocks`.

use alloc::format;

use sys::freestanding::{
    clock,
    memory::Pages,
    rustix::{
        fs::{self, Mode, OFlags},
        io::{self, Errno},
    },
};

use crate::{
    call::{Call, Failure},
    quantity,
};

/// Writes a file.
pub(super) fn write(call: &Call) -> Result<u8, Failure> {
    transfer(call, OFlags::WRONLY | OFlags::CREATE)
}

/// Reads a file.
pub(super) fn read(call: &Call) -> Result<u8, Failure> {
    transfer(call, OFlags::RDONLY)
}

fn transfer(call: &Call, flags: OFlags) -> Result<u8, Failure> {
    call.only(&["direct", "bs"])?;
    let path = call.word(0, "PATH")?;
    let size = quantity::bytes(call.word(1, "SIZE")?)?;
    let block = usize::try_from(quantity::bytes(call.option("bs").unwrap_or("64Ki"))?)
        .unwrap_or(64 << 10)
        .max(512);
    let direct = call.has("direct");
    let writing = !flags.contains(OFlags::RDONLY) || flags.contains(OFlags::CREATE);
    let flags = flags | OFlags::CLOEXEC | if direct { OFlags::DIRECT } else { OFlags::empty() };
    let file = fs::open(path, flags, Mode::from_raw_mode(0o644)).map_err(Failure::of(format!("open `{path}`")))?;
    // Pages are aligned as direct transfers ask for.
    let mut pages = Pages::map(block).map_err(Failure::of("map a block"))?;
    pages.touch(0, block);
    let begun = clock::monotonic();
    let mut done = 0;
    while done < size {
        let part = &mut pages.bytes()[..block.min(usize::try_from(size - done).unwrap_or(block))];
        let result = if writing {
            io::write(&file, part)
        } else {
            io::read(&file, part)
        };
        match result {
            Ok(0) => break,
            Ok(count) => done += count as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::of(format!("transfer a block of `{path}`"))(errno)),
        }
    }
    if writing && !direct {
        fs::fdatasync(&file).map_err(Failure::of(format!("sync `{path}`")))?;
    }
    let wall = clock::monotonic() - begun;
    call.line(|json| {
        json.key("bytes").plain(done);
        json.key("wall_ns").plain(wall);
        json.key("direct").plain(direct);
    })?;
    Ok(0)
}
