//! TaintNodesByCondition: nothing is scheduled to a node before it has said that it is ready.

use apiserver::{Admission, Attempt, Verb};
use objects::{Status, meta};
use serde_json::json;

use crate::kinds::NODE;
use crate::taint::{NO_SCHEDULE, NOT_READY};

pub(super) struct TaintNodesByCondition;

impl Admission for TaintNodesByCondition {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        if attempt.kind != NODE || attempt.verb != Verb::Create {
            return Ok(());
        }
        let Some(node) = attempt
            .object
            .as_deref_mut()
            .filter(|node| !meta::is_true(node, "Ready"))
        else {
            return Ok(());
        };
        let mut taints = meta::list(node, &["spec", "taints"]).to_vec();
        if !taints
            .iter()
            .any(|one| one["key"] == NOT_READY && one["effect"] == NO_SCHEDULE)
        {
            taints.push(json!({"key": NOT_READY, "effect": NO_SCHEDULE}));
            meta::set(node, &["spec", "taints"], taints);
        }
        Ok(())
    }
}
