//! What the samples of a container say about its CPU quota, and what they do not say.
//!
//! A container that wants the CPU uses its quota, or less because others took the CPU from it. The kernel tells these
//! apart: at the end of a period of which the quota was used up, the group is throttled. So a window is evidence
//!
//! * whole, if the quota decided in every period, or if nobody waited for a CPU in those in which it did not: then the
//!   container had what it wanted;
//! * by its limited periods alone, if others took the CPU in the rest of it;
//! * not at all, if the quota decided in none of its periods and the machine was busy, or if its hypervisor was.
//!
//! The exception is too much: what a container used it was allowed to use, whatever else went on.

use record::samples::{Bandwidth, Conditions, SamplePlan};

use super::super::matcher::rounded;

/// Share of a time during which some task waited for a CPU, from which on others may have taken it away.
const CROWDED: f64 = 0.05;

/// Share of one CPU that the hypervisor took, from which on a window is not trusted to the clock.
const STOLEN: f64 = 0.02;

/// The samples that count, as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    values: Vec<f64>,
    whole: bool,
    throttled: u64,
    periods: u64,
}

impl Evidence {
    /// Of samples and what went on meanwhile. Without a quota in force every sample counts as it is.
    pub fn of(values: &[f64], conditions: &[Conditions]) -> Self {
        let held = conditions.len() == values.len() && conditions.iter().any(|c| c.bandwidth.is_some());
        if !held {
            return Self {
                values: values.to_vec(),
                whole: true,
                throttled: 0,
                periods: 0,
            };
        }
        let parts = values.iter().zip(conditions).map(|(value, c)| part(*value, c));
        let used: Vec<f64> = parts.flatten().collect();
        Self {
            whole: used == values,
            values: used,
            throttled: bandwidths(conditions).map(|b| b.throttled).sum(),
            periods: bandwidths(conditions).map(|b| b.periods).sum(),
        }
    }

    /// The numbers.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Every sample counts, and counts as it is.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The quota decided in at least half of the periods, or every sample counts as it is.
    pub fn mostly_limited(&self) -> bool {
        self.whole || self.throttled * 2 >= self.periods
    }

    /// Why the samples do not decide, and what would.
    pub fn missing(&self, conditions: &[Conditions], plan: Option<&SamplePlan>) -> String {
        let n = conditions.len();
        if self.whole {
            return "more samples are needed".into();
        }
        if let Some(more) = (super::MIN_EVIDENCE.saturating_sub(self.values.len()) * n).checked_div(self.values.len()) {
            let load = self.load_in_the_way(conditions).unwrap_or_default();
            return format!("about {} more samples would decide{load}", more.max(1));
        }
        let wanted = plan
            .and_then(|plan| plan.asked)
            .map_or_else(String::new, |asked| format!(" of {}", share(asked)));
        format!(
            "no number of samples decides on a machine as busy as this: the container came to its quota{wanted} in \
             {} of {} periods, {}; end that load",
            self.throttled,
            self.periods,
            culprits(conditions)
        )
    }

    /// What keeps samples from counting, as the end of a sentence.
    pub fn load_in_the_way(&self, conditions: &[Conditions]) -> Option<String> {
        let lost = conditions.len().saturating_sub(self.values.len());
        (lost > 0).then(|| {
            format!(
                ", fewer on an idle machine ({lost} of {} do not count: {})",
                conditions.len(),
                culprits(conditions)
            )
        })
    }
}

fn bandwidths(conditions: &[Conditions]) -> impl Iterator<Item = &Bandwidth> {
    conditions.iter().filter_map(|c| c.bandwidth.as_ref())
}

/// What one window says.
fn part(value: f64, c: &Conditions) -> Option<f64> {
    let Some(b) = &c.bandwidth else {
        return Some(value);
    };
    let stolen = c.steal.is_some_and(|steal| steal > STOLEN * c.seconds());
    // A hypervisor that stops the machine for several periods leaves them throttled with one refill for all. Without one
    // a count that goes on by several was looked at too late, and each of them had its own.
    let decided = if stolen { b.limited.periods } else { b.throttled };
    let limited = (b.limited.periods > 0 && b.limited.time > 0.0).then(|| b.limited.usage / b.limited.time);
    if b.periods > 0 && decided == b.periods {
        // A window that ends within a burst has some of it too much or too little; its limited periods have not.
        let cut = !c.aligned && b.limited.periods * 2 >= b.periods;
        return limited.filter(|_| cut).or(Some(value));
    }
    let (waited, time) = match b.periods {
        // The kernel counts no period of a group that does nothing.
        0 => (c.pressure.map(|p| p.some), c.seconds()),
        _ => (b.open.pressure, b.open.time),
    };
    let alone = waited.is_some_and(|waited| time > 0.0 && waited <= CROWDED * time);
    if alone && !stolen {
        return Some(value);
    }
    limited
}

