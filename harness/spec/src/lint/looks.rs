//! Every matcher of a check, with what its field holds.

use super::Look;
use crate::{
    Check, Matcher, Step, Subject,
    check::cgroup::{self, Unit},
    validate::{FILE_KINDS, Field, PROCESS_STATES, PROPAGATIONS, Place, REASONS, STATES, sampled},
};

const NUMBER: Field = Field::Number(Unit::Number);

pub(super) fn of<'a>(check: &'a Check, step: &Step, place: &Place<'a>) -> Vec<Look<'a>> {
    let at = place.key(check.subject.key());
    let mut all = Vec::new();
    let mut add = |matcher: Option<&'a Matcher>, field, place, always| {
        all.extend(matcher.map(|matcher| Look {
            matcher,
            field,
            place,
            always,
        }));
    };
    match &check.subject {
        Subject::State(state) => add(Some(state), Field::Word(STATES), at, true),
        Subject::Exit(exit) => {
            add(exit.code.as_ref(), NUMBER, at.key("code"), false);
            add(exit.signal.as_ref(), Field::Signal, at.key("signal"), false);
            add(exit.reason.as_ref(), Field::Word(REASONS), at.key("reason"), false);
        }
        Subject::Output(output) => {
            add(output.stdout.as_ref(), Field::Text, at.key("stdout"), true);
            add(output.stderr.as_ref(), Field::Text, at.key("stderr"), true);
            for (path, matcher) in &output.json {
                add(Some(matcher), Field::Any, at.key("json").key(path), false);
            }
        }
        Subject::Report(paths) => {
            for (path, matcher) in paths {
                add(Some(matcher), Field::Any, at.key(path), false);
            }
        }
        Subject::Process(process) => {
            add(process.count.as_ref(), NUMBER, at.key("count"), true);
            add(process.args.as_ref(), Field::List, at.key("args"), true);
            add(process.uid.as_ref(), NUMBER, at.key("uid"), true);
            add(process.ppid.as_ref(), NUMBER, at.key("ppid"), true);
            add(
                process.state.as_ref(),
                Field::Word(PROCESS_STATES),
                at.key("state"),
                true,
            );
        }
        Subject::Namespace(kinds) => {
            for (kind, matcher) in kinds {
                let written = [kind.oci_name(), kind.proc_name()].map(|name| at.key(name));
                let at = written.into_iter().find(Place::is_written).unwrap_or(at);
                add(Some(matcher), Field::Object, at, true);
            }
        }
        Subject::Mounts(mounts) => {
            add(mounts.count.as_ref(), NUMBER, at.key("count"), true);
            add(mounts.options.as_ref(), Field::List, at.key("options"), true);
            add(mounts.kind.as_ref(), Field::Text, at.key("type"), true);
            let propagation = mounts.propagation.as_ref();
            add(propagation, Field::Word(PROPAGATIONS), at.key("propagation"), true);
            add(mounts.root.as_ref(), Field::Text, at.key("root"), true);
        }
        Subject::Cgroup(keys) => {
            for (name, matcher) in keys {
                let field = match cgroup::unit(name) {
                    None => Field::Any,
                    Some(Unit::Text) => Field::Text,
                    Some(Unit::List) => Field::List,
                    Some(unit) => Field::Number(unit),
                };
                add(Some(matcher), field, at.key(name), false);
            }
        }
        Subject::Network(network) => {
            for (key, matcher) in [
                ("interfaces", &network.interfaces),
                ("up", &network.up),
                ("routes", &network.routes),
                ("listening", &network.listening),
            ] {
                add(matcher.as_ref(), Field::List, at.key(key), true);
            }
        }
        Subject::File(file) => {
            add(file.kind.as_ref(), Field::Word(FILE_KINDS), at.key("type"), true);
            add(file.content.as_ref(), Field::Text, at.key("content"), false);
            add(file.mode.as_ref(), Field::Text, at.key("mode"), true);
            add(file.uid.as_ref(), NUMBER, at.key("uid"), true);
            add(file.gid.as_ref(), NUMBER, at.key("gid"), true);
            add(file.size.as_ref(), Field::Number(Unit::Bytes), at.key("size"), true);
            add(file.entries.as_ref(), Field::List, at.key("entries"), false);
        }
        Subject::Statistic(_, matcher) => {
            let field = sampled(step).map_or(Field::Any, Field::Number);
            add(Some(matcher), field, at, false);
        }
    }
    all
}
