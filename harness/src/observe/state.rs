//! The life-cycle state: the runtime's word and the kernel's.

use record::Seen;
use record::seen::KernelState;

use super::cgroup;
use crate::drive::World;

pub(super) fn look(name: &str, world: &mut World<'_>) -> Seen {
    let Some(container) = world.containers.get(name) else {
        return Seen::Absent {
            what: format!("`{name}` was never made"),
        };
    };
    let (id, path) = (container.id.clone(), container.cgroups_path.clone());
    let (runtime, told) = match world.client.state(&id) {
        Ok((outcome, state)) => {
            world.waited += outcome.took;
            let state = state.unwrap_or_default();
            let word = state.get("status").and_then(|status| status.as_str());
            (
                word.map(str::to_owned),
                state.get("pid").and_then(serde_json::Value::as_i64),
            )
        }
        Err(error) => {
            return Seen::Unmeasured {
                why: crate::chain(&error),
            };
        }
    };
    let mut kernel = KernelState::default();
    if let Some(init) = world.containers.get_mut(name).and_then(|c| c.init.as_mut()) {
        kernel.pid = Some(init.pid);
        kernel.payload = init.payload();
        if let Some(path) = path {
            // Every hierarchy that the guard mounted with a controller must hold it in the container's own group.
            let now = crate::drive::container::groups(init.pid, &world.home.cgroups);
            let own = path.trim_start_matches('/').to_owned();
            let mut limited = now
                .iter()
                .filter(|g| g.controllers.iter().any(|c| !c.starts_with("name=")))
                .peekable();
            if limited.peek().is_some() {
                kernel.in_cgroup =
                    Some(limited.all(|g| g.directory.components().any(|c| c.as_os_str() == own.as_str())));
            }
        }
        // Asked last: a process that ends leaves its groups first, and what was read of it then means nothing.
        kernel.alive = init.alive();
        kernel.frozen = kernel.alive && cgroup::frozen(&init.groups);
        if !kernel.alive {
            kernel.in_cgroup = None;
        }
    }
    Seen::State { runtime, told, kernel }
}
