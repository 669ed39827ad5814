//! Hooks: not run, run otherwise, and what they say ignored.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at};
use crate::edit::{map, remove};

const AREA: &[&str] = &["hooks", "errors", "create", "delete"];

/// Kinds whose program lies on the host, where there is a shell.
const ON_THE_HOST: [&str; 5] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

pub(crate) const ALL: &[Fault] = &[
    config("hooks-dropped", AREA, "runs no hooks", |config| {
        remove(config, "/hooks")
    }),
    config_at(
        "hooks-prestart-dropped",
        AREA,
        "runs no prestart hooks",
        dropped,
        "/hooks/prestart",
    ),
    config_at(
        "hooks-create-runtime-dropped",
        AREA,
        "runs no createRuntime hooks",
        dropped,
        "/hooks/createRuntime",
    ),
    config_at(
        "hooks-create-container-dropped",
        AREA,
        "runs no createContainer hooks",
        dropped,
        "/hooks/createContainer",
    ),
    config_at(
        "hooks-start-container-dropped",
        AREA,
        "runs no startContainer hooks",
        dropped,
        "/hooks/startContainer",
    ),
    config_at(
        "hooks-poststart-dropped",
        AREA,
        "runs no poststart hooks",
        dropped,
        "/hooks/poststart",
    ),
    config_at(
        "hooks-poststop-dropped",
        AREA,
        "runs no poststop hooks",
        dropped,
        "/hooks/poststop",
    ),
    config(
        "hooks-reversed",
        AREA,
        "runs the hooks of each kind in reverse order",
        |config| {
            each_kind(config, |_, hooks| hooks.reverse());
        },
    ),
    config(
        "hooks-first-only",
        AREA,
        "runs the first hook of each kind only",
        |config| {
            each_kind(config, |_, hooks| hooks.truncate(1));
        },
    ),
    config("hooks-twice", AREA, "runs every hook twice", |config| {
        each_kind(config, |_, hooks| {
            *hooks = hooks.iter().flat_map(|hook| [hook.clone(), hook.clone()]).collect();
        });
    }),
    config(
        "hooks-failure-ignored",
        AREA,
        "goes on whatever a hook's exit status is",
        |config| {
            each_on_the_host(config, |hook| wrapped(hook, "\"$@\"; exit 0"));
        },
    ),
    config(
        "hooks-state-empty",
        AREA,
        "gives hooks an empty standard input in place of the state",
        |config| {
            each_on_the_host(config, |hook| wrapped(hook, "exec \"$@\" </dev/null"));
        },
    ),
    config("hooks-timeout-ignored", AREA, "lets a hook run for ever", |config| {
        each_kind(config, |_, hooks| {
            for hook in hooks {
                if let Some(hook) = hook.as_object_mut() {
                    hook.shift_remove("timeout");
                }
            }
        });
    }),
    config(
        "hooks-arguments-dropped",
        AREA,
        "runs hooks without their arguments",
        |config| {
            each_kind(config, |_, hooks| {
                for hook in hooks {
                    if let Some(arguments) = crate::edit::list(hook, "/args") {
                        arguments.truncate(1);
                    }
                }
            });
        },
    ),
    config(
        "hooks-environment-dropped",
        AREA,
        "runs hooks without their environment",
        |config| {
            each_kind(config, |_, hooks| {
                for hook in hooks {
                    if let Some(hook) = hook.as_object_mut() {
                        hook.shift_remove("env");
                    }
                }
            });
        },
    ),
    config(
        "hooks-create-container-on-the-host",
        AREA,
        "runs createContainer hooks in the runtime's namespaces",
        |config| {
            moved(config, "createContainer", "createRuntime");
        },
    ),
    config(
        "hooks-create-runtime-in-the-container",
        AREA,
        "runs createRuntime hooks in the container's namespaces",
        |config| {
            moved(config, "createRuntime", "createContainer");
        },
    ),
    config(
        "hooks-poststart-at-create",
        AREA,
        "runs poststart hooks before the container is started",
        |config| {
            moved(config, "poststart", "createRuntime");
        },
    ),
    config(
        "hooks-create-runtime-at-start",
        AREA,
        "runs createRuntime hooks after the start",
        |config| {
            moved(config, "createRuntime", "poststart");
        },
    ),
    config(
        "hooks-poststop-at-start",
        AREA,
        "runs poststop hooks when the container starts",
        |config| {
            moved(config, "poststop", "poststart");
        },
    ),
];

fn dropped(config: &mut Value, at: &'static str) {
    remove(config, at);
}

fn each_kind(config: &mut Value, apply: impl Fn(&str, &mut Vec<Value>)) {
    for (kind, hooks) in map(config, "/hooks").into_iter().flatten() {
        if let Some(hooks) = hooks.as_array_mut() {
            apply(kind, hooks);
        }
    }
}

fn each_on_the_host(config: &mut Value, apply: impl Fn(&mut Value)) {
    each_kind(config, |kind, hooks| {
        if ON_THE_HOST.contains(&kind) {
            hooks.iter_mut().filter(|hook| hook.is_object()).for_each(&apply);
        }
    });
}

/// Puts a shell between the runtime and the hook. The hook's own first argument is not handed on: a shell sets that.
fn wrapped(hook: &mut Value, script: &str) {
    let path = hook["path"].clone();
    let arguments = hook.get("args").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = vec![json!("sh"), json!("-c"), json!(script), json!("sh"), path];
    all.extend(arguments.into_iter().skip(1));
    hook["path"] = json!("/bin/sh");
    hook["args"] = json!(all);
}

fn moved(config: &mut Value, from: &str, to: &str) {
    let Some(kinds) = map(config, "/hooks") else { return };
    let Some(hooks) = kinds.shift_remove(from) else { return };
    let place = kinds.entry(to).or_insert_with(|| json!([]));
    if let (Some(place), Some(hooks)) = (place.as_array_mut(), hooks.as_array()) {
        place.extend(hooks.iter().cloned());
    }
}
