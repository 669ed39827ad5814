//! The phase of a pod: a summary of its containers.

use crate::next::{Container, Pod, Restart, Role, Run};

/// `status.phase`. `begun`: which containers have ended before and are on their way again.
pub(super) fn of(pod: &Pod, begun: &[bool], killed: bool) -> &'static str {
    if killed && !pod.containers.iter().any(is_active) {
        return "Failed";
    }
    let lost = |one: &Container| {
        one.role == Role::Init && pod.restart == Restart::Never && matches!(one.run, Run::Exited(code) if code != 0)
    };
    if pod.containers.iter().any(lost) {
        return "Failed";
    }
    if !pod.is_initialized()
        && !pod
            .containers
            .iter()
            .any(|one| one.role == Role::App && one.run != Run::Waiting)
    {
        return "Pending";
    }
    let (mut waiting, mut running, mut succeeded, mut failed) = (0, 0, 0, 0);
    let mut fresh = 0;
    for (at, one) in pod
        .containers
        .iter()
        .enumerate()
        .filter(|(_, one)| one.role == Role::App)
    {
        match one.run {
            Run::Waiting | Run::Starting if begun.get(at) == Some(&true) => waiting += 1,
            Run::Waiting | Run::Starting => fresh += 1,
            Run::Running { .. } | Run::Stopping => running += 1,
            Run::Exited(0) => succeeded += 1,
            Run::Exited(_) => failed += 1,
        }
    }
    if fresh > 0 {
        return "Pending";
    }
    if running > 0 || waiting > 0 {
        return "Running";
    }
    match pod.restart {
        Restart::Always if pod.ending => {
            if failed == 0 {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        Restart::Always => "Running",
        _ if failed == 0 && succeeded > 0 => "Succeeded",
        Restart::Never => "Failed",
        Restart::OnFailure if pod.ending => "Failed",
        Restart::OnFailure => "Running",
    }
}

fn is_active(one: &Container) -> bool {
    matches!(one.run, Run::Starting | Run::Running { .. } | Run::Stopping)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::next::Sandbox;

    const RUNNING: Run = Run::Running {
        started: true,
        unhealthy: false,
    };

    fn phase(restart: Restart, runs: &[(Role, Run)]) -> &'static str {
        let containers = runs.iter().map(|(role, run)| Container {
            role: *role,
            run: *run,
            not_before: Duration::ZERO,
            was_started: *run == RUNNING,
        });
        let pod = Pod {
            restart,
            sandbox: Sandbox::Ready,
            not_before: Duration::ZERO,
            containers: containers.collect(),
            ending: false,
            reversed: false,
        };
        of(&pod, &vec![false; runs.len()], false)
    }

    #[test]
    fn a_pod_is_pending_until_all_have_begun_and_running_while_one_may_run() {
        use Role::{App, Init, Sidecar};
        assert_eq!(
            phase(Restart::Always, &[(App, RUNNING), (App, Run::Waiting)]),
            "Pending"
        );
        assert_eq!(
            phase(Restart::Always, &[(Init, RUNNING), (App, Run::Waiting)]),
            "Pending"
        );
        assert_eq!(phase(Restart::Always, &[(App, Run::Exited(0))]), "Running");
        assert_eq!(phase(Restart::OnFailure, &[(App, Run::Exited(1))]), "Running");
        assert_eq!(phase(Restart::OnFailure, &[(App, Run::Exited(0))]), "Succeeded");
        assert_eq!(
            phase(Restart::Never, &[(App, Run::Exited(0)), (App, Run::Exited(2))]),
            "Failed"
        );
        assert_eq!(
            phase(Restart::Never, &[(App, Run::Exited(2)), (App, RUNNING)]),
            "Running"
        );
        assert_eq!(
            phase(Restart::Never, &[(Sidecar, RUNNING), (App, Run::Exited(0))]),
            "Succeeded"
        );
        assert_eq!(
            phase(Restart::Never, &[(Init, Run::Exited(1)), (App, Run::Waiting)]),
            "Failed"
        );
    }
}
