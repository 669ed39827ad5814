//! Faults of the set-up that no spec has to name: an action that is not done or is refused, a host process that ends at
//! once; and, for a spec without faults of its own, each namespace shared that its checks are about, and each limit gone.

use serde_json::json;
use spec::{Action, Change, Workload, requirement::NamespaceKind};

use super::dimension;
use crate::{judge, plan::Case};

/// An exit status that no command has by itself.
const STRANGE: &str = "exit 99";

/// Names of faults and what they change.
pub(super) fn changes(case: &Case) -> Vec<(String, Vec<Change>)> {
    let mut all = actions(case);
    if case.spec.sabotage.is_empty() {
        all.extend(workloads(case));
    }
    all
}

fn actions(case: &Case) -> Vec<(String, Vec<Change>)> {
    let mut all = Vec::new();
    for (phase, steps) in [
        ("setup", &case.spec.setup),
        ("steps", &case.spec.steps),
        ("teardown", &case.spec.teardown),
    ] {
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{phase}.{index}");
            let key = match &step.action {
                Some(Action::HostProcess(process)) => {
                    let change = Change::Set(format!("{path}.hostProcess.args"), json!(["exit", "0"]));
                    all.push((format!("{}-ends-at-once", process.id.value), vec![change]));
                    continue;
                }
                Some(Action::Script(_)) => "script",
                Some(Action::Stop(_)) => "stop",
                Some(Action::Exec(_)) => "exec",
                Some(Action::Signal(_)) => "signal",
                Some(Action::Oci(_)) => "oci",
                // A cluster has no script that could stand in its place.
                Some(Action::Start(_)) | None => continue,
                // Without what it looks with, a check would be about nothing.
                Some(action) if action.is_look() => continue,
                Some(other) => {
                    let changes = vec![Change::Unset(format!("{path}.{}", other.key()))];
                    if !step.expect.is_empty() && !judge::looks_at_action(step) {
                        all.push((format!("{phase}-{index}-not-done"), changes));
                    }
                    continue;
                }
            };
            if case.header.target == "cluster" {
                if !step.expect.is_empty() && !judge::looks_at_action(step) {
                    let changes = vec![Change::Unset(format!("{path}.{key}"))];
                    all.push((format!("{phase}-{index}-not-done"), changes));
                }
                continue;
            }
            let instead = |run: &str| {
                let mut changes = Vec::new();
                if key != "script" {
                    changes.push(Change::Unset(format!("{path}.{key}")));
                }
                changes.push(Change::Set(format!("{path}.script"), json!({"run": run})));
                changes
            };
            all.push((format!("{phase}-{index}-not-done"), instead("true")));
            if judge::looks_at_action(step) {
                all.push((format!("{phase}-{index}-refused"), instead(STRANGE)));
            }
        }
    }
    all
}

fn workloads(case: &Case) -> Vec<(String, Vec<Change>)> {
    let about = dimension::of_checks(case);
    let mut all = Vec::new();
    for (name, workload) in &case.spec.workloads {
        let Workload::Container(container) = &workload.value else {
            continue;
        };
        for kind in NamespaceKind::ALL {
            let word = kind.oci_name();
            let shareable = !matches!(kind, NamespaceKind::Mount | NamespaceKind::User | NamespaceKind::Time);
            if shareable && about.contains(word) && !container.namespaces.contains_key(&kind) {
                let path = format!("workloads.{name}.container.namespaces.{word}");
                all.push((format!("{name}-shares-{word}"), vec![Change::Set(path, json!("host"))]));
            }
        }
        let limits = container.resources.as_ref().map(|resources| &resources.limits);
        let limits = limits.and_then(|limits| serde_json::to_value(limits).ok());
        for (key, _) in limits.as_ref().and_then(|l| l.as_object()).into_iter().flatten() {
            let path = format!("workloads.{name}.container.resources.limits.{key}");
            all.push((format!("{name}-without-{key}"), vec![Change::Unset(path)]));
        }
    }
    all
}
