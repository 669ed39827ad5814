//! What a case will ask its subject for, as far as that is known before it runs.

use serde_json::Value;
use spec::Workload;

use crate::drive::config;
use crate::plan::Case;

/// The configurations of the case's containers; `None` if one of them is known only when it runs.
pub(super) fn configs(case: &Case) -> Option<Vec<Value>> {
    let around = config::Surroundings {
        environment: Vec::new(),
        cgroups_path: Some("/group".into()),
        swap_accounted: true,
        ordinary: false,
    };
    case.spec
        .workloads
        .values()
        .map(|workload| match &workload.value {
            Workload::Container(container) => {
                let join = |name: &str, kind: spec::requirement::NamespaceKind| {
                    Some(format!("/proc/{name}/ns/{}", kind.proc_name()))
                };
                let mut config = config::write(container, &around, &join).ok()?;
                config::patch(&mut config, &container.patch).ok()?;
                Some(config)
            }
            Workload::Bundle(_) | Workload::Object(_) => None,
        })
        .collect()
}
