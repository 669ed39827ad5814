//! What is to be done next for a pod: a function of what it asks for and what is seen of it.
//!
//! The worker does what comes out, tells what came of it, and asks again. Nothing here does IO or reads a clock.

use std::time::Duration;

/// What a container is to its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next begins.
    Init,
    /// Begins in the order of the init containers, stays, and ends last.
    Sidecar,
    /// What the pod is for.
    App,
}

/// `spec.restartPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    Always,
    OnFailure,
    Never,
}

/// Where a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// It was not begun, or an attempt to begin it came to nothing.
    Waiting,
    /// It is being begun.
    Starting,
    /// It runs. `started`: its start hook and startup probe are done. `unhealthy`: a probe wants it gone.
    Running { started: bool, unhealthy: bool },
    /// It was told to end.
    Stopping,
    /// It ended, with this code.
    Exited(i32),
}

/// A container as it is asked for and seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) role: Role,
    pub(crate) run: Run,
    /// Not to be begun before this point of the worker's clock.
    pub(crate) not_before: Duration,
    /// It was seen `started` at least once: what comes after it need not wait again.
    pub(crate) was_started: bool,
}

/// Where the sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sandbox {
    None,
    Making,
    Ready,
    /// Its process is gone.
    Dead,
    Removing,
}

/// A pod as it is asked for and seen. Init containers first, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) restart: Restart,
    pub(crate) sandbox: Sandbox,
    pub(crate) not_before: Duration,
    pub(crate) containers: Vec<Container>,
    /// It was deleted, its deadline passed, or it was evicted.
    pub(crate) ending: bool,
    /// Fault: the order of the init containers.
    pub(crate) reversed: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    MakeSandbox,
    RemoveSandbox,
    Start(usize),
    Stop(usize),
    /// Nothing until then.
    Wake(Duration),
    /// Everything is gone, for good.
    Done,
}

impl Container {
    fn active(&self) -> bool {
        matches!(self.run, Run::Starting | Run::Running { .. } | Run::Stopping)
    }

    /// Whether it begins again after its end.
    fn begins_again(&self, restart: Restart) -> bool {
        let Run::Exited(code) = self.run else { return false };
        match (self.role, restart) {
            (Role::Sidecar, _) | (Role::App, Restart::Always) => true,
            (_, Restart::Never) => false,
            (Role::Init, _) | (Role::App, Restart::OnFailure) => code != 0,
        }
    }
}

impl Pod {
    /// Whether no container that counts will ever run again.
    pub(crate) fn is_over(&self) -> bool {
        let lost = |one: &Container| {
            one.role == Role::Init
                && matches!(one.run, Run::Exited(code) if code != 0)
                && self.restart == Restart::Never
        };
        let mut apps = self.containers.iter().filter(|one| one.role == Role::App);
        self.containers.iter().any(lost)
            || apps.all(|one| matches!(one.run, Run::Exited(_)) && !one.begins_again(self.restart))
    }

    /// Whether every init container is done and every sidecar was started.
    pub(crate) fn is_initialized(&self) -> bool {
        self.containers.iter().all(|one| match one.role {
            Role::Init => one.run == Run::Exited(0),
            Role::Sidecar => one.was_started,
            Role::App => true,
        })
    }

    /// What is to be done at `now`.
    pub(crate) fn next(&self, now: Duration) -> Vec<Action> {
        if self.ending || self.is_over() {
            return self.wind_down();
        }
        match self.sandbox {
            Sandbox::None if self.not_before > now => return vec![Action::Wake(self.not_before)],
            Sandbox::None => return vec![Action::MakeSandbox],
            Sandbox::Making | Sandbox::Removing => return Vec::new(),
            Sandbox::Dead => return self.wind_down(),
            Sandbox::Ready => {}
        }
        let mut actions = Vec::new();
        let mut order: Vec<usize> = (0..self.containers.len())
            .filter(|at| self.containers[*at].role != Role::App)
            .collect();
        if self.reversed {
            order.reverse();
        }
        for at in order {
            let one = &self.containers[at];
            if one.role == Role::Init && one.run == Run::Exited(0) {
                continue;
            }
            self.advance(at, now, &mut actions);
            let passed = one.role == Role::Sidecar && one.was_started;
            if !passed {
                return actions;
            }
        }
        for at in 0..self.containers.len() {
            if self.containers[at].role == Role::App {
                self.advance(at, now, &mut actions);
            }
        }
        actions
    }

