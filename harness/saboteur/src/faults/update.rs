//! `update` of a live container's limits.

use serde_json::{Value, json};

use super::{exec::skipped, lifecycle::always_0};
use crate::catalogue::{Act, Fault, knockout, verb};
use crate::edit::scale;

const AREA: &[&str] = &["update", "cpu", "memory", "pids"];

pub(crate) const ALL: &[Fault] = &[
    verb("update-ignored", AREA, "says 0 and updates nothing", |call| {
        skipped(call, "update")
    }),
    update("update-doubled", AREA, "updates to limits twice as high", |resources| {
        numbers(resources, 100)
    }),
    update("update-plus-20", AREA, "updates to limits 20 % higher", |resources| {
        numbers(resources, 20)
    }),
    update(
        "update-memory-ignored",
        AREA,
        "updates everything but memory",
        |resources| without(resources, "memory"),
    ),
    update(
        "update-cpu-ignored",
        AREA,
        "updates everything but CPU time",
        |resources| without(resources, "cpu"),
    ),
    update(
        "update-pids-ignored",
        AREA,
        "updates everything but the number of processes",
        |resources| without(resources, "pids"),
    ),
    verb(
        "update-always-exits-0",
        &["update", "errors"],
        "says 0 whether the limits could be updated or not",
        |call| always_0(call, "update"),
    ),
    verb(
        "update-lifts-other-limits",
        AREA,
        "lifts the limit of processes when another limit is updated",
        |call| {
            if call.verb() != "update" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            let lifted = call.ask("update", &["--pids-limit", "-1"], &[call.line.id().unwrap_or_default()])?;
            if lifted.status.success() {
                call.changed("lifted the limit of processes")?;
            }
            Ok(Some(code))
        },
    ),
];

const fn update(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    apply: fn(&mut Value),
) -> Fault {
    knockout(name, dimensions, what, Act::Update(apply))
}

fn numbers(resources: &mut Value, percent: i32) {
    let mut wrapped = json!({"linux": {"resources": resources.take()}});
    for at in [
        "memory/limit",
        "memory/reservation",
        "cpu/quota",
        "cpu/shares",
        "pids/limit",
    ] {
        scale(&mut wrapped, &format!("/linux/resources/{at}"), percent);
    }
    *resources = wrapped["linux"]["resources"].take();
}

fn without(resources: &mut Value, controller: &str) {
    if let Some(resources) = resources.as_object_mut() {
        resources.shift_remove(controller);
    }
}
