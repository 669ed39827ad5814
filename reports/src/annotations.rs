//! Workflow commands of GitHub Actions, which show failures beside the lines of the specs.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>: `::error file=F,line=L::MESSAGE` on
//! standard output. A step may have ten errors and ten warnings; more are not shown.

use std::fmt::Write as _;

use crate::{
    drift::drift_lines,
    place::Place,
    run::{Case, Outcome, Run, Word},
    table::rerun,
    telling::{ending, lines},
    visible::visible,
};

/// How many of a kind GitHub shows of one step.
const SHOWN: usize = 10;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

impl Level {
    fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One line, or nothing.
#[derive(Debug)]
struct Annotation {
    level: Level,
    properties: Vec<(&'static str, String)>,
    message: String,
}

pub(crate) fn annotations(run: &Run<'_>) -> String {
    let mut all: Vec<Annotation> = run
        .outcomes()
        .filter_map(|(case, outcome)| Some(of_check(run, case, outcome, level(run, outcome)?)))
        .collect();
    let of_run = |level, title: &str, message: String| Annotation {
        level,
        properties: vec![("title", title.to_owned())],
        message,
    };
    for limit in run.overdrawn() {
        all.push(of_run(Level::Error, "skip budget exceeded", limit.to_string()));
    }
    if run.exit.is_none_or(|exit| exit != 0) && !all.iter().any(|one| one.level == Level::Error) {
        let exit = run.exit.map_or_else(String::new, |exit| format!(" (exit code {exit})"));
        let message = format!("run {} {}{exit}", run.id, ending(run.exit));
        all.push(of_run(Level::Error, "plimsoll", message));
    }
    for line in drift_lines(run) {
        all.push(of_run(Level::Warning, "looked at before and not now", line));
    }
    let mut out = String::new();
    for level in [Level::Error, Level::Warning] {
        let of_level: Vec<&Annotation> = all.iter().filter(|one| one.level == level).collect();
        let shown = if of_level.len() > SHOWN { SHOWN - 1 } else { SHOWN };
        for one in of_level.iter().take(shown) {
            one.write(&mut out);
        }
        if of_level.len() > shown {
            let more = of_level.len() - shown;
            of_run(
                level,
                "plimsoll",
                format!("{more} more, which the report of run {} has", run.id),
            )
            .write(&mut out);
        }
    }
    out
}

/// None for what is green.
fn level(run: &Run<'_>, outcome: &Outcome<'_>) -> Option<Level> {
    match outcome.word() {
        Word::Fail | Word::Error | Word::Unexpected | Word::Flaky => Some(Level::Error),
        Word::Inconclusive => Some(Level::Warning),
        Word::Skip if run.forbids(outcome) => Some(Level::Error),
        Word::Pass | Word::Skip | Word::Allowed | Word::Known => None,
    }
}

fn of_check(run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>, level: Level) -> Annotation {
    let place = Place::of(case, outcome);
    let file = place.file.strip_prefix("./").unwrap_or(place.file);
    let mut properties = vec![("file", file.to_owned())];
    if let Some((line, column)) = place.at {
        properties.push(("line", line.to_string()));
        properties.push(("col", column.to_string()));
    }
    let title = format!("{} {} › {}", outcome.word().text(), case.header.id, outcome.id);
    properties.push(("title", title));
    let mut message = String::new();
    for (name, text) in lines(run, case, outcome) {
        let _ = writeln!(message, "{name}: {text}");
    }
    let _ = write!(message, "re-run: {}", rerun(run, case));
    Annotation {
        level,
        properties,
        message,
    }
}

impl Annotation {
    fn write(&self, out: &mut String) {
        let properties: Vec<String> = self
            .properties
            .iter()
            .map(|(name, value)| format!("{name}={}", property(value)))
            .collect();
        let _ = writeln!(
            out,
            "::{} {}::{}",
            self.level.command(),
            properties.join(","),
            data(&self.message)
        );
    }
}

/// As the runner reads a message back: a line feed would end the command, and what follows it could be another.
fn data(text: &str) -> String {
    // The carriage return is shown by then; the runner's own escape of it is here for whoever changes that.
    visible(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As the runner reads a property back.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_command_or_begins_another() {
        assert_eq!(data("100%\r\n::error::x"), "100%25␍%0A::error::x");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }
}
