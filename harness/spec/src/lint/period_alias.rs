//! Samples of CPU time whose windows beat with the period of the quota.

use std::time::Duration;

use serde_json::Value;

use super::{Doubt, Lens, Lint};
use crate::{Action, Span, Workload, fault::Fault, step::Metric};

pub(super) const LINT: Lint = Lint {
    name: "period-alias",
    about: "a window of CPU samples that is no multiple of the quota's period, or only a few periods long",
    look,
};

/// The period unless told, in the kernel (`cpu.cfs_period_us`, `cpu.max`) and in the short form.
const PERIOD: Duration = Duration::from_millis(100);

/// A window begins anywhere in a period: it holds one period's share more or less.
const FEWEST: u32 = 3;

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for (step, place) in lens.steps() {
        let Some(sample) = &step.sample else { continue };
        if sample.metric != Metric::CpuUsage {
            continue;
        }
        let names = std::iter::once(&sample.on).chain(&sample.relative_to);
        let Some(period) = names.filter_map(|name| period(lens, name)).max() else {
            continue;
        };
        let window = sample.window.0;
        let at = place.key("sample").key("window").extent;
        let shown = Span(period);
        let lint = if window.as_nanos() % period.as_nanos() != 0 {
            Fault::new(
                at,
                format!("a window of {} is no multiple of the quota's period", sample.window),
            )
            .hint(format!(
                "the period is {shown}: some windows hold one refill more than others"
            ))
            .help(format!("take a multiple of {shown}"))
        } else if window < period * FEWEST {
            Fault::new(
                at,
                format!("a window of {} holds only a few of the quota's periods", sample.window),
            )
            .hint(format!(
                "the period is {shown}: where a window begins decides what it holds"
            ))
            .help(format!("take at least {}", Span(period * FEWEST)))
        } else {
            continue;
        };
        doubts.push(Doubt::of_spec(lint));
    }
}

/// The period of a workload's CPU quota, if it gets one.
fn period(lens: &Lens<'_>, name: &str) -> Option<Duration> {
    let (limited, patch) = match &lens.test.workloads.get(name)?.value {
        Workload::Container(container) => {
            let limit = container.resources.as_ref().and_then(|resources| resources.limits.cpu);
            (limit.is_some(), &container.patch)
        }
        Workload::Bundle(bundle) => (false, &bundle.patch),
        Workload::Object(_) => return None,
    };
    let mut has_quota = limited;
    let mut period = None;
    for operation in patch {
        let Some(value) = &operation.value else { continue };
        let rest = operation.path.strip_prefix("/linux/resources");
        let Some(rest) = rest else { continue };
        let cpu = match rest {
            "" => value.get("cpu"),
            "/cpu" => Some(value),
            _ => None,
        };
        let field = |name: &str| match rest.strip_prefix("/cpu/") {
            Some(last) => (last == name).then_some(value),
            None => cpu.and_then(|cpu| cpu.get(name)),
        };
        has_quota |= field("quota").is_some();
        period = field("period")
            .and_then(Value::as_u64)
            .map(Duration::from_micros)
            .or(period);
    }
    for (step, _) in lens.steps() {
        if let Some(Action::Oci(oci)) = &step.action
            && oci.on.value == name
            && let Some(cpu) = oci.resources.as_ref().and_then(|resources| resources.get("cpu"))
        {
            has_quota |= cpu.get("quota").is_some();
            period = cpu
                .get("period")
                .and_then(Value::as_u64)
                .map(Duration::from_micros)
                .or(period);
        }
    }
    has_quota.then(|| period.filter(|period| !period.is_zero()).unwrap_or(PERIOD))
}
