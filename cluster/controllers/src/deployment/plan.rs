//! What is to be done about a Deployment.

use std::time::{Duration, SystemTime};

use objects::meta;
use serde_json::Value;

use super::bounds::Bounds;
use super::sets::{REVISION, Set};
use super::{progress, rolling, scale};
use crate::fault::{Act, Faults};

/// What a Deployment looks like just now.
pub(crate) struct Observed<'a> {
    pub(crate) deployment: &'a Value,
    /// Its own ReplicaSets.
    pub(crate) sets: &'a [&'a Value],
    /// Its own pods, ended ones too.
    pub(crate) pods: &'a [&'a Value],
}

/// What is to be done about it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The set of a new template.
    pub(crate) create: Option<Value>,
    /// Sets that change.
    pub(crate) update: Vec<Value>,
    /// Names of sets that are too old to be remembered.
    pub(crate) delete: Vec<String>,
    /// The Deployment's revision, if it says another one.
    pub(crate) revision: Option<String>,
    /// What the Deployment's status is now.
    pub(crate) status: Value,
    /// What to tell about it.
    pub(crate) scaled: Vec<String>,
    /// When to look again although nothing changes.
    pub(crate) again: Option<Duration>,
}

struct Rollout<'a> {
    observed: &'a Observed<'a>,
    bounds: Bounds,
    newest: Option<Set>,
    old: Vec<Set>,
    scaled: Vec<String>,
    faults: &'a Faults,
}

/// What is to be done about a Deployment.
pub(crate) fn plan(observed: &Observed<'_>, faults: &Faults, now: SystemTime) -> Plan {
    let deployment = observed.deployment;
    let mut all: Vec<Set> = observed.sets.iter().map(|set| Set::of((*set).clone())).collect();
    all.sort_by(|one, other| one.age().cmp(&other.age()));
    let newest = all
        .iter()
        .position(|set| set.has_template_of(deployment))
        .map(|index| all.remove(index));
    let mut rollout = Rollout {
        observed,
        bounds: Bounds::of(deployment, faults),
        newest,
        old: all,
        scaled: Vec::new(),
        faults,
    };
    let was_there = rollout.newest.is_some();
    let paused = meta::flag(deployment, &["spec", "paused"]) && !faults.has(Act::DeploymentIgnoresPause);
    let going = !meta::is_deleting(deployment);
    let size_only = paused || rollout.is_resized();
    if going {
        if size_only {
            rollout.follow();
            rollout.resize();
        } else if rollout.bounds.is_rolling {
            rollout.make_newest();
            rollout.roll();
        } else {
            rollout.recreate();
        }
    }
    let (status, again) = progress::status(
        &progress::Observed {
            deployment,
            sets: observed.sets,
            newest: rollout.newest.as_ref(),
            was_there,
            bounds: &rollout.bounds,
            paused,
            size_only: size_only || !going,
        },
        now,
    );
    let complete = progress::is_complete(deployment, &status);
    let delete = match going && (complete || paused) {
        true => rollout.forgotten(),
        false => Vec::new(),
    };
    rollout.finish(status, again, delete)
}

