//! What a pod is called: its host name, and its `/etc/hosts`.

use std::net::IpAddr;

use objects::meta;
use serde_json::Value;

use crate::fault::Faults;

/// The domain below which everything of the cluster is.
pub(crate) const DOMAIN: &str = "cluster.local";

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
pub(crate) fn uts_name(pod: &Value, node: &str, faults: &Faults) -> String {
    if meta::flag(pod, &["spec", "hostNetwork"]) {
        return node.to_owned();
    }
    let whole = meta::flag(pod, &["spec", "setHostnameAsFQDN"]) && !faults.has("host-name-short");
    match domain(pod).filter(|_| whole) {
        Some(domain) => format!("{}.{domain}", hostname(pod)),
        None => hostname(pod),
    }
}

/// `/etc/hosts` of a pod with these addresses.
pub(crate) fn hosts(pod: &Value, addresses: &[IpAddr], node: &str, faults: &Faults) -> String {
    let mut text = String::from("# Kubernetes-managed hosts file");
    let host_network = meta::flag(pod, &["spec", "hostNetwork"]);
    text.push_str(if host_network { " (host network).\n" } else { ".\n" });
    text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    let name = hostname(pod);
    for address in addresses {
        match domain(pod) {
            _ if host_network => text.push_str(&format!("{address}\t{node}\n")),
            Some(domain) => text.push_str(&format!("{address}\t{name}.{domain}\t{name}\n")),
            None => text.push_str(&format!("{address}\t{name}\n")),
        }
    }
    let aliases = meta::list(pod, &["spec", "hostAliases"]);
    if !aliases.is_empty() && !faults.has("host-aliases-dropped") {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_knows_its_own_name_and_its_aliases() {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"hostname": "one", "subdomain": "set",
            "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["a", "b"]}]}});
        let none = Faults::default();
        let text = hosts(&pod, &[[10, 244, 1, 2].into()], "n1", &none);
        assert!(
            text.contains("\n10.244.1.2\tone.set.shop.svc.cluster.local\tone\n"),
            "{text}"
        );
        assert!(text.ends_with("# Entries added by HostAliases.\n10.0.0.9\ta\tb\n"));
        assert_eq!(uts_name(&pod, "n1", &none), "one");
    }
    #[test]
    fn the_whole_name_is_the_host_name_for_those_who_ask_for_it() {
        let mut pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"setHostnameAsFQDN": true}});
        let none = Faults::default();
        assert_eq!(uts_name(&pod, "n1", &none), "web", "it has no other");
        pod["spec"]["subdomain"] = json!("set");
        assert_eq!(uts_name(&pod, "n1", &none), "web.set.shop.svc.cluster.local");
        let short = Faults::new(&["host-name-short".to_owned()].into());
        assert_eq!(uts_name(&pod, "n1", &short), "web");
        pod["spec"]["hostNetwork"] = json!(true);
        assert_eq!(uts_name(&pod, "n1", &none), "n1");
    }

    #[test]
    fn a_pod_on_the_nodes_network_has_the_nodes_name_and_its_own_aliases() {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"hostNetwork": true,
            "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["a"]}]}});
        let text = |faults: &[&str]| {
            let chosen = faults.iter().map(|name| (*name).to_owned()).collect();
            hosts(&pod, &[[172, 30, 0, 1].into()], "n1", &Faults::new(&chosen))
        };
        assert!(text(&[]).contains("\n172.30.0.1\tn1\n") && text(&[]).ends_with("\n10.0.0.9\ta\n"));
        assert!(!text(&["host-aliases-dropped"]).contains("10.0.0.9"));
    }
}
