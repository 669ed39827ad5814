//! `/etc/resolv.conf` of a pod, from its dnsPolicy and its dnsConfig.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy>.

use std::fmt;
use std::net::Ipv4Addr;

use objects::meta;
use serde_json::Value;

use crate::etc::DOMAIN;
use crate::fault::Faults;

/// Where the DNS of the cluster is, for everything on any node.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The most that there may be of each, and characters of the search list, as Kubernetes has them.
const SERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCH_LIST: usize = 2048;
/// How many dots a name has that is looked up as it is first.
const DOTS: (&str, &str) = ("ndots", "5");

/// What `resolv.conf(5)` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<(String, Option<String>)>,
    /// What does not fit, as the kubelet's events put it.
    pub(crate) omitted: Vec<String>,
}

impl Resolver {
    /// Of a pod on a node whose own file is `machine`. Its search list is for those pods only that ask for the node's
    /// resolver, so that names mean the same on every machine.
    pub(crate) fn of(pod: &Value, machine: &str, faults: &Faults) -> Self {
        let host_network = meta::flag(pod, &["spec", "hostNetwork"]);
        let mut resolver = match meta::text(pod, &["spec", "dnsPolicy"]) {
            _ if faults.has("dns-policy-ignored") => Self::cluster(pod),
            "None" => Self::default(),
            "Default" => Self::read(machine),
            "ClusterFirstWithHostNet" => Self::cluster(pod),
            _ if host_network => Self::read(machine),
            _ => Self::cluster(pod),
        };
        if !faults.has("dns-config-ignored") {
            resolver.merge(pod);
        }
        if faults.has("search-list-dropped") {
            resolver.searches.clear();
        }
        resolver.fit();
        resolver
    }

    fn cluster(pod: &Value) -> Self {
        let namespace = meta::namespace(pod);
        Self {
            servers: vec![NAME_SERVER.to_string()],
            searches: vec![
                format!("{namespace}.svc.{DOMAIN}"),
                format!("svc.{DOMAIN}"),
                DOMAIN.into(),
            ],
            options: vec![(DOTS.0.into(), Some(DOTS.1.into()))],
            omitted: Vec::new(),
        }
    }

    fn read(file: &str) -> Self {
        let mut resolver = Self::default();
        for line in file.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.next().map(String::from)),
                Some("search") => resolver.searches = words.map(String::from).collect(),
                Some("options") => resolver.options.extend(words.map(|word| match word.split_once(':') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (word.to_owned(), None),
                })),
                _ => {}
            }
        }
        resolver
    }

    /// Servers and search domains come after those of the policy, options take their place.
    fn merge(&mut self, pod: &Value) {
        let config = |key: &str| meta::list(pod, &["spec", "dnsConfig", key]);
        let words = |key: &str| config(key).iter().filter_map(Value::as_str).map(String::from);
        self.servers.extend(words("nameservers"));
        self.searches.extend(words("searches"));
        for option in config("options") {
            let name = meta::text(option, &["name"]);
            let value = option.get("value").and_then(Value::as_str).map(String::from);
            match self.options.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => entry.1 = value,
                None => self.options.push((name.to_owned(), value)),
            }
        }
    }

    fn fit(&mut self) {
        unique(&mut self.servers);
        unique(&mut self.searches);
        if self.servers.len() > SERVERS {
            self.servers.truncate(SERVERS);
            self.omitted.push(format!(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
                self.servers.join(" ")
            ));
        }
        let asked = self.searches.len();
        self.searches.truncate(SEARCHES);
        while self.searches.join(" ").len() > SEARCH_LIST {
            self.searches.pop();
        }
        if self.searches.len() < asked {
            self.omitted.push(format!(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
                self.searches.join(" ")
            ));
        }
    }
}

impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.searches.is_empty() {
            writeln!(f, "search {}", self.searches.join(" "))?;
        }
        for server in &self.servers {
            writeln!(f, "nameserver {server}")?;
        }
        if self.options.is_empty() {
            return Ok(());
        }
        f.write_str("options")?;
        for (name, value) in &self.options {
            match value {
                Some(value) => write!(f, " {name}:{value}")?,
                None => write!(f, " {name}")?,
            }
        }
        writeln!(f)
    }
}

