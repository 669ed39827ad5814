//! DefaultTolerationSeconds: a pod stays on a node that is lost for five minutes, unless it says otherwise.

use apiserver::{Admission, Attempt, Part};
use objects::{Status, meta};
use serde_json::{Value, json};

use crate::fault::{Act, Faults};
use crate::kinds::POD;
use crate::taint::{NO_EXECUTE, NOT_READY, UNREACHABLE};

const SECONDS: i64 = 300;

pub(super) struct DefaultTolerationSeconds {
    pub(super) faults: Faults,
}

impl Admission for DefaultTolerationSeconds {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        if attempt.kind != POD || attempt.part != Part::Main || self.faults.has(Act::TolerationsNotDefaulted) {
            return Ok(());
        }
        let Some(pod) = attempt.object.as_deref_mut() else {
            return Ok(());
        };
        let mut tolerations = meta::list(pod, &["spec", "tolerations"]).to_vec();
        let before = tolerations.len();
        for key in [NOT_READY, UNREACHABLE] {
            let speaks_of_it = |one: &Value| {
                let (own, effect) = (meta::text(one, &["key"]), meta::text(one, &["effect"]));
                (own.is_empty() || own == key) && (effect.is_empty() || effect == NO_EXECUTE)
            };
            if !tolerations.iter().any(speaks_of_it) {
                tolerations.push(json!({
                    "key": key, "operator": "Exists", "effect": NO_EXECUTE, "tolerationSeconds": SECONDS,
                }));
            }
        }
        if tolerations.len() > before {
            meta::set(pod, &["spec", "tolerations"], tolerations);
        }
        Ok(())
    }
}
