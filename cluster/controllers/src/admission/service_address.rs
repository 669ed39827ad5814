//! Addresses and node ports of Services. What is in use is read from the Services themselves, so that nothing leaks.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/>.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use apiserver::{Admission, Attempt, Part, Verb};
use objects::{Cause, Status, meta};
use serde_json::{Value, json};

use crate::kinds::SERVICE;
use crate::random::Random;

/// 10.96.0.0/16.
const NETWORK: u32 = 0x0a60_0000;
const SIZE: u32 = 1 << 16;
/// The lower addresses are left to those who ask for one.
const ASKED_FOR: u32 = 256;
const PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

pub(super) struct ServiceAddress {
    pub(super) random: Arc<Random>,
}

impl Admission for ServiceAddress {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        if attempt.kind != SERVICE || attempt.part != Part::Main || attempt.verb == Verb::Delete {
            return Ok(());
        }
        let (namespace, name) = (attempt.namespace, attempt.name);
        let others: Vec<_> = attempt
            .store
            .list(SERVICE, None)
            .filter(|one| (meta::namespace(one), meta::name(one)) != (namespace, name))
            .collect();
        let used = Used::of(others.iter().map(AsRef::as_ref));
        let Some(service) = attempt.object.as_deref_mut() else {
            return Ok(());
        };
        if let Some(old) = attempt.old {
            carry(old, service);
        }
        let mut random = || self.random.next();
        let causes = allocate(service, used, &mut random);
        match causes.is_empty() {
            true => Ok(()),
            false => Err(Status::invalid(SERVICE, name, causes)),
        }
    }
}

/// What other Services have.
#[derive(Default)]
struct Used {
    addresses: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<i64>,
}

impl Used {
    fn of<'a>(services: impl Iterator<Item = &'a Value>) -> Self {
        let mut used = Self::default();
        for service in services {
            used.addresses
                .extend(address(service).and_then(|text| text.parse::<Ipv4Addr>().ok()));
            let ports = meta::list(service, &["spec", "ports"]).iter();
            used.ports
                .extend(ports.filter_map(|port| meta::number(port, &["nodePort"])));
            used.ports
                .extend(meta::number(service, &["spec", "healthCheckNodePort"]));
        }
        used
    }
}

fn kind(service: &Value) -> &str {
    match meta::text(service, &["spec", "type"]) {
        "" => "ClusterIP",
        kind => kind,
    }
}

fn address(service: &Value) -> Option<&str> {
    let first = || meta::list(service, &["spec", "clusterIPs"]).first()?.as_str();
    match meta::text(service, &["spec", "clusterIP"]) {
        "" => first(),
        address => Some(address),
    }
    .filter(|address| !address.is_empty())
}

fn has_node_ports(service: &Value) -> bool {
    let refused = meta::at(service, &["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false));
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => !refused,
        _ => false,
    }
}

/// What was allocated stays; what the type no longer has and nobody changed goes.
fn carry(old: &Value, new: &mut Value) {
    let was = address(old).map(str::to_owned);
    match (kind(old), kind(new)) {
        ("ExternalName", _) => {}
        (_, "ExternalName") => {
            if address(new) == was.as_deref() {
                drop_unchanged(old, new, &["clusterIP", "clusterIPs"]);
            }
            drop_unchanged(old, new, &["ipFamilies", "ipFamilyPolicy"]);
        }
        _ if address(new).is_none() => {
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(value) = meta::at(old, &["spec", field]) {
                    meta::set(new, &["spec", field], value.clone());
                }
            }
        }
        _ => {}
    }
    if is_seen_from_outside(old) && !is_seen_from_outside(new) {
        drop_unchanged(old, new, &["externalTrafficPolicy"]);
    }
    let had = meta::list(old, &["spec", "ports"]);
    let (before, after) = (has_node_ports(old), has_node_ports(new));
    change_ports(new, |port| {
        let same = had
            .iter()
            .find(|one| one["port"] == port["port"] && one["protocol"] == port["protocol"]);
        let was = same.and_then(|one| meta::number(one, &["nodePort"]));
        match meta::number(port, &["nodePort"]).filter(|number| *number != 0) {
            None if before && after => {
                if let Some(was) = was {
                    meta::set(port, &["nodePort"], was);
                }
            }
            Some(number) if before && !after && had.iter().any(|one| one["nodePort"] == number) => {
                meta::remove(port, &["nodePort"]);
            }
            _ => {}
        }
    });
    if !wants_health_port(new) {
        meta::remove(new, &["spec", "healthCheckNodePort"]);
    } else if meta::number(new, &["spec", "healthCheckNodePort"]).is_none()
        && let Some(was) = meta::at(old, &["spec", "healthCheckNodePort"])
    {
        meta::set(new, &["spec", "healthCheckNodePort"], was.clone());
    }
}

