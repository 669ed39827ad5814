//! What a host is busy with: `/proc/pressure/cpu`, `/proc/stat` and `/proc/loadavg` (`proc(5)`,
//! `Documentation/accounting/psi.rst`). They speak of the whole machine in a guard, too.

use record::samples::{Conditions, Pressure};

/// Ticks of `/proc/stat` in a second: `USER_HZ`, which the kernel keeps at 100 on every architecture of today.
const TICKS: f64 = 100.0;

/// Counters of the host at one moment. What the kernel does not tell is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Load {
    /// Totals of the pressure since boot, seconds.
    pub(crate) pressure: Option<Pressure>,
    /// What a hypervisor took, all CPUs together, seconds.
    pub(crate) steal: Option<f64>,
    /// Time that CPUs were busy for anybody here, seconds.
    pub(crate) busy: Option<f64>,
    /// Tasks that run or want to.
    pub(crate) runnable: Option<u64>,
}

impl Load {
    /// Reads them all.
    pub(crate) fn read() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (steal, busy) = of_stat(&text("/proc/stat")).unzip();
        Self {
            pressure: pressure(),
            steal,
            busy,
            runnable: of_loadavg(&text("/proc/loadavg")),
        }
    }
}

/// What the host did between two moments; when that was is for the caller to say.
pub(crate) fn meanwhile(before: &Load, after: &Load) -> Conditions {
    Conditions {
        pressure: grown(before.pressure, after.pressure, |a, b| Pressure {
            some: b.some - a.some,
            full: b.full - a.full,
        }),
        steal: grown(before.steal, after.steal, |a, b| b - a),
        busy: grown(before.busy, after.busy, |a, b| b - a),
        runnable: after.runnable,
        ..Conditions::default()
    }
}

fn grown<T: Copy>(before: Option<T>, after: Option<T>, difference: impl Fn(T, T) -> T) -> Option<T> {
    before.zip(after).map(|(before, after)| difference(before, after))
}

/// The pressure alone.
pub(crate) fn pressure() -> Option<Pressure> {
    of_pressure(&std::fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn of_pressure(text: &str) -> Option<Pressure> {
    let total = |kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        let micros = line.split_whitespace().find_map(|word| word.strip_prefix("total="))?;
        Some(micros.parse::<u64>().ok()? as f64 / 1e6)
    };
    Some(Pressure {
        some: total("some ")?,
        // Linux before 5.13 has no such line for the CPU.
        full: total("full ").unwrap_or(0.0),
    })
}

/// Steal, and busy.
fn of_stat(text: &str) -> Option<(f64, f64)> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|w| w.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
        return None;
    };
    Some((
        steal as f64 / TICKS,
        (user + nice + system + irq + softirq) as f64 / TICKS,
    ))
}

fn of_loadavg(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_the_kernel_writes_them() {
        let text =
            "some avg10=3.98 avg60=2.14 avg300=6.93 total=63006337\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        let pressure = of_pressure(text).unwrap();
        assert_eq!((pressure.some, pressure.full), (63.006_337, 5e-6));
        assert_eq!(of_pressure("some avg10=0.00 total=1000000\n").unwrap().full, 0.0);
        assert_eq!(of_pressure(""), None);
        let (steal, busy) = of_stat("cpu  100 1 50 77628 792 2 93 59 40 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!((steal, busy), (0.59, 2.46));
        assert_eq!(of_stat("cpu 1 2\n"), None);
        assert_eq!(of_loadavg("0.43 1.06 0.71 3/92 17511\n"), Some(3));
    }

    #[test]
    fn this_host_tells_how_busy_it_is() {
        let load = Load::read();
        assert!(load.busy.is_some_and(|seconds| seconds > 0.0), "{load:?}");
        assert!(load.runnable.is_some(), "{load:?}");
    }
}
