//! From what checks said under faults to what is concluded about each check. Pure.

use std::collections::BTreeMap;

use record::{CheckProof, Depth, Event, FaultEffect, FaultRow, Resolution, Standing, Verdict};
use serde::{Deserialize, Serialize};
use spec::{Matcher, Op, Subject, check::FileCheck};

use crate::drive::FAULT_EVIDENCE;
use crate::plan::{self, Case};

/// What a case came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// By id of the check.
    pub checks: BTreeMap<String, Said>,
    /// What the fault of the subject changed; `None` without one, empty if it found nothing to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// What one check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The word of its verdict.
    pub verdict: String,
    /// It failed because there was nothing to look at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// What it saw, shortened.
    pub saw: String,
}

/// What the cases of a proof came to, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    /// By id of the case.
    pub cases: BTreeMap<String, Seen>,
}

impl Standings {
    /// Takes in one event of a run.
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::Verdict {
                case,
                check,
                verdict,
                absent,
                ..
            } => {
                let said = Said {
                    verdict: verdict.word().to_owned(),
                    absent: *absent,
                    saw: shortened(saw(verdict)),
                };
                self.cases
                    .entry(case.clone())
                    .or_default()
                    .checks
                    .insert(check.clone(), said);
            }
            Event::Evidence { case, name, text } if name == FAULT_EVIDENCE => {
                self.cases.entry(case.clone()).or_default().changed = Some(changed(text));
            }
            _ => {}
        }
    }
}

fn saw(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Pass { seen } | Verdict::Skip { seen, .. } => seen,
        Verdict::Fail { got, .. } => got,
        Verdict::Inconclusive { more, .. } => more,
        Verdict::Error { message } => message,
    }
}

fn shortened(text: &str) -> String {
    const LENGTH: usize = 160;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The sentences of a saboteur's log, each once.
fn changed(log: &str) -> String {
    let mut told: Vec<String> = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(what) = line["what"].as_str()
            && !told.iter().any(|known| known == what)
        {
            told.push(what.to_owned());
        }
    }
    shortened(&told.join("; "))
}

/// Concludes about every check of the cases without a fault, in order. `cases` holds those under faults, too; `stored`
/// says of a case's id that it was not run now.
pub fn fold(cases: &[Case], standings: &Standings, stored: &dyn Fn(&str) -> bool) -> Vec<CheckProof> {
    let mut faulted: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.header.broken_on_purpose()) {
        faulted.entry(case.header.healthy()).or_default().push(case);
    }
    let none = Seen::default();
    let mut proofs = Vec::new();
    for case in cases.iter().filter(|case| !case.header.broken_on_purpose()) {
        let under = faulted.get(&case.header.id).map(Vec::as_slice).unwrap_or_default();
        let healthy = standings.cases.get(&case.header.id).unwrap_or(&none);
        // A fault that was not come to may be the one that the check passes under.
        let whole = under
            .iter()
            .all(|broken| standings.cases.contains_key(&broken.header.id));
        for check in &case.header.checks {
            let rows: Vec<FaultRow> = under
                .iter()
                .filter_map(|broken| Some(row(broken, &check.id, standings.cases.get(&broken.header.id)?)))
                .collect();
            let said = healthy.checks.get(&check.id);
            proofs.push(CheckProof {
                case: case.header.id.clone(),
                check: check.id.clone(),
                at: check.at.clone(),
                standing: if whole {
                    standing(case, &check.id, said, &rows)
                } else {
                    Standing::Unjudged {
                        healthy: "cut short".into(),
                    }
                },
                resolution: resolution(&rows),
                faults: rows,
                stored: stored(&case.header.id) && under.iter().all(|broken| stored(&broken.header.id)),
            });
        }
    }
    proofs
}

