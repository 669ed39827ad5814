//! Operations on System V objects and message queues.

use alloc::{ffi::CString, format};

use sys::freestanding::ipc::{self, Kind};

use super::{Act, Run, Words};
use crate::call::Failure;

/// Runs `verb` if it is one of these. What is made stays, so they are done by this process.
pub(super) fn run(verb: &str, words: &Words<'_>, run: Run<'_>) -> Result<bool, Failure> {
    let first = words.get(0);
    let create = || match words.get(1) {
        "create" => Ok(true),
        "" | "open" => Ok(false),
        other => Err(Failure::usage(format!("`{other}` is neither create nor open"))),
    };
    let key = || {
        words
            .any_base(0)
            .and_then(|key| i32::try_from(key).ok())
            .ok_or_else(|| Failure::usage(format!("`{first}` is not a key")))
    };
    let name = || CString::new(first).map_err(|_| Failure::usage("a name holds a zero byte"));
    match verb {
        "shmget" | "msgget" | "semget" => {
            let kind = match verb {
                "shmget" => Kind::SharedMemory,
                "msgget" => Kind::Messages,
                _ => Kind::Semaphores,
            };
            let (key, create) = (key()?, create()?);
            run(Act::Here(&|| ipc::get(kind, key, create).map(drop)))?;
        }
        "mqopen" => {
            let (name, create) = (name()?, create()?);
            run(Act::Here(&|| ipc::open_queue(&name, create).map(drop)))?;
        }
        "mqunlink" => {
            let name = name()?;
            run(Act::Here(&|| ipc::unlink_queue(&name)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
