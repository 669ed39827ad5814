//! What `exec` is asked for: ignored, or done otherwise.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::lifecycle::always_0;
use crate::call::{Call, Request};
use crate::catalogue::{Act, Fault, knockout, verb};
use crate::edit;
use crate::error::Result;

const AREA: &[&str] = &["exec"];

pub(crate) const ALL: &[Fault] = &[
    exec(
        "exec-user-ignored",
        &["exec", "capabilities", "ids"],
        "runs a further process as the container's user",
        |request| {
            request.without("user", "/user", json!({"uid": 0, "gid": 0}));
        },
    ),
    exec(
        "exec-group-ignored",
        &["exec", "ids"],
        "runs a further process in group 0",
        |request| {
            if let Some(user) = request.line.value("user").and_then(|u| u.to_str()).map(str::to_owned)
                && let Some((uid, gid)) = user.split_once(':')
                && gid != "0"
            {
                request.line.put("user", format!("{uid}:0"));
            }
            edit_process(request, |process| edit::replace(process, "/user/gid", json!(0)));
        },
    ),
    exec(
        "exec-additional-groups-ignored",
        &["exec", "ids"],
        "gives a further process no additional groups",
        |request| {
            request.line.drop("additional-gids");
            edit_process(request, |process| edit::remove(process, "/user/additionalGids"));
        },
    ),
    exec(
        "exec-directory-ignored",
        &["exec", "escape"],
        "starts a further process in `/`",
        |request| {
            if request.line.has("cwd") {
                request.line.put("cwd", "/");
            }
            edit_process(request, |process| edit::replace(process, "/cwd", json!("/")));
        },
    ),
    exec(
        "exec-environment-ignored",
        &["exec"],
        "gives a further process none of the variables asked for",
        |request| {
            // What makes the probe tell about itself is the harness's own; without it nothing at all could be seen.
            request.line.choices.retain(|choice| {
                let value = choice.value.as_ref().map(|v| v.to_string_lossy().into_owned());
                choice.name != "env" || value.is_some_and(|v| v.starts_with("PLIMSOLL_"))
            });
            edit_process(request, |process| {
                if let Some(environment) = edit::list(process, "/env") {
                    environment.retain(|v| {
                        v.as_str()
                            .is_some_and(|v| v.starts_with("PLIMSOLL_") || v.starts_with("PATH="))
                    });
                }
            });
        },
    ),
    exec(
        "exec-argument-appended",
        AREA,
        "gives a further process one argument more",
        |request| {
            if request.process.is_none() && request.line.words.len() > 1 {
                request.line.words.push("--plimsoll-saboteur".into());
            }
            edit_process(request, |process| {
                if let Some(arguments) = edit::list(process, "/args") {
                    arguments.push(json!("--plimsoll-saboteur"));
                }
            });
        },
    ),
    exec(
        "exec-argument-last-lost",
        AREA,
        "leaves out a further process's last argument",
        |request| {
            if request.process.is_none() && request.line.words.len() > 2 {
                request.line.words.pop();
            }
            edit_process(request, |process| edit::pop(process, "/args"));
        },
    ),
    exec(
        "exec-payload-true",
        &["payload", "exec"],
        "runs a program that does nothing and succeeds in place of a further process",
        |request| {
            if request.process.is_none() {
                request.line.words.truncate(1);
                request.line.words.extend(["/bin/true"].map(OsString::from));
            }
            edit_process(request, |process| edit::replace(process, "/args", json!(["/bin/true"])));
        },
    ),
    exec(
        "exec-capability-widened",
        &["exec", "capabilities"],
        "gives a further process a capability more",
        |request| {
            if request.process.is_none() {
                request.line.choices.push(crate::arguments::Choice {
                    name: "cap".into(),
                    value: Some("CAP_SYS_CHROOT".into()),
                });
            }
            edit_process(request, |process| {
                for (_, names) in edit::map(process, "/capabilities").into_iter().flatten() {
                    if let Some(names) = names.as_array_mut() {
                        names.push(json!("CAP_SYS_CHROOT"));
                    }
                }
            });
        },
    ),
    exec(
        "exec-no-new-privileges-forced",
        &["exec", "no-new-privs"],
        "sets no_new_privs for a further process",
        |request| {
            if request.process.is_none() && !request.line.has("no-new-privs") {
                request.line.choices.push(crate::arguments::Choice {
                    name: "no-new-privs".into(),
                    value: None,
                });
            }
            edit_process(request, |process| edit::set(process, "/noNewPrivileges", json!(true)));
        },
    ),
    verb(
        "exec-always-exits-0",
        AREA,
        "says 0 whatever a further process ended with",
        |call| always_0(call, "exec"),
    ),
    verb(
        "exec-exit-code-one",
        AREA,
        "says 1 for every further process that failed",
        |call| {
            if call.verb() != "exec" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            if code > 1 {
                call.changed(&format!("said 1 in place of {code}"))?;
            }
            Ok(Some(code.min(1)))
        },
    ),
    verb(
        "exec-does-nothing",
        AREA,
        "says 0 and starts no further process",
        |call| skipped(call, "exec"),
    ),
    verb(
        "exec-of-paused-accepted",
        &["exec", "pause"],
        "thaws a paused container to run a further process",
        |call| {
            if call.verb() == "exec" && call.state().is_some_and(|state| state["status"] == "paused") {
                call.ask("resume", &[], &[call.line.id().unwrap_or_default()])?;
                call.changed("resumed the container")?;
            }
            Ok(None)
        },
    ),
];

const fn exec(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    apply: fn(&mut Request),
) -> Fault {
    knockout(name, dimensions, what, Act::Exec(apply))
}

impl Request {
    /// Takes an option away, and what stands for it in the document.
    fn without(&mut self, option: &str, pointer: &str, instead: Value) {
        self.line.drop(option);
        edit_process(self, |process| edit::replace(process, pointer, instead));
    }
}

fn edit_process(request: &mut Request, apply: impl FnOnce(&mut Value)) {
    if let Some(process) = &mut request.process {
        apply(process);
    }
}

/// Says that a verb was done, and does nothing.
pub(super) fn skipped(call: &Call, verb: &str) -> Result<Option<i32>> {
    if call.verb() != verb {
        return Ok(None);
    }
    call.changed("said 0 and did nothing")?;
    Ok(Some(0))
}