fn drop_unchanged(old: &Value, new: &mut Value, fields: &[&str]) {
    for field in fields {
        if meta::at(old, &["spec", field]) == meta::at(new, &["spec", field]) {
            meta::remove(new, &["spec", field]);
        }
    }
}

/// Whether there is a way to it from outside of the cluster.
fn is_seen_from_outside(service: &Value) -> bool {
    match kind(service) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !meta::list(service, &["spec", "externalIPs"]).is_empty(),
        _ => false,
    }
}

fn wants_health_port(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && meta::text(service, &["spec", "externalTrafficPolicy"]) == "Local"
}

fn change_ports(service: &mut Value, change: impl FnMut(&mut Value)) {
    let mut ports = meta::list(service, &["spec", "ports"]).to_vec();
    ports.iter_mut().for_each(change);
    if !ports.is_empty() {
        meta::set(service, &["spec", "ports"], ports);
    }
}

fn allocate(service: &mut Value, mut used: Used, random: &mut dyn FnMut() -> u64) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind(service) == "ExternalName" {
        return causes;
    }
    match address(service).map(str::to_owned) {
        Some(none) if none == "None" => place(service, &none),
        Some(asked) => match check(&asked, &used) {
            Ok(()) => place(service, &asked),
            Err(why) => causes.push(cause("spec.clusterIPs", &json!([asked]), &why)),
        },
        None => match free_address(&used, random) {
            Some(free) => place(service, &free.to_string()),
            None => causes.push(cause(
                "spec.clusterIPs",
                &json!([""]),
                "failed to allocate a serviceIP: range is full",
            )),
        },
    }
    if has_node_ports(service) {
        node_ports(service, &mut used, random, &mut causes);
    }
    if wants_health_port(service)
        && meta::number(service, &["spec", "healthCheckNodePort"]).unwrap_or_default() == 0
        && let Some(free) = free_port(&used, random)
    {
        meta::set(service, &["spec", "healthCheckNodePort"], free);
    }
    causes
}

fn place(service: &mut Value, address: &str) {
    meta::set(service, &["spec", "clusterIP"], address);
    if meta::list(service, &["spec", "clusterIPs"]).is_empty() {
        meta::set(service, &["spec", "clusterIPs"], vec![json!(address)]);
    }
    if meta::list(service, &["spec", "ipFamilies"]).is_empty() {
        meta::set(service, &["spec", "ipFamilies"], vec![json!("IPv4")]);
    }
    if meta::text(service, &["spec", "ipFamilyPolicy"]).is_empty() {
        meta::set(service, &["spec", "ipFamilyPolicy"], "SingleStack");
    }
}

fn check(asked: &str, used: &Used) -> Result<(), String> {
    let failed = |why: &str| Err(format!("failed to allocate IP {asked}: {why}"));
    let Ok(address) = asked.parse::<Ipv4Addr>() else {
        // Its form is for validation to tell.
        return Ok(());
    };
    let offset = u32::from(address).wrapping_sub(NETWORK);
    if offset == 0 || offset >= SIZE - 1 {
        return failed(&format!(
            "the provided IP ({asked}) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
        ));
    }
    match used.addresses.contains(&address) {
        true => failed("provided IP is already allocated"),
        false => Ok(()),
    }
}

fn free_address(used: &Used, random: &mut dyn FnMut() -> u64) -> Option<Ipv4Addr> {
    let (first, count) = (ASKED_FOR, SIZE - 1 - ASKED_FOR);
    let start = u32::try_from(random() % u64::from(count)).unwrap_or_default();
    let upper = (0..count).map(|step| first + (start + step) % count);
    // When the upper ones are used up, the lower ones are as good; the first is the API's own.
    let all = upper.chain(2..ASKED_FOR);
    all.map(|offset| Ipv4Addr::from(NETWORK + offset))
        .find(|address| !used.addresses.contains(address))
}

fn free_port(used: &Used, random: &mut dyn FnMut() -> u64) -> Option<i64> {
    let count = PORTS.end() - PORTS.start() + 1;
    let start = i64::try_from(random() % u64::try_from(count).unwrap_or(1)).unwrap_or_default();
    (0..count)
        .map(|step| PORTS.start() + (start + step) % count)
        .find(|port| !used.ports.contains(port))
}

