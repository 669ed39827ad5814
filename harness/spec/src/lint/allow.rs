//! Silencing a lint, with a reason.

use std::cell::Cell;

use super::{Doubt, LINTS, Lint};
use crate::{
    fault::Fault,
    node::{Extent, Node},
};

/// The annotation that silences lints: a line for each, `NAME: REASON`, or `NAME(CHECK, CHECK): REASON` for some checks.
pub const ALLOW: &str = "plimsoll.dev/allow";

pub(super) const UNUSED: Lint = Lint {
    name: "unused-allow",
    about: "a line of the annotation `plimsoll.dev/allow` that silences nothing",
    // Known only when all others have looked.
    look: |_, _| {},
};

/// What the annotation of one document silences.
pub(crate) struct Allowed {
    extent: Extent,
    lines: Vec<Line>,
}

struct Line {
    lint: &'static str,
    checks: Vec<String>,
    used: Cell<bool>,
}

impl Allowed {
    /// Reads the annotation. An unknown name and a missing reason are faults.
    pub(crate) fn of(document: &Node, checks: &[String], faults: &mut Vec<Fault>) -> Self {
        let annotations = document
            .get("metadata")
            .and_then(|metadata| metadata.get("annotations"));
        let Some(node) = annotations.and_then(|annotations| annotations.get(ALLOW)) else {
            return Self {
                extent: document.extent,
                lines: Vec::new(),
            };
        };
        let mut lines = Vec::new();
        for line in node
            .text()
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            match read(line, node.extent, checks) {
                Ok(line) => lines.push(line),
                Err(fault) => faults.push(*fault),
            }
        }
        Self {
            extent: node.extent,
            lines,
        }
    }

    /// Takes away what is allowed.
    pub(crate) fn silence(&self, doubts: Vec<Doubt>) -> Vec<Fault> {
        let allows = |doubt: &Doubt| {
            let line = self.lines.iter().find(|line| {
                Some(line.lint) == doubt.fault.lint
                    && (line.checks.is_empty() || doubt.check.as_ref().is_some_and(|check| line.checks.contains(check)))
            });
            line.is_some_and(|line| {
                line.used.set(true);
                true
            })
        };
        doubts
            .into_iter()
            .filter(|doubt| !allows(doubt))
            .map(|doubt| doubt.fault)
            .collect()
    }

    /// Lines that silenced nothing, once everything was looked at.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Fault> {
        self.lines.iter().filter(|line| !line.used.get()).map(|line| Fault {
            lint: Some(UNUSED.name),
            ..Fault::new(self.extent, format!("there is no `{}` to allow", line.lint)).hint("leave it out")
        })
    }
}

fn read(line: &str, extent: Extent, known: &[String]) -> Result<Line, Box<Fault>> {
    let form = || {
        Fault::new(extent, format!("`{}` allows nothing", line.trim()))
            .hint("expected `LINT: REASON`, or `LINT(CHECK, CHECK): REASON`")
    };
    let (what, reason) = line.split_once(':').ok_or_else(form)?;
    let (name, checks) = match what.trim().split_once('(') {
        None => (what.trim(), Vec::new()),
        Some((name, rest)) => {
            let list = rest.trim().strip_suffix(')').ok_or_else(form)?;
            (
                name.trim(),
                list.split(',').map(|check| check.trim().to_owned()).collect(),
            )
        }
    };
    let names = || LINTS.iter().map(|lint| lint.name);
    let Some(lint) = names().find(|known| *known == name) else {
        let fault = Fault::new(extent, format!("unknown lint `{name}`"));
        let listed = names().collect::<Vec<_>>().join(", ");
        return Err(Box::new(
            fault.hint(format!("expected one of {listed}")).suggest(name, names()),
        ));
    };
    if let Some(check) = checks.iter().find(|check| !known.contains(check)) {
        let fault = Fault::new(extent, format!("unknown check `{check}`"));
        return Err(Box::new(fault.suggest(check, known.iter().map(String::as_str))));
    }
    if reason.trim().is_empty() {
        let fault = Fault::new(extent, format!("`{name}` is allowed without a reason"));
        return Err(Box::new(fault.hint("say why it is meant")));
    }
    Ok(Line {
        lint,
        checks,
        used: Cell::new(false),
    })
}
