//! Evictions: deletions that respect disruption budgets.
//!
//! See <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>.

use objects::{Cause, Reason, Status, kind, meta, selector::Labels, status::Details};
use serde_json::{Value, json};

use crate::{Api, DeleteOptions, Object, Part, WriteOptions, bind::pods, metadata::now};

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
/// Disrupted pods that a budget remembers; more means that its controller does not work.
const MOST_DISRUPTED: usize = 2000;

impl Api {
    /// Deletes a pod unless a disruption budget forbids it now.
    ///
    /// # Errors
    /// `TooManyRequests` with the cause `DisruptionBudget`, or as [`Api::delete`].
    pub fn evict(&self, namespace: &str, pod: &str, options: &DeleteOptions) -> Result<(), Status> {
        self.check_link()?;
        let kind = pods()?;
        loop {
            let object = self.get(kind, namespace, pod)?;
            if is_counted(&object) {
                match self.use_budget(namespace, &object, options.dry_run) {
                    Err(status) if status.reason == Reason::Conflict => continue,
                    used => used?,
                }
            }
            if !options.dry_run && !meta::is_deleting(&object) {
                self.edit(kind, namespace, pod, Part::Status, |pod| {
                    meta::set_condition(
                        pod,
                        "DisruptionTarget",
                        "True",
                        "EvictionByEvictionAPI",
                        "Eviction API: evicting",
                        &now(),
                    );
                })?;
            }
            return self.delete(kind, namespace, pod, options).map(|_| ());
        }
    }

    fn use_budget(&self, namespace: &str, pod: &Value, dry_run: bool) -> Result<(), Status> {
        let Some(kind) = kind::find("policy", "v1", "poddisruptionbudgets") else {
            return Ok(());
        };
        let all = self.shared.store.all(kind, Some(namespace));
        let mut budgets = all
            .iter()
            .map(|stored| stored.value())
            .filter(|budget| Labels::of(budget["spec"].get("selector")).is_ok_and(|labels| labels.matches_object(pod)));
        let Some(budget) = budgets.next() else { return Ok(()) };
        if budgets.next().is_some() {
            return Err(Status::new(
                Reason::InternalError,
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
        if !meta::is_true(pod, "Ready") && is_free(&budget) {
            return Ok(());
        }
        let new = disrupted(&budget, meta::name(pod))?;
        self.update_with(
            kind,
            namespace,
            new,
            Part::Status,
            &WriteOptions {
                dry_run,
                ..WriteOptions::default()
            },
        )?;
        Ok(())
    }
}

/// Whether a budget has a say: not about pods that do not run any more, or not yet.
fn is_counted(pod: &Object) -> bool {
    let ended = matches!(
        meta::text(pod, &["status", "phase"]),
        "Succeeded" | "Failed" | "Pending"
    );
    !ended && !meta::is_deleting(pod)
}

/// Whether pods that are not ready may go without being counted.
fn is_free(budget: &Value) -> bool {
    let number = |field: &str| meta::number(budget, &["status", field]).unwrap_or(0);
    match meta::text(budget, &["spec", "unhealthyPodEvictionPolicy"]) {
        "AlwaysAllow" => true,
        _ => number("desiredHealthy") > 0 && number("currentHealthy") >= number("desiredHealthy"),
    }
}

fn disrupted(budget: &Value, pod: &str) -> Result<Value, Status> {
    let name = meta::name(budget);
    let number = |field: &str| meta::number(budget, &["status", field]).unwrap_or(0);
    if number("observedGeneration") < meta::generation(budget) {
        return Err(refused(
            format!("The disruption budget {name} is still being processed by the server."),
            Some(10),
        ));
    }
    let already = meta::map(budget, &["status", "disruptedPods"]).map_or(0, serde_json::Map::len);
    if already > MOST_DISRUPTED {
        return Err(Status::new(
            Reason::Forbidden,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    let allowed = number("disruptionsAllowed");
    if allowed <= 0 {
        return Err(refused(
            format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                number("desiredHealthy"),
                number("currentHealthy")
            ),
            None,
        ));
    }
    let mut new = budget.clone();
    meta::set(&mut new, &["status", "disruptionsAllowed"], allowed - 1);
    meta::set(&mut new, &["status", "disruptedPods", pod], json!(now()));
    if allowed == 1 {
        meta::set_condition(&mut new, "DisruptionAllowed", "False", "InsufficientPods", "", &now());
    }
    Ok(new)
}

fn refused(why: String, retry_after: Option<u32>) -> Status {
    let mut status = Status::new(Reason::TooManyRequests, REFUSED);
    status.details = Some(Box::new(Details {
        causes: vec![Cause {
            reason: "DisruptionBudget".into(),
            message: why,
            field: String::new(),
        }],
        retry_after,
        ..Details::default()
    }));
    status
}
