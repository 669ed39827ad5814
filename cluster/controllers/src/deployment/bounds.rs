//! How far a rolling update may stray from the number that is asked for.

use objects::meta;
use serde_json::{Value, json};

use crate::fault::{Act, Faults};
use crate::portion::{self, Round};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) replicas: i64,
    surge: i64,
    unavailable: i64,
    pub(super) is_rolling: bool,
}

impl Bounds {
    pub(super) fn of(deployment: &Value, faults: &Faults) -> Self {
        let replicas = meta::number(deployment, &["spec", "replicas"]).unwrap_or(1);
        let is_rolling = meta::text(deployment, &["spec", "strategy", "type"]) != "Recreate";
        let mut bounds = Self {
            replicas,
            surge: 0,
            unavailable: 0,
            is_rolling,
        };
        if is_rolling {
            let quarter = json!("25%");
            let part = |key, round| {
                let value = meta::at(deployment, &["spec", "strategy", "rollingUpdate", key]);
                portion::of(value.unwrap_or(&quarter), replicas, round).unwrap_or_default()
            };
            bounds.surge = part("maxSurge", Round::Up);
            bounds.unavailable = part("maxUnavailable", Round::Down);
            if bounds.surge == 0 && bounds.unavailable == 0 {
                // Both may round to nothing, and then nothing could ever move.
                bounds.unavailable = 1;
            }
        }
        if faults.has(Act::DeploymentOvershoots) {
            bounds.surge = replicas.max(bounds.surge + 1);
        }
        if faults.has(Act::DeploymentUndershoots) {
            bounds.unavailable = replicas;
        }
        bounds.unavailable = bounds.unavailable.min(replicas);
        bounds
    }

    /// No more pods than these.
    pub(super) const fn most(&self) -> i64 {
        self.replicas + self.surge
    }

    /// No fewer available pods than these.
    pub(super) const fn fewest(&self) -> i64 {
        self.replicas - self.unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(replicas: i64, surge: Value, unavailable: Value) -> (i64, i64) {
        let deployment = json!({"spec": {"replicas": replicas, "strategy": {
            "type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }}});
        let bounds = Bounds::of(&deployment, &Faults::default());
        (bounds.most(), bounds.fewest())
    }

    #[test]
    fn surge_is_rounded_up_and_unavailable_down_and_something_may_always_move() {
        assert_eq!(bounds(10, json!("25%"), json!("25%")), (13, 8));
        assert_eq!(bounds(3, json!("25%"), json!("25%")), (4, 3));
        assert_eq!(bounds(3, json!(0), json!("25%")), (3, 2));
        assert_eq!(bounds(2, json!(1), json!(9)), (3, 0));
    }
}
