//! `state`: what a container is, as the specification shows it.

use super::{Verb, print_json};
use crate::Global;
use crate::arguments::Arguments;
use crate::container::Container;
use crate::error::Result;
use crate::log::rfc3339;

pub(super) const VERB: Verb = Verb {
    name: "state",
    words: "ID",
    help: "print the state of a container as JSON",
    flags: &[],
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    let mut state = container.saved.state(container.status());
    state["rootfs"] = container.saved.rootfs.display().to_string().into();
    state["created"] = rfc3339(container.saved.created).into();
    print_json(&state)
}
