//! The faults by name.

use std::sync::LazyLock;

use serde_json::Value;

use crate::call::{Call, Request};
use crate::error::Result;
use crate::{edit, faults};

/// One way in which a runtime can disobey.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its name on the command line, in kebab-case.
    pub name: &'static str,
    /// The `dimension` labels of the specs that could be expected to notice.
    pub dimensions: &'static [&'static str],
    /// What the runtime does, in one sentence.
    pub what: &'static str,
    /// Whether something is gone, or a number is a little off.
    pub kind: Kind,
    /// Whether it could harm the machine if it ran outside of a guard.
    pub danger: bool,
    pub(crate) act: Act,
}

/// How large a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something asked for does not happen, or something else does.
    Knockout,
    /// A number is applied, changed by so much.
    NearMiss {
        /// The change, in percent of the number that was asked for.
        percent: i32,
    },
}

/// What a fault does, and where it sits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Nothing: the healthy wrapper. It rewrites the bundle all the same, so that the rewriting is known to be harmless.
    Nothing,
    /// `create` and `run`: edits the configuration.
    Config(fn(&mut Value)),
    /// The same edit for a namespace, a capability set, an option, a JSON pointer.
    ConfigAt(fn(&mut Value, &'static str), &'static str),
    /// `create` and `run`: changes a number by so many percent.
    Scale(&'static str, i32),
    /// `create` and `run`: edits the configuration by what lies in the bundle.
    Bundle(fn(&mut Value, &std::path::Path)),
    /// `exec`: edits the request.
    Exec(fn(&mut Request)),
    /// `update`: edits the resources.
    Update(fn(&mut Value)),
    /// Any verb: answers the exit code if it dealt with the call, and `None` if the call is to go its way.
    Verb(fn(&Call) -> Result<Option<i32>>),
}

/// A fault that edits the configuration.
pub(crate) const fn config(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    apply: fn(&mut Value),
) -> Fault {
    knockout(name, dimensions, what, Act::Config(apply))
}

/// A fault that edits the configuration at one place.
pub(crate) const fn config_at(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    apply: fn(&mut Value, &'static str),
    at: &'static str,
) -> Fault {
    knockout(name, dimensions, what, Act::ConfigAt(apply, at))
}

/// A fault that edits the call or its answer.
pub(crate) const fn verb(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    apply: fn(&Call) -> Result<Option<i32>>,
) -> Fault {
    knockout(name, dimensions, what, Act::Verb(apply))
}

/// A number that is a little off.
pub(crate) const fn near_miss(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    at: &'static str,
    percent: i32,
) -> Fault {
    Fault {
        name,
        dimensions,
        what,
        kind: Kind::NearMiss { percent },
        danger: false,
        act: Act::Scale(at, percent),
    }
}

/// Any fault that is not a number.
pub(crate) const fn knockout(
    name: &'static str,
    dimensions: &'static [&'static str],
    what: &'static str,
    act: Act,
) -> Fault {
    Fault {
        name,
        dimensions,
        what,
        kind: Kind::Knockout,
        danger: false,
        act,
    }
}

/// Marks a fault that could harm the machine.
pub(crate) const fn dangerous(mut fault: Fault) -> Fault {
    fault.danger = true;
    fault
}

impl Act {
    /// The edited configuration.
    pub(crate) fn edited(&self, config: &Value, bundle: &std::path::Path) -> Value {
        let mut edited = config.clone();
        match self {
            Act::Config(apply) => apply(&mut edited),
            Act::ConfigAt(apply, at) => apply(&mut edited, at),
            Act::Scale(at, percent) => edit::scale(&mut edited, at, *percent),
            Act::Bundle(apply) => apply(&mut edited, bundle),
            Act::Nothing | Act::Exec(_) | Act::Update(_) | Act::Verb(_) => {}
        }
        edited
    }
}

/// Every fault, those of one area together.
pub fn catalogue() -> &'static [Fault] {
    static ALL: LazyLock<Vec<Fault>> = LazyLock::new(|| faults::AREAS.iter().flat_map(|area| area.to_vec()).collect());
    &ALL
}

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static Fault> {
    catalogue().iter().find(|fault| fault.name == name)
}

/// Whether the fault would change anything of this `config.json`. Faults of a verb change how the runtime acts and not
/// what it is asked, so that they touch every request; so do those that depend on what lies in the bundle.
pub fn touches(fault: &Fault, config: &Value) -> bool {
    match fault.act {
        Act::Nothing => false,
        Act::Config(_) | Act::ConfigAt(..) | Act::Scale(..) => {
            fault.act.edited(config, std::path::Path::new("/")) != *config
        }
        Act::Bundle(_) | Act::Exec(_) | Act::Update(_) | Act::Verb(_) => true,
    }
}

/// The name that is nearest to a wrong one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let near = catalogue().iter().map(|f| (strsim::jaro_winkler(name, f.name), f.name));
    near.max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75)
        .map(|(_, name)| name)
}
