//! CFS bandwidth control of a container, watched period by period.
//!
//! The kernel counts a period when it refills the quota. Looking often around the moment at which the next count is due
//! gives a window that begins and ends with a period, and for each period whether the quota decided what was used.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use record::samples::Bandwidth;

use super::container::Group;
use crate::observe::cgroup;
use crate::observe::load;

/// How far before a period is due the close looks begin, and how far apart they are.
const EARLY: Duration = Duration::from_micros(1000);
const EVERY: Duration = Duration::from_micros(400);

/// The files that tell the usage of a container and the periods of its quota.
#[derive(Debug)]
pub(super) struct Meter {
    usage: File,
    stat: File,
    version: u8,
    /// In force when the meter was made.
    pub(super) period: Duration,
    /// In force when the meter was made.
    pub(super) quota: Duration,
}

/// One look at the files.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counters {
    at: Instant,
    /// Nanoseconds, read before the others.
    usage: u64,
    periods: u64,
    throttled: u64,
    throttled_time: u64,
}

impl Meter {
    /// The meter of the nearest group with a quota, from the container's own upwards. `None` if none has one.
    pub(super) fn of(groups: &[Group]) -> Option<Self> {
        let limiting = groups.iter().find(|g| g.controllers.iter().any(|c| c == "cpu"))?;
        let charged = cgroup::holder(groups, "cpu.usage")?;
        let (directory, quota, period) = limiting
            .directory
            .ancestors()
            .map_while(|directory| Some((directory, bandwidth(limiting.version, directory)?)))
            .find_map(|(directory, (quota, period))| Some((directory.to_path_buf(), quota?, period)))?;
        let (usage, version) = match charged.version {
            1 => (charged.directory.join("cpuacct.usage"), 1),
            _ => (charged.directory.join("cpu.stat"), 2),
        };
        Some(Self {
            usage: File::open(usage).ok()?,
            stat: File::open(directory.join("cpu.stat")).ok()?,
            version,
            period,
            quota,
        })
    }

    fn read(&self) -> io::Result<Counters> {
        let usage = text(&self.usage)?;
        let usage = match self.version {
            1 => usage.trim().parse().ok(),
            _ => field(&usage, "usage_usec").map(|micros| micros * 1000),
        };
        let stat = text(&self.stat)?;
        let at = Instant::now();
        let counters = || {
            Some(Counters {
                at,
                usage: usage?,
                periods: field(&stat, "nr_periods")?,
                throttled: field(&stat, "nr_throttled")?,
                throttled_time: field(&stat, "throttled_time")
                    .or_else(|| field(&stat, "throttled_usec").map(|micros| micros * 1000))?,
            })
        };
        counters().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a counter is missing"))
    }
}

/// Quota, if any, and period of a group; `None` where there are no such files.
fn bandwidth(version: u8, directory: &Path) -> Option<(Option<Duration>, Duration)> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    let micros = |word: &str| word.trim().parse::<u64>().ok().map(Duration::from_micros);
    if version == 1 {
        // `-1` is no quota, and no number of this kind.
        let quota = micros(&read("cpu.cfs_quota_us")?);
        return Some((quota, micros(&read("cpu.cfs_period_us")?)?));
    }
    // The root of a hierarchy has no such file; a group without the controller neither, and one above may have it.
    let text = match read("cpu.max") {
        Some(text) => text,
        None if directory.join("cgroup.procs").exists() => return Some((None, Duration::ZERO)),
        None => return None,
    };
    let (quota, period) = text.trim().split_once(' ')?;
    Some((micros(quota), micros(period)?))
}

fn text(file: &File) -> io::Result<String> {
    let mut bytes = [0; 2048];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// The boundary between two periods.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tick {
    /// When.
    at: Instant,
    /// The counters before it but for the period that ended with it.
    before: Counters,
    /// The counters just after it.
    after: Counters,
}

/// A window that was watched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watched {
    /// Beginning.
    pub(super) from: Instant,
    /// End.
    pub(super) to: Instant,
    /// CPU time used, nanoseconds.
    pub(super) usage: u64,
    /// Both ends lie on the beginning of a period.
    pub(super) aligned: bool,
    /// What was counted.
    pub(super) bandwidth: Bandwidth,
}

/// Follows the periods of a meter from window to window.
#[derive(Debug)]
pub(super) struct Follower {
    meter: Meter,
    last: Edge,
}

/// Where a window ended and the next begins.
#[derive(Debug, Clone, Copy)]
struct Edge {
    at: Instant,
    usage: u64,
    counters: Counters,
    aligned: bool,
    /// The group was throttled there.
    throttled: bool,
    pressure: Option<f64>,
}

