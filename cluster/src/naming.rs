//! How things of the cluster find each other: one set of names, and a DNS server for them on every node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use agent::{NAME_SERVER, Node};
use apiserver::{Api, User};
use dns::{Faults, Following, Names, Options, Server, Sockets};
use serde_json::{Value, json};

use crate::Error;

const PORT: u16 = 53;

/// The names and those who answer for them, as long as this is held.
#[derive(Debug)]
pub(crate) struct Naming {
    names: Names,
    /// The same, as each node's server answers them.
    served: BTreeMap<String, Names>,
    _following: Following,
    _servers: Vec<Server>,
}

impl Naming {
    /// Begins to answer on these nodes. Returns when all names are known and every node is served.
    pub(crate) async fn start<'a>(
        api: &Api,
        nodes: impl Iterator<Item = &'a Node>,
        faults: &BTreeSet<String>,
    ) -> Result<Self, Error> {
        let names = Names::new(Options {
            address: IpAddr::V4(NAME_SERVER),
            faults: chosen(faults),
            upstream: None,
        });
        let following = names.follow(&api.acting_as(User::system("kube-dns"))).await?;
        let mut servers = Vec::new();
        let mut served = BTreeMap::new();
        for node in nodes {
            let (udp, tcp) = node.listen(NAME_SERVER, PORT).await.map_err(Error::Network)?;
            let own = names.another();
            let server = Server::start(&own, Sockets { udp, tcp });
            servers.push(server.map_err(|source| Error::Act {
                act: "start the DNS server of a node",
                source,
            })?);
            served.insert(node.name().to_owned(), own);
        }
        Ok(Self {
            names,
            served,
            _following: following,
            _servers: servers,
        })
    }

    /// A node's server goes on answering what it knows now.
    pub(crate) fn hold(&self, node: &str) {
        self.served.get(node).into_iter().for_each(Names::hold);
    }

    /// It answers what there is again.
    pub(crate) fn release(&self, node: &str) {
        self.served.get(node).into_iter().for_each(Names::release);
    }

    /// What `status` tells of it.
    pub(crate) fn status(&self) -> Value {
        json!({
            "address": self.names.address().to_string(),
            "domain": dns::DOMAIN,
            "names": self.names.count(),
            "queries": self.names.queries(),
        })
    }
}

/// The faults of the DNS among all that were chosen.
fn chosen(names: &BTreeSet<String>) -> Faults {
    let mut faults = Faults::default();
    for fault in names.iter().filter_map(|name| dns::named(name)) {
        faults.choose(fault);
    }
    faults
}
