//! A check that something is not so, where nothing shows that it could be seen if it were.

use super::{Doubt, Lens, Lint, Seat};
use crate::{
    Matcher, Op, Subject,
    check::{Cell, DnsCheck, ResponsesCheck},
    fault::Fault,
    validate::{admits_word, is_zero},
};

pub(super) const LINT: Lint = Lint {
    name: "negative-without-control",
    about: "a check that something is absent, refused or different, without one in the same case that the thing can be seen at all",
    look,
};

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for seat in lens.seats.iter().filter(|seat| is_negative(seat)) {
        let controlled = lens
            .seats
            .iter()
            .any(|other| !is_negative(other) && controls(other, seat));
        if controlled {
            continue;
        }
        let key = seat.check.subject.key();
        let lint = Fault::new(
            seat.place.label(key),
            format!("check `{}` would hold if nothing worked at all", seat.check.id.value),
        )
        .hint("it is negative, and no other check of the test is a positive control for it")
        .help(match &seat.check.subject {
            Subject::Exit(_) | Subject::Output(_) => {
                "add a check that the same command succeeds where it should, or that the workload runs".to_owned()
            }
            Subject::State(_) | Subject::Namespace(_) => {
                "add a check that the workload runs, such as its `state`, or `report: {pid: {exists: true}}`".to_owned()
            }
            _ => format!("add a check with `{key}` that finds the same thing where it must be found"),
        });
        doubts.push(Doubt::of(seat, lint));
    }
}

/// Whether it holds only because something is not there, is another or fails.
fn is_negative(seat: &Seat<'_>) -> bool {
    match &seat.check.subject {
        Subject::Process(process) => process.count.as_ref().is_some_and(is_zero),
        Subject::Mounts(mounts) => mounts.count.as_ref().is_some_and(is_zero),
        Subject::File(file) if file.exists.is_some() => file.exists == Some(false),
        Subject::File(_)
        | Subject::State(_)
        | Subject::Exit(_)
        | Subject::Output(_)
        | Subject::Report(_)
        | Subject::Namespace(_)
        | Subject::Cgroup(_)
        | Subject::Network(_)
        | Subject::Object(_)
        | Subject::Replicas(_)
        | Subject::Logs(_)
        | Subject::Endpoints(_)
        | Subject::Statistic(..) => seat.looks.iter().all(|look| look.matcher.0.iter().all(negates)),
        Subject::Ready(ready) => is_zero(ready),
        Subject::Exists(exists) => !exists,
        Subject::Events(events) => events.count.as_ref().is_some_and(is_zero),
        Subject::Pod(pod) => pod.count.as_ref().is_some_and(is_zero),
        // A pod that is nowhere may be so because nothing schedules.
        Subject::Placement(placement) => {
            placement.unschedulable.is_none()
                && placement.rejected_by.is_empty()
                && placement.node.as_ref().is_some_and(|node| node.0.iter().all(negates))
        }
        Subject::Connection(matcher) => !admits_word(matcher, "connected") && !admits_word(matcher, "sent"),
        Subject::Responses(responses) => !shows_a_response(responses),
        Subject::Dns(dns) => !shows_an_answer(dns),
        Subject::Reachability(table) => {
            let mut cells = table.0.values().flat_map(|row| row.values());
            !cells.any(|cell| *cell == Cell::Connected)
        }
    }
}

/// Whether it holds only if something came back.
fn shows_a_response(responses: &ResponsesCheck) -> bool {
    let counts = responses.distinct_bodies.as_ref().is_some_and(|count| !is_zero(count));
    let lists = responses.bodies.as_ref().is_some_and(lists_something);
    let none_failed = responses.failed.as_ref().is_some_and(is_zero);
    responses.status.is_some()
        || counts
        || lists
        || none_failed
        || responses.latency.is_some()
        || responses.spread.is_some()
}

/// Whether it holds only if a name was found.
fn shows_an_answer(dns: &DnsCheck) -> bool {
    let lists = [&dns.addresses, &dns.names, &dns.records];
    lists.into_iter().flatten().any(lists_something)
        || dns.ttl.is_some()
        || dns.rcode.as_ref().is_some_and(|rcode| admits_word(rcode, "NOERROR"))
}

fn lists_something(list: &Matcher) -> bool {
    !list.0.iter().all(negates)
}

fn negates(op: &Op) -> bool {
    match op {
        Op::Ne(_) | Op::Exists(false) | Op::DiffersFrom(_) => true,
        Op::Eq(value) => value.as_str() == Some("missing"),
        Op::Exactly(values) => values.is_empty(),
        Op::Count(count) => is_zero(count),
        Op::Gt(_)
        | Op::Gte(_)
        | Op::Lt(_)
        | Op::Lte(_)
        | Op::Between(..)
        | Op::Approx { .. }
        | Op::Matches(_)
        | Op::Contains(_)
        | Op::ContainsAll(_)
        | Op::OneOf(_)
        | Op::Exists(true)
        | Op::SameAs(_) => false,
    }
}

/// Whether a positive check shows that what the negative one looks at can be seen.
fn controls(positive: &Seat<'_>, negative: &Seat<'_>) -> bool {
    let on = |seat: &Seat<'_>| seat.check.on.as_ref().map(|on| on.value.clone());
    let same_kind = positive.check.subject.key() == negative.check.subject.key();
    match &negative.check.subject {
        // The subject does at least something as it should.
        Subject::Exit(_) | Subject::Output(_) => on(positive).is_none_or(|on| on != "host"),
        Subject::State(_) | Subject::Namespace(_) | Subject::Report(_) => same_kind || on(positive) == on(negative),
        Subject::Process(_)
        | Subject::Mounts(_)
        | Subject::Cgroup(_)
        | Subject::Network(_)
        | Subject::File(_)
        | Subject::Events(_)
        | Subject::Logs(_)
        | Subject::Statistic(..) => same_kind,
        // Whoever sends can be heard at all.
        Subject::Connection(_) | Subject::Responses(_) | Subject::Reachability(_) => matches!(
            positive.check.subject,
            Subject::Connection(_) | Subject::Responses(_) | Subject::Reachability(_)
        ),
        Subject::Dns(_) | Subject::Endpoints(_) => same_kind,
        // Something is placed, runs or is there.
        Subject::Placement(_) => same_kind,
        Subject::Object(_) | Subject::Exists(_) | Subject::Pod(_) | Subject::Replicas(_) | Subject::Ready(_) => {
            positive.check.subject.is_of_cluster()
        }
    }
}
