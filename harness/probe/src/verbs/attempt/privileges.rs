//! Operations that ask for privilege.

use alloc::{ffi::CString, format, vec::Vec};

use sys::freestanding::{
    Arg, descriptor, device, process,
    rustix::{
        fs::{Gid, Uid},
        io::Errno,
        process::{Rlimit, setrlimit},
        system::{setdomainname, sethostname},
        thread::{
            CapabilitySet, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities,
            set_thread_groups, set_thread_res_gid, set_thread_res_uid,
        },
    },
    signal, syscall_number,
};

use super::{Act, Run, Words};
use crate::{
    call::Failure,
    facts::{capabilities as known, limits},
    file, signal_name,
};

/// The bit of a namespace in the flags of `unshare` and `setns`.
fn namespace(name: &str) -> Option<u32> {
    Some(match name {
        "time" => 0x80,
        "mount" | "mnt" => 0x2_0000,
        "cgroup" => 0x200_0000,
        "uts" => 0x400_0000,
        "ipc" => 0x800_0000,
        "user" => 0x1000_0000,
        "pid" => 0x2000_0000,
        "network" | "net" => 0x4000_0000,
        _ => return None,
    })
}

fn link_type(name: &str) -> Option<LinkNameSpaceType> {
    Some(match name {
        "time" => LinkNameSpaceType::Time,
        "mount" | "mnt" => LinkNameSpaceType::Mount,
        "cgroup" => LinkNameSpaceType::ControlGroup,
        "uts" => LinkNameSpaceType::HostNameAndNISDomainName,
        "ipc" => LinkNameSpaceType::InterProcessCommunication,
        "user" => LinkNameSpaceType::User,
        "pid" => LinkNameSpaceType::ProcessID,
        "network" | "net" => LinkNameSpaceType::Network,
        _ => return None,
    })
}

