//! System call filters.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config};
use crate::edit::{list, map, pop, pop_first, remove};

const RULES: &str = "/linux/seccomp/syscalls";
const AREA: &[&str] = &["seccomp", "exec"];

pub(crate) const ALL: &[Fault] = &[
    config("seccomp-dropped", AREA, "applies no system call filter", |config| {
        remove(config, "/linux/seccomp");
    }),
    config("seccomp-default-allowed", AREA, "allows what no rule names", |config| {
        if let Some(filter) = map(config, "/linux/seccomp")
            && filter
                .get("defaultAction")
                .is_some_and(|action| action != "SCMP_ACT_ALLOW")
        {
            filter.insert("defaultAction".into(), json!("SCMP_ACT_ALLOW"));
            filter.shift_remove("defaultErrnoRet");
            // libseccomp refuses a rule that does what happens anyway.
            if let Some(rules) = list(config, RULES) {
                rules.retain(|rule| rule["action"] != "SCMP_ACT_ALLOW");
            }
        }
    }),
    config("seccomp-rules-allow", AREA, "allows what the rules refuse", |config| {
        if let Some(rules) = list(config, RULES) {
            rules.retain(|rule| rule["action"] == "SCMP_ACT_ALLOW");
        }
    }),
    config(
        "seccomp-rules-log",
        AREA,
        "logs what the rules refuse and allows it",
        |config| {
            each_rule(config, |rule| {
                if rule["action"] != "SCMP_ACT_ALLOW" {
                    rule["action"] = json!("SCMP_ACT_LOG");
                    without_errno(rule);
                }
            });
        },
    ),
    config(
        "seccomp-another-error",
        AREA,
        "refuses with another error than the one asked for",
        |config| {
            each_rule(config, |rule| {
                if rule["action"] == "SCMP_ACT_ERRNO" {
                    let asked = rule["errnoRet"].as_u64().unwrap_or(1);
                    rule["errnoRet"] = json!(if asked == 1 { 13 } else { 1 });
                }
            });
        },
    ),
    config(
        "seccomp-default-another-error",
        AREA,
        "refuses what no rule names with another error",
        |config| {
            if let Some(filter) = map(config, "/linux/seccomp")
                && filter
                    .get("defaultAction")
                    .is_some_and(|action| action == "SCMP_ACT_ERRNO")
            {
                let asked = filter.get("defaultErrnoRet").and_then(Value::as_u64).unwrap_or(1);
                filter.insert("defaultErrnoRet".into(), json!(if asked == 1 { 13 } else { 1 }));
            }
        },
    ),
    config(
        "seccomp-kill-softened",
        AREA,
        "refuses with an error where the process was to be killed",
        |config| {
            each_rule(config, |rule| {
                if rule["action"]
                    .as_str()
                    .is_some_and(|action| action.starts_with("SCMP_ACT_KILL"))
                {
                    rule["action"] = json!("SCMP_ACT_ERRNO");
                }
            });
        },
    ),
    config(
        "seccomp-error-hardened",
        AREA,
        "kills the process where an error was asked for",
        |config| {
            each_rule(config, |rule| {
                if rule["action"] == "SCMP_ACT_ERRNO" {
                    rule["action"] = json!("SCMP_ACT_KILL_PROCESS");
                    without_errno(rule);
                }
            });
        },
    ),
    config("seccomp-first-rule-lost", AREA, "leaves out the first rule", |config| {
        pop_first(config, RULES)
    }),
    config("seccomp-last-rule-lost", AREA, "leaves out the last rule", |config| {
        pop(config, RULES)
    }),
    config(
        "seccomp-first-name-only",
        AREA,
        "applies each rule to the first system call that it names",
        |config| {
            each_rule(config, |rule| {
                if let Some(names) = list(rule, "/names") {
                    names.truncate(1);
                }
            });
        },
    ),
    config(
        "seccomp-last-name-lost",
        AREA,
        "leaves out the last of several system calls of a rule",
        |config| {
            each_rule(config, |rule| {
                if let Some(names) = list(rule, "/names").filter(|names| names.len() > 1) {
                    names.pop();
                }
            });
        },
    ),
    config(
        "seccomp-arguments-ignored",
        AREA,
        "applies rules whatever the arguments are",
        |config| {
            each_rule(config, |rule| {
                if let Some(rule) = rule.as_object_mut() {
                    rule.shift_remove("args");
                }
            });
        },
    ),
    config(
        "seccomp-argument-rules-lost",
        AREA,
        "leaves out rules that look at arguments",
        |config| {
            if let Some(rules) = list(config, RULES) {
                rules.retain(|rule| rule.get("args").and_then(Value::as_array).is_none_or(Vec::is_empty));
            }
        },
    ),
    config(
        "seccomp-argument-values-off-by-one",
        AREA,
        "compares arguments with a value one higher",
        |config| {
            each_rule(config, |rule| {
                for argument in list(rule, "/args").into_iter().flatten() {
                    if let Some(value) = argument["value"].as_u64() {
                        argument["value"] = json!(value.wrapping_add(1));
                    }
                }
            });
        },
    ),
    config(
        "seccomp-operators-inverted",
        AREA,
        "inverts the comparison of arguments",
        |config| {
            each_rule(config, |rule| {
                for argument in list(rule, "/args").into_iter().flatten() {
                    let other = match argument["op"].as_str() {
                        Some("SCMP_CMP_EQ") => "SCMP_CMP_NE",
                        Some("SCMP_CMP_NE") => "SCMP_CMP_EQ",
                        Some("SCMP_CMP_LT") => "SCMP_CMP_GE",
                        Some("SCMP_CMP_GE") => "SCMP_CMP_LT",
                        Some("SCMP_CMP_GT") => "SCMP_CMP_LE",
                        Some("SCMP_CMP_LE") => "SCMP_CMP_GT",
                        _ => continue,
                    };
                    argument["op"] = json!(other);
                }
            });
        },
    ),
];

fn each_rule(config: &mut Value, apply: impl Fn(&mut Value)) {
    for rule in list(config, RULES).into_iter().flatten() {
        apply(rule);
    }
}

fn without_errno(rule: &mut Value) {
    if let Some(rule) = rule.as_object_mut() {
        rule.shift_remove("errnoRet");
    }
}
