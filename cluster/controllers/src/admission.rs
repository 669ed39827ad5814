//! What is changed or refused on the way in, one plugin a file, under Kubernetes' names.
//!
//! See <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>.

mod default_toleration_seconds;
mod limit_ranger;
mod priority;
mod resource_quota;
mod runtime_class;
mod service_account;
mod service_address;
mod taint_nodes_by_condition;

use std::sync::Arc;

use apiserver::{Admission, Attempt, Part, Verb};
use objects::Status;
use serde_json::Value;

use crate::Options;
use crate::kinds::POD;
use crate::random::Random;

/// Every plugin, in the order in which they are asked: what asks for resources comes before what limits them.
pub(crate) fn all(options: &Options) -> Vec<Arc<dyn Admission>> {
    let random = Arc::new(Random::new(options.seed));
    let faults = || options.faults.clone();
    vec![
        Arc::new(service_account::ServiceAccount {
            random: random.clone(),
            faults: faults(),
        }),
        Arc::new(taint_nodes_by_condition::TaintNodesByCondition),
        Arc::new(priority::Priority { faults: faults() }),
        Arc::new(default_toleration_seconds::DefaultTolerationSeconds { faults: faults() }),
        Arc::new(runtime_class::RuntimeClass { faults: faults() }),
        Arc::new(limit_ranger::LimitRanger { faults: faults() }),
        Arc::new(service_address::ServiceAddress {
            random,
            dual_stack: options.dual_stack,
            faults: faults(),
        }),
        Arc::new(resource_quota::ResourceQuota { faults: faults() }),
    ]
}

/// The pod that is to be made, if one is.
fn new_pod<'a>(attempt: &'a mut Attempt<'_>) -> Option<&'a mut Value> {
    let is_new = attempt.kind == POD && attempt.verb == Verb::Create && attempt.part == Part::Main;
    attempt.object.as_deref_mut().filter(|_| is_new)
}

fn forbidden(attempt: &Attempt<'_>, why: &str) -> Status {
    Status::forbidden(attempt.kind, attempt.name, why)
}
