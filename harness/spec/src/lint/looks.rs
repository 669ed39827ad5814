//! Every matcher of a check, with what its field holds.

use super::Look;
use crate::{
    Check, Matcher, Step, Subject,
    check::cgroup::{self, Unit},
    validate::{
        CONDITION_STATUSES, CONTAINER_STATES, EVENT_TYPES, FILE_KINDS, Field, POD_PHASES, PROCESS_STATES, PROPAGATIONS,
        Place, QOS_CLASSES, RCODES, REASONS, STATES, TRANSPORTS, outcomes, sampled,
    },
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
        Subject::Placement(placement) => {
            add(placement.node.as_ref(), Field::Text, at.key("node"), false);
            add(placement.count.as_ref(), NUMBER, at.key("count"), true);
            add(placement.nominated.as_ref(), Field::Text, at.key("nominated"), false);
            let why = at.key("unschedulable");
            let unschedulable = placement.unschedulable.as_ref();
            add(
                unschedulable.and_then(|u| u.reason.as_ref()),
                Field::Text,
                why.key("reason"),
                true,
            );
            add(
                unschedulable.and_then(|u| u.message.as_ref()),
                Field::Text,
                why.key("message"),
                true,
            );
            for (node, plugin) in &placement.rejected_by {
                add(Some(plugin), Field::Text, at.key("rejectedBy").key(node), false);
            }
        }
        Subject::Pod(pod) => {
            add(pod.count.as_ref(), NUMBER, at.key("count"), true);
            add(pod.phase.as_ref(), Field::Word(POD_PHASES), at.key("phase"), true);
            add(pod.reason.as_ref(), Field::Text, at.key("reason"), false);
            add(pod.message.as_ref(), Field::Text, at.key("message"), false);
            add(pod.restarts.as_ref(), NUMBER, at.key("restarts"), true);
            add(
                pod.qos_class.as_ref(),
                Field::Word(QOS_CLASSES),
                at.key("qosClass"),
                true,
            );
            add(pod.pod_ip.as_ref(), Field::Text, at.key("podIP"), false);
            for (kind, condition) in &pod.conditions {
                let at = at.key("conditions").key(kind);
                let status = if at.key("status").is_written() {
                    at.key("status")
                } else {
                    at
                };
                add(
                    condition.status.as_ref(),
                    Field::Word(CONDITION_STATUSES),
                    status,
                    false,
                );
                add(condition.reason.as_ref(), Field::Text, at.key("reason"), false);
                add(condition.message.as_ref(), Field::Text, at.key("message"), false);
            }
            for (name, container) in &pod.containers {
                let at = at.key("containers").key(name);
                add(
                    container.state.as_ref(),
                    Field::Word(CONTAINER_STATES),
                    at.key("state"),
                    true,
                );
                add(container.reason.as_ref(), Field::Text, at.key("reason"), false);
                add(container.message.as_ref(), Field::Text, at.key("message"), false);
                add(container.exit_code.as_ref(), NUMBER, at.key("exitCode"), false);
                add(container.restart_count.as_ref(), NUMBER, at.key("restartCount"), true);
                if let Some(last) = &container.last {
                    let at = at.key("last");
                    add(last.reason.as_ref(), Field::Text, at.key("reason"), false);
                    add(last.message.as_ref(), Field::Text, at.key("message"), false);
                    add(last.exit_code.as_ref(), NUMBER, at.key("exitCode"), false);
                }
            }
        }
        Subject::Object(paths) => {
            for (path, matcher) in paths {
                add(Some(matcher), Field::Any, at.key(path), false);
            }
        }
        Subject::Exists(_) => {}
        Subject::Events(events) => {
            add(events.reason.as_ref(), Field::Text, at.key("reason"), true);
            add(events.kind.as_ref(), Field::Word(EVENT_TYPES), at.key("type"), true);
            add(events.message.as_ref(), Field::Text, at.key("message"), true);
            add(events.count.as_ref(), NUMBER, at.key("count"), true);
        }
        Subject::Replicas(replicas) => {
            for (key, matcher) in [
                ("desired", &replicas.desired),
                ("current", &replicas.current),
                ("ready", &replicas.ready),
                ("updated", &replicas.updated),
                ("available", &replicas.available),
            ] {
                add(matcher.as_ref(), NUMBER, at.key(key), true);
            }
        }
        Subject::Ready(ready) => add(Some(ready), NUMBER, at, true),
        Subject::Logs(logs) => add(Some(&logs.text), Field::Text, at.key("text"), true),
        // Of the words that there are, those count that the network decides.
        Subject::Connection(matcher) => add(Some(matcher), Field::Word(outcomes(step).1), at, true),
        Subject::Responses(responses) => {
            add(responses.status.as_ref(), NUMBER, at.key("status"), true);
            add(responses.failed.as_ref(), NUMBER, at.key("failed"), true);
            let distinct = responses.distinct_bodies.as_ref();
            add(distinct, NUMBER, at.key("distinctBodies"), true);
            add(responses.bodies.as_ref(), Field::List, at.key("bodies"), true);
            if let Some(latency) = &responses.latency {
                let at = at.key("latency");
                for (key, matcher) in [
                    ("p50", &latency.p50),
                    ("p95", &latency.p95),
                    ("p99", &latency.p99),
                    ("max", &latency.max),
                ] {
                    add(matcher.as_ref(), Field::Number(Unit::Duration), at.key(key), true);
                }
            }
        }
        Subject::Dns(dns) => {
            add(dns.rcode.as_ref(), Field::Word(RCODES), at.key("rcode"), true);
            for (key, matcher) in [
                ("addresses", &dns.addresses),
                ("names", &dns.names),
                ("records", &dns.records),
            ] {
                add(matcher.as_ref(), Field::List, at.key(key), true);
            }
            add(dns.ttl.as_ref(), Field::Number(Unit::Duration), at.key("ttl"), true);
            add(dns.asked.as_ref(), Field::Text, at.key("asked"), true);
            add(dns.via.as_ref(), Field::Word(TRANSPORTS), at.key("via"), true);
        }
        Subject::Endpoints(endpoints) => {
            for (key, matcher) in [
                ("ready", &endpoints.ready),
                ("notReady", &endpoints.not_ready),
                ("terminating", &endpoints.terminating),
                ("nodes", &endpoints.nodes),
                ("ports", &endpoints.ports),
            ] {
                add(matcher.as_ref(), Field::List, at.key(key), true);
            }
        }
        Subject::Reachability(_) => {}
    }
    all
}
