//! Pods that are given to a node.

use objects::{Kind, Reason, Status, kind, meta, status::Details};
use serde_json::{Value, json};

use crate::{
    Api, WriteOptions,
    metadata::{bad, now},
};

impl Api {
    /// Gives a pod to a node, once and for all.
    ///
    /// # Errors
    /// `Conflict` where it has a node, is gated, or is going; `NotFound`.
    pub fn bind(&self, namespace: &str, pod: &str, node: &str) -> Result<(), Status> {
        let binding = json!({"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}});
        self.bind_object(namespace, &binding, &WriteOptions::default())
            .map(|_| ())
    }

    /// Does what a Binding says, and answers with what is sent to the client.
    pub(crate) fn bind_object(
        &self,
        namespace: &str,
        binding: &Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        self.check_link()?;
        let pods = pods()?;
        let name = meta::name(binding);
        let node = meta::text(binding, &["target", "name"]);
        if node.is_empty() {
            let cause = objects::Cause {
                reason: "FieldValueRequired".into(),
                message: "Required value".into(),
                field: "target.name".into(),
            };
            return Err(kind::find("", "v1", "bindings").map_or_else(
                || bad("target.name: Required value"),
                |kind| Status::invalid(kind, name, vec![cause]),
            ));
        }
        if !matches!(meta::text(binding, &["target", "kind"]), "" | "Node" | "Minion") {
            return Err(bad(
                "target.kind: Unsupported value: supported values: \"Node\", \"<empty>\"",
            ));
        }
        let writer = self.shared.store.writer();
        let old = self.get(pods, namespace, name)?;
        let refuse = |why: String| Err(refused(name, &why));
        let uid = meta::uid(binding);
        if !uid.is_empty() && uid != meta::uid(&old) {
            let is = meta::uid(&old);
            return refuse(format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {is}"
            ));
        }
        if meta::is_deleting(&old) {
            return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        let has = meta::text(&old, &["spec", "nodeName"]);
        if !has.is_empty() {
            return refuse(format!("pod {name} is already assigned to node \"{has}\""));
        }
        if !meta::list(&old, &["spec", "schedulingGates"]).is_empty() {
            return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        let mut new = Value::clone(&old);
        meta::set(&mut new, &["spec", "nodeName"], node);
        for (key, value) in meta::annotations(binding).into_iter().flatten() {
            meta::set(&mut new, &["metadata", "annotations", key], value.clone());
        }
        meta::set_condition(&mut new, "PodScheduled", "True", "", "", &now());
        self.put(&writer, pods, &old, new, options.dry_run)?;
        Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
    }
}

pub(crate) fn pods() -> Result<&'static Kind, Status> {
    kind::find("", "v1", "pods").ok_or_else(|| Status::new(Reason::InternalError, "pods are not served"))
}

fn refused(pod: &str, why: &str) -> Status {
    let mut status = Status::new(
        Reason::Conflict,
        format!("Operation cannot be fulfilled on pods/binding \"{pod}\": {why}"),
    );
    status.details = Some(Box::new(Details {
        name: pod.into(),
        kind: "pods/binding".into(),
        ..Details::default()
    }));
    status
}
