//! JUnit XML: a suite for each subject, a test case for each check.
//!
//! The format knows neither `inconclusive` nor a known failure: the first is a failure of that type, the second skipped.

use std::time::Duration;

use quick_junit::{FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use record::Verdict;

use crate::{
    ReportError,
    drift::{ran_before, vanished},
    run::{Case, Outcome, Run, told},
    table::{flaky_text, rerun},
    telling::same_cause,
};

/// `disagrees` says what other subjects came to, if it is not the same.
pub(crate) fn junit(
    run: &Run<'_>,
    disagrees: &dyn Fn(&Case<'_>, &Outcome<'_>) -> Option<String>,
) -> Result<String, ReportError> {
    let mut report = Report::new("plimsoll");
    if let Some(took) = run.took {
        report.set_time(Duration::from_secs_f64(took.max(0.0) / 1000.0));
    }
    // Subjects that the head does not name (a damaged record) still get their suite.
    let mut names: Vec<&str> = run.subjects.iter().map(|subject| subject.name.as_str()).collect();
    for case in &run.cases {
        if !names.contains(&case.header.subject.as_str()) {
            names.push(&case.header.subject);
        }
    }
    for name in names {
        let mut suite = TestSuite::new(name);
        let mut time = 0.0;
        for case in run.cases.iter().filter(|case| case.header.subject == name) {
            time += case.took.map_or(0.0, |(took, _)| took);
            for outcome in &case.outcomes {
                let mut test = test_case(run, case, outcome);
                if let Some(words) = disagrees(case, outcome) {
                    test.add_property(("disagrees", words.as_str()));
                }
                suite.add_test_case(test);
            }
        }
        suite.set_time(Duration::from_secs_f64(time.max(0.0) / 1000.0));
        suite.add_property(("run", run.id));
        if let Some(subject) = run.subjects.iter().find(|subject| subject.name == name) {
            suite.add_property(("argv", subject.argv.join(" ").as_str()));
            suite.add_property(("version", subject.version.as_str()));
        }
        suite.add_property(("kernel", run.host.kernel.as_str()));
        suite.add_property(("cgroup", run.host.cgroup.as_str()));
        if let Some(proof) = &run.proof {
            suite.add_property(("proof", crate::proof::sentence(proof).as_str()));
        }
        for line in vanished(run) {
            suite.add_property(("vanished", line.as_str()));
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(ReportError::Junit)
}

fn test_case(run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>) -> TestCase {
    let mut seen = None;
    let failed = |kind: NonSuccessKind, word: &str, message: &str, text: String| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(word).set_message(message).set_description(text);
        status
    };
    let again = || format!("at {}\nre-run: {}", outcome.at, rerun(run, case));
    let mut status = match outcome.verdict {
        Some(Verdict::Pass { seen: evidence }) => {
            seen = Some(evidence.as_str());
            match (outcome.flaky, outcome.known) {
                (Some(flaky), _) if !flaky.allowed => failed(
                    NonSuccessKind::Failure,
                    "flaky",
                    &flaky_text(flaky),
                    format!("{}\n{}", outcome.failure.map(told).unwrap_or_default(), again()),
                ),
                (None, Some(reason)) => failed(
                    NonSuccessKind::Failure,
                    "unexpected pass",
                    "passes although the spec says that this subject fails",
                    format!("known as: {reason}\n{}", again()),
                ),
                _ => TestCaseStatus::success(),
            }
        }
        Some(Verdict::Fail { want, got, because }) => match outcome.known {
            Some(reason) => {
                let mut status = TestCaseStatus::skipped();
                status
                    .set_message(format!("known failure: {reason}"))
                    .set_description(format!("expected {want}\nobserved {got}"));
                status
            }
            None => {
                let mut because = because.as_ref().map(|b| format!("because {b}\n")).unwrap_or_default();
                if let Some(also) = same_cause(&case.also(outcome)) {
                    because.push_str(&format!("also {also}\n"));
                }
                failed(
                    NonSuccessKind::Failure,
                    "fail",
                    &format!("expected {want}, observed {got}"),
                    format!("expected {want}\nobserved {got}\n{because}{}", again()),
                )
            }
        },
        Some(Verdict::Skip { requirement, seen, .. }) if run.forbids(outcome) => failed(
            NonSuccessKind::Failure,
            "skip",
            &format!("skipped: {requirement}"),
            format!("{seen}\n{}", again()),
        ),
        Some(Verdict::Skip { requirement, seen, .. }) => {
            let mut status = TestCaseStatus::skipped();
            let drift = run.drift(case, outcome).map(|drift| format!("; {}", ran_before(drift)));
            status.set_message(format!("{requirement} ({seen}){}", drift.unwrap_or_default()));
            status
        }
        Some(Verdict::Inconclusive { n, more, .. }) => failed(
            NonSuccessKind::Failure,
            "inconclusive",
            &format!("{n} samples do not decide"),
            format!("{more}\n{}", again()),
        ),
        Some(Verdict::Error { message }) => failed(NonSuccessKind::Error, "error", message, again()),
        None => failed(
            NonSuccessKind::Error,
            "error",
            "the run ended before there was a verdict",
            again(),
        ),
    };
    if outcome.flaky.is_some() {
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    status.add_reruns(attempts(outcome));
    let mut test = TestCase::new(outcome.id, status);
    test.set_classname(case.header.id.as_str());
    if let Some(seen) = seen {
        test.set_system_out(seen);
    }
    test
}

/// The attempts that did not pass, but for the one that is the verdict.
fn attempts(outcome: &Outcome<'_>) -> Vec<TestRerun> {
    let settled = outcome.verdict.map(std::ptr::from_ref);
    outcome
        .verdicts
        .iter()
        .filter(|verdict| settled != Some(std::ptr::from_ref(**verdict)))
        .filter_map(|verdict| {
            let kind = match verdict {
                Verdict::Pass { .. } | Verdict::Skip { .. } => return None,
                Verdict::Fail { .. } | Verdict::Inconclusive { .. } => NonSuccessKind::Failure,
                Verdict::Error { .. } => NonSuccessKind::Error,
            };
            let mut rerun = TestRerun::new(kind);
            rerun.set_type(verdict.word()).set_message(told(verdict));
            Some(rerun)
        })
        .collect()
}
