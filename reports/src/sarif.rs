//! SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>), for what shows findings beside code.
//!
//! A failed check is a result of kind `fail`, an undecided one of kind `open`; what could not be measured is no result but
//! a notification of the run, as the standard has it for errors of the tool. What passed, was skipped or fails as the
//! spec says is left out.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::{
    ReportError,
    place::Place,
    run::{Case, Outcome, Run, Word},
    telling::lines,
    visible::visible,
};

pub(crate) fn sarif(run: &Run<'_>) -> Result<String, ReportError> {
    let mut rules: Vec<Value> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut results = Vec::new();
    let mut notifications = Vec::new();
    for (case, outcome) in run.outcomes() {
        let kind = match outcome.word() {
            Word::Fail | Word::Unexpected | Word::Flaky => "fail",
            Word::Skip if run.forbids(outcome) => "fail",
            Word::Inconclusive => "open",
            Word::Error => {
                notifications.push(json!({
                    "level": "error",
                    "message": {"text": message(run, case, outcome)},
                    "locations": [location(case, outcome)],
                }));
                continue;
            }
            Word::Pass | Word::Skip | Word::Allowed | Word::Known => continue,
        };
        let id = format!("{}.{}", case.header.test, outcome.id);
        let index = *known.entry(id.clone()).or_insert_with(|| {
            rules.push(json!({
                "id": id,
                "shortDescription": {"text": visible(&case.header.description)},
                "properties": {"tags": tags(case)},
            }));
            rules.len() - 1
        });
        results.push(json!({
            "ruleId": id,
            "ruleIndex": index,
            "kind": kind,
            // §3.27.10: what is not of kind `fail` has no other level.
            "level": if kind == "fail" { "error" } else { "none" },
            "message": {"text": message(run, case, outcome)},
            "locations": [location(case, outcome)],
            "partialFingerprints": {"plimsollCheck/v1": format!("{}.{}", case.header.id, outcome.id)},
            "properties": {"subject": case.header.subject, "verdict": outcome.word().text()},
        }));
    }
    for limit in run.overdrawn() {
        let text = format!("skip budget exceeded: {limit}");
        notifications.push(json!({"level": "error", "message": {"text": text}}));
    }
    let mut invocation = json!({
        "executionSuccessful": run.exit.is_some_and(|exit| exit != 3) ,
        "startTimeUtc": run.started,
        "arguments": run.argv.iter().skip(1).collect::<Vec<_>>(),
        "toolExecutionNotifications": notifications,
    });
    if let (Some(exit), Some(fields)) = (run.exit, invocation.as_object_mut()) {
        fields.insert("exitCode".into(), exit.into());
    }
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "plimsoll", "version": run.plimsoll, "rules": rules}},
            // Columns of specs count characters.
            "columnKind": "unicodeCodePoints",
            "automationDetails": {"id": format!("plimsoll/{}", run.id)},
            "invocations": [invocation],
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&document).map_err(ReportError::Json)?;
    text.push('\n');
    Ok(text)
}

fn tags(case: &Case<'_>) -> Vec<String> {
    let labels = case.header.labels.iter();
    labels.map(|(key, value)| format!("{key}={value}")).collect()
}

fn message(run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>) -> String {
    let mut text = format!("{} › {}", case.header.id, outcome.id);
    for (name, line) in lines(run, case, outcome) {
        let _ = write!(text, "\n{name}: {line}");
    }
    visible(&text).into_owned()
}

fn location(case: &Case<'_>, outcome: &Outcome<'_>) -> Value {
    let place = Place::of(case, outcome);
    let artifact = match place.file.strip_prefix('/') {
        Some(below) => json!({"uri": format!("file:///{}", uri(below))}),
        // Whoever shows it knows where the sources are.
        None => json!({
            "uri": uri(place.file.strip_prefix("./").unwrap_or(place.file)),
            "uriBaseId": "%SRCROOT%",
        }),
    };
    let mut physical = json!({"artifactLocation": artifact});
    if let (Some((line, column)), Some(fields)) = (place.at, physical.as_object_mut()) {
        fields.insert("region".into(), json!({"startLine": line, "startColumn": column}));
    }
    json!({"physicalLocation": physical})
}

/// A path as a URI reference: everything but unreserved characters and slashes is written in percent (RFC 3986, section 2).
fn uri(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_reference_whatever_is_in_it() {
        assert_eq!(uri("specs/cpu quota:ö.yaml"), "specs/cpu%20quota%3A%C3%B6.yaml");
    }
}
