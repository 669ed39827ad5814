//! Why packets did not come where they should: who listens on which ports, and which routes there are.

use std::net::{IpAddr, SocketAddr};

use record::Seen;
use record::packets::AttemptSeen;
use serde::Deserialize;
use spec::requirement::NamespaceKind;
use spec::{Check, Subject};

use super::Facts;
use crate::drive::PATHS_EVIDENCE;
use crate::judge::packets::{answers, told};
use crate::observe::network;
use crate::plan::Case;

/// Most attempts that are told one by one.
const TOLD: usize = 6;

/// The path of an attempt that did not come through, as the cluster followed it.
#[derive(Debug, Deserialize)]
struct Path {
    from: String,
    to: String,
    address: Option<String>,
    outcome: String,
    hops: Vec<Hop>,
}

#[derive(Debug, Deserialize)]
struct Hop {
    stage: String,
    at: String,
    told: String,
    lost: bool,
}

impl Path {
    fn is_of(&self, attempt: &AttemptSeen) -> bool {
        (&self.from, &self.to, &self.address, &self.outcome)
            == (&attempt.from, &attempt.to, &attempt.address, &attempt.outcome)
    }

    /// At which hop the packet went missing.
    fn cause(&self) -> Option<String> {
        let Hop { stage, at, told, .. } = self.hops.iter().find(|hop| hop.lost)?;
        Some(format!(
            "{} to {} ends at the {} of {at}: {told}",
            self.from,
            self.to,
            words(stage)
        ))
    }

    fn chain(&self) -> impl Iterator<Item = String> {
        self.hops.iter().map(|Hop { stage, at, told, lost }| {
            let mark = if *lost { " ← here" } else { "" };
            format!("{} of {at}: {told}{mark}", words(stage))
        })
    }
}

/// A stage in the words of people.
fn words(stage: &str) -> String {
    match stage {
        "dnat" => "DNAT".into(),
        "listening" => "port".into(),
        other => other.replace('-', " "),
    }
}

/// The paths of those attempts that came to something else than a check wants.
fn paths(facts: &Facts<'_>, check: &Check, list: &[AttemptSeen]) -> Vec<Path> {
    let all = facts
        .text(PATHS_EVIDENCE)
        .and_then(|text| serde_json::from_str(text).ok());
    let mut all: Vec<Path> = all.unwrap_or_default();
    all.retain(|path| {
        list.iter()
            .any(|attempt| path.is_of(attempt) && is_unwanted(check, attempt))
    });
    all
}

/// Whether that is not what a check wants, as far as this can be told of one attempt.
fn is_unwanted(check: &Check, attempt: &AttemptSeen) -> bool {
    match &check.subject {
        Subject::Reachability(table) => {
            let cell = table.0.get(&attempt.from).and_then(|row| row.get(&attempt.to));
            cell.is_some_and(|cell| !cell.admits(&attempt.outcome))
        }
        _ => attempt.outcome != "connected",
    }
}

/// What the kernel of a workload's network shows.
struct Network {
    workload: String,
    /// `tcp:0.0.0.0:80`.
    listening: Vec<String>,
    /// Destinations of its IPv4 routes.
    routes: Option<Vec<String>>,
    namespace: Option<u64>,
}

impl Network {
    fn of(case: &Case, facts: &Facts<'_>, workload: &str) -> Option<Self> {
        let text = |file: &str| facts.text(&format!("{workload}.net.{file}"));
        // The table of connections is there as long as there is a network.
        text("tcp")?;
        let mut listening = Vec::new();
        for (file, kind, state) in [
            ("tcp", "tcp", "0A"),
            ("tcp6", "tcp", "0A"),
            ("udp", "udp", "07"),
            ("udp6", "udp", "07"),
        ] {
            listening.extend(network::sockets(text(file).unwrap_or_default(), kind, state));
        }
        Some(Self {
            workload: workload.to_owned(),
            listening,
            routes: text("route").map(network::routes),
            namespace: facts.namespace(case, workload, NamespaceKind::Network),
        })
    }

    fn listens_on(&self, port: u16) -> bool {
        let end = format!(":{port}");
        self.listening.iter().any(|socket| socket.ends_with(&end))
    }
}

/// The cause in a sentence, if what was kept tells one.
pub(super) fn story(case: &Case, facts: &Facts<'_>, check: &Check) -> Option<String> {
    let Some(Seen::Attempts { list, .. }) = facts.seen(&check.id.value) else {
        return None;
    };
    if let Some(cause) = paths(facts, check, list).iter().find_map(Path::cause) {
        return Some(cause);
    }
    let names = case.spec.workloads.keys();
    let networks: Vec<Network> = names.filter_map(|name| Network::of(case, facts, name)).collect();
    list.iter().find_map(|attempt| cause(attempt, &networks))
}

fn cause(attempt: &AttemptSeen, networks: &[Network]) -> Option<String> {
    let address: SocketAddr = attempt.address.as_ref()?.parse().ok()?;
    let from = networks.iter().find(|network| network.workload == attempt.from);
    match attempt.outcome.as_str() {
        "refused" => nobody_listens(address.port(), from, networks),
        "unreachable" => {
            let from = from?;
            let routes = from.routes.as_ref()?;
            let leads = routes.iter().any(|route| route == "0.0.0.0/0");
            (!leads && address.is_ipv4()).then(|| {
                format!(
                    "no route of {} leads to {}: it has {}",
                    from.workload,
                    address.ip(),
                    listed(routes, "none")
                )
            })
        }
        _ => None,
    }
}