/// Why a mean is not what it should be, if the configuration and the kernel tell.
pub(super) fn cause(conditions: &[Conditions], plan: Option<&SamplePlan>) -> Option<String> {
    let asked = plan?.asked?;
    let Some(b) = bandwidths(conditions).last() else {
        return Some(format!(
            "config.json asks for a quota of {} and none is in force",
            share(asked)
        ));
    };
    let granted = b.quota / b.period;
    ((granted / asked - 1.0).abs() > 0.005).then(|| {
        format!(
            "config.json asks for {}, in force is a quota of {} in {}, which is {}",
            share(asked),
            milliseconds(b.quota),
            milliseconds(b.period),
            share(granted)
        )
    })
}

/// The surroundings of the samples in words: windows, throttling and what the machine did.
pub(super) fn around(conditions: &[Conditions], plan: Option<&SamplePlan>) -> Option<String> {
    if conditions.is_empty() {
        return None;
    }
    let seconds: f64 = conditions.iter().map(Conditions::seconds).sum();
    let window = plan.map_or(seconds / conditions.len() as f64, |plan| plan.window);
    let mut parts = vec![format!("windows of {}", milliseconds(window))];
    if let Some(b) = bandwidths(conditions).last() {
        let (periods, throttled, limited) = bandwidths(conditions).fold((0, 0, 0), |(p, t, l), b| {
            (p + b.periods, t + b.throttled, l + b.limited.periods)
        });
        parts.push(format!(
            "quota {} in {}, throttled in {throttled}/{periods} periods, {limited} of them from end to end",
            milliseconds(b.quota),
            milliseconds(b.period)
        ));
    }
    parts.push(machine(conditions, seconds));
    Some(parts.join(", "))
}

fn machine(conditions: &[Conditions], seconds: f64) -> String {
    let mut words = Vec::new();
    let of_time = |part: f64| format!("{} %", rounded((part / seconds * 1000.0).round() / 10.0));
    let pressures: Vec<_> = conditions.iter().filter_map(|c| c.pressure).collect();
    if pressures.len() == conditions.len() {
        let (some, full) = pressures.iter().fold((0.0, 0.0), |(s, f), p| (s + p.some, f + p.full));
        words.push(format!("PSI cpu some {} full {}", of_time(some), of_time(full)));
    }
    if let Some(steal) = sum(conditions.iter().map(|c| c.steal)) {
        words.push(format!("steal {}", of_time(steal)));
    }
    if let Some(others) = others(conditions) {
        words.push(format!("others on {} CPUs", rounded((others * 100.0).round() / 100.0)));
    }
    if let Some(runnable) = conditions.iter().filter_map(|c| c.runnable).max() {
        words.push(format!("at most {runnable} runnable"));
    }
    words.join(", ")
}

/// CPUs that others than the container used.
fn others(conditions: &[Conditions]) -> Option<f64> {
    let seconds: f64 = conditions.iter().map(Conditions::seconds).sum();
    let busy = sum(conditions.iter().map(|c| c.busy))?;
    let own = sum(conditions.iter().map(|c| c.usage))?;
    (seconds > 0.0).then(|| ((busy - own) / seconds).max(0.0))
}

fn sum(all: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    all.sum()
}

fn culprits(conditions: &[Conditions]) -> String {
    let seconds: f64 = conditions.iter().map(Conditions::seconds).sum();
    let stolen = sum(conditions.iter().map(|c| c.steal)).unwrap_or(0.0);
    let mut words = Vec::new();
    if let Some(others) = others(conditions) {
        words.push(format!(
            "others used {} CPUs",
            rounded((others * 100.0).round() / 100.0)
        ));
    }
    if stolen > STOLEN * seconds {
        words.push(format!("the hypervisor took {}", share(stolen / seconds)));
    }
    if words.is_empty() {
        words.push("others took the CPU".into());
    }
    words.join(" and ")
}

fn share(number: f64) -> String {
    format!("{} %", rounded((number * 1000.0).round() / 10.0))
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", rounded((seconds * 1e6).round() / 1e3))
}

#[cfg(test)]
mod tests {
    use record::samples::{Limited, Open, Pressure};

    use super::*;