fn row(broken: &Case, check: &str, seen: &Seen) -> FaultRow {
    let header = &broken.header;
    let sabotage = header.sabotage.as_deref();
    let promised = broken.spec.sabotage.iter().any(|sabotaged| {
        Some(sabotaged.id.value.as_str()) == sabotage && sabotaged.must_fail.iter().any(|id| id.value == check)
    });
    let said = seen.checks.get(check);
    // A saboteur says what it found to change; a cluster that does not know a fault does not start.
    let applied = header.fault.is_none()
        || header.target == "cluster"
        || seen.changed.as_ref().is_some_and(|changed| !changed.is_empty());
    let effect = match (said, applied) {
        (_, false) => FaultEffect::NotApplied,
        (None, true) => FaultEffect::Skipped,
        (Some(said), true) => match (said.verdict.as_str(), said.absent) {
            ("fail", false) => FaultEffect::Caught,
            ("fail" | "error", true) if asks_for_presence(broken, check) => FaultEffect::Caught,
            ("fail", true) => FaultEffect::Gone,
            // A payload that tells nothing leaves nothing to compare, which is felt in every run.
            ("error", true) if header.fault.as_deref() == Some(super::PAYLOAD_TRUE) => FaultEffect::Gone,
            ("pass", _) => FaultEffect::Survived,
            ("inconclusive", _) => FaultEffect::Open,
            ("error", _) => FaultEffect::Error,
            _ => FaultEffect::Skipped,
        },
    };
    let caught = matches!(effect, FaultEffect::Caught | FaultEffect::Gone);
    FaultRow {
        fault: sabotage.or(header.fault.as_deref()).unwrap_or_default().to_owned(),
        depth: if header.fault.is_some() {
            Depth::Subject
        } else {
            Depth::SetUp
        },
        effect,
        promised,
        changed: seen.changed.clone().filter(|text| !text.is_empty()),
        observed: said.filter(|_| caught).map(|said| said.saw.clone()),
        percent: header.fault.as_deref().and_then(super::percent),
    }
}

/// Whether a check wants nothing but that something is there, so that nothing to look at is what it is about.
fn asks_for_presence(case: &Case, id: &str) -> bool {
    let there = |matcher: &Matcher| matcher.0 == [Op::Exists(true)];
    let mut checks = plan::steps(&case.spec).flat_map(|step| &step.expect);
    checks
        .find(|check| check.id.value == id)
        .is_some_and(|check| match &check.subject {
            Subject::Report(paths) => paths.values().all(there),
            Subject::File(file) => {
                *file
                    == FileCheck {
                        path: file.path.clone(),
                        exists: Some(true),
                        kind: None,
                        content: None,
                        mode: None,
                        uid: None,
                        gid: None,
                        size: None,
                        entries: None,
                    }
            }
            Subject::Process(process) => {
                process.args.is_none() && process.uid.is_none() && process.ppid.is_none() && process.state.is_none()
            }
            Subject::State(_)
            | Subject::Exit(_)
            | Subject::Output(_)
            | Subject::Namespace(_)
            | Subject::Mounts(_)
            | Subject::Cgroup(_)
            | Subject::Network(_)
            | Subject::Object(_)
            | Subject::Replicas(_)
            | Subject::Ready(_)
            | Subject::Events(_)
            | Subject::Logs(_)
            | Subject::Connection(_)
            | Subject::Responses(_)
            | Subject::Dns(_)
            | Subject::Endpoints(_)
            | Subject::Reachability(_)
            | Subject::Statistic(..) => false,
            // That pods or an object are not there is what these see.
            Subject::Placement(_) | Subject::Pod(_) | Subject::Exists(_) => true,
        })
}

fn standing(case: &Case, check: &str, healthy: Option<&Said>, rows: &[FaultRow]) -> Standing {
    let word = healthy.map_or("nothing", |said| said.verdict.as_str());
    // A healthy benchmark has nothing to be compared with here; what it is for is to stand beside the slowdown.
    let is_undecided = case.measured.is_some() && matches!(word, "skip" | "inconclusive");
    // Where even a fault that it must see leaves it skipped, it is not asked of this subject at all.
    let mut promised = rows.iter().filter(|row| row.promised).peekable();
    let is_out_of_place =
        word == "skip" && promised.peek().is_some() && promised.all(|row| row.effect == FaultEffect::Skipped);
    if word != "pass" && !is_undecided || is_out_of_place {
        return Standing::Unjudged { healthy: word.into() };
    }
    let written: Vec<&str> = case.spec.sabotage.iter().map(|s| s.id.value.as_str()).collect();
    let why = match shown(rows, &written) {
        Ok(()) => return Standing::Proven,
        Err(why) => why,
    };
    let waived = case.spec.proof.as_ref().and_then(|proof| proof.waive.get(check));
    match waived {
        Some(reason) => Standing::Waived {
            reason: reason.value.clone(),
        },
        None => Standing::Unproven { why },
    }
}

