//! `update`: other limits for a container that is there.

use std::io::Read;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::Verb;
use crate::Global;
use crate::arguments::{Arguments, Flag, value};
use crate::container::{Container, Status};
use crate::error::{Attempt, Error, Result, at};

const FLAGS: [Flag; 14] = [
    value(
        "resources",
        Some('r'),
        "FILE",
        "`linux.resources` as JSON; `-` is standard input",
    ),
    value("memory", None, "BYTES", "memory limit; -1 is none"),
    value("memory-reservation", None, "BYTES", "soft memory limit"),
    value("memory-swap", None, "BYTES", "limit of memory and swap; -1 is none"),
    value("cpu-period", None, "MICROSECONDS", "period of the quota"),
    value(
        "cpu-quota",
        None,
        "MICROSECONDS",
        "time to run in each period; -1 is no limit",
    ),
    value("cpu-burst", None, "MICROSECONDS", "time that may be saved up"),
    value("cpu-share", None, "SHARES", "weight against others"),
    value("cpu-rt-period", None, "MICROSECONDS", "period of real-time tasks"),
    value(
        "cpu-rt-runtime",
        None,
        "MICROSECONDS",
        "time of real-time tasks in each period",
    ),
    value("cpuset-cpus", None, "LIST", "processors to run on"),
    value("cpuset-mems", None, "LIST", "memory nodes to use"),
    value("pids-limit", None, "N", "most processes; -1 is no limit"),
    value("blkio-weight", None, "WEIGHT", "weight of input and output, 10 to 1000"),
];

pub(super) const VERB: Verb = Verb {
    name: "update",
    words: "ID",
    help: "change the limits of a container",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    if container.status() == Status::Stopped {
        return Err(container.not("update", "created, running or paused"));
    }
    let resources = match arguments.path("resources") {
        Some(path) => {
            let mut text = Vec::new();
            if path.as_os_str() == "-" {
                std::io::stdin()
                    .read_to_end(&mut text)
                    .attempt(|| "read standard input".into())?;
            } else {
                text = std::fs::read(&path).attempt(|| at("read", &path))?;
            }
            serde_json::from_slice(&text).map_err(|source| Error::Parse { path, source })?
        }
        None => by_options(&arguments)?,
    };
    container.saved.cgroup.update(&resources)?;
    Ok(0)
}

fn by_options(arguments: &Arguments) -> Result<LinuxResources> {
    let mut resources = LinuxResources::default();
    let mut memory = LinuxMemory::default();
    memory.set_limit(bytes(arguments, "memory")?);
    memory.set_reservation(bytes(arguments, "memory-reservation")?);
    memory.set_swap(bytes(arguments, "memory-swap")?);
    if memory != LinuxMemory::default() {
        resources.set_memory(Some(memory));
    }
    let mut cpu = LinuxCpu::default();
    cpu.set_period(arguments.number("cpu-period")?);
    cpu.set_quota(arguments.number("cpu-quota")?);
    cpu.set_burst(arguments.number("cpu-burst")?);
    cpu.set_shares(arguments.number("cpu-share")?);
    cpu.set_realtime_period(arguments.number("cpu-rt-period")?);
    cpu.set_realtime_runtime(arguments.number("cpu-rt-runtime")?);
    cpu.set_cpus(arguments.text("cpuset-cpus")?.map(String::from));
    cpu.set_mems(arguments.text("cpuset-mems")?.map(String::from));
    if cpu != LinuxCpu::default() {
        resources.set_cpu(Some(cpu));
    }
    if let Some(limit) = arguments.number("pids-limit")? {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    if let Some(weight) = arguments.number("blkio-weight")? {
        let mut block_io = LinuxBlockIo::default();
        block_io.set_weight(Some(weight));
        resources.set_block_io(Some(block_io));
    }
    if resources == LinuxResources::default() {
        return Err(Error::usage("neither --resources nor a limit is given"));
    }
    Ok(resources)
}

/// A number of bytes, with `k`, `m` or `g` behind it if wanted.
fn bytes(arguments: &Arguments, name: &str) -> Result<Option<i64>> {
    let Some(text) = arguments.text(name)? else {
        return Ok(None);
    };
    let wrong = || Error::usage(format!("option `--{name}`: `{text}` is not a number of bytes"));
    let lower = text.to_ascii_lowercase();
    let plain = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, shift) = match plain.chars().last() {
        Some('k') => (&plain[..plain.len() - 1], 10),
        Some('m') => (&plain[..plain.len() - 1], 20),
        Some('g') => (&plain[..plain.len() - 1], 30),
        Some('t') => (&plain[..plain.len() - 1], 40),
        _ => (plain, 0),
    };
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    if number < 0 && (number != -1 || shift != 0) {
        return Err(wrong());
    }
    let product = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    Ok(Some(product))
}
