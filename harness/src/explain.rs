//! Why a check came out as it did: what was asked for, what the kernel shows, and which of the two differs from what
//! the check wants. Pure, so that a record is explained years later as it was on the day.
//!
//! Each area (namespaces, mounts, control groups …) is a file that makes `Statement`s: what `config.json`
//! asks for beside what the kernel shows, about one object. `concern` says which objects a check is about. What is
//! left is one choice: the first object that is not as asked for is the *subject's* doing, unless an ancestor or the
//! host forbids it; if all are as asked for, it is the *request*, and the line of the spec that wrote it is named.
//!
//! A new area (placement on nodes, the path of a service) is one file, its objects, and its line in `AREAS`.

mod cgroups;
pub(crate) mod concern;
mod devices;
mod ending;
pub mod facts;
mod mounts;
mod namespaces;
mod packets;
mod privileges;
mod process;
pub(crate) mod statement;

use record::{Event, Verdict};
use serde::Serialize;
use spec::place::Found;
use spec::{Check, Position};

pub use facts::Facts;

use self::concern::Weight;
use self::statement::{Matter, Object, Statement};
use crate::judge::Judged;
use crate::plan::Case;

/// What makes statements.
const AREAS: [fn(&Matter<'_>) -> Vec<Statement>; 7] = [
    namespaces::statements,
    mounts::statements,
    cgroups::statements,
    privileges::statements,
    process::statements,
    devices::statements,
    ending::statements,
];

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Culprit {
    /// The subject did not do what it was asked for.
    Subject,
    /// The request is not what the check wants.
    Request,
    /// The host does not let it be.
    Host,
    /// What the workload did, or what was done to it.
    Workload,
    /// The facts do not tell.
    Unknown,
}

/// Why a check came out as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Id of the check.
    pub check: String,
    /// Whose doing it is.
    pub culprit: Culprit,
    /// The cause in one sentence; empty if the facts do not tell.
    pub because: String,
    /// `file:line:column` of what asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<String>,
    /// The facts that it rests on, each with its file.
    pub chain: Vec<String>,
    /// Other checks of the case with the same cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Facts that would tell more and that the record does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Every check of a case, in the order in which they run.
pub(crate) fn checks(case: &Case) -> impl Iterator<Item = &Check> {
    concern::steps(case).flat_map(|(.., step)| step.expect.iter().map(|check| &check.value))
}

/// Puts the cause of each failure into its verdict. What the author of the spec wrote as `because` follows on a line of
/// its own.
pub fn complete(case: &Case, events: &[Event], judged: &mut [Judged]) {
    let failed = |judged: &Judged| matches!(judged.verdict, Verdict::Fail { .. });
    if !judged.iter().any(failed) {
        return;
    }
    let facts = Facts::of(&case.header.id, events);
    let table = Table::of(case, &facts);
    for judged in judged.iter_mut() {
        let Some(check) = checks(case).find(|check| check.id.value == judged.check) else {
            continue;
        };
        if let Verdict::Fail { because, .. } = &mut judged.verdict {
            let told = table.diagnose(check).because;
            *because = match (told.is_empty(), because.take()) {
                (true, written) => written,
                (false, Some(written)) => Some(format!("{told}\n{written}")),
                (false, None) => Some(told),
            };
        }
    }
}

/// The diagnoses of a case's checks, failed ones and others, in the order of the verdicts.
pub fn case(case: &Case, events: &[Event], judged: &[Judged]) -> Vec<Diagnosis> {
    let facts = Facts::of(&case.header.id, events);
    let table = Table::of(case, &facts);
    let mut all: Vec<Diagnosis> = judged
        .iter()
        .filter_map(|judged| {
            let check = checks(case).find(|check| check.id.value == judged.check)?;
            Some(match judged.verdict {
                Verdict::Pass { .. } => table.vouch(check),
                _ => table.diagnose(check),
            })
        })
        .collect();
    let failed: Vec<&str> = judged
        .iter()
        .filter(|judged| matches!(judged.verdict, Verdict::Fail { .. }))
        .map(|judged| judged.check.as_str())
        .collect();
    let causes: Vec<(String, String)> = all
        .iter()
        .filter(|d| failed.contains(&d.check.as_str()))
        .map(|d| (d.check.clone(), d.because.clone()))
        .collect();
    for diagnosis in all
        .iter_mut()
        .filter(|d| !d.because.is_empty() && failed.contains(&d.check.as_str()))
    {
        let same = causes
            .iter()
            .filter(|(check, because)| *because == diagnosis.because && *check != diagnosis.check);
        diagnosis.also = same.map(|(check, _)| check.clone()).collect();
    }
    all
}

/// All statements about the workloads of a case.
struct Table<'a> {
    case: &'a Case,
    facts: &'a Facts<'a>,
    statements: Vec<Statement>,
    /// Workloads of which the request is not in the record.
    unasked: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn of(case: &'a Case, facts: &'a Facts<'a>) -> Self {
        let mut table = Self {
            case,
            facts,
            statements: Vec::new(),
            unasked: Vec::new(),
        };
        for workload in case.spec.workloads.keys() {
            let Some(config) = facts.config(workload) else {
                if !matches!(case.spec.workloads[workload].value, spec::Workload::Object(_)) {
                    table.unasked.push(workload);
                }
                continue;
            };
            let matter = Matter {
                case,
                facts,
                workload,
                config,
            };
            let waits = facts.end(workload).is_some_and(|end| end.waits);
            for area in AREAS {
                let mut statements = area(&matter);
                if waits {
                    // What a process is given for its payload it need not have before.
                    statements.retain(|s| !s.object.is_of_payload());
                }
                table.statements.extend(statements);
            }
        }
        table
    }

    /// The statements that a check is about, what decides it most first, and whether it looks at the very thing.
    fn relevant(&self, check: &Check) -> Vec<(&Statement, Weight)> {
        let workloads = concern::workloads(self.case, check);
        let concerns = concern::of(self.case, check, self.facts.seen(&check.id.value));
        let mut all: Vec<(&Statement, Weight)> = Vec::new();
        for concern in &concerns {
            let mut covered: Vec<&Statement> = workloads
                .iter()
                .flat_map(|name| self.statements.iter().filter(move |s| s.workload == *name))
                .filter(|statement| concern.covers(statement))
                .collect();
            covered.sort_by_key(|statement| std::cmp::Reverse(concern.depth(statement)));
            for statement in covered {
                if !all.iter().any(|(known, _)| *known == statement) {
                    all.push((statement, concern.weight()));
                }
            }
        }
        all
    }

    fn diagnose(&self, check: &Check) -> Diagnosis {
        let relevant = self.relevant(check);
        let mut diagnosis = self.judge(check, &relevant);
        diagnosis.chain = self.chain(check, &relevant);
        diagnosis.missing = self.missing(check, &relevant);
        diagnosis
    }

    fn judge(&self, check: &Check, relevant: &[(&Statement, Weight)]) -> Diagnosis {
        let statements = || relevant.iter().map(|(statement, _)| *statement);
        // One look may fall between a change and its being told.
        let lies = self
            .facts
            .all_seen(&check.id.value)
            .filter_map(crate::judge::disagreement);
        let lies: Vec<String> = lies.collect();
        if let (Some(lie), true) = (lies.last(), lies.len() > 1) {
            return self.told(check, Culprit::Subject, format!("the subject disobeyed: {lie}"), None);
        }
        // An ancestor or the host that forbids it explains the difference from the request.
        if let Some(host) = statements().find(|s| s.host.is_some()) {
            let why = host.host.as_deref().unwrap_or_default();
            return self.told(
                check,
                Culprit::Host,
                format!("the host does not let it be: {why}"),
                Some(host),
            );
        }
        let sabotaged = |s: &Statement| match s.place(self.case) {
            Some(Found::Written(_, place) | Found::Around(_, place)) => place.sabotaged,
            Some(Found::Unset(..)) => true,
            None => false,
        };
        // Of what the check is about, the first that is not as asked for, or not as it was before the sabotage.
        for (statement, _) in relevant.iter().filter(|(_, weight)| *weight != Weight::Weak) {
            if statement.agrees == Some(false) {
                return self.told(check, Culprit::Subject, disobedience(statement), Some(statement));
            }
            if !statement.asked.is_empty() && sabotaged(statement) {
                return self.told(check, Culprit::Request, self.request(statement), Some(statement));
            }
        }
        let changes = self.case.places.sabotaged();
        if let (Some(id), false) = (&self.case.header.sabotage, changes.is_empty()) {
            let told: Vec<String> = changes
                .iter()
                .map(|(path, value, at)| match value {
                    Some(value) => format!("`{path}: {value}` at {}", self.at(*at)),
                    None => format!("`{path}` taken away at {}", self.at(*at)),
                })
                .collect();
            let mut diagnosis = self.told(
                check,
                Culprit::Request,
                format!("sabotage `{id}` asks for it: {}", told.join(", ")),
                None,
            );
            diagnosis.asked_at = changes.first().map(|(_, _, at)| self.at(*at));
            return diagnosis;
        }
        if let Some(disobeyed) = statements().find(|s| s.agrees == Some(false)) {
            return self.told(check, Culprit::Subject, disobedience(disobeyed), Some(disobeyed));
        }
        if let Some(story) = packets::story(self.case, self.facts, check) {
            return self.told(check, Culprit::Workload, story, None);
        }
        if let Some(refusal) = self.refusal(check) {
            return self.told(check, Culprit::Subject, refusal, None);
        }
        if let Some(story) =
            statements().find(|s| s.object == Object::Ending && s.asked.is_empty() && !s.shows.is_empty())
        {
            return self.told(check, Culprit::Workload, story.shows.clone(), None);
        }
        // What the check does not look at may still be the cause, and nothing else is known to differ.
        let workloads = concern::workloads(self.case, check);
        let elsewhere = self
            .statements
            .iter()
            .find(|s| s.agrees == Some(false) && workloads.contains(&s.workload));
        if let Some(elsewhere) = elsewhere {
            let mut because = disobedience(elsewhere);
            because.push_str("; nothing else that was kept differs from the request");
            return self.told(check, Culprit::Subject, because, Some(elsewhere));
        }
        if let Some((asked, _)) = relevant
            .iter()
            .find(|(s, weight)| *weight == Weight::Direct && s.agrees == Some(true) && !s.asked.is_empty())
        {
            return self.told(check, Culprit::Request, self.request(asked), Some(asked));
        }
        match lies.last() {
            Some(lie) => self.told(check, Culprit::Subject, format!("the subject disobeyed: {lie}"), None),
            None => self.told(check, Culprit::Unknown, String::new(), None),
        }
    }

    /// The command that the subject refused, if that is why there was nothing to look at.
    fn refusal(&self, check: &Check) -> Option<String> {
        if self.facts.seen(&check.id.value).is_some() {
            return None;
        }
        let act = self.facts.acts().last().filter(|act| act.code != Some(0))?;
        let said = act.stderr.trim().lines().last().unwrap_or("nothing");
        Some(format!("the subject refused `{}`: {said}", act.what))
    }

    fn told(&self, check: &Check, culprit: Culprit, because: String, statement: Option<&Statement>) -> Diagnosis {
        let place = statement.and_then(|statement| statement.place(self.case));
        Diagnosis {
            check: check.id.value.clone(),
            culprit,
            because,
            asked_at: place.map(|place| self.at(position(&place))),
            chain: Vec::new(),
            also: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// `config.json asks for no pid namespace: `namespaces.pid: host` at specs/pid.yaml:17:9`.
    fn request(&self, statement: &Statement) -> String {
        let sabotage = self
            .case
            .header
            .sabotage
            .as_ref()
            .map(|id| format!(" (sabotage `{id}`)"))
            .unwrap_or_default();
        let why = match statement.place(self.case) {
            Some(Found::Around(path, place)) if place.sabotaged => format!(
                ": `{}: {}` at {}{sabotage}",
                self.short(statement, path),
                place.text,
                self.at(place.at)
            ),
            Some(Found::Written(path, place)) => format!(
                ": `{}: {}` at {}{}",
                self.short(statement, path),
                place.text,
                self.at(place.at),
                if place.sabotaged { sabotage } else { String::new() }
            ),
            Some(Found::Unset(path, at)) => {
                format!(
                    ": `{}` is taken away at {}{sabotage}",
                    self.short(statement, path),
                    self.at(at)
                )
            }
            Some(Found::Around(_, place)) => {
                let wanted = statement.paths.first().map(|path| format!("`{path}`"));
                format!(
                    ": the spec says nothing of {} for `{}` at {}",
                    wanted.unwrap_or_else(|| "it".into()),
                    statement.workload,
                    self.at(place.at)
                )
            }
            None => String::new(),
        };
        format!("{} asks for {}{why}", statement.by, statement.asked)
    }

    /// A path of the spec without what every path of the workload begins with.
    fn short<'p>(&self, statement: &Statement, path: &'p str) -> &'p str {
        ["container", "bundle"]
            .iter()
            .find_map(|form| path.strip_prefix(&format!("workloads.{}.{form}.", statement.workload)))
            .unwrap_or(path)
    }

    fn at(&self, at: Position) -> String {
        format!("{}:{}:{}", self.case.header.file, at.line, at.column)
    }

    fn chain(&self, check: &Check, relevant: &[(&Statement, Weight)]) -> Vec<String> {
        const LONGEST: usize = 12;
        let mut chain = packets::chain(self.facts, check);
        for (statement, _) in relevant
            .iter()
            .filter(|(s, _)| s.agrees.is_some() || !s.shows.is_empty())
            .take(LONGEST)
        {
            let mut line = String::new();
            if !statement.asked.is_empty() {
                line.push_str(&format!("asked: {}", statement.asked));
                if !statement.field.is_empty() {
                    line.push_str(&format!(
                        " (`{}` in {}.config.json)",
                        statement.field, statement.workload
                    ));
                }
                line.push_str("; seen: ");
            }
            line.push_str(&statement.shows);
            if !statement.source.is_empty() {
                line.push_str(&format!(" ({})", statement.source));
            }
            if statement.agrees == Some(false) {
                line.push_str(" ← differs");
            }
            if let Some(host) = &statement.host {
                line.push_str(&format!(" ← {host}"));
            }
            chain.push(line);
        }
        if chain.is_empty()
            && let Some(on) = &check.on
            && let Some(end) = self.facts.text(&format!("{}.end", on.value))
        {
            chain.push(format!("{}: {end} (waitid)", on.value));
        }
        chain
    }

    fn missing(&self, check: &Check, relevant: &[(&Statement, Weight)]) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for workload in concern::workloads(self.case, check) {
            if self.unasked.contains(&workload.as_str()) {
                missing.push(format!("{workload}.config.json (what was asked for)"));
            }
        }
        for (statement, _) in relevant
            .iter()
            .filter(|(s, _)| s.agrees.is_none() && s.object != Object::Ending)
        {
            if !statement.source.is_empty() && !missing.contains(&statement.source) {
                missing.push(statement.source.clone());
            }
        }
        missing
    }

    /// What a passed check saw, and why that shows that it holds.
    fn vouch(&self, check: &Check) -> Diagnosis {
        let relevant = self.relevant(check);
        let mut diagnosis = self.told(check, Culprit::Unknown, String::new(), None);
        let place = relevant.iter().find_map(|(s, _)| match s.place(self.case) {
            Some(found @ (Found::Written(..) | Found::Unset(..))) => Some(position(&found)),
            _ => None,
        });
        diagnosis.asked_at = place.map(|at| self.at(at));
        diagnosis.chain = self.chain(check, &relevant);
        diagnosis.missing = self.missing(check, &relevant);
        diagnosis
    }
}

fn position(found: &Found<'_>) -> Position {
    match found {
        Found::Written(_, place) | Found::Around(_, place) => place.at,
        Found::Unset(_, at) => *at,
    }
}

/// Such as: the subject disobeyed: config.json asks for a new pid namespace, app is in the host's.
fn disobedience(statement: &Statement) -> String {
    let field = if statement.field.is_empty() {
        String::new()
    } else {
        format!(" (`{}`)", statement.field)
    };
    let source = if statement.source.is_empty() {
        String::new()
    } else {
        format!(" ({})", statement.source)
    };
    format!(
        "the subject disobeyed: {} asks for {}{field}, {}{source}",
        statement.by, statement.asked, statement.shows
    )
}

#[cfg(test)]
mod tests;