impl Follower {
    /// Begins at the next boundary of a period, or now if there is none in one and a half of them.
    ///
    /// # Errors
    /// Of reading the counters.
    pub(super) fn begin(meter: Meter, pause: &mut dyn FnMut(Instant)) -> io::Result<Self> {
        let now = meter.read()?;
        let last = Edge {
            at: now.at,
            usage: now.usage,
            counters: now,
            aligned: false,
            throttled: false,
            pressure: None,
        };
        let mut follower = Self { meter, last };
        // Three attempts: what makes one imprecise seldom lasts.
        for _ in 0..3 {
            let from = follower.meter.read()?;
            match follower.tick(from, from.at, pause)? {
                Some(tick) if follower.clean(&tick) => {
                    follower.last = edge(&tick);
                    break;
                }
                Some(_) => {}
                None => {
                    let now = follower.meter.read()?;
                    follower.last = Edge {
                        at: now.at,
                        usage: now.usage,
                        counters: now,
                        ..follower.last
                    };
                    break;
                }
            }
        }
        Ok(follower)
    }

    /// Watches a window of the whole number of periods that is nearest to `length`.
    ///
    /// # Errors
    /// Of reading the counters.
    pub(super) fn window(&mut self, length: Duration, pause: &mut dyn FnMut(Instant)) -> io::Result<Watched> {
        let period = self.meter.period;
        let begin = self.last;
        let whole = (length.as_secs_f64() / period.as_secs_f64()).round().max(1.0);
        let length = period.mul_f64(whole);
        // The boundary that is meant, though the clocks of periods and of this process may differ a little.
        let due = begin.at + length - period / 2;
        // Rather a longer window than one that ends within a burst.
        let late = begin.at + length * 3;
        let mut seen = Bandwidth {
            period: period.as_secs_f64(),
            quota: self.meter.quota.as_secs_f64(),
            ..Bandwidth::default()
        };
        let mut stretch = Stretch::from(begin);
        let mut counters = begin.counters;
        loop {
            // Periods begin on a grid that the kernel keeps; without a place on it there is nothing to do but look.
            let passed = counters.periods.saturating_sub(self.last.counters.periods);
            let ahead = period.saturating_mul(u32::try_from(passed + 1).unwrap_or(u32::MAX));
            let expected = if self.last.aligned {
                self.last.at + ahead
            } else {
                Instant::now()
            };
            let Some(tick) = self.tick(counters, expected, pause)? else {
                break;
            };
            stretch.count(&tick);
            if self.clean(&tick) {
                let end = edge(&tick);
                stretch.close(&end, &mut seen);
                stretch = Stretch::from(end);
                self.last = end;
            }
            counters = tick.after;
            if (self.last.at >= due && self.clean(&tick)) || tick.at > late {
                break;
            }
        }
        if self.last.at < due {
            // No boundary is to be had: the group does nothing, or the machine lets nobody look in time.
            let end = begin.at + length;
            if Instant::now() < end {
                pause(end);
            }
            let now = self.meter.read()?;
            self.last = Edge {
                at: now.at,
                usage: now.usage,
                counters: now,
                aligned: false,
                throttled: false,
                pressure: load::pressure().map(|p| p.some),
            };
        }
        let end = self.last;
        seen.periods = end.counters.periods.saturating_sub(begin.counters.periods);
        seen.throttled = end.counters.throttled.saturating_sub(begin.counters.throttled);
        let throttled_time = end
            .counters
            .throttled_time
            .saturating_sub(begin.counters.throttled_time);
        seen.throttled_time = throttled_time as f64 / 1e9;
        Ok(Watched {
            from: begin.at,
            to: end.at,
            usage: end.usage.saturating_sub(begin.usage),
            aligned: begin.aligned && end.aligned,
            bandwidth: seen,
        })
    }

    /// Waits for the count of periods to go on from `from`. `None` if it does not in one and a half periods after the
    /// moment at which it is expected.
    fn tick(&self, from: Counters, expected: Instant, pause: &mut dyn FnMut(Instant)) -> io::Result<Option<Tick>> {
        let given_up = expected.max(Instant::now()) + self.meter.period.mul_f64(1.5);
        if let Some(early) = expected.checked_sub(EARLY)
            && early > Instant::now()
        {
            pause(early);
        }
        let mut before = from;
        loop {
            let now = self.meter.read()?;
            if now.periods != from.periods {
                // Between the two looks; nearer is not to be had.
                let at = before.at + now.at.duration_since(before.at) / 2;
                return Ok(Some(Tick { at, before, after: now }));
            }
            if now.at > given_up {
                return Ok(None);
            }
            before = now;
            pause(now.at + EVERY);
        }
    }

