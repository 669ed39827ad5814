//! What is kept of samples beside their values: how they were to be drawn, and what the machine did meanwhile.

use serde::{Deserialize, Serialize};

/// How samples were to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplePlan {
    /// Samples before the first judgement.
    pub count: u64,
    /// Samples at most.
    pub max_count: u64,
    /// Length of a window as the spec asks for it, seconds.
    pub window: f64,
    /// CPUs that the container's configuration grants by quota and period, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
}

/// What went on in the window of one sample. What could not be read is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// Beginning, milliseconds since the run began.
    pub t0: f64,
    /// End.
    pub t1: f64,
    /// CPU time of the container, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<f64>,
    /// Both ends lie on the beginning of a bandwidth period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aligned: bool,
    /// The bandwidth control that held the container, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Pressure of the host (`/proc/pressure/cpu`, growth of the totals).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Time that the hypervisor took, of all CPUs, seconds (`/proc/stat`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Time that all CPUs together were busy for anybody, seconds (`/proc/stat`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// Tasks that ran or wanted to at the end (`/proc/loadavg`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runnable: Option<u64>,
}

impl Conditions {
    /// Length of the window, seconds.
    pub fn seconds(&self) -> f64 {
        (self.t1 - self.t0) / 1e3
    }
}

/// CFS bandwidth control during a window (`cpu.stat` of the group that has the quota: the container's own or the nearest
/// above; `Documentation/scheduler/sched-bwc.rst`). Times are seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bandwidth {
    /// Period in force.
    pub period: f64,
    /// Quota in force.
    pub quota: f64,
    /// Periods that ended.
    pub periods: u64,
    /// Of these, those at whose end the group was throttled.
    pub throttled: u64,
    /// Time that its run queues were throttled, all CPUs together.
    pub throttled_time: f64,
    /// Of the periods, those that were watched from end to end and both began and ended throttled: the quota alone
    /// decided how much the container ran.
    pub limited: Limited,
    /// Of the periods, those at whose end nothing was throttled: the quota did not decide.
    pub open: Open,
}

/// Periods in which the quota decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limited {
    /// How many.
    pub periods: u64,
    /// Their length together.
    pub time: f64,
    /// What the container used in them.
    pub usage: f64,
}

/// Periods in which the quota did not decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// How many.
    pub periods: u64,
    /// Their length together.
    pub time: f64,
    /// How long some task of the host waited for a CPU in them, if the kernel tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
}

/// Growth of the host's pressure totals, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pressure {
    /// Some task waited.
    pub some: f64,
    /// All tasks waited.
    pub full: f64,
}
