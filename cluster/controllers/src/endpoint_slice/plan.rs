//! Endpoints of a Service, and how they are kept in slices.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use objects::meta;
use serde_json::{Map, Value, json};

use crate::kinds::SERVICE;
use crate::world::Object;
use crate::{pod, portion};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const US: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// Endpoints in a slice.
const MOST: usize = 100;

/// The families of addresses of which a Service has endpoints, as `addressType` has them. A Service that says none has them
/// of the family that every cluster has.
pub(super) fn families(service: &Value) -> Vec<&str> {
    let said: Vec<&str> = meta::list(service, &["spec", "ipFamilies"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if said.is_empty() { vec!["IPv4"] } else { said }
}

/// The addresses that a pod has of a family, usually one.
fn addresses<'a>(pod: &'a Value, family: &str) -> Vec<&'a str> {
    let all = meta::list(pod, &["status", "podIPs"]).iter();
    let mut all: Vec<&str> = all.map(|one| meta::text(one, &["ip"])).collect();
    if all.is_empty() {
        all.push(meta::text(pod, &["status", "podIP"]));
    }
    let is_of_family = |text: &&str| {
        text.parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv6() == (family == "IPv6"))
    };
    all.into_iter().filter(is_of_family).collect()
}

/// Endpoints by the ports that they serve: pods may have given a port's name to different numbers.
pub(super) type Wanted = BTreeMap<String, (Value, Vec<Value>)>;

/// Slices of one family that are to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<Value>,
    pub(super) update: Vec<(Object, Value)>,
    pub(super) delete: Vec<Object>,
    /// Slices that are there and stay, changed or not.
    kept: usize,
}

/// The endpoints that a Service is to have of a family.
pub(super) fn wanted(
    service: &Value,
    family: &str,
    pods: &[Object],
    unready_too: bool,
    zone: &dyn Fn(&str) -> Option<String>,
) -> Wanted {
    let mut wanted = Wanted::new();
    for pod in pods {
        let addresses = addresses(pod, family);
        if addresses.is_empty() || pod::has_ended(pod) {
            continue;
        }
        let ports = ports(service, pod);
        let group = wanted
            .entry(ports.to_string())
            .or_insert_with(|| (ports.clone(), Vec::new()));
        group.1.push(endpoint(service, pod, &addresses, unready_too, zone));
    }
    wanted
}

fn endpoint(
    service: &Value,
    found: &Value,
    addresses: &[&str],
    unready_too: bool,
    zone: &dyn Fn(&str) -> Option<String>,
) -> Value {
    let serving = pod::is_ready(found) || unready_too;
    let terminating = meta::is_deleting(found);
    let unready_too = unready_too || meta::flag(service, &["spec", "publishNotReadyAddresses"]);
    let mut endpoint = json!({
        "addresses": addresses,
        "conditions": {
            "ready": unready_too || (serving && !terminating), "serving": serving, "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod", "namespace": meta::namespace(found), "name": meta::name(found), "uid": meta::uid(found),
        },
    });
    let node = pod::node(found);
    if !node.is_empty() {
        meta::set(&mut endpoint, &["nodeName"], node);
        if let Some(zone) = zone(node) {
            meta::set(&mut endpoint, &["zone"], zone);
        }
    }
    let hostname = meta::text(found, &["spec", "hostname"]);
    if !hostname.is_empty() && meta::text(found, &["spec", "subdomain"]) == meta::name(service) {
        meta::set(&mut endpoint, &["hostname"], hostname);
    }
    endpoint
}

/// The Service's ports as this pod has them; those that it does not have are left out.
fn ports(service: &Value, pod: &Value) -> Value {
    let each = meta::list(service, &["spec", "ports"]).iter();
    each.filter_map(|port| {
        let protocol = match meta::text(port, &["protocol"]) {
            "" => "TCP",
            protocol => protocol,
        };
        let number = target(port, protocol, pod)?;
        let mut found = json!({"name": meta::text(port, &["name"]), "port": number, "protocol": protocol});
        if let Some(application) = meta::at(port, &["appProtocol"]) {
            meta::set(&mut found, &["appProtocol"], application.clone());
        }
        Some(found)
    })
    .collect()
}

fn target(port: &Value, protocol: &str, pod: &Value) -> Option<i64> {
    let own = meta::number(port, &["port"]);
    let Some(target) = meta::at(port, &["targetPort"]) else {
        return own;
    };
    let Some(name) = target.as_str() else {
        return portion::of(target, 0, portion::Round::Down)
            .filter(|number| *number != 0)
            .or(own);
    };
    let sidecars = meta::list(pod, &["spec", "initContainers"])
        .iter()
        .filter(|one| objects::requests::is_sidecar(one));
    let containers = meta::list(pod, &["spec", "containers"]).iter().chain(sidecars);
    let mut ports = containers.flat_map(|one| meta::list(one, &["ports"]));
    let same = |one: &&Value| {
        let own = match meta::text(one, &["protocol"]) {
            "" => "TCP",
            own => own,
        };
        meta::text(one, &["name"]) == name && own == protocol
    };
    ports.find(same).and_then(|one| meta::number(one, &["containerPort"]))
}