fn nobody_listens(port: u16, from: Option<&Network>, networks: &[Network]) -> Option<String> {
    let listener = networks.iter().find(|network| network.listens_on(port));
    let Some(listener) = listener else {
        if networks.is_empty() {
            return None;
        }
        let others: Vec<String> = networks
            .iter()
            .map(|network| {
                format!(
                    "{} listens on {}",
                    network.workload,
                    listed(&network.listening, "nothing")
                )
            })
            .collect();
        return Some(format!("nobody listens on port {port}: {}", others.join(", ")));
    };
    let (own, other) = (from?.namespace?, listener.namespace?);
    (own != other).then(|| {
        format!(
            "{} listens on port {port} in net:[{other}], and {} sends from net:[{own}]",
            listener.workload,
            from.map(|from| from.workload.as_str()).unwrap_or_default()
        )
    })
}

fn listed(list: &[String], none: &str) -> String {
    if list.is_empty() {
        none.to_owned()
    } else {
        list.join(", ")
    }
}

/// What came of the packets, for the chain of facts: those that differ from their predecessors, as far as they fit.
pub(super) fn chain(facts: &Facts<'_>, check: &Check) -> Vec<String> {
    match facts.seen(&check.id.value) {
        Some(Seen::Attempts { list, .. }) => {
            let mut different: Vec<&AttemptSeen> = Vec::new();
            for attempt in list {
                let key = |one: &AttemptSeen| (one.from.clone(), one.to.clone(), one.outcome.clone(), address_of(one));
                if !different.iter().any(|known| key(known) == key(attempt)) {
                    different.push(attempt);
                }
            }
            let mut chain: Vec<String> = different.into_iter().take(TOLD).map(told).collect();
            let paths = paths(facts, check, list);
            let lost = paths.iter().find(|path| path.cause().is_some());
            chain.extend(lost.or(paths.first()).into_iter().flat_map(Path::chain));
            chain
        }
        Some(Seen::Answers { list, .. }) => list.iter().take(TOLD).map(answers::told).collect(),
        _ => Vec::new(),
    }
}

fn address_of(attempt: &AttemptSeen) -> Option<IpAddr> {
    let address: SocketAddr = attempt.address.as_ref()?.parse().ok()?;
    Some(address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hop_at_which_a_packet_went_missing_is_the_cause() {
        let text = serde_json::json!([
            {"from": "client", "to": "db", "address": "10.244.2.2:80", "outcome": "timeout", "hops": []},
            {"from": "client", "to": "web", "address": "10.96.0.9:80", "outcome": "timeout", "hops": [
                {"stage": "client-route", "at": "pod x/client", "told": "by 169.254.1.1", "lost": false},
                {"stage": "policy", "at": "node b", "told": "3 packets were dropped", "lost": true},
            ]},
        ]);
        let events = [record::Event::Evidence {
            case: "c".into(),
            name: PATHS_EVIDENCE.into(),
            text: text.to_string(),
        }];
        let facts = Facts::of("c", &events);
        let check: Check = serde_json::from_value(serde_json::json!({
            "id": {"at": {"line": 1, "column": 1}, "value": "table"},
            "reachability": {"client": {"web": "connected", "db": "blocked"}},
        }))
        .unwrap();
        let to = |to: &str, address: &str| AttemptSeen {
            to: to.into(),
            ..attempt("timeout", address)
        };
        let list = [to("db", "10.244.2.2:80"), to("web", "10.96.0.9:80")];
        let found = paths(&facts, &check, &list);
        let causes: Vec<_> = found.iter().filter_map(Path::cause).collect();
        assert_eq!(
            causes,
            ["client to web ends at the policy of node b: 3 packets were dropped"]
        );
        assert_eq!(
            found[0].chain().collect::<Vec<_>>(),
            [
                "client route of pod x/client: by 169.254.1.1",
                "policy of node b: 3 packets were dropped ← here"
            ]
        );
        // What was to be blocked is no loss.
        assert!(paths(&facts, &check, &list[..1]).is_empty());
    }

    fn network(workload: &str, listening: &[&str], namespace: u64) -> Network {
        Network {
            workload: workload.into(),
            listening: listening.iter().map(|socket| (*socket).to_owned()).collect(),
            routes: Some(Vec::new()),
            namespace: Some(namespace),
        }
    }

    fn attempt(outcome: &str, address: &str) -> AttemptSeen {
        AttemptSeen {
            from: "client".into(),
            address: Some(address.into()),
            outcome: outcome.into(),
            ..AttemptSeen::default()
        }
    }

    #[test]
    fn a_refusal_is_explained_by_who_listens_where() {
        let client = network("client", &[], 1);
        let networks = [client, network("server", &["tcp:[::]:8081"], 2)];
        assert_eq!(
            cause(&attempt("refused", "127.0.0.1:8080"), &networks).unwrap(),
            "nobody listens on port 8080: client listens on nothing, server listens on tcp:[::]:8081"
        );
        assert_eq!(
            cause(&attempt("refused", "127.0.0.1:8081"), &networks).unwrap(),
            "server listens on port 8081 in net:[2], and client sends from net:[1]"
        );
        // In one and the same network it is not known why.
        let shared = [network("client", &["tcp:[::]:8081"], 1)];
        assert_eq!(cause(&attempt("refused", "127.0.0.1:8081"), &shared), None);
        assert_eq!(cause(&attempt("connected", "127.0.0.1:8081"), &networks), None);
    }

    #[test]
    fn an_unreachable_address_is_explained_by_routes() {
        let mut client = network("client", &[], 1);
        let lost = attempt("unreachable", "192.0.2.1:80");
        let because = cause(&lost, std::slice::from_ref(&client)).unwrap();
        assert_eq!(because, "no route of client leads to 192.0.2.1: it has none");
        client.routes = Some(vec!["0.0.0.0/0".into()]);
        assert_eq!(cause(&lost, &[client]), None);
    }
}
