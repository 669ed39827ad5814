//! Why packets did not come where they should: who listens on which ports, and which routes there are.

use std::net::{IpAddr, SocketAddr};

use record::Seen;
use record::packets::AttemptSeen;
use spec::Check;
use spec::requirement::NamespaceKind;

use super::Facts;
use crate::judge::packets::{answers, told};
use crate::observe::network;
use crate::plan::Case;

/// Most attempts that are told one by one.
const TOLD: usize = 6;

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
            different.into_iter().take(TOLD).map(told).collect()
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
