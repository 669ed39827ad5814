//! What is known of the cluster: policies, pods and namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use objects::meta;
use serde_json::{Map, Value};

use crate::pod::{Key, Pod};
use crate::policy::{Policy, Port};

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) policies: BTreeMap<Key, Policy>,
    pods: BTreeMap<Key, Pod>,
    /// Labels, by name.
    namespaces: BTreeMap<String, Map<String, Value>>,
    /// More than one pod while one of them goes and another already has its address.
    claims: BTreeMap<IpAddr, BTreeSet<Key>>,
}

impl World {
    /// The pod, if its address is its own.
    pub(crate) fn pod(&self, key: &Key) -> Option<&Pod> {
        self.pods.get(key).filter(|pod| self.holds(pod))
    }

    /// Pods whose address is their own.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(|pod| self.holds(pod))
    }

    /// Of those, the ones on this node that a policy is about.
    pub(crate) fn selected<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = &'a Pod> {
        let from = (policy.namespace.clone(), String::new());
        let namespace = self.pods.range(from..).map(|(_, pod)| pod);
        namespace
            .take_while(|pod| pod.namespace == policy.namespace)
            .filter(|pod| pod.is_local && policy.selects(pod) && self.holds(pod))
    }

    fn holds(&self, pod: &Pod) -> bool {
        let others = self.claims.get(&pod.address).into_iter().flatten();
        let mut others = others.filter_map(|key| self.pods.get(key));
        others.all(|other| other.claim() <= pod.claim())
    }

    /// Labels of a namespace.
    pub(crate) fn labels(&self, namespace: &str) -> Option<&Map<String, Value>> {
        self.namespaces.get(namespace)
    }

    /// Whether what a policy needs depends on this pod.
    pub(crate) fn concerns(&self, policy: &Policy, pod: &Pod) -> bool {
        let labels = self.labels(&pod.namespace);
        let is_named = |port: &Port| match port {
            Port::Named(protocol, name) => pod.ports.iter().any(|(own, of, _)| own == name && of == protocol),
            _ => false,
        };
        policy.selects(pod)
            || policy.all_allowed().any(|allowed| {
                let mut peers = allowed.peers.iter().flatten();
                peers.any(|peer| policy.meets(peer, pod, labels)) || allowed.ports.iter().flatten().any(is_named)
            })
    }

    /// Another pod of that name, or none. Answers those about which something is another way now: it as it was, it as it
    /// is, and who claims the same address.
    pub(crate) fn replace_pod(&mut self, key: &Key, new: Option<Pod>) -> Vec<Pod> {
        let old = self.pods.get(key);
        if old == new.as_ref() {
            return Vec::new();
        }
        let addresses: BTreeSet<IpAddr> = old.iter().copied().chain(&new).map(|pod| pod.address).collect();
        let claimants = addresses
            .iter()
            .filter_map(|address| self.claims.get(address))
            .flatten();
        let mut disturbed: Vec<Pod> = claimants.filter_map(|key| self.pods.get(key)).cloned().collect();
        disturbed.extend(new.clone());
        if let Some(old) = self.pods.remove(key)
            && let Some(claims) = self.claims.get_mut(&old.address)
        {
            claims.remove(key);
            if claims.is_empty() {
                self.claims.remove(&old.address);
            }
        }
        if let Some(new) = new {
            self.claims.entry(new.address).or_default().insert(key.clone());
            self.pods.insert(key.clone(), new);
        }
        disturbed
    }

    /// Another namespace of that name, or none. Answers whether its labels are others now.
    pub(crate) fn replace_namespace(&mut self, name: &str, new: Option<&Value>) -> bool {
        let labels = new.map(|namespace| meta::labels(namespace).cloned().unwrap_or_default());
        let is_new = self.namespaces.get(name) != labels.as_ref();
        match labels {
            Some(labels) => self.namespaces.insert(name.to_owned(), labels),
            None => self.namespaces.remove(name),
        };
        is_new
    }
}

#[cfg(test)]
mod tests {
    use netfilter::Family;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, last: u8, deleting: bool) -> Pod {
        let mut pod = json!({
            "metadata": {"namespace": "a", "name": name, "uid": name},
            "status": {"podIP": format!("10.244.1.{last}")},
        });
        if deleting {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:09Z");
        }
        Pod::read(&pod, "one", Family::Ipv4).unwrap()
    }

    fn put(world: &mut World, pod: Pod) -> Vec<String> {
        let disturbed = world.replace_pod(&pod.key(), Some(pod));
        disturbed.into_iter().map(|pod| pod.name).collect()
    }

    fn holders(world: &World) -> Vec<&str> {
        world.pods().map(|pod| pod.name.as_str()).collect()
    }

    #[test]
    fn an_address_has_one_holder_and_comes_back_to_who_is_left() {
        let mut world = World::default();
        assert_eq!(put(&mut world, pod("x", 2, false)), ["x"]);
        assert!(put(&mut world, pod("x", 2, false)).is_empty(), "nothing is new");
        assert_eq!(put(&mut world, pod("y", 3, false)), ["y"]);
        assert_eq!(put(&mut world, pod("x", 2, true)), ["x", "x"], "as it was and as it is");
        assert_eq!(put(&mut world, pod("z", 2, false)), ["x", "z"]);
        assert_eq!(holders(&world), ["y", "z"]);
        world.replace_pod(&pod("z", 2, false).key(), None);
        assert_eq!(holders(&world), ["x", "y"]);
    }

    #[test]
    fn a_namespace_is_another_if_its_labels_are() {
        let mut world = World::default();
        let namespace = |team: &str| json!({"metadata": {"labels": {"team": team}}});
        assert!(world.replace_namespace("a", Some(&namespace("x"))));
        assert!(!world.replace_namespace("a", Some(&namespace("x"))));
        assert!(world.replace_namespace("a", Some(&namespace("y"))));
        assert!(world.replace_namespace("a", None));
    }
}