fn unique(all: &mut Vec<String>) {
    let mut kept: Vec<String> = Vec::new();
    all.retain(|one| {
        let new = !kept.contains(one);
        kept.extend(new.then(|| one.clone()));
        new
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MACHINE: &str = "# made by hand\nnameserver 9.9.9.9\nsearch lan\noptions edns0 timeout:1\n";
    const CLUSTER: &str =
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
    const NODE: &str = "search lan\nnameserver 9.9.9.9\noptions edns0 timeout:1\n";

    fn with(spec: Value, faults: &[&str]) -> Resolver {
        let chosen = faults.iter().map(|name| (*name).to_owned()).collect();
        let pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        Resolver::of(&pod, MACHINE, &Faults::new(&chosen))
    }

    fn text(spec: Value) -> String {
        with(spec, &[]).to_string()
    }

    #[test]
    fn the_name_server_follows_the_policy_and_the_network() {
        for (policy, own, hosts) in [
            ("ClusterFirst", CLUSTER, NODE),
            ("ClusterFirstWithHostNet", CLUSTER, CLUSTER),
            ("Default", NODE, NODE),
            ("None", "", ""),
        ] {
            assert_eq!(text(json!({"dnsPolicy": policy})), own, "{policy}");
            assert_eq!(
                text(json!({"dnsPolicy": policy, "hostNetwork": true})),
                hosts,
                "{policy}"
            );
        }
        assert_eq!(text(json!({})), CLUSTER);
    }

    #[test]
    fn a_config_is_added_to_what_the_policy_says() {
        let config = json!({"nameservers": ["1.2.3.4", "10.96.0.10"], "searches": ["example.com", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]});
        assert_eq!(
            text(json!({"dnsPolicy": "None", "dnsConfig": config})),
            "search example.com cluster.local\nnameserver 1.2.3.4\nnameserver 10.96.0.10\noptions ndots:2 edns0\n"
        );
        assert_eq!(
            text(json!({"dnsConfig": config})),
            "search shop.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\n\
             nameserver 1.2.3.4\noptions ndots:2 edns0\n"
        );
        assert_eq!(
            text(json!({"dnsPolicy": "Default", "dnsConfig": {"options": [{"name": "timeout", "value": "3"}]}})),
            "search lan\nnameserver 9.9.9.9\noptions edns0 timeout:3\n"
        );
    }

    #[test]
    fn what_resolvers_do_not_read_is_left_out_and_told() {
        let servers = with(
            json!({"dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3"]}}),
            &[],
        );
        assert!(servers.to_string().contains("nameserver 1.1.1.2\n") && !servers.to_string().contains("1.1.1.3"));
        assert!(
            servers.omitted[0].ends_with("line is: 10.96.0.10 1.1.1.1 1.1.1.2"),
            "{servers:?}"
        );
        let many: Vec<String> = (0..32).map(|n| format!("d{n}.example.com")).collect();
        let searches = with(json!({"dnsConfig": {"searches": many}}), &[]);
        assert_eq!((searches.searches.len(), searches.omitted.len()), (32, 1));
        let long: Vec<String> = (0..20).map(|n| format!("{n}.{}", "x".repeat(120))).collect();
        let searches = with(json!({"dnsPolicy": "None", "dnsConfig": {"searches": long}}), &[]);
        assert_eq!((searches.searches.len(), searches.omitted.len()), (16, 1));
    }

    #[test]
    fn a_faulty_agent_writes_another_file() {
        let spec = json!({"dnsPolicy": "Default", "dnsConfig": {"nameservers": ["1.2.3.4"]}});
        assert!(
            !with(spec.clone(), &["dns-config-ignored"])
                .to_string()
                .contains("1.2.3.4")
        );
        assert!(
            with(spec.clone(), &["dns-policy-ignored"])
                .to_string()
                .contains("10.96.0.10")
        );
        assert!(!with(spec, &["search-list-dropped"]).to_string().contains("search"));
    }
}