/// How the slices that are there of a family become those that are wanted, with as few writes as can be.
pub(super) fn plan(service: &Value, family: &str, mut wanted: Wanted, slices: &[&Object]) -> Plan {
    let mut plan = Plan::default();
    let mut spare: Vec<&Object> = Vec::new();
    let mut kept: Vec<(&Object, String, Vec<Value>)> = Vec::new();
    for &slice in slices {
        let group = meta::at(slice, &["ports"]).map_or_else(|| "[]".to_owned(), Value::to_string);
        match wanted.get_mut(&group) {
            Some((_, endpoints)) => {
                let stays = stay(slice, endpoints);
                kept.push((slice, group, stays));
            }
            None => spare.push(slice),
        }
    }
    let labels = labels(service);
    for (slice, group, mut endpoints) in kept {
        if let Some((_, new)) = wanted.get_mut(&group) {
            let room = MOST.saturating_sub(endpoints.len()).min(new.len());
            endpoints.extend(new.drain(..room));
        }
        if endpoints.is_empty() {
            spare.push(slice);
            continue;
        }
        plan.change(
            slice,
            endpoints,
            meta::at(slice, &["ports"]).cloned().unwrap_or_else(|| json!([])),
            &labels,
        );
    }
    let mut left: Vec<(Value, Vec<Value>)> = Vec::new();
    for (ports, endpoints) in wanted.into_values() {
        let chunks = endpoints.chunks(MOST);
        left.extend(chunks.map(|chunk| (ports.clone(), chunk.to_vec())));
    }
    if left.is_empty() && plan.kept == 0 {
        // A Service without endpoints has an empty slice, to say so.
        left.push((json!([]), Vec::new()));
    }
    let mut spare = spare.into_iter();
    for (ports, endpoints) in left {
        match spare.next() {
            Some(slice) => plan.change(slice, endpoints, ports, &labels),
            None => plan.create.push(make(service, &labels, family, endpoints, ports)),
        }
    }
    plan.delete.extend(spare.cloned());
    plan
}

impl Plan {
    fn change(&mut self, slice: &Object, endpoints: Vec<Value>, ports: Value, labels: &Map<String, Value>) {
        let mut changed = Value::clone(slice);
        meta::set(&mut changed, &["endpoints"], endpoints);
        meta::set(&mut changed, &["ports"], ports);
        meta::set(&mut changed, &["metadata", "labels"], labels.clone());
        self.kept += 1;
        if changed != **slice {
            self.update.push((slice.clone(), changed));
        }
    }
}

/// Takes the endpoints that this slice has already, as they are now.
fn stay(slice: &Value, endpoints: &mut Vec<Value>) -> Vec<Value> {
    let uid = |endpoint: &Value| meta::text(endpoint, &["targetRef", "uid"]).to_owned();
    let places: HashMap<String, usize> = meta::list(slice, &["endpoints"])
        .iter()
        .enumerate()
        .map(|(place, one)| (uid(one), place))
        .collect();
    let (mut stays, new): (Vec<Value>, Vec<Value>) = std::mem::take(endpoints)
        .into_iter()
        .partition(|one| places.contains_key(&uid(one)));
    stays.sort_by_key(|one| places.get(&uid(one)).copied());
    *endpoints = new;
    stays
}