/// Runs `verb` if it is one of these.
pub(super) fn run(verb: &str, words: &Words<'_>, run: Run<'_>) -> Result<bool, Failure> {
    let first = words.get(0);
    let bad = |what: &str| Failure::usage(format!("`{first}` is not {what}"));
    let number = |name: &str| syscall_number(name).ok_or_else(|| Failure::usage(format!("no call `{name}` here")));
    let id = || words.number::<u32>(0).ok_or_else(|| bad("an id"));
    let capability = || known::number(first).ok_or_else(|| bad("a capability"));
    match verb {
        "unshare" => {
            let flags = namespace(first).ok_or_else(|| bad("a namespace"))?;
            run(Act::Call(number("unshare")?, Vec::from([Arg::Number(flags as usize)])))?;
        }
        "setns" => {
            let name = words.get(1);
            let kind = match name {
                "" => None,
                name => Some(link_type(name).ok_or_else(|| Failure::usage(format!("`{name}` is not a namespace")))?),
            };
            run(Act::Copy(&|_| {
                let fd = file::open(first)?;
                move_into_link_name_space(sys::freestanding::rustix::fd::AsFd::as_fd(&fd), kind)
            }))?;
        }
        "sethostname" => run(Act::Copy(&|_| sethostname(first.as_bytes())))?,
        "setdomainname" => run(Act::Copy(&|_| setdomainname(first.as_bytes())))?,
        "setuid" => {
            let id = Uid::from_raw(id()?);
            run(Act::Copy(&|_| set_thread_res_uid(id, id, id)))?;
        }
        "setgid" => {
            let id = Gid::from_raw(id()?);
            run(Act::Copy(&|_| set_thread_res_gid(id, id, id)))?;
        }
        "setgroups" => {
            let groups: Vec<Gid> = first
                .split(',')
                .filter_map(|id| id.parse().ok())
                .map(Gid::from_raw)
                .collect();
            run(Act::Copy(&|_| set_thread_groups(&groups)))?;
        }
        "setrlimit" => {
            let resource = limits::named(first).ok_or_else(|| bad("a limit"))?;
            let value = |index| words.number::<u64>(index);
            let limit = Rlimit {
                current: value(1),
                maximum: value(2),
            };
            run(Act::Copy(&|_| setrlimit(resource, limit)))?;
        }
        "kill" => {
            let pid = words.number::<i32>(0).ok_or_else(|| bad("a pid"))?;
            let name = words.get(1);
            let signal =
                signal_name::number(name).ok_or_else(|| Failure::usage(format!("`{name}` is not a signal")))?;
            run(Act::Copy(&|_| signal::send(pid, signal)))?;
        }
        "ptrace" => {
            // PTRACE_SEIZE does not stop the one that is traced, and ends with the copy.
            let pid = words.number::<i32>(0).ok_or_else(|| bad("a pid"))?;
            run(Act::Call(
                number("ptrace")?,
                Vec::from([Arg::Number(0x4206), Arg::Number(pid as usize)]),
            ))?;
        }
        "tiocsti" => run(Act::Copy(&|_| device::type_at(descriptor::inherited(0)?, b' ')))?,
        "settime" => {
            // The time that it is, so that a success changes nothing; far outside a range it would be EINVAL.
            let now = sys::freestanding::clock::realtime();
            let mut time = [now / 1_000_000_000, now % 1_000_000_000]
                .map(u64::to_ne_bytes)
                .concat();
            run(Act::Call(
                number("clock_settime")?,
                Vec::from([Arg::Number(0), Arg::Bytes(&mut time)]),
            ))?;
        }
        "reboot" => {
            // With a magic number that is wrong: the privilege is asked first, so EINVAL says that it is there.
            run(Act::Call(
                number("reboot")?,
                Vec::from([Arg::Number(1), Arg::Number(2), Arg::Number(0)]),
            ))?;
        }
        "keyctl" => {
            // KEYCTL_GET_KEYRING_ID of the session keyring, made if it is not there.
            let session = (-3_i64) as usize;
            run(Act::Call(
                number("keyctl")?,
                Vec::from([Arg::Number(0), Arg::Number(session), Arg::Number(1)]),
            ))?;
        }
        "bpf" => {
            // BPF_MAP_CREATE of an array with one element of four bytes.
            let mut attributes = [2_u32, 4, 4, 1, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
            let length = Arg::Number(attributes.len());
            run(Act::Call(
                number("bpf")?,
                Vec::from([Arg::Number(0), Arg::Bytes(&mut attributes), length]),
            ))?;
        }
        "perf" => {
            // A software event, the CPU clock, of this process: type, size, configuration.
            let mut attributes = [0_u8; 64];
            attributes[0] = 1;
            attributes[4] = 64;
            let args = [
                Arg::Bytes(&mut attributes),
                Arg::Number(0),
                Arg::Number(usize::MAX),
                Arg::Number(usize::MAX),
            ];
            run(Act::Call(number("perf_event_open")?, Vec::from(args)))?;
        }
        "userfaultfd" => run(Act::Call(number("userfaultfd")?, Vec::from([Arg::Number(0)])))?,
        "io_uring" => {
            let mut parameters = [0_u8; 120];
            run(Act::Call(
                number("io_uring_setup")?,
                Vec::from([Arg::Number(2), Arg::Bytes(&mut parameters)]),
            ))?;
        }
        "syslog" => {
            // SYSLOG_ACTION_READ_ALL.
            let mut buffer = alloc::vec![0_u8; 4096];
            let length = Arg::Number(buffer.len());
            run(Act::Call(
                number("syslog")?,
                Vec::from([Arg::Number(3), Arg::Bytes(&mut buffer), length]),
            ))?;
        }
        "swapon" => {
            let path = CString::new(first).map_err(|_| bad("a path"))?;
            run(Act::Call(
                number("swapon")?,
                Vec::from([Arg::Text(&path), Arg::Number(0)]),
            ))?;
        }
        "raise" => {
            let bit = CapabilitySet::from_bits_retain(1 << capability()?);
            run(Act::Copy(&|_| {
                let mut sets = capabilities(None)?;
                sets.effective |= bit;
                sets.permitted |= bit;
                set_capabilities(None, sets)
            }))?;
        }
        "inherit" => {
            let bit = CapabilitySet::from_bits_retain(1 << capability()?);
            run(Act::Copy(&|_| {
                let mut sets = capabilities(None)?;
                sets.inheritable |= bit;
                set_capabilities(None, sets)
            }))?;
        }
        "ambient" => {
            let capability = capability()?;
            run(Act::Copy(&|_| process::raise_ambient(capability)))?;
        }
        "fork" => {
            let count = words.number::<u32>(0).unwrap_or(1);
            run(Act::Copy(&|json| {
                let (made, refused) = crate::verbs::fork::many(count);
                json.plain(made);
                refused.map_or(Ok(()), Err::<(), Errno>)
            }))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
