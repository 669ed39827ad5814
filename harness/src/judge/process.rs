//! Processes that are visible where one looks.

use record::{Seen, Verdict, seen::ProcessSeen};
use serde_json::Value;
use spec::check::{ProcessCheck, ProcessFilter};

use super::{
    evidence::Evidence,
    matcher::{Finding, Unit, holds},
};

pub(super) fn judge(want: &ProcessCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Processes { list, source } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    if list.is_empty() {
        evidence.fault(format!("saw no process at all ({source}): that is no observation"));
        return Some(evidence.verdict());
    }
    let which = describe_filter(&want.filter);
    let found: Vec<&ProcessSeen> = list.iter().filter(|process| selects(&want.filter, process)).collect();
    let shown = shown(&found, list.len(), source);
    match &want.count {
        Some(count) => match holds(count, Some(&Value::from(found.len())), Unit::Plain) {
            Finding::Holds => evidence.held(format!("{} × {which}: {shown}", found.len())),
            Finding::Misses => evidence.missed(
                format!("number of processes with {which} {count}"),
                format!("{}: {shown}", found.len()),
            ),
            Finding::Unfit(why) => evidence.fault(format!("count: {why}")),
        },
        None if found.is_empty() => evidence.missed(format!("a process with {which}"), shown),
        None => evidence.held(format!("{which}: {shown}")),
    }
    for process in &found {
        let who = format!("pid {}", process.pid);
        for (what, want, value) in [
            ("args", &want.args, Value::from(process.args.clone())),
            ("uid", &want.uid, Value::from(process.uid)),
            ("ppid", &want.ppid, Value::from(process.ppid)),
            ("state", &want.state, Value::from(process.state.clone())),
        ] {
            if let Some(want) = want {
                evidence.compare(&format!("{who} {what}"), want, Some(&value), Unit::Plain, "");
            }
        }
    }
    Some(evidence.verdict())
}

fn selects(filter: &ProcessFilter, process: &ProcessSeen) -> bool {
    let ProcessFilter {
        pid,
        args_contain,
        reference,
        state,
        all,
    } = filter;
    pid.is_none_or(|pid| i64::from(process.pid) == i64::from(pid))
        && args_contain
            .as_ref()
            .is_none_or(|text| process.args.iter().any(|arg| arg.contains(text.as_str())))
        && reference.as_ref().is_none_or(|name| process.is.as_ref() == Some(name))
        && state.as_ref().is_none_or(|state| process.state == *state)
        && *all != Some(false)
}

fn describe_filter(filter: &ProcessFilter) -> String {
    let mut parts = Vec::new();
    parts.extend(filter.pid.map(|pid| format!("pid {pid}")));
    parts.extend(
        filter
            .args_contain
            .as_ref()
            .map(|text| format!("`{text}` in its arguments")),
    );
    parts.extend(filter.reference.as_ref().map(|name| format!("the identity of {name}")));
    parts.extend(filter.state.as_ref().map(|state| format!("state {state}")));
    if parts.is_empty() {
        "any pid".into()
    } else {
        parts.join(" and ")
    }
}

fn shown(found: &[&ProcessSeen], all: usize, source: &str) -> String {
    const SHOWN: usize = 5;
    if found.is_empty() {
        return format!("none of the {all} visible processes ({source})");
    }
    let mut parts: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|process| {
            let is = process.is.as_ref().map(|name| format!(" = {name}")).unwrap_or_default();
            format!("pid {}{is} [{}]", process.pid, process.args.join(" "))
        })
        .collect();
    if found.len() > SHOWN {
        parts.push(format!("and {} more", found.len() - SHOWN));
    }
    format!("{} of {all} visible ({source})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look() -> Seen {
        let process = |pid, args: &[&str], is: Option<&str>| ProcessSeen {
            pid,
            ppid: 0,
            uid: 0,
            state: "S".into(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            is: is.map(str::to_owned),
        };
        Seen::Processes {
            list: vec![
                process(1, &["sleep", "300"], Some("app")),
                process(7, &["sleep", "301"], None),
            ],
            source: "/proc of app".into(),
        }
    }

    fn verdict(want: Value) -> Verdict {
        judge(&serde_json::from_value(want).unwrap(), &look()).unwrap()
    }

    #[test]
    fn at_least_one_process_unless_a_number_is_told() {
        assert!(matches!(verdict(json!({"where": {"pid": 1}})), Verdict::Pass { .. }));
        assert!(matches!(verdict(json!({"where": {"pid": 2}})), Verdict::Fail { .. }));
        assert!(matches!(
            verdict(json!({"where": {"pid": 2}, "count": 0})),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"argsContain": "30"}, "count": 2})),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"all": true}, "count": 1})),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn every_process_found_must_be_as_told() {
        assert!(matches!(
            verdict(json!({"where": {"pid": 1}, "args": {"exactly": ["sleep", "300"]}})),
            Verdict::Pass { .. }
        ));
        let Verdict::Fail { want, got, .. } =
            verdict(json!({"where": {"argsContain": "30"}, "args": {"contains": "300"}}))
        else {
            panic!("must fail");
        };
        assert_eq!(want, "pid 7 args contains 300");
        assert_eq!(got, "pid 7 args [sleep, 301]");
    }

    #[test]
    fn identity_is_the_kernels_and_not_the_text() {
        assert!(matches!(
            verdict(json!({"where": {"ref": "app"}, "count": 1})),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"ref": "canary"}, "count": 1})),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn an_empty_list_is_no_observation_of_absence() {
        let want: ProcessCheck = serde_json::from_value(json!({"where": {"pid": 2}, "count": 0})).unwrap();
        let nothing = Seen::Processes {
            list: vec![],
            source: "/proc".into(),
        };
        assert!(matches!(judge(&want, &nothing), Some(Verdict::Error { .. })));
    }
}
