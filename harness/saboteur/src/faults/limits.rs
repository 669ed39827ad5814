//! Limits of control groups: not applied, or applied a little off.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at, near_miss};
use crate::edit::{list, objects, remove, scale_number};

const QUOTA: &str = "/linux/resources/cpu/quota";
const PERIOD: &str = "/linux/resources/cpu/period";
const SHARES: &str = "/linux/resources/cpu/shares";
const MEMORY: &str = "/linux/resources/memory/limit";
const SWAP: &str = "/linux/resources/memory/swap";
const RESERVATION: &str = "/linux/resources/memory/reservation";
const PIDS: &str = "/linux/resources/pids/limit";

pub(crate) const ALL: &[Fault] = &[
    config(
        "resources-dropped",
        &[
            "memory", "cpu", "cpuset", "pids", "io", "hugetlb", "devices", "stats", "update", "kill",
        ],
        "applies no limits at all",
        |config| remove(config, "/linux/resources"),
    ),
    config(
        "memory-limit-dropped",
        &["memory", "update"],
        "applies no limit of memory and swap",
        |config| {
            remove(config, MEMORY);
            remove(config, SWAP);
        },
    ),
    config_at(
        "memory-dropped",
        &["memory", "update"],
        "applies nothing about memory",
        dropped,
        "/linux/resources/memory",
    ),
    near_miss(
        "memory-limit-doubled",
        &["memory", "update"],
        "allows twice the memory",
        MEMORY,
        100,
    ),
    near_miss(
        "memory-limit-plus-50",
        &["memory", "update"],
        "allows 50 % more memory",
        MEMORY,
        50,
    ),
    near_miss(
        "memory-limit-plus-20",
        &["memory", "update"],
        "allows 20 % more memory",
        MEMORY,
        20,
    ),
    near_miss(
        "memory-limit-plus-10",
        &["memory", "update"],
        "allows 10 % more memory",
        MEMORY,
        10,
    ),
    near_miss(
        "memory-limit-plus-5",
        &["memory", "update"],
        "allows 5 % more memory",
        MEMORY,
        5,
    ),
    near_miss(
        "memory-limit-minus-5",
        &["memory", "update"],
        "allows 5 % less memory",
        MEMORY,
        -5,
    ),
    near_miss(
        "memory-limit-minus-20",
        &["memory", "update"],
        "allows 20 % less memory",
        MEMORY,
        -20,
    ),
    near_miss(
        "memory-limit-halved",
        &["memory", "update"],
        "allows half the memory",
        MEMORY,
        -50,
    ),
    config_at(
        "memory-swap-dropped",
        &["memory"],
        "applies no limit of memory and swap together",
        dropped,
        SWAP,
    ),
    near_miss(
        "memory-swap-doubled",
        &["memory"],
        "allows twice the memory and swap together",
        SWAP,
        100,
    ),
    near_miss(
        "memory-swap-plus-20",
        &["memory"],
        "allows 20 % more memory and swap together",
        SWAP,
        20,
    ),
    config_at(
        "memory-reservation-dropped",
        &["memory"],
        "applies no memory reservation",
        dropped,
        RESERVATION,
    ),
    near_miss(
        "memory-reservation-doubled",
        &["memory"],
        "reserves twice the memory",
        RESERVATION,
        100,
    ),
    near_miss(
        "memory-reservation-plus-20",
        &["memory"],
        "reserves 20 % more memory",
        RESERVATION,
        20,
    ),
    near_miss(
        "memory-reservation-minus-20",
        &["memory"],
        "reserves 20 % less memory",
        RESERVATION,
        -20,
    ),
    config_at(
        "memory-swappiness-dropped",
        &["memory"],
        "does not set the swappiness",
        dropped,
        "/linux/resources/memory/swappiness",
    ),
    config_at(
        "memory-oom-killer-enabled",
        &["memory"],
        "leaves the OOM killer on where it was to be off",
        dropped,
        "/linux/resources/memory/disableOOMKiller",
    ),
    config(
        "cpu-quota-dropped",
        &["cpu", "update"],
        "applies no quota of CPU time",
        |config| remove(config, QUOTA),
    ),
    config_at(
        "cpu-dropped",
        &["cpu", "cpuset", "update"],
        "applies nothing about CPUs",
        dropped,
        "/linux/resources/cpu",
    ),
    near_miss(
        "cpu-quota-doubled",
        &["cpu", "update"],
        "allows twice the CPU time",
        QUOTA,
        100,
    ),
    near_miss(
        "cpu-quota-plus-50",
        &["cpu", "update"],
        "allows 50 % more CPU time",
        QUOTA,
        50,
    ),
    near_miss(
        "cpu-quota-plus-20",
        &["cpu", "update"],
        "allows 20 % more CPU time",
        QUOTA,
        20,
    ),
    near_miss(
        "cpu-quota-plus-10",
        &["cpu", "update"],
        "allows 10 % more CPU time",
        QUOTA,
        10,
    ),
    near_miss(
        "cpu-quota-plus-5",
        &["cpu", "update"],
        "allows 5 % more CPU time",
        QUOTA,
        5,
    ),
    near_miss(
        "cpu-quota-minus-10",
        &["cpu", "update"],
        "allows 10 % less CPU time",
        QUOTA,
        -10,
    ),
    near_miss(
        "cpu-quota-minus-20",
        &["cpu", "update"],
        "allows 20 % less CPU time",
        QUOTA,
        -20,
    ),
    near_miss(
        "cpu-quota-halved",
        &["cpu", "update"],
        "allows half the CPU time",
        QUOTA,
        -50,
    ),
    config(
        "cpu-period-ignored",
        &["cpu", "update"],
        "applies the quota to the kernel's usual period of 100 ms",
        |config| {
            if config.pointer(PERIOD).is_some_and(|period| *period != 100_000) {
                remove(config, PERIOD);
            }
        },
    ),
    near_miss(
        "cpu-period-doubled",
        &["cpu", "update"],
        "counts the quota over twice the period",
        PERIOD,
        100,
    ),
    near_miss(
        "cpu-period-minus-20",
        &["cpu", "update"],
        "counts the quota over a period 20 % shorter",
        PERIOD,
        -20,
    ),
    config(
        "cpu-period-and-quota-doubled",
        &["cpu", "update"],
        "allows the same share of time in periods twice as long",
        |config| {
            for at in [QUOTA, PERIOD] {
                crate::edit::scale(config, at, 100);
            }
        },
    ),
    config_at(
        "cpu-burst-dropped",
        &["cpu"],
        "allows no burst",
        dropped,
        "/linux/resources/cpu/burst",
    ),
    config_at(
        "cpu-idle-dropped",
        &["cpu"],
        "does not make the group idle",
        dropped,
        "/linux/resources/cpu/idle",
    ),
    config_at(
        "cpu-shares-dropped",
        &["cpu"],
        "gives every container the same share",
        dropped,
        SHARES,
    ),
    near_miss("cpu-shares-doubled", &["cpu"], "gives twice the share", SHARES, 100),
    near_miss("cpu-shares-halved", &["cpu"], "gives half the share", SHARES, -50),
    near_miss("cpu-shares-plus-20", &["cpu"], "gives a share 20 % larger", SHARES, 20),
    near_miss(
        "cpu-shares-minus-20",
        &["cpu"],
        "gives a share 20 % smaller",
        SHARES,
        -20,
    ),
    config_at(
        "cpuset-cpus-dropped",
        &["cpuset", "cpu"],
        "does not pin to CPUs",
        dropped,
        "/linux/resources/cpu/cpus",
    ),
    config(
        "cpuset-cpus-another",
        &["cpuset", "cpu"],
        "pins to another CPU",
        another_cpu,
    ),
    config(
        "cpuset-cpus-one-more",
        &["cpuset", "cpu"],
        "pins to one CPU more",
        one_cpu_more,
    ),
    config_at(
        "cpuset-mems-dropped",
        &["cpuset", "memory"],
        "does not pin to memory nodes",
        dropped,
        "/linux/resources/cpu/mems",
    ),
    config_at(
        "pids-limit-dropped",
        &["pids", "update", "kill"],
        "applies no limit of processes",
        dropped,
        "/linux/resources/pids",
    ),
    near_miss(
        "pids-limit-doubled",
        &["pids", "update"],
        "allows twice the processes",
        PIDS,
        100,
    ),
    near_miss(
        "pids-limit-plus-20",
        &["pids", "update"],
        "allows 20 % more processes",
        PIDS,
        20,
    ),
    near_miss(
        "pids-limit-plus-5",
        &["pids", "update"],
        "allows 5 % more processes, one at least",
        PIDS,
        5,
    ),
    near_miss(
        "pids-limit-minus-20",
        &["pids", "update"],
        "allows 20 % less processes",
        PIDS,
        -20,
    ),
    config_at(
        "io-dropped",
        &["io"],
        "applies nothing about block devices",
        dropped,
        "/linux/resources/blockIO",
    ),
    config(
        "io-throttle-doubled",
        &["io"],
        "throttles block devices at twice the rate",
        |config| throttles(config, 100),
    ),
    config(
        "io-throttle-plus-20",
        &["io"],
        "throttles block devices at a rate 20 % higher",
        |config| throttles(config, 20),
    ),
    config_at(
        "io-read-throttle-dropped",
        &["io"],
        "does not throttle reading",
        dropped,
        "/linux/resources/blockIO/throttleReadBpsDevice",
    ),
    config_at(
        "io-write-throttle-dropped",
        &["io"],
        "does not throttle writing",
        dropped,
        "/linux/resources/blockIO/throttleWriteBpsDevice",
    ),
    config_at(
        "io-read-operations-throttle-dropped",
        &["io"],
        "does not throttle the number of reads",
        dropped,
        "/linux/resources/blockIO/throttleReadIOPSDevice",
    ),
    config_at(
        "io-write-operations-throttle-dropped",
        &["io"],
        "does not throttle the number of writes",
        dropped,
        "/linux/resources/blockIO/throttleWriteIOPSDevice",
    ),
    config_at(
        "io-weight-dropped",
        &["io"],
        "gives every container the same share of block devices",
        dropped,
        "/linux/resources/blockIO/weight",
    ),
    config_at(
        "hugetlb-dropped",
        &["hugetlb"],
        "applies no limits of huge pages",
        dropped,
        "/linux/resources/hugepageLimits",
    ),
    config(
        "hugetlb-doubled",
        &["hugetlb"],
        "allows twice the huge pages",
        |config| {
            for limit in objects(config, "/linux/resources/hugepageLimits") {
                match limit["limit"].as_i64() {
                    Some(0) | None => limit["limit"] = json!(1 << 30),
                    Some(_) => scale_number(&mut limit["limit"], 100),
                }
            }
        },
    ),
    config_at(
        "unified-dropped",
        &["memory", "cpu", "pids", "io", "update"],
        "applies none of the keys of version 2 (unified)",
        dropped,
        "/linux/resources/unified",
    ),
    config_at(
        "network-class-dropped",
        &["network"],
        "does not set the network class and priorities",
        dropped,
        "/linux/resources/network",
    ),
];

fn dropped(config: &mut Value, at: &'static str) {
    remove(config, at);
}

fn throttles(config: &mut Value, percent: i32) {
    for key in [
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    ] {
        for throttle in list(config, &format!("/linux/resources/blockIO/{key}"))
            .into_iter()
            .flatten()
        {
            if let Some(rate) = throttle.get_mut("rate") {
                scale_number(rate, percent);
            }
        }
    }
}

/// CPU 0 in place of any other, and CPU 1 in place of 0: it is there on every machine that can be pinned on.
fn another_cpu(config: &mut Value) {
    if let Some(cpus) = config.pointer_mut("/linux/resources/cpu/cpus") {
        *cpus = json!(if *cpus == "0" { "1" } else { "0" });
    }
}

fn one_cpu_more(config: &mut Value) {
    if let Some(cpus) = config.pointer_mut("/linux/resources/cpu/cpus") {
        *cpus = json!(if *cpus == "0" || *cpus == "1" { "0-1" } else { "0" });
    }
}