    fn advance(&self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let one = &self.containers[at];
        match one.run {
            Run::Running { unhealthy: true, .. } => actions.push(Action::Stop(at)),
            Run::Starting | Run::Running { .. } | Run::Stopping => {}
            Run::Exited(_) if !one.begins_again(self.restart) => {}
            Run::Waiting | Run::Exited(_) if one.not_before > now => actions.push(Action::Wake(one.not_before)),
            Run::Waiting | Run::Exited(_) => actions.push(Action::Start(at)),
        }
    }

    /// Ends what runs: first what the pod is for, all at once, then sidecars from the last to the first, then the sandbox.
    fn wind_down(&self) -> Vec<Action> {
        let stop = |at: usize| match self.containers[at].run {
            Run::Running { .. } => Some(Action::Stop(at)),
            _ => None,
        };
        let active = |sidecar: bool| {
            let all = 0..self.containers.len();
            all.filter(move |at| (self.containers[*at].role == Role::Sidecar) == sidecar)
                .filter(|at| self.containers[*at].active())
        };
        if active(false).next().is_some() {
            return active(false).filter_map(stop).collect();
        }
        if let Some(last) = active(true).next_back() {
            return stop(last).into_iter().collect();
        }
        match self.sandbox {
            Sandbox::None => vec![Action::Done],
            Sandbox::Making | Sandbox::Removing => Vec::new(),
            Sandbox::Ready | Sandbox::Dead => vec![Action::RemoveSandbox],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Run = Run::Running {
        started: true,
        unhealthy: false,
    };
    const NOW: Duration = Duration::from_secs(100);

    fn one(role: Role, run: Run) -> Container {
        Container {
            role,
            run,
            not_before: Duration::ZERO,
            was_started: run == RUNNING,
        }
    }

    fn pod(restart: Restart, containers: &[Container]) -> Pod {
        Pod {
            restart,
            sandbox: Sandbox::Ready,
            not_before: Duration::ZERO,
            containers: containers.to_vec(),
            ending: false,
            reversed: false,
        }
    }

    #[test]
    fn nothing_begins_before_the_sandbox() {
        let mut new = pod(Restart::Always, &[one(Role::App, Run::Waiting)]);
        new.sandbox = Sandbox::None;
        assert_eq!(new.next(NOW), [Action::MakeSandbox]);
        new.sandbox = Sandbox::Making;
        assert_eq!(new.next(NOW), []);
        new.sandbox = Sandbox::Ready;
        assert_eq!(new.next(NOW), [Action::Start(0)]);
    }

    #[test]
    fn init_containers_run_one_after_the_other_and_sidecars_stay() {
        let mut all = pod(
            Restart::Always,
            &[
                one(Role::Init, Run::Waiting),
                one(Role::Sidecar, Run::Waiting),
                one(Role::Init, Run::Waiting),
                one(Role::App, Run::Waiting),
                one(Role::App, Run::Waiting),
            ],
        );
        assert_eq!(all.next(NOW), [Action::Start(0)]);
        all.containers[0].run = RUNNING;
        assert_eq!(all.next(NOW), []);
        all.containers[0].run = Run::Exited(0);
        assert_eq!(all.next(NOW), [Action::Start(1)]);
        all.containers[1].run = Run::Running {
            started: false,
            unhealthy: false,
        };
        assert_eq!(all.next(NOW), [], "a sidecar gates by its startup probe");
        all.containers[1] = one(Role::Sidecar, RUNNING);
        assert_eq!(all.next(NOW), [Action::Start(2)]);
        all.containers[2].run = Run::Exited(0);
        assert!(all.is_initialized());
        assert_eq!(all.next(NOW), [Action::Start(3), Action::Start(4)]);
        all.containers[1].run = Run::Exited(1);
        all.containers[3].run = RUNNING;
        assert_eq!(
            all.next(NOW),
            [Action::Start(1), Action::Start(4)],
            "a sidecar begins again"
        );
    }

    #[test]
    fn a_failed_init_container_is_tried_again_unless_never() {
        let inits = [one(Role::Init, Run::Exited(3)), one(Role::App, Run::Waiting)];
        assert_eq!(pod(Restart::OnFailure, &inits).next(NOW), [Action::Start(0)]);
        let never = pod(Restart::Never, &inits);
        assert!(never.is_over());
        assert_eq!(never.next(NOW), [Action::RemoveSandbox]);
    }

    #[test]
    fn the_restart_policy_decides_who_begins_again() {
        let next = |restart, code| pod(restart, &[one(Role::App, Run::Exited(code))]).next(NOW);
        assert_eq!(next(Restart::Always, 0), [Action::Start(0)]);
        assert_eq!(next(Restart::OnFailure, 1), [Action::Start(0)]);
        assert_eq!(next(Restart::OnFailure, 0), [Action::RemoveSandbox]);
        assert_eq!(next(Restart::Never, 1), [Action::RemoveSandbox]);
    }

    #[test]
    fn a_container_that_waits_its_back_off_wakes_the_worker() {
        let mut waiting = pod(Restart::Always, &[one(Role::App, Run::Exited(1))]);
        waiting.containers[0].not_before = NOW + Duration::from_secs(10);
        assert_eq!(waiting.next(NOW), [Action::Wake(NOW + Duration::from_secs(10))]);
        assert_eq!(waiting.next(NOW + Duration::from_secs(10)), [Action::Start(0)]);
    }

    #[test]
    fn sidecars_end_after_the_apps_and_in_reverse() {
        let mut ending = pod(
            Restart::Always,
            &[
                one(Role::Sidecar, RUNNING),
                one(Role::Sidecar, RUNNING),
                one(Role::App, RUNNING),
                one(Role::App, RUNNING),
            ],
        );
        ending.ending = true;
        assert_eq!(ending.next(NOW), [Action::Stop(2), Action::Stop(3)]);
        ending.containers[2].run = Run::Stopping;
        ending.containers[3].run = Run::Exited(0);
        assert_eq!(ending.next(NOW), []);
        ending.containers[2].run = Run::Exited(143);
        assert_eq!(ending.next(NOW), [Action::Stop(1)]);
        ending.containers[1].run = Run::Exited(143);
        assert_eq!(ending.next(NOW), [Action::Stop(0)]);
        ending.containers[0].run = Run::Exited(143);
        assert_eq!(ending.next(NOW), [Action::RemoveSandbox]);
        ending.sandbox = Sandbox::None;
        assert_eq!(ending.next(NOW), [Action::Done]);
    }

    #[test]
    fn a_sandbox_that_died_takes_the_containers_along_and_is_made_again() {
        let mut broken = pod(Restart::Always, &[one(Role::App, RUNNING)]);
        broken.sandbox = Sandbox::Dead;
        assert_eq!(broken.next(NOW), [Action::Stop(0)]);
        broken.containers[0].run = Run::Exited(137);
        assert_eq!(broken.next(NOW), [Action::RemoveSandbox]);
        broken.sandbox = Sandbox::None;
        assert_eq!(broken.next(NOW), [Action::MakeSandbox]);
    }

    #[test]
    fn a_container_that_a_probe_wants_gone_is_stopped() {
        let unhealthy = Run::Running {
            started: true,
            unhealthy: true,
        };
        assert_eq!(
            pod(Restart::Always, &[one(Role::App, unhealthy)]).next(NOW),
            [Action::Stop(0)]
        );
    }
}