    /// A window of 500 ms with five periods, of which some were limited to `quota` and the others were open.
    fn window(limited: u64, quota: f64, open_usage: f64, waiting: f64) -> (f64, Conditions) {
        let open = 5 - limited;
        let usage = limited as f64 * quota * 0.1 + open as f64 * open_usage * 0.1;
        let conditions = Conditions {
            t0: 0.0,
            t1: 500.0,
            usage: Some(usage),
            aligned: true,
            bandwidth: Some(Bandwidth {
                period: 0.1,
                quota: 0.02,
                periods: 5,
                throttled: limited,
                throttled_time: 0.3,
                limited: Limited {
                    periods: limited,
                    time: limited as f64 * 0.1,
                    usage: limited as f64 * quota * 0.1,
                },
                open: Open {
                    periods: open,
                    time: open as f64 * 0.1,
                    pressure: Some(waiting * open as f64 * 0.1),
                },
            }),
            pressure: Some(Pressure { some: 0.4, full: 0.0 }),
            steal: Some(0.0),
            busy: Some(0.9),
            runnable: Some(4),
        };
        (usage / 0.5, conditions)
    }

    fn of(windows: &[(f64, Conditions)]) -> Evidence {
        let (values, conditions): (Vec<f64>, Vec<Conditions>) = windows.iter().cloned().unzip();
        Evidence::of(&values, &conditions)
    }

    #[test]
    fn a_window_in_which_the_quota_decided_counts_as_it_is() {
        let evidence = of(&[window(5, 0.2, 0.0, 1.0), window(5, 0.2, 0.0, 1.0)]);
        assert!(evidence.is_whole() && evidence.mostly_limited());
    }

    #[test]
    fn where_others_took_the_cpu_only_the_limited_periods_count() {
        let evidence = of(&[window(2, 0.2, 0.1, 1.0)]);
        assert!(!evidence.is_whole() && !evidence.mostly_limited());
        assert!((evidence.values()[0] - 0.2).abs() < 1e-12, "{evidence:?}");
        assert!(of(&[window(0, 0.2, 0.1, 1.0)]).values().is_empty());
    }

    #[test]
    fn a_container_that_nobody_disturbed_used_what_it_wanted() {
        let evidence = of(&[window(0, 0.2, 0.05, 0.0)]);
        assert!((evidence.values()[0] - 0.05).abs() < 1e-12, "{evidence:?}");
        let (value, mut idle) = window(0, 0.2, 0.0, 0.0);
        idle.bandwidth = Some(Bandwidth {
            period: 0.1,
            quota: 0.02,
            ..Bandwidth::default()
        });
        idle.pressure = Some(Pressure::default());
        assert_eq!(of(&[(value, idle.clone())]).values(), [value]);
        idle.pressure = None;
        assert!(of(&[(value, idle)]).values().is_empty());
    }

    #[test]
    fn what_a_hypervisor_took_is_no_evidence() {
        let (value, mut stolen) = window(0, 0.2, 0.1, 0.0);
        stolen.steal = Some(0.1);
        assert!(of(&[(value, stolen)]).values().is_empty());

        // Throttled all the time, and seldom looked at: a matter of the looks, or of the hypervisor.
        let (value, mut late) = window(2, 0.2, 0.05, 0.0);
        late.aligned = false;
        if let Some(b) = &mut late.bandwidth {
            (b.throttled, b.open) = (5, Open::default());
        }
        assert_eq!(of(&[(value, late.clone())]).values(), [value]);
        late.steal = Some(0.1);
        assert!((of(&[(value, late)]).values()[0] - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_cause_is_told_where_the_kernel_has_another_quota_than_was_asked_for() {
        let plan = |asked| SamplePlan {
            count: 1,
            max_count: 1,
            window: 0.5,
            asked,
        };
        let (_, conditions) = window(5, 0.2, 0.0, 0.0);
        let one = [conditions];
        assert_eq!(cause(&one, Some(&plan(Some(0.2)))), None);
        assert_eq!(cause(&one, Some(&plan(None))), None);
        let told = cause(&one, Some(&plan(Some(0.25)))).unwrap();
        assert_eq!(
            told,
            "config.json asks for 25 %, in force is a quota of 20 ms in 100 ms, which is 20 %"
        );
        let told = cause(&[Conditions::default()], Some(&plan(Some(0.2)))).unwrap();
        assert!(told.ends_with("none is in force"), "{told}");
    }

    #[test]
    fn the_surroundings_are_told() {
        let (_, conditions) = window(4, 0.2, 0.1, 1.0);
        assert_eq!(
            around(&[conditions.clone(), conditions], None).unwrap(),
            "windows of 500 ms, quota 20 ms in 100 ms, throttled in 8/10 periods, 8 of them from end to end, \
             PSI cpu some 80 % full 0 %, steal 0 %, others on 1.62 CPUs, at most 4 runnable"
        );
        assert_eq!(around(&[], None), None);
    }
}
