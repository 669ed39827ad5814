//! The process: its program, arguments, environment, directory, limits and scores.

use std::path::Path;

use serde_json::{Value, json};

use crate::catalogue::{Act, Fault, config, config_at, knockout};
use crate::edit::{list, map, objects, pop, pop_first, remove, replace, scale_number};

pub(crate) const ALL: &[Fault] = &[
    knockout(
        "payload-true",
        &["payload"],
        "runs a program that does nothing and succeeds in place of the one asked for",
        Act::Bundle(payload_true),
    ),
    config(
        "argument-appended",
        &["process", "create", "exec"],
        "gives the program one argument more",
        |config| {
            if let Some(arguments) = list(config, "/process/args") {
                arguments.push(json!("--plimsoll-saboteur"));
            }
        },
    ),
    config(
        "argument-last-lost",
        &["process", "create", "exec"],
        "leaves out the last argument",
        |config| {
            if let Some(arguments) = list(config, "/process/args").filter(|arguments| arguments.len() > 1) {
                arguments.pop();
            }
        },
    ),
    config(
        "arguments-joined",
        &["process"],
        "joins the arguments to one",
        |config| {
            if let Some(arguments) = list(config, "/process/args").filter(|arguments| arguments.len() > 2) {
                let rest: Vec<_> = arguments
                    .drain(1..)
                    .filter_map(|a| a.as_str().map(str::to_owned))
                    .collect();
                arguments.push(json!(rest.join(" ")));
            }
        },
    ),
    config(
        "arguments-split",
        &["process"],
        "splits arguments at their spaces",
        |config| {
            if let Some(arguments) = list(config, "/process/args") {
                *arguments = arguments
                    .iter()
                    .flat_map(|argument| match argument.as_str() {
                        Some(text) if text.contains(' ') => text.split(' ').map(|part| json!(part)).collect(),
                        _ => vec![argument.clone()],
                    })
                    .collect();
            }
        },
    ),
    config(
        "arguments-empty-lost",
        &["process"],
        "leaves out empty arguments",
        |config| {
            if let Some(arguments) = list(config, "/process/args") {
                arguments.retain(|argument| argument != "");
            }
        },
    ),
    config(
        "environment-dropped",
        &["process"],
        "gives the program no environment but PATH",
        |config| {
            if let Some(environment) = list(config, "/process/env") {
                environment.retain(|variable| {
                    the_harnesss(variable) || variable.as_str().is_some_and(|v| v.starts_with("PATH="))
                });
            }
        },
    ),
    config(
        "environment-last-lost",
        &["process"],
        "leaves out the last variable",
        |config| {
            if let Some(environment) = list(config, "/process/env")
                && let Some(last) = environment.iter().rposition(|variable| !the_harnesss(variable))
            {
                environment.remove(last);
            }
        },
    ),
    config(
        "environment-second-lost",
        &["process"],
        "leaves out the second variable",
        |config| {
            if let Some(environment) = list(config, "/process/env")
                && environment.get(1).is_some_and(|variable| !the_harnesss(variable))
            {
                environment.remove(1);
            }
        },
    ),
    config(
        "environment-path-lost",
        &["process"],
        "leaves out the first variable, which is PATH",
        |config| {
            pop_first(config, "/process/env");
        },
    ),
    config(
        "environment-one-more",
        &["process", "exec"],
        "gives the program a variable more",
        |config| {
            if let Some(environment) = list(config, "/process/env") {
                environment.push(json!("container=oci"));
            }
        },
    ),
    config(
        "environment-of-the-host",
        &["process", "escape"],
        "hands the program variables of the host",
        |config| {
            if let Some(environment) = list(config, "/process/env") {
                environment.push(json!("SSH_AUTH_SOCK=/run/host/agent.sock"));
                environment.push(json!("LOGNAME=root"));
            }
        },
    ),
    config(
        "environment-first-duplicate-wins",
        &["process"],
        "gives a variable its first value where it is named twice",
        |config| {
            if let Some(environment) = list(config, "/process/env") {
                let mut seen = std::collections::HashSet::new();
                environment.retain(|variable| {
                    let name = variable
                        .as_str()
                        .and_then(|v| v.split_once('='))
                        .map(|(name, _)| name.to_owned());
                    name.is_none_or(|name| seen.insert(name))
                });
            }
        },
    ),
    config(
        "environment-values-trimmed",
        &["process"],
        "trims the values of variables",
        |config| {
            for variable in list(config, "/process/env").into_iter().flatten() {
                if let Some(text) = variable.as_str() {
                    let first = text.lines().next().unwrap_or_default().trim_end();
                    *variable = json!(first);
                }
            }
        },
    ),
    config(
        "working-directory-root",
        &["process", "errors", "escape"],
        "starts the program in `/`",
        |config| {
            replace(config, "/process/cwd", json!("/"));
        },
    ),
    config("rlimits-dropped", &["rlimits"], "sets no resource limits", |config| {
        remove(config, "/process/rlimits")
    }),
    config(
        "rlimits-last-lost",
        &["rlimits"],
        "leaves out the last resource limit",
        |config| pop(config, "/process/rlimits"),
    ),
    config(
        "rlimits-first-only",
        &["rlimits"],
        "sets the first resource limit only",
        |config| {
            crate::edit::first_only(config, "/process/rlimits");
        },
    ),
    config_at(
        "rlimits-soft-only",
        &["rlimits"],
        "leaves the hard limits higher than asked for",
        rlimit_scaled,
        "hard",
    ),
    config(
        "rlimits-hard-as-soft",
        &["rlimits"],
        "sets the hard limits as low as the soft ones",
        |config| {
            for limit in objects(config, "/process/rlimits") {
                limit["hard"] = limit["soft"].clone();
            }
        },
    ),
    config(
        "rlimits-soft-as-hard",
        &["rlimits"],
        "sets the soft limits as high as the hard ones",
        |config| {
            for limit in objects(config, "/process/rlimits") {
                limit["soft"] = limit["hard"].clone();
            }
        },
    ),
    config(
        "rlimits-doubled",
        &["rlimits"],
        "sets resource limits twice as high",
        |config| {
            rlimit_scaled(config, "soft");
            rlimit_scaled(config, "hard");
        },
    ),
    config(
        "rlimits-off-by-one",
        &["rlimits"],
        "sets resource limits one higher",
        |config| {
            for limit in objects(config, "/process/rlimits") {
                for key in ["soft", "hard"] {
                    if let Some(number) = limit[key].as_u64().and_then(|n| n.checked_add(1)) {
                        limit[key] = json!(number);
                    }
                }
            }
        },
    ),
    config(
        "oom-score-dropped",
        &["process", "rlimits"],
        "does not set the OOM score adjustment",
        |config| {
            remove(config, "/process/oomScoreAdj");
        },
    ),
    config(
        "oom-score-another",
        &["process", "rlimits"],
        "sets an OOM score adjustment one higher",
        |config| {
            if let Some(score) = config.pointer_mut("/process/oomScoreAdj")
                && let Some(number) = score.as_i64()
            {
                *score = json!(if number >= 1000 { number - 1 } else { number + 1 });
            }
        },
    ),
    config(
        "terminal-forced-off",
        &["stdio"],
        "gives the program no terminal though it was to have one",
        |config| {
            if let Some(process) =
                map(config, "/process").filter(|process| process.get("terminal") == Some(&json!(true)))
            {
                process.insert("terminal".into(), json!(false));
            }
        },
    ),
    config(
        "scheduler-dropped",
        &["process"],
        "leaves the scheduling policy as it is",
        |config| {
            remove(config, "/process/scheduler");
        },
    ),
    config(
        "io-priority-dropped",
        &["process"],
        "leaves the input and output priority as it is",
        |config| {
            remove(config, "/process/ioPriority");
        },
    ),
    config(
        "personality-dropped",
        &["process"],
        "leaves the personality as it is",
        |config| {
            remove(config, "/linux/personality");
        },
    ),
    config("annotations-dropped", &["state"], "forgets the annotations", |config| {
        remove(config, "/annotations")
    }),
];

/// What makes the probe tell about itself: without it nothing would be seen at all, and no check be wrong.
fn the_harnesss(variable: &Value) -> bool {
    variable.as_str().is_some_and(|text| text.starts_with("PLIMSOLL_"))
}

fn rlimit_scaled(config: &mut Value, key: &'static str) {
    for limit in objects(config, "/process/rlimits") {
        if let Some(number) = limit.get_mut(key) {
            scale_number(number, 100);
        }
    }
}

/// The probe is asked for its verb of that name; of any other root, the file that nearly all have.
fn payload_true(config: &mut Value, bundle: &Path) {
    let root = config.pointer("/root/path").and_then(Value::as_str).unwrap_or("rootfs");
    let program = if bundle.join(root).join("bin/probe").exists() {
        json!(["/bin/probe", "true"])
    } else {
        json!(["/bin/true"])
    };
    replace(config, "/process/args", program);
    // The probe tells about itself when it is asked to; a program that does nothing tells nothing.
    if let Some(variables) = list(config, "/process/env") {
        variables.retain(|variable| !variable.as_str().is_some_and(|text| text.starts_with("PLIMSOLL_")));
    }
}