fn node_ports(service: &mut Value, used: &mut Used, random: &mut dyn FnMut() -> u64, causes: &mut Vec<Cause>) {
    let asked: BTreeSet<i64> = meta::list(service, &["spec", "ports"])
        .iter()
        .filter_map(|port| meta::number(port, &["nodePort"]))
        .filter(|number| *number != 0)
        .collect();
    let taken = used.ports.clone();
    used.ports.extend(asked);
    // One number for a port that is served by two protocols.
    let mut given: Vec<(Value, Value, i64)> = Vec::new();
    let mut index = 0;
    change_ports(service, |port| {
        let field = format!("spec.ports[{index}].nodePort");
        index += 1;
        let number = match meta::number(port, &["nodePort"]).unwrap_or_default() {
            0 => {
                let twin = given
                    .iter()
                    .find(|(one, protocol, _)| *one == port["port"] && *protocol != port["protocol"]);
                let Some(free) = twin.map(|(_, _, number)| *number).or_else(|| free_port(used, random)) else {
                    causes.push(cause(&field, &json!(0), "failed to allocate a nodePort: range is full"));
                    return;
                };
                meta::set(port, &["nodePort"], free);
                used.ports.insert(free);
                free
            }
            number if !PORTS.contains(&number) => {
                let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                causes.push(cause(&field, &json!(number), why));
                return;
            }
            number if taken.contains(&number) => {
                causes.push(cause(&field, &json!(number), "provided port is already allocated"));
                return;
            }
            number => number,
        };
        given.push((port["port"].clone(), port["protocol"].clone(), number));
    });
}

fn cause(field: &str, value: &Value, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {value}: {why}"),
        field: field.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(mut service: Value, others: &[Value]) -> Result<Value, Vec<String>> {
        let mut next = 41;
        let mut random = || {
            next += 1;
            next
        };
        let causes = allocate(&mut service, Used::of(others.iter()), &mut random);
        match causes.is_empty() {
            true => Ok(service),
            false => Err(causes
                .into_iter()
                .map(|one| format!("{}: {}", one.field, one.message))
                .collect()),
        }
    }

    fn service(kind: &str, ports: Value) -> Value {
        json!({"spec": {"type": kind, "ports": ports}})
    }

    #[test]
    fn an_address_is_given_from_the_upper_part_of_the_range_and_only_once() {
        let one = made(service("ClusterIP", json!([])), &[]).expect("one is free");
        assert_eq!(one["spec"]["clusterIP"], "10.96.1.42");
        assert_eq!(one["spec"]["clusterIPs"], json!(["10.96.1.42"]));
        let two = made(service("ClusterIP", json!([])), std::slice::from_ref(&one)).expect("another is free");
        assert_eq!(two["spec"]["clusterIP"], "10.96.1.43");
        assert_eq!(
            made(one.clone(), &[one]),
            Err(vec![
                "spec.clusterIPs: Invalid value: [\"10.96.1.42\"]: failed to allocate IP 10.96.1.42: provided IP is \
                 already allocated"
                    .into()
            ])
        );
        let outside = json!({"spec": {"clusterIP": "10.97.0.1"}});
        assert!(made(outside, &[]).unwrap_err()[0].contains("is not in the valid range"));
        let headless = made(json!({"spec": {"clusterIP": "None"}}), &[]).expect("none is needed");
        assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    }

    #[test]
    fn node_ports_are_given_once_and_shared_by_two_protocols_of_a_port() {
        let ports = json!([
            {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "nodePort": 30080},
        ]);
        let one = made(service("NodePort", ports), &[]).expect("they are free");
        let number = |index: usize| meta::number(&one["spec"]["ports"][index], &["nodePort"]).expect("it has one");
        assert_eq!(number(0), number(1));
        assert!(PORTS.contains(&number(0)) && number(2) == 30_080);
        let again = service(
            "NodePort",
            json!([{"port": 1, "nodePort": 30080}, {"port": 2, "nodePort": 80}]),
        );
        assert_eq!(
            made(again, &[one]),
            Err(vec![
                "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated".into(),
                "spec.ports[1].nodePort: Invalid value: 80: provided port is not in the valid range. The range of \
                 valid ports is 30000-32767"
                    .into()
            ])
        );
    }

    #[test]
    fn a_change_keeps_what_was_allocated_and_gives_back_what_its_type_does_not_have() {
        let ports = json!([{"port": 80, "protocol": "TCP"}]);
        let old = made(service("NodePort", ports.clone()), &[]).expect("they are free");
        let mut same = service("NodePort", ports);
        carry(&old, &mut same);
        assert_eq!(same["spec"]["clusterIP"], old["spec"]["clusterIP"]);
        assert_eq!(same["spec"]["ports"], old["spec"]["ports"]);
        let mut inner = old.clone();
        meta::set(&mut inner, &["spec", "type"], "ClusterIP");
        carry(&old, &mut inner);
        assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
        let mut outer = old.clone();
        meta::set(&mut outer, &["spec", "type"], "ExternalName");
        carry(&old, &mut outer);
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            assert_eq!(outer["spec"].get(field), None, "{field}");
        }

        let policy = |service: &mut Value, word: &str| meta::set(service, &["spec", "externalTrafficPolicy"], word);
        let mut old = old;
        policy(&mut old, "Local");
        let mut inner = old.clone();
        meta::set(&mut inner, &["spec", "type"], "ClusterIP");
        let mut changed = inner.clone();
        policy(&mut changed, "Cluster");
        carry(&old, &mut inner);
        carry(&old, &mut changed);
        assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
        assert_eq!(changed["spec"]["externalTrafficPolicy"], "Cluster");
    }
}