/// Whether the rows show that the check can fail, or why not. `written` are the sabotages of the spec: what the author
/// thought of must not end in error; what is built in may leave nothing to measure.
fn shown(rows: &[FaultRow], written: &[&str]) -> Result<(), String> {
    let fails = |row: &&FaultRow| matches!(row.effect, FaultEffect::Caught | FaultEffect::Gone);
    if let Some(broken) = rows.iter().find(|row| row.promised && !fails(row)) {
        let word = match broken.effect {
            FaultEffect::Skipped => "is skipped",
            FaultEffect::Error => "ends in error",
            FaultEffect::Open => "is inconclusive",
            _ => "passes",
        };
        return Err(format!("it must fail under `{}` and {word}", broken.fault));
    }
    if let Some(row) = rows
        .iter()
        .find(|row| row.effect == FaultEffect::Error && written.contains(&row.fault.as_str()))
    {
        return Err(format!("it ends in error under `{}`", row.fault));
    }
    // Where the spec itself says that it must fail, having nothing to look at may be the very point.
    if rows
        .iter()
        .any(|row| row.effect == FaultEffect::Caught || (row.promised && fails(&row)))
    {
        return Ok(());
    }
    let applied: Vec<&FaultRow> = rows
        .iter()
        .filter(|row| row.effect != FaultEffect::NotApplied)
        .collect();
    let gone: Vec<&str> = rows.iter().filter(fails).map(|row| row.fault.as_str()).collect();
    Err(match (applied.len(), gone.as_slice()) {
        (0, _) => "no fault touches it".to_owned(),
        (n, []) => format!("it passes under each of {n} faults or is not come to"),
        (_, gone) => format!(
            "it fails only because there is nothing to look at, under {}",
            gone.join(", ")
        ),
    })
}

/// For each number that was made wrong: the smallest difference that was caught and the largest that was not.
fn resolution(rows: &[FaultRow]) -> Vec<Resolution> {
    let mut numbers: BTreeMap<&str, Vec<(i32, &FaultRow)>> = BTreeMap::new();
    for row in rows {
        if let Some(percent) = row.percent {
            numbers.entry(number(&row.fault)).or_default().push((percent, row));
        }
    }
    let mut all = Vec::new();
    for (name, misses) in numbers {
        let caught = misses.iter().filter(|(_, row)| row.effect == FaultEffect::Caught);
        let caught = caught.min_by_key(|(percent, _)| percent.abs());
        let missed = misses
            .iter()
            .filter(|(_, row)| matches!(row.effect, FaultEffect::Survived | FaultEffect::Open));
        let missed = missed.max_by_key(|(percent, _)| percent.abs());
        // A number that the check does not look at at all is no matter of resolution.
        if let Some((percent, row)) = caught {
            all.push(Resolution {
                of: name.to_owned(),
                tells: Some(*percent),
                tells_what: row.changed.clone(),
                misses: missed.map(|(percent, _)| *percent),
                misses_what: missed.and_then(|(_, row)| row.changed.clone()),
            });
        }
    }
    all
}