impl Rollout<'_> {
    fn deployment(&self) -> &Value {
        self.observed.deployment
    }

    /// The size that was asked for is another one than the sets were made for.
    fn is_resized(&self) -> bool {
        let mut active = self.newest.iter().chain(&self.old).filter(|set| set.size() > 0);
        active.any(|set| set.desired().is_some_and(|desired| desired != self.bounds.replicas))
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(Set::revision).max().unwrap_or_default() + 1
    }

    fn follow(&mut self) {
        let revision = self.next_revision();
        let deployment = self.observed.deployment;
        if let Some(newest) = &mut self.newest {
            newest.follow(deployment, revision);
        }
    }

    fn make_newest(&mut self) {
        if self.newest.is_none() {
            let set = Set::make(self.deployment(), self.next_revision(), &self.bounds);
            self.newest = Some(set);
        }
        self.follow();
    }

    fn roll(&mut self) {
        let Some(newest) = &mut self.newest else { return };
        let size = rolling::new_size(newest, &self.old, &self.bounds);
        // A set that is just being made counts as one of that size from the start.
        let grows = newest.size() != size && !newest.is_made;
        self.scaled.extend(newest.resize(size, &self.bounds));
        if grows {
            return;
        }
        let sizes = rolling::old_sizes(newest, &self.old, &self.bounds);
        self.resize_old(&sizes);
    }

    fn resize_old(&mut self, sizes: &[i64]) {
        for (set, size) in self.old.iter_mut().zip(sizes) {
            if set.size() != *size {
                self.scaled.extend(set.resize(*size, &self.bounds));
            }
        }
    }

    fn recreate(&mut self) {
        self.follow();
        let overlaps = self.faults.has(Act::RecreateOverlaps);
        if self.old.iter().any(|set| set.size() > 0) {
            self.resize_old(&vec![0; self.old.len()]);
            if !overlaps {
                return;
            }
        }
        if self.old_pods_run() && !overlaps {
            return;
        }
        self.make_newest();
        if let Some(newest) = &mut self.newest {
            self.scaled.extend(newest.resize(self.bounds.replicas, &self.bounds));
        }
    }

    fn old_pods_run(&self) -> bool {
        let newest = self.newest.as_ref().map(|set| meta::uid(&set.object));
        let running = |pod: &&&Value| !crate::pod::has_ended(pod);
        self.observed
            .pods
            .iter()
            .filter(running)
            .filter_map(|pod| meta::controller(pod))
            .any(|owner| Some(meta::text(owner, &["uid"])) != newest)
    }

    /// Only the size changes: no new template is rolled out.
    fn resize(&mut self) {
        let active = self.newest.iter().chain(&self.old).filter(|set| set.size() > 0).count();
        let bounds = self.bounds;
        if active <= 1 {
            let mut sets = self.newest.iter_mut().chain(self.old.iter_mut().rev());
            // The one that has pods; else the newest, or the youngest of the old.
            let has_pods = |set: &&mut Set| active == 0 || set.size() > 0;
            if let Some(set) = sets.find(has_pods)
                && set.size() != bounds.replicas
            {
                self.scaled.extend(set.resize(bounds.replicas, &bounds));
            }
            return;
        }
        if self.newest.as_ref().is_some_and(|set| is_saturated(set, &bounds)) {
            self.resize_old(&vec![0; self.old.len()]);
            return;
        }
        if !bounds.is_rolling {
            return;
        }
        let before = meta::number(self.deployment(), &["status", "replicas"]).unwrap_or_default();
        let mut sets: Vec<&mut Set> = self.newest.iter_mut().chain(&mut self.old).collect();
        sets.retain(|set| set.size() > 0);
        let shared: Vec<&Set> = sets.iter().map(|set| &**set).collect();
        let sizes = scale::shares(&shared, &bounds, before);
        for (set, size) in sets.into_iter().zip(sizes) {
            self.scaled.extend(set.resize(size, &bounds));
        }
    }

    /// Old sets beyond what `revisionHistoryLimit` remembers.
    fn forgotten(&self) -> Vec<String> {
        let limit = meta::number(self.deployment(), &["spec", "revisionHistoryLimit"]).unwrap_or(10);
        if self.faults.has(Act::DeploymentKeepsHistory) {
            return Vec::new();
        }
        let mut kept: Vec<&Set> = self.old.iter().filter(|set| !meta::is_deleting(&set.object)).collect();
        kept.sort_by_key(|set| set.revision());
        let surplus = kept.len().saturating_sub(limit.try_into().unwrap_or_default());
        let is_empty = |set: &&&Set| {
            let seen = meta::number(&set.object, &["status", "observedGeneration"]).unwrap_or_default();
            set.size() == 0 && set.count("replicas") == 0 && seen >= meta::generation(&set.object) && !set.is_changed
        };
        let names = kept.iter().take(surplus).filter(is_empty);
        names.map(|set| set.name().to_owned()).collect()
    }

    fn finish(self, status: Value, again: Option<Duration>, delete: Vec<String>) -> Plan {
        let said = meta::annotation(self.observed.deployment, REVISION);
        let revision = self
            .newest
            .as_ref()
            .and_then(|set| meta::annotation(&set.object, REVISION))
            .filter(|revision| Some(*revision) != said)
            .map(str::to_owned);
        let mut plan = Plan {
            delete,
            revision,
            status,
            scaled: self.scaled,
            again,
            ..Plan::default()
        };
        for set in self.newest.into_iter().chain(self.old) {
            if set.is_made {
                plan.create = Some(set.object);
            } else if set.is_changed {
                plan.update.push(set.object);
            }
        }
        plan
    }
}

/// The set has all the pods that are wanted, and they are available.
fn is_saturated(set: &Set, bounds: &Bounds) -> bool {
    set.size() == bounds.replicas && set.desired() == Some(bounds.replicas) && set.available() == bounds.replicas
}