/// The Service's labels, and ours.
fn labels(service: &Value) -> Map<String, Value> {
    let own = meta::labels(service).into_iter().flatten();
    let mut labels: Map<String, Value> = own
        .filter(|(key, _)| ![SERVICE_NAME, MANAGED_BY, HEADLESS].contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    labels.insert(MANAGED_BY.into(), US.into());
    labels.insert(SERVICE_NAME.into(), meta::name(service).into());
    if meta::text(service, &["spec", "clusterIP"]) == "None" {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels
}

fn make(service: &Value, labels: &Map<String, Value>, family: &str, endpoints: Vec<Value>, ports: Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", meta::name(service)),
            "namespace": meta::namespace(service),
            "labels": labels,
            "ownerReferences": [meta::controller_reference(SERVICE, service)],
        },
        "addressType": family, "endpoints": endpoints, "ports": ports,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn service() -> Value {
        json!({"metadata": {"name": "web", "namespace": "a", "uid": "s", "labels": {"tier": "front"}}, "spec": {
            "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}],
        }})
    }

    fn pod(index: usize, port: i64, ready: bool) -> Object {
        Arc::new(json!({
            "metadata": {"name": format!("p{index}"), "namespace": "a", "uid": format!("{index}")},
            "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "web", "containerPort": port}]}]},
            "status": {"podIP": format!("10.244.0.{index}"), "conditions": [
                {"type": "Ready", "status": if ready { "True" } else { "False" }},
            ]},
        }))
    }

    fn planned(pods: &[Object], slices: &[Object]) -> Plan {
        planned_of("IPv4", pods, slices)
    }

    fn planned_of(family: &str, pods: &[Object], slices: &[Object]) -> Plan {
        let wanted = wanted(&service(), family, pods, false, &|_| Some("z".into()));
        plan(&service(), family, wanted, &slices.iter().collect::<Vec<_>>())
    }

    fn made(plan: Plan) -> Vec<Object> {
        plan.create.into_iter().map(Arc::new).collect()
    }

    #[test]
    fn endpoints_say_whether_they_are_ready_and_where_they_are() {
        let mut going = Value::clone(&pod(2, 8080, true));
        meta::set(&mut going, &["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
        let slices = made(planned(&[pod(1, 8080, false), Arc::new(going)], &[]));
        let endpoints = meta::list(&slices[0], &["endpoints"]);
        assert_eq!(
            endpoints[0]["conditions"],
            json!({"ready": false, "serving": false, "terminating": false})
        );
        assert_eq!(
            endpoints[1]["conditions"],
            json!({"ready": false, "serving": true, "terminating": true})
        );
        assert_eq!(
            (&endpoints[0]["nodeName"], &endpoints[0]["zone"]),
            (&json!("n"), &json!("z"))
        );
        assert_eq!(
            slices[0]["ports"],
            json!([{"name": "http", "port": 8080, "protocol": "TCP"}])
        );
        assert_eq!(meta::label(&slices[0], "tier"), Some("front"));
    }

    #[test]
    fn a_port_name_that_means_two_numbers_makes_two_slices() {
        let slices = made(planned(&[pod(1, 8080, true), pod(2, 9090, true)], &[]));
        assert_eq!(slices.len(), 2);
    }

    #[test]
    fn a_slice_holds_a_hundred_and_only_what_changes_is_written() {
        let pods: Vec<Object> = (0..150).map(|index| pod(index, 80, true)).collect();
        let slices = made(planned(&pods, &[]));
        let sizes: Vec<usize> = slices.iter().map(|one| meta::list(one, &["endpoints"]).len()).collect();
        assert_eq!(sizes, [100, 50]);
        let same = planned(&pods, &slices);
        assert!(
            same.create.is_empty() && same.update.is_empty() && same.delete.is_empty(),
            "{same:?}"
        );
        let fewer = planned(&pods[..100], &slices);
        assert_eq!((fewer.update.len(), fewer.delete.len()), (0, 1));
    }

    #[test]
    fn a_service_without_endpoints_has_an_empty_slice() {
        let slices = made(planned(&[], &[]));
        assert_eq!(meta::list(&slices[0], &["endpoints"]).len(), 0);
        assert!(planned(&[], &slices).delete.is_empty());
        let filled = planned(&[pod(1, 80, true)], &slices);
        assert_eq!((filled.update.len(), filled.create.len()), (1, 0));
    }

    #[test]
    fn each_family_has_endpoints_of_its_own() {
        let mut both = Value::clone(&pod(1, 80, true));
        meta::set(
            &mut both,
            &["status", "podIPs"],
            json!([{"ip": "10.244.0.1"}, {"ip": "fd00:10:244::1"}]),
        );
        let pods = [Arc::new(both), pod(2, 80, true)];
        let found = |family: &str| -> Vec<Value> {
            let slices = made(planned_of(family, &pods, &[]));
            assert_eq!((slices.len(), &slices[0]["addressType"]), (1, &json!(family)));
            let endpoints = meta::list(&slices[0], &["endpoints"]).iter();
            endpoints.map(|one| one["addresses"].clone()).collect()
        };
        assert_eq!(found("IPv4"), [json!(["10.244.0.1"]), json!(["10.244.0.2"])]);
        assert_eq!(
            found("IPv6"),
            [json!(["fd00:10:244::1"])],
            "the other pod has no such address"
        );
        let mut dual = service();
        assert_eq!(families(&dual), ["IPv4"]);
        meta::set(&mut dual, &["spec", "ipFamilies"], json!(["IPv6", "IPv4"]));
        assert_eq!(families(&dual), ["IPv6", "IPv4"]);
    }

    #[test]
    fn what_asks_to_publish_unready_addresses_gets_them_as_ready() {
        let mut service = service();
        meta::set(&mut service, &["spec", "publishNotReadyAddresses"], true);
        let wanted = wanted(&service, "IPv4", &[pod(1, 80, false)], false, &|_| None);
        let (_, endpoints) = wanted.values().next().expect("one group");
        assert_eq!(
            endpoints[0]["conditions"],
            json!({"ready": true, "serving": false, "terminating": false})
        );
    }
}