/// The number that a near miss is of: its name without the percentage.
fn number(fault: &str) -> &str {
    ["-plus-", "-minus-"]
        .iter()
        .find_map(|mark| fault.rsplit_once(mark).map(|(number, _)| number))
        .unwrap_or(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fault: &str, effect: FaultEffect, promised: bool) -> FaultRow {
        FaultRow {
            fault: fault.into(),
            depth: Depth::SetUp,
            effect,
            promised,
            changed: None,
            observed: None,
            percent: None,
        }
    }

    #[test]
    fn a_check_is_shown_by_a_fault_that_it_saw() {
        assert_eq!(shown(&[row("a", FaultEffect::Caught, false)], &[]), Ok(()));
        assert_eq!(
            shown(
                &[
                    row("a", FaultEffect::Survived, false),
                    row("b", FaultEffect::Caught, true)
                ],
                &[]
            ),
            Ok(())
        );
    }

    #[test]
    fn nothing_to_look_at_shows_nothing_unless_the_spec_says_so() {
        assert!(shown(&[row("a", FaultEffect::Gone, false)], &[]).is_err());
        assert_eq!(shown(&[row("a", FaultEffect::Gone, true)], &[]), Ok(()));
    }

    #[test]
    fn a_promise_that_is_not_kept_is_felt_whatever_else_was_seen() {
        for effect in [
            FaultEffect::Survived,
            FaultEffect::Skipped,
            FaultEffect::Error,
            FaultEffect::Open,
        ] {
            let rows = [row("a", FaultEffect::Caught, false), row("b", effect, true)];
            assert!(shown(&rows, &[]).unwrap_err().contains("`b`"), "{effect:?}");
        }
    }

    #[test]
    fn what_is_skipped_under_what_it_must_see_is_not_asked_here() {
        let of = |word: &str, rows: &[FaultRow]| {
            let said = Said {
                verdict: word.into(),
                absent: false,
                saw: String::new(),
            };
            standing(&benchmark(), "ceiling", Some(&said), rows)
        };
        let skipped = [
            row("a", FaultEffect::Skipped, true),
            row("b", FaultEffect::Skipped, false),
        ];
        assert_eq!(of("skip", &skipped), Standing::Unjudged { healthy: "skip".into() });
        assert!(matches!(of("pass", &skipped), Standing::Unproven { .. }));
        // A healthy one without a baseline is skipped, and compared under the fault.
        assert_eq!(of("skip", &[row("a", FaultEffect::Caught, true)]), Standing::Proven);
        assert!(matches!(of("skip", &[]), Standing::Unproven { .. }));
    }

    fn benchmark() -> Case {
        const TEXT: &str = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: start}
spec:
  description: How long a start takes.
  targets: [runtime]
  workload: {container: {image: plimsoll/probe, args: [hello]}}
  measure: {total: {from: create, to: firstByte}}
  thresholds: [{id: ceiling, metric: total.p99, max: 1s}]
";
        let file = plan::SpecFile {
            path: "start.yaml".into(),
            text: TEXT.into(),
            sha256: String::new(),
            loaded: spec::load(TEXT, "start.yaml"),
        };
        let offer = plan::Offer::of(&[spec::Target::Runtime]);
        let selection = plan::Selection::default();
        let mut planned = plan::benchmarks(&[file], &selection, &["runc".to_owned()], offer).unwrap();
        planned.cases.remove(0)
    }

    #[test]
    fn no_fault_at_all_shows_nothing() {
        assert_eq!(shown(&[], &[]), Err("no fault touches it".into()));
        assert!(shown(&[row("a", FaultEffect::Error, false)], &[]).is_err());
    }

    #[test]
    fn what_the_author_thought_of_must_not_end_in_error() {
        let rows = [
            row("a", FaultEffect::Error, false),
            row("b", FaultEffect::Caught, false),
        ];
        assert_eq!(shown(&rows, &[]), Ok(()));
        assert_eq!(shown(&rows, &["a"]), Err("it ends in error under `a`".into()));
    }

    #[test]
    fn the_finest_difference_caught_and_the_coarsest_missed_are_the_resolution() {
        let near = |percent: i32, effect| FaultRow {
            percent: Some(percent),
            ..row(&format!("cpu-quota-plus-{percent}"), effect, false)
        };
        let rows = [
            near(50, FaultEffect::Caught),
            near(20, FaultEffect::Caught),
            near(10, FaultEffect::Survived),
            near(5, FaultEffect::Survived),
        ];
        let told = resolution(&rows);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].of, "cpu-quota");
        assert_eq!((told[0].tells, told[0].misses), (Some(20), Some(10)));
        assert_eq!(resolution(&rows[2..]), []);
    }

    #[test]
    fn the_saboteurs_log_becomes_one_sentence() {
        let log = "{\"fault\":\"f\",\"verb\":\"create\",\"what\":\"a\"}\n{\"what\":\"b\"}\n{\"what\":\"a\"}\nno json\n";
        assert_eq!(changed(log), "a; b");
        assert_eq!(changed(""), "");
    }
}
