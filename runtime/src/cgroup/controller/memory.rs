//! `linux.resources.memory`.

use oci_spec::runtime::LinuxMemory;

use super::super::setting::{Available, IfAbsent, Place, Setting};
use super::super::{Error, Reason, refused};
use super::or_max;

const LIMIT: &str = "linux.resources.memory.limit";
const SWAP: &str = "linux.resources.memory.swap";
const RESERVATION: &str = "linux.resources.memory.reservation";
const KERNEL: &str = "linux.resources.memory.kernel";
const KERNEL_TCP: &str = "linux.resources.memory.kernelTCP";
const SWAPPINESS: &str = "linux.resources.memory.swappiness";
const DISABLE_OOM_KILLER: &str = "linux.resources.memory.disableOOMKiller";
const USE_HIERARCHY: &str = "linux.resources.memory.useHierarchy";

pub(super) fn settings(available: &Available, memory: &LinuxMemory, all: &mut Vec<Setting>) -> Result<(), Error> {
    // Zero means *as it is* to every engine that writes these fields.
    let limit = memory.limit().filter(|&limit| limit != 0);
    let swap = memory.swap().filter(|&swap| swap != 0);
    if let (Some(limit), Some(swap)) = (limit, swap)
        && swap >= 0
        && limit > swap
    {
        return Err(refused(
            SWAP,
            Reason::Below {
                other: LIMIT,
                least: limit,
            },
        ));
    }
    limits(available, limit, swap, all)?;
    if let Some(reservation) = memory.reservation().filter(|&reservation| reservation != 0) {
        all.push(match available.place("memory", RESERVATION)? {
            place @ Place::V1(_) => {
                let value = reservation.max(-1).to_string();
                Setting::new(RESERVATION, place, "memory", "memory.soft_limit_in_bytes", value)
            }
            place @ Place::Unified => Setting::new(RESERVATION, place, "memory", "memory.low", or_max(reservation)),
        });
    }
    // Kernels since 5.16 take the kernel memory limit and ignore it: it is read back.
    for (field, limit, file) in [
        (KERNEL, memory.kernel(), "memory.kmem.limit_in_bytes"),
        (KERNEL_TCP, memory.kernel_tcp(), "memory.kmem.tcp.limit_in_bytes"),
    ] {
        let Some(limit) = limit.filter(|&limit| limit > 0) else {
            continue;
        };
        match available.place("memory", field)? {
            place @ Place::V1(_) => {
                all.push(Setting::new(field, place, "memory", file, limit.to_string()).verified());
            }
            Place::Unified => return Err(refused(field, Reason::V1Only)),
        }
    }
    if let Some(swappiness) = memory.swappiness() {
        if swappiness > 100 {
            let reason = Reason::OutOfRange {
                value: swappiness.into(),
                least: 0,
                greatest: 100,
            };
            return Err(refused(SWAPPINESS, reason));
        }
        match available.place("memory", SWAPPINESS)? {
            place @ Place::V1(_) => {
                all.push(Setting::new(
                    SWAPPINESS,
                    place,
                    "memory",
                    "memory.swappiness",
                    swappiness.to_string(),
                ));
            }
            Place::Unified => return Err(refused(SWAPPINESS, Reason::V1Only)),
        }
    }
    if let Some(disable) = memory.disable_oom_killer() {
        match available.find("memory") {
            Some(place @ Place::V1(_)) => {
                let value = if disable { "1" } else { "0" };
                all.push(Setting::new(
                    DISABLE_OOM_KILLER,
                    place,
                    "memory",
                    "memory.oom_control",
                    value,
                ));
            }
            Some(Place::Unified) if disable => return Err(refused(DISABLE_OOM_KILLER, Reason::V1Only)),
            None if disable => return Err(refused(DISABLE_OOM_KILLER, Reason::NoController("memory".into()))),
            Some(Place::Unified) | None => {}
        }
    }
    match memory.use_hierarchy() {
        None => {}
        Some(hierarchy) => match available.place("memory", USE_HIERARCHY)? {
            place @ Place::V1(_) => {
                let value = if hierarchy { "1" } else { "0" };
                all.push(Setting::new(
                    USE_HIERARCHY,
                    place,
                    "memory",
                    "memory.use_hierarchy",
                    value,
                ));
            }
            // Always so on v2.
            Place::Unified if hierarchy => {}
            Place::Unified => return Err(refused(USE_HIERARCHY, Reason::V1Only)),
        },
    }
    Ok(())
}

/// The limit of memory, and that of memory and swap together, which v2 counts apart.
fn limits(available: &Available, limit: Option<i64>, swap: Option<i64>, all: &mut Vec<Setting>) -> Result<(), Error> {
    if let Some(limit) = limit {
        all.push(match available.place("memory", LIMIT)? {
            place @ Place::V1(_) => Setting::new(
                LIMIT,
                place,
                "memory",
                "memory.limit_in_bytes",
                limit.max(-1).to_string(),
            ),
            place @ Place::Unified => Setting::new(LIMIT, place, "memory", "memory.max", or_max(limit)),
        });
    }
    // No limit of memory implies none of memory and swap.
    let Some(swap) = swap.or(limit.filter(|&limit| limit < 0)) else {
        return Ok(());
    };
    match available.place("memory", SWAP)? {
        place @ Place::V1(_) => {
            let if_absent = if swap < 0 {
                IfAbsent::Holds
            } else {
                IfAbsent::Refuse(Reason::NoSwapAccounting)
            };
            let value = swap.max(-1).to_string();
            all.push(Setting::new(SWAP, place, "memory", "memory.memsw.limit_in_bytes", value).if_absent(if_absent));
        }
        place @ Place::Unified => {
            let value = match limit {
                _ if swap < 0 => "max".into(),
                Some(limit) if limit > 0 => (swap - limit).to_string(),
                _ => return Err(refused(SWAP, Reason::Needs(LIMIT))),
            };
            // Without swap in the kernel nobody swaps, and nobody is kept from it.
            let holds = value == "max" || value == "0";
            let if_absent = if holds {
                IfAbsent::Holds
            } else {
                IfAbsent::Refuse(Reason::NoSwapAccounting)
            };
            all.push(Setting::new(SWAP, place, "memory", "memory.swap.max", value).if_absent(if_absent));
        }
    }
    Ok(())
}