    /// Whether a boundary is known to a small part of a period.
    fn clean(&self, tick: &Tick) -> bool {
        tick.after.at.duration_since(tick.before.at) <= (self.meter.period / 25).max(2 * EVERY)
            && tick.after.periods == tick.before.periods + 1
    }
}

fn edge(tick: &Tick) -> Edge {
    Edge {
        at: tick.at,
        // Whoever was throttled has used nothing since; what began after the boundary is the next period's.
        usage: tick.before.usage,
        counters: tick.after,
        aligned: true,
        throttled: tick.after.throttled > tick.before.throttled,
        pressure: load::pressure().map(|p| p.some),
    }
}

/// The periods since the last boundary that was seen well.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    begin: Edge,
    counters: Counters,
    periods: u64,
    throttled: u64,
    /// A count that went on by more than one: the refill was late, or the look was, and nobody knows which.
    jumped: bool,
}

impl Stretch {
    fn from(begin: Edge) -> Self {
        Self {
            begin,
            counters: begin.counters,
            periods: 0,
            throttled: 0,
            jumped: false,
        }
    }

    fn count(&mut self, tick: &Tick) {
        let periods = tick.after.periods.saturating_sub(self.counters.periods);
        self.periods += periods;
        self.throttled += tick.after.throttled.saturating_sub(self.counters.throttled);
        self.jumped |= periods != 1;
        self.counters = tick.after;
    }

    fn close(&self, end: &Edge, seen: &mut Bandwidth) {
        let time = end.at.duration_since(self.begin.at).as_secs_f64();
        let known = self.begin.aligned && !self.jumped;
        if known && self.begin.throttled && self.throttled == self.periods {
            seen.limited.periods += self.periods;
            seen.limited.time += time;
            seen.limited.usage += end.usage.saturating_sub(self.begin.usage) as f64 / 1e9;
        } else if self.begin.aligned && self.throttled == 0 {
            let pressure = self.begin.pressure.zip(end.pressure).map(|(a, b)| (b - a).max(0.0));
            seen.open.pressure = match (seen.open.periods, seen.open.pressure, pressure) {
                (0, _, pressure) => pressure,
                (_, Some(a), Some(b)) => Some(a + b),
                _ => None,
            };
            seen.open.periods += self.periods;
            seen.open.time += time;
        }
    }
}

