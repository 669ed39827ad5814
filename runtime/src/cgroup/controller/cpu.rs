//! `linux.resources.cpu` without its cpuset: shares, quota, period, burst, idle and realtime.

use oci_spec::runtime::LinuxCpu;

use super::super::setting::{Available, Place, Setting};
use super::super::{Error, Reason, refused};

const LEAST_SHARES: u64 = 2;
const GREATEST_SHARES: u64 = 262_144;

/// The `cpu.weight` (1 to 10000) of v2 that stands for the `cpu.shares` (2 to 262144) of v1: both ranges laid over each
/// other, so that a proportion of shares is the proportion of weights. See KEP-2254.
fn weight(shares: u64) -> u64 {
    1 + (shares - LEAST_SHARES) * 9999 / (GREATEST_SHARES - LEAST_SHARES)
}

pub(super) fn settings(available: &Available, cpu: &LinuxCpu, all: &mut Vec<Setting>) -> Result<(), Error> {
    const SHARES: &str = "linux.resources.cpu.shares";
    const QUOTA: &str = "linux.resources.cpu.quota";
    const PERIOD: &str = "linux.resources.cpu.period";
    const BURST: &str = "linux.resources.cpu.burst";
    const IDLE: &str = "linux.resources.cpu.idle";
    const RT_RUNTIME: &str = "linux.resources.cpu.realtimeRuntime";
    const RT_PERIOD: &str = "linux.resources.cpu.realtimePeriod";

    // Zero means *as it is* to every engine that writes these fields.
    let shares = cpu.shares().filter(|&shares| shares != 0);
    let quota = cpu.quota().filter(|&quota| quota != 0);
    let period = cpu.period().filter(|&period| period != 0);
    let runtime = cpu.realtime_runtime().filter(|&runtime| runtime != 0);
    let rt_period = cpu.realtime_period().filter(|&period| period != 0);

    // A group that is idle refuses a weight: what makes it idle is written last, what ends that first.
    let idle = |all: &mut Vec<Setting>, first: bool| -> Result<(), Error> {
        let Some(idle) = cpu.idle().filter(|&idle| (idle == 0) == first) else {
            return Ok(());
        };
        if !(0..=1).contains(&idle) {
            return Err(refused(
                IDLE,
                Reason::OutOfRange {
                    value: idle.into(),
                    least: 0,
                    greatest: 1,
                },
            ));
        }
        all.push(Setting::new(
            IDLE,
            available.place("cpu", IDLE)?,
            "cpu",
            "cpu.idle",
            idle.to_string(),
        ));
        Ok(())
    };
    idle(all, true)?;
    if let Some(shares) = shares {
        if !(LEAST_SHARES..=GREATEST_SHARES).contains(&shares) {
            let (least, greatest) = (LEAST_SHARES.into(), GREATEST_SHARES.into());
            return Err(refused(
                SHARES,
                Reason::OutOfRange {
                    value: shares.into(),
                    least,
                    greatest,
                },
            ));
        }
        all.push(match available.place("cpu", SHARES)? {
            place @ Place::V1(_) => Setting::new(SHARES, place, "cpu", "cpu.shares", shares.to_string()),
            place @ Place::Unified => Setting::new(SHARES, place, "cpu", "cpu.weight", weight(shares).to_string()),
        });
    }
    idle(all, false)?;
    if let Some(quota) = quota {
        match available.place("cpu", QUOTA)? {
            place @ Place::V1(_) => {
                if let Some(period) = period {
                    all.push(Setting::new(
                        PERIOD,
                        place,
                        "cpu",
                        "cpu.cfs_period_us",
                        period.to_string(),
                    ));
                }
                all.push(Setting::new(
                    QUOTA,
                    place,
                    "cpu",
                    "cpu.cfs_quota_us",
                    quota.max(-1).to_string(),
                ));
            }
            place @ Place::Unified => {
                let quota = super::or_max(quota);
                let value = period.map_or_else(|| quota.clone(), |period| format!("{quota} {period}"));
                all.push(Setting::new(QUOTA, place, "cpu", "cpu.max", value));
            }
        }
    } else if let Some(period) = period {
        all.push(match available.place("cpu", PERIOD)? {
            place @ Place::V1(_) => Setting::new(PERIOD, place, "cpu", "cpu.cfs_period_us", period.to_string()),
            // A group that has a quota comes here with it, see `Cgroup::update`.
            place @ Place::Unified => Setting::new(PERIOD, place, "cpu", "cpu.max", format!("max {period}")),
        });
    }
    if let Some(burst) = cpu.burst() {
        all.push(match available.place("cpu", BURST)? {
            place @ Place::V1(_) => Setting::new(BURST, place, "cpu", "cpu.cfs_burst_us", burst.to_string()),
            place @ Place::Unified => Setting::new(BURST, place, "cpu", "cpu.max.burst", burst.to_string()),
        });
    }
    for (field, value, file) in [
        (
            RT_PERIOD,
            rt_period.map(|period| period.to_string()),
            "cpu.rt_period_us",
        ),
        (
            RT_RUNTIME,
            runtime.map(|runtime| runtime.to_string()),
            "cpu.rt_runtime_us",
        ),
    ] {
        let Some(value) = value else { continue };
        match available.place("cpu", field)? {
            place @ Place::V1(_) => all.push(Setting::new(field, place, "cpu", file, value)),
            Place::Unified => return Err(refused(field, Reason::V1Only)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn shares_become_the_weights_of_the_reference_runtimes() {
        assert_eq!([2, 512, 1024, 2048, 262_144].map(weight), [1, 20, 39, 79, 10_000]);
    }
}
