//! Pods, as far as policies ask about them.

use std::net::IpAddr;
use std::sync::Arc;

use netfilter::{Family, Protocol};
use objects::meta;
use serde_json::{Map, Value, json};

/// An object as the API has it.
pub(crate) type Object = Arc<Value>;
/// Namespace and name.
pub(crate) type Key = (String, String);

/// Namespace and name of an object.
pub(crate) fn key(object: &Value) -> Key {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}

/// TCP or UDP; what else there is has no ports here.
pub(crate) fn protocol(port: &Value) -> Option<Protocol> {
    match meta::text(port, &["protocol"]) {
        "TCP" | "" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

/// A pod with an address of its own, of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) labels: Map<String, Value>,
    pub(crate) address: IpAddr,
    /// Whether it is on this node.
    pub(crate) is_local: bool,
    /// Ports that have names.
    pub(crate) ports: Vec<(String, Protocol, u16)>,
    is_deleting: bool,
    created: String,
}

impl Pod {
    /// Reads a pod. `None` if it has no address of the family, has the node's, or has come to its end.
    pub(crate) fn read(pod: &Value, node: &str, family: Family) -> Option<Self> {
        let is_over = matches!(meta::text(pod, &["status", "phase"]), "Succeeded" | "Failed");
        if is_over || meta::flag(pod, &["spec", "hostNetwork"]) {
            return None;
        }
        Some(Self {
            namespace: meta::namespace(pod).into(),
            name: meta::name(pod).into(),
            uid: meta::uid(pod).into(),
            labels: meta::labels(pod).cloned().unwrap_or_default(),
            address: address(pod, family)?,
            is_local: meta::text(pod, &["spec", "nodeName"]) == node,
            ports: named_ports(pod),
            is_deleting: meta::is_deleting(pod),
            created: meta::creation_timestamp(pod).unwrap_or_default().into(),
        })
    }

    /// The DNS of the cluster, which is no pod here.
    pub(crate) fn name_server(address: IpAddr) -> Self {
        let labels = json!({"k8s-app": "kube-dns"});
        Self {
            namespace: "kube-system".into(),
            // No pod is called so.
            name: String::new(),
            uid: String::new(),
            labels: labels.as_object().cloned().unwrap_or_default(),
            address,
            is_local: false,
            ports: vec![("dns".into(), Protocol::Udp, 53), ("dns-tcp".into(), Protocol::Tcp, 53)],
            is_deleting: false,
            created: String::new(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }

    /// Who has an address that several claim, since one of them is about to go: the largest.
    pub(crate) fn claim(&self) -> (bool, &str, &str) {
        (!self.is_deleting, &self.created, &self.uid)
    }
}

/// Its address of a family.
fn address(pod: &Value, family: Family) -> Option<IpAddr> {
    let all = meta::list(pod, &["status", "podIPs"]).iter();
    let all = all.map(|one| meta::text(one, &["ip"]));
    let mut all = all.chain([meta::text(pod, &["status", "podIP"])]);
    all.find_map(|text| text.parse().ok().filter(|address| Family::of(*address) == family))
}

/// Ports with a name, of containers that run as long as the pod does.
fn named_ports(pod: &Value) -> Vec<(String, Protocol, u16)> {
    let sidecars = meta::list(pod, &["spec", "initContainers"])
        .iter()
        .filter(|container| meta::text(container, &["restartPolicy"]) == "Always");
    meta::list(pod, &["spec", "containers"])
        .iter()
        .chain(sidecars)
        .flat_map(|container| meta::list(container, &["ports"]))
        .filter_map(|port| {
            let number = u16::try_from(meta::number(port, &["containerPort"])?).ok()?;
            let name = meta::text(port, &["name"]);
            (!name.is_empty()).then_some((name.to_owned(), protocol(port)?, number))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_counts_while_it_has_an_address_of_its_own() {
        let mut pod = json!({
            "metadata": {"namespace": "a", "name": "x", "labels": {"app": "web"}},
            "spec": {
                "nodeName": "one",
                "containers": [{"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}],
                "initContainers": [
                    {"ports": [{"containerPort": 1, "name": "once"}]},
                    {"restartPolicy": "Always", "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}]},
                ],
            },
            "status": {"phase": "Running", "podIP": "10.244.1.2"},
        });
        let read = Pod::read(&pod, "one", Family::Ipv4).unwrap();
        assert!(read.is_local);
        assert_eq!(
            read.ports,
            [
                ("http".to_owned(), Protocol::Tcp, 80),
                ("dns".to_owned(), Protocol::Udp, 53)
            ]
        );
        assert!(!Pod::read(&pod, "two", Family::Ipv4).unwrap().is_local);
        assert_eq!(Pod::read(&pod, "one", Family::Ipv6), None);
        pod["status"]["podIPs"] = json!([{"ip": "10.244.1.2"}, {"ip": "fd00:10:244:1::2"}]);
        let of = |family| Pod::read(&pod, "one", family).unwrap().address.to_string();
        assert_eq!(
            (of(Family::Ipv4).as_str(), of(Family::Ipv6).as_str()),
            ("10.244.1.2", "fd00:10:244:1::2")
        );
        pod["spec"]["hostNetwork"] = json!(true);
        assert_eq!(Pod::read(&pod, "one", Family::Ipv4), None);
        pod["spec"]["hostNetwork"] = json!(false);
        pod["status"]["phase"] = json!("Succeeded");
        assert_eq!(Pod::read(&pod, "one", Family::Ipv4), None);
        pod["status"] = json!({"phase": "Pending"});
        assert_eq!(Pod::read(&pod, "one", Family::Ipv4), None);
    }

    #[test]
    fn an_address_is_of_the_pod_that_stays() {
        let pod = |uid: &str, created: &str, deleting: bool| {
            let mut pod = json!({
                "metadata": {"namespace": "a", "name": uid, "uid": uid, "creationTimestamp": created},
                "status": {"podIP": "10.244.1.2"},
            });
            if deleting {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:09Z");
            }
            Pod::read(&pod, "one", Family::Ipv4).unwrap()
        };
        let stays = pod("1", "2026-01-01T00:00:00Z", false);
        let goes = pod("2", "2026-01-01T00:00:05Z", true);
        let newer = pod("0", "2026-01-01T00:00:05Z", false);
        assert!(stays.claim() > goes.claim());
        assert!(newer.claim() > stays.claim());
    }
}