/// CPUs that a bundle's configuration grants by quota and period (`linux.resources.cpu` of the OCI runtime spec).
pub(super) fn asked(bundle: &Path) -> Option<f64> {
    let path: PathBuf = bundle.join("config.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let cpu = &config["linux"]["resources"]["cpu"];
    let quota = cpu["quota"].as_i64().filter(|quota| *quota > 0)?;
    // 100 ms is the kernel's default.
    let period = cpu["period"].as_u64().filter(|period| *period > 0).unwrap_or(100_000);
    Some(quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    fn group(version: u8, controllers: &[&str], directory: PathBuf) -> Group {
        Group {
            version,
            controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
            directory,
        }
    }

    #[test]
    fn both_versions_count_alike() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(
            &at("cpu"),
            &[
                ("cpu.cfs_quota_us", "20000\n"),
                ("cpu.cfs_period_us", "100000\n"),
                ("cpu.stat", "nr_periods 7\nnr_throttled 5\nthrottled_time 1500000\n"),
            ],
        );
        write(&at("cpuacct"), &[("cpuacct.usage", "123456000\n")]);
        write(
            &at("unified"),
            &[
                ("cpu.max", "20000 100000\n"),
                (
                    "cpu.stat",
                    "usage_usec 123456\nnr_periods 7\nnr_throttled 5\nthrottled_usec 1500\n",
                ),
            ],
        );
        let one = [group(1, &["cpu"], at("cpu")), group(1, &["cpuacct"], at("cpuacct"))];
        let two = [group(2, &["cpu"], at("unified"))];
        for groups in [&one[..], &two[..]] {
            let meter = Meter::of(groups).unwrap();
            assert_eq!(
                (meter.quota, meter.period),
                (Duration::from_millis(20), Duration::from_millis(100))
            );
            let counters = meter.read().unwrap();
            assert_eq!((counters.usage, counters.periods), (123_456_000, 7));
            assert_eq!((counters.throttled, counters.throttled_time), (5, 1_500_000));
        }
    }

    #[test]
    fn the_quota_may_be_that_of_a_group_above() {
        let root = tempfile::tempdir().unwrap();
        let (above, own) = (root.path().join("above"), root.path().join("above/own"));
        let stat = (
            "cpu.stat",
            "usage_usec 1\nnr_periods 7\nnr_throttled 5\nthrottled_usec 0\n",
        );
        write(&above, &[("cpu.max", "50000 100000\n"), stat]);
        write(&own, &[("cpu.max", "max 100000\n"), ("cpu.stat", "usage_usec 9\n")]);
        let groups = [group(2, &["cpu"], own.clone())];
        let meter = Meter::of(&groups).unwrap();
        assert_eq!(meter.quota, Duration::from_millis(50));
        assert_eq!(meter.read().unwrap().usage, 9000);
        std::fs::write(above.join("cpu.max"), "max 100000\n").unwrap();
        assert!(Meter::of(&groups).is_none());
        // Without the controller a group has no such file, and the one above decides.
        std::fs::remove_file(own.join("cpu.max")).unwrap();
        write(&own, &[("cgroup.procs", "")]);
        std::fs::write(above.join("cpu.max"), "50000 100000\n").unwrap();
        assert_eq!(Meter::of(&groups).unwrap().quota, Duration::from_millis(50));
    }

    #[test]
    fn what_was_asked_for_is_read_from_the_bundle() {
        let bundle = tempfile::tempdir().unwrap();
        let of = |cpu: &str| {
            let text = format!(r#"{{"linux":{{"resources":{{"cpu":{cpu}}}}}}}"#);
            write(bundle.path(), &[("config.json", &text)]);
            asked(bundle.path())
        };
        assert_eq!(of(r#"{"quota":20000,"period":100000}"#), Some(0.2));
        assert_eq!(of(r#"{"quota":50000}"#), Some(0.5));
        assert_eq!(of(r#"{"quota":-1,"period":100000}"#), None);
        assert_eq!(of(r#"{"shares":512}"#), None);
    }

    /// Periods of 100 ms from a boundary on; `usage` and `throttled` count what happened in each.
    fn edges(periods: &[(u64, bool)]) -> Vec<Edge> {
        let start = Instant::now();
        let mut counters = Counters {
            at: start,
            usage: 0,
            periods: 0,
            throttled: 1,
            throttled_time: 0,
        };
        let mut all = vec![Edge {
            at: start,
            usage: 0,
            counters,
            aligned: true,
            throttled: true,
            pressure: Some(0.0),
        }];
        for (n, (usage, throttled)) in periods.iter().enumerate() {
            counters.at += Duration::from_millis(100);
            counters.usage += usage;
            counters.periods += 1;
            counters.throttled += u64::from(*throttled);
            all.push(Edge {
                at: counters.at,
                usage: counters.usage,
                counters,
                aligned: true,
                throttled: *throttled,
                pressure: Some(n as f64),
            });
        }
        all
    }

    fn tick(before: &Edge, after: &Edge) -> Tick {
        Tick {
            at: after.at,
            before: before.counters,
            after: after.counters,
        }
    }

    #[test]
    fn only_a_period_that_begins_and_ends_throttled_is_limited() {
        let edges = edges(&[(20, true), (20, true), (8, false), (24, true), (20, true)]);
        let mut seen = Bandwidth::default();
        for pair in edges.windows(2) {
            let mut stretch = Stretch::from(pair[0]);
            stretch.count(&tick(&pair[0], &pair[1]));
            stretch.close(&pair[1], &mut seen);
        }
        // The fourth began with what the third had left over.
        assert_eq!(seen.limited.periods, 3);
        assert!((seen.limited.usage - 60e-9).abs() < 1e-15 && (seen.limited.time - 0.3).abs() < 1e-9);
        assert_eq!((seen.open.periods, seen.open.pressure), (1, Some(1.0)));
    }

    #[test]
    fn a_count_that_jumps_says_nothing_about_the_quota() {
        // Two periods of which one refill came too late, and a late look at two that came in time.
        let edges = edges(&[(20, true), (0, true)]);
        let mut stretch = Stretch::from(edges[0]);
        stretch.count(&tick(&edges[0], &edges[2]));
        let mut seen = Bandwidth::default();
        stretch.close(&edges[2], &mut seen);
        assert_eq!(seen.limited.periods, 0);
        let mut watched = Stretch::from(edges[0]);
        watched.count(&tick(&edges[0], &edges[1]));
        watched.count(&tick(&edges[1], &edges[2]));
        watched.close(&edges[2], &mut seen);
        assert_eq!(seen.limited.periods, 2);
    }
}
