//! Scheduling.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use sys::freestanding::{
    process,
    rustix::{
        process::getpriority_process,
        thread::{CpuSet, sched_getaffinity},
    },
};

use crate::json::Json;

/// The CPUs this process may run on.
pub(crate) fn affinity() -> Option<Vec<usize>> {
    let set = sched_getaffinity(None).ok()?;
    Some((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

fn policy_name(policy: u32) -> String {
    // The bit says that children do not inherit it.
    match policy & !0x4000_0000 {
        0 => "SCHED_OTHER".to_string(),
        1 => "SCHED_FIFO".to_string(),
        2 => "SCHED_RR".to_string(),
        3 => "SCHED_BATCH".to_string(),
        5 => "SCHED_IDLE".to_string(),
        6 => "SCHED_DEADLINE".to_string(),
        7 => "SCHED_EXT".to_string(),
        other => format!("{other}"),
    }
}

/// `sched: {policy, nice, affinity}` and `ioprio: {class, level}`.
pub(crate) fn all(json: &mut Json) {
    json.key("sched").object(|json| {
        let policy = process::scheduling_policy().ok().map(policy_name);
        json.key("policy").bytes_or_null(policy.as_deref().map(str::as_bytes));
        json.key("nice").plain_or_null(getpriority_process(None).ok());
        match affinity() {
            Some(cpus) => json
                .key("affinity")
                .array(|json| cpus.iter().for_each(|cpu| json.plain(cpu))),
            None => json.key("affinity").null(),
        }
    });
    match process::io_priority() {
        Ok((class, level)) => json.key("ioprio").object(|json| {
            let class = [
                "IOPRIO_CLASS_NONE",
                "IOPRIO_CLASS_RT",
                "IOPRIO_CLASS_BE",
                "IOPRIO_CLASS_IDLE",
            ]
            .get(class as usize)
            .copied()
            .unwrap_or("IOPRIO_CLASS_INVALID");
            json.key("class").string(class);
            json.key("level").plain(level);
        }),
        Err(_) => json.key("ioprio").null(),
    }
}
