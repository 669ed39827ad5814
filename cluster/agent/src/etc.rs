//! The files in `/etc` that the agent writes for a pod.

use std::net::Ipv4Addr;

use objects::meta;
use serde_json::Value;

const DOMAIN: &str = "cluster.local";
/// Address of the cluster's name server.
const NAME_SERVER: &str = "10.96.0.10";

/// What a pod calls itself: `spec.hostname`, or its name, at most 63 characters.
pub(crate) fn hostname(pod: &Value) -> String {
    let asked = meta::text(pod, &["spec", "hostname"]);
    let name = if asked.is_empty() { meta::name(pod) } else { asked };
    name.get(..63).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
}

fn domain(pod: &Value) -> Option<String> {
    let subdomain = meta::text(pod, &["spec", "subdomain"]);
    (!subdomain.is_empty()).then(|| format!("{subdomain}.{}.svc.{DOMAIN}", meta::namespace(pod)))
}

/// What a process of the pod gets as its host name.
pub(crate) fn uts_name(pod: &Value, node: &str) -> String {
    if meta::flag(pod, &["spec", "hostNetwork"]) {
        return node.to_owned();
    }
    match domain(pod).filter(|_| meta::flag(pod, &["spec", "setHostnameAsFQDN"])) {
        Some(domain) => format!("{}.{domain}", hostname(pod)),
        None => hostname(pod),
    }
}

/// `/etc/hosts`.
pub(crate) fn hosts(pod: &Value, address: Ipv4Addr, node: &str) -> String {
    let mut text = String::from("# Kubernetes-managed hosts file");
    let host_network = meta::flag(pod, &["spec", "hostNetwork"]);
    text.push_str(if host_network { " (host network).\n" } else { ".\n" });
    text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    let name = hostname(pod);
    match domain(pod) {
        _ if host_network => text.push_str(&format!("{address}\t{node}\n")),
        Some(domain) => text.push_str(&format!("{address}\t{name}.{domain}\t{name}\n")),
        None => text.push_str(&format!("{address}\t{name}\n")),
    }
    let aliases = meta::list(pod, &["spec", "hostAliases"]);
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names: Vec<&str> = meta::list(alias, &["hostnames"])
                .iter()
                .filter_map(Value::as_str)
                .collect();
            text.push_str(&format!("{}\t{}\n", meta::text(alias, &["ip"]), names.join("\t")));
        }
    }
    text
}

/// `/etc/resolv.conf`; `machine` is the node's own.
pub(crate) fn resolv(pod: &Value, machine: &str) -> String {
    let policy = meta::text(pod, &["spec", "dnsPolicy"]);
    let host_network = meta::flag(pod, &["spec", "hostNetwork"]);
    let mut servers = Vec::new();
    let mut searches = Vec::new();
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    match policy {
        "None" => {}
        "ClusterFirstWithHostNet" => cluster(pod, &mut servers, &mut searches, &mut options),
        "Default" => node(machine, &mut servers, &mut searches, &mut options),
        _ if host_network => node(machine, &mut servers, &mut searches, &mut options),
        _ => cluster(pod, &mut servers, &mut searches, &mut options),
    }
    let config = |key: &str| meta::list(pod, &["spec", "dnsConfig", key]);
    let words = |key: &str| config(key).iter().filter_map(Value::as_str).map(String::from);
    servers.extend(words("nameservers"));
    searches.extend(words("searches"));
    for option in config("options") {
        let name = meta::text(option, &["name"]).to_owned();
        let value = option.get("value").and_then(Value::as_str).map(String::from);
        match options.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => options.push((name, value)),
        }
    }
    let mut text = String::new();
    if !searches.is_empty() {
        text.push_str(&format!("search {}\n", unique(searches).join(" ")));
    }
    for server in unique(servers) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !options.is_empty() {
        let each = options
            .iter()
            .map(|(name, value)| value.as_ref().map_or(name.clone(), |value| format!("{name}:{value}")));
        text.push_str(&format!("options {}\n", each.collect::<Vec<_>>().join(" ")));
    }
    text
}

type Options = Vec<(String, Option<String>)>;

fn cluster(pod: &Value, servers: &mut Vec<String>, searches: &mut Vec<String>, options: &mut Options) {
    servers.push(NAME_SERVER.into());
    let namespace = meta::namespace(pod);
    searches.extend([
        format!("{namespace}.svc.{DOMAIN}"),
        format!("svc.{DOMAIN}"),
        DOMAIN.into(),
    ]);
    options.push(("ndots".into(), Some("5".into())));
}

fn node(machine: &str, servers: &mut Vec<String>, searches: &mut Vec<String>, options: &mut Options) {
    for line in machine.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next().map(String::from)),
            Some("search") => *searches = words.map(String::from).collect(),
            Some("options") => options.extend(words.map(|word| match word.split_once(':') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            })),
            _ => {}
        }
    }
}

fn unique(all: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_knows_its_own_name_and_its_aliases() {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"hostname": "one", "subdomain": "set",
            "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["a", "b"]}]}});
        let text = hosts(&pod, Ipv4Addr::new(10, 244, 1, 2), "n1");
        assert!(
            text.contains("\n10.244.1.2\tone.set.shop.svc.cluster.local\tone\n"),
            "{text}"
        );
        assert!(text.ends_with("# Entries added by HostAliases.\n10.0.0.9\ta\tb\n"));
        assert_eq!(uts_name(&pod, "n1"), "one");
    }

    #[test]
    fn the_name_server_follows_the_policy() {
        let pod = |spec: Value| json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        assert_eq!(
            resolv(&pod(json!({"dnsPolicy": "ClusterFirst"})), ""),
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
        let none =
            json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.2.3.4"], "options": [{"name": "edns0"}]}});
        assert_eq!(resolv(&pod(none), ""), "nameserver 1.2.3.4\noptions edns0\n");
        let machine = "nameserver 9.9.9.9\nsearch lan\n";
        assert_eq!(
            resolv(&pod(json!({"dnsPolicy": "Default"})), machine),
            "search lan\nnameserver 9.9.9.9\n"
        );
        assert_eq!(
            resolv(&pod(json!({"hostNetwork": true})), machine),
            "search lan\nnameserver 9.9.9.9\n"
        );
    }
}
