//! `alloc`.

use sys::freestanding::memory::Pages;

use crate::{
    call::{Call, Failure},
    init, quantity,
};

/// Uses memory step by step, and tells when each quarter is reached.
pub(super) fn alloc(call: &Call) -> Result<u8, Failure> {
    call.only(&["of-limit", "step", "every", "then-exit", "then-sleep"])?;
    let size = match call.option("of-limit") {
        Some(share) => {
            let limit = call.variable("LIMIT").or_else(|| call.words().next().map(Into::into));
            let limit = limit.ok_or_else(|| Failure::usage("`--of-limit` needs LIMIT in the environment or a SIZE"))?;
            u128::from(quantity::bytes(&limit)?) * u128::from(quantity::percent(share)?) / 100
        }
        None => u128::from(quantity::bytes(call.word(0, "SIZE")?)?),
    };
    let size = usize::try_from(size).map_err(|_| Failure::usage("SIZE does not fit an address space"))?;
    let step = usize::try_from(quantity::bytes(call.option("step").unwrap_or("1Mi"))?.max(4096)).unwrap_or(1 << 20);
    let pause = call.option("every").map(quantity::nanoseconds).transpose()?;
    let code = match call.option("then-exit") {
        Some(code) => code
            .parse()
            .map_err(|_| Failure::usage("`--then-exit` needs a code from 0 to 255"))?,
        None => 0,
    };
    let mut pages = Pages::map(size.max(1)).map_err(Failure::of(alloc::format!("map {size} bytes")))?;
    let (mut used, mut told) = (0, 0);
    while used < size {
        let count = step.min(size - used);
        pages.touch(used, count);
        used += count;
        if used == size || used - told >= size / 4 {
            told = used;
            call.line(|json| json.key("allocated").plain(used))?;
        }
        if let Some(pause) = pause {
            init::idle_for(pause);
        }
    }
    if call.has("then-sleep") {
        match call.option("then-sleep") {
            Some(time) => init::idle_for(quantity::nanoseconds(time)?),
            None => init::idle(None),
        }
    }
    Ok(code)
}
