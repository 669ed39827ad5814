//! Addresses and node ports of Services. What is in use is read from the Services themselves, so that nothing leaks.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/>.

mod cluster_ip;
mod family;
mod node_port;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use apiserver::{Admission, Attempt, Part, Verb};
use family::Family;
use objects::{Cause, Status, meta};
use serde_json::Value;

use crate::fault::{Act, Faults};
use crate::kinds::SERVICE;
use crate::random::Random;

pub(super) struct ServiceAddress {
    pub(super) random: Arc<Random>,
    /// Whether there are addresses of both families.
    pub(super) dual_stack: bool,
    pub(super) faults: Faults,
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
        match attempt.old {
            Some(old) => carry(old, service),
            None => cluster_ip::complete(service),
        }
        let mut random = || self.random.next();
        let families = if self.dual_stack {
            &Family::ALL[..]
        } else {
            &Family::ALL[..1]
        };
        let causes = allocate(attempt.old, service, used, families, &mut random);
        if self.faults.has(Act::SecondFamilyDropped) {
            cluster_ip::drop_second(service);
        }
        match causes.is_empty() {
            true => Ok(()),
            false => Err(Status::invalid(SERVICE, name, causes)),
        }
    }
}

/// What other Services have.
#[derive(Default)]
struct Used {
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<i64>,
}

impl Used {
    fn of<'a>(services: impl Iterator<Item = &'a Value>) -> Self {
        let mut used = Self::default();
        for service in services {
            let addresses = meta::list(service, &["spec", "clusterIPs"]).iter();
            used.addresses
                .extend(addresses.filter_map(|one| one.as_str()?.parse::<IpAddr>().ok()));
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
    cluster_ip::carry(old, new);
    if kind(old) != "ExternalName" && kind(new) == "ExternalName" {
        let same = |field: &str| meta::at(old, &["spec", field]) == meta::at(new, &["spec", field]);
        if same("clusterIP") && same("clusterIPs") {
            drop_unchanged(old, new, &["clusterIP", "clusterIPs"]);
        }
        drop_unchanged(old, new, &["ipFamilies", "ipFamilyPolicy"]);
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

/// Gives a Service all that it lacks, and says why it cannot have what it asks for.
fn allocate(
    old: Option<&Value>,
    service: &mut Value,
    mut used: Used,
    families: &[Family],
    random: &mut dyn FnMut() -> u64,
) -> Vec<Cause> {
    if kind(service) != "ExternalName" && !family::keeps(old, service) {
        let causes = family::init(old, service, families);
        if !causes.is_empty() {
            return causes;
        }
        let causes = cluster_ip::allocate(old, service, &used, random);
        if !causes.is_empty() {
            return causes;
        }
    }
    node_port::allocate(service, &mut used, random)
}

fn cause(field: &str, value: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {value}: {why}"),
        field: field.into(),
    }
}

/// Texts, as Go prints a list of them.
fn go_texts(texts: &[Value]) -> String {
    let each: Vec<String> = texts.iter().map(Value::to_string).collect();
    format!("[]string{{{}}}", each.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(causes: Vec<Cause>) -> Vec<String> {
        let each = causes.into_iter();
        each.map(|one| format!("{}: {}", one.field, one.message)).collect()
    }

    /// What a cluster with these families makes of a Service that takes the place of `old`.
    fn admitted(
        families: &[Family],
        old: Option<&Value>,
        mut service: Value,
        others: &[Value],
    ) -> Result<Value, Vec<String>> {
        let mut next = 41;
        let mut random = || {
            next += 1;
            next
        };
        match old {
            Some(old) => carry(old, &mut service),
            None => cluster_ip::complete(&mut service),
        }
        let causes = allocate(old, &mut service, Used::of(others.iter()), families, &mut random);
        match causes.is_empty() {
            true => Ok(service),
            false => Err(told(causes)),
        }
    }

    fn made(service: Value, others: &[Value]) -> Result<Value, Vec<String>> {
        admitted(&Family::ALL[..1], None, service, others)
    }

    fn dual(spec: Value) -> Result<Value, Vec<String>> {
        admitted(&Family::ALL, None, json!({"spec": spec}), &[])
    }

    fn changed(old: &Value, change: &[(&str, Value)]) -> Result<Value, Vec<String>> {
        let mut new = old.clone();
        for (field, value) in change {
            meta::set(&mut new, &["spec", field], value.clone());
        }
        admitted(&Family::ALL, Some(old), new, &[])
    }

    /// Policy, families and addresses.
    fn said(service: &Value) -> Value {
        json!([
            service["spec"]["ipFamilyPolicy"],
            service["spec"]["ipFamilies"],
            service["spec"]["clusterIPs"]
        ])
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
                "spec.clusterIPs: Invalid value: []string{\"10.96.1.42\"}: failed to allocate IP 10.96.1.42: provided IP is \
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
        assert!((30_000..=32_767).contains(&number(0)) && number(2) == 30_080);
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

    #[test]
    fn a_service_has_one_family_unless_it_asks_for_two() {
        let one = dual(json!({})).expect("one is free");
        assert_eq!(said(&one), json!(["SingleStack", ["IPv4"], ["10.96.1.42"]]));
        let six = dual(json!({"ipFamilies": ["IPv6"]})).expect("one is free");
        assert_eq!(said(&six), json!(["SingleStack", ["IPv6"], ["fd00:10:96::12a"]]));
        assert_eq!(six["spec"]["clusterIP"], "fd00:10:96::12a");
        let inferred = dual(json!({"clusterIP": "fd00:10:96::7"})).expect("it is free");
        assert_eq!(said(&inferred), json!(["SingleStack", ["IPv6"], ["fd00:10:96::7"]]));
        for policy in ["PreferDualStack", "RequireDualStack"] {
            let two = dual(json!({"ipFamilyPolicy": policy})).expect("two are free");
            assert_eq!(
                said(&two),
                json!([policy, ["IPv4", "IPv6"], ["10.96.1.42", "fd00:10:96::12b"]])
            );
        }
        let turned = dual(json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]})).expect("two are free");
        assert_eq!(
            said(&turned),
            json!(["PreferDualStack", ["IPv6", "IPv4"], ["fd00:10:96::12a", "10.96.1.43"]])
        );
        let asked =
            dual(json!({"ipFamilyPolicy": "RequireDualStack", "clusterIP": "10.96.0.9"})).expect("both are free");
        assert_eq!(
            said(&asked),
            json!(["RequireDualStack", ["IPv4", "IPv6"], ["10.96.0.9", "fd00:10:96::12a"]])
        );
        assert_eq!(
            dual(json!({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"]})),
            Err(vec![
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' \
                 when multiple cluster IPs are specified"
                    .into()
            ])
        );
        assert_eq!(
            dual(json!({"ipFamilies": ["IPv4", "IPv6"]})),
            Err(vec![
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' \
                 when multiple IP families are specified"
                    .into()
            ])
        );
        let taken = json!({"spec": {"ipFamilyPolicy": "RequireDualStack", "clusterIP": "fd00:10:96::12b"}});
        assert_eq!(
            admitted(
                &Family::ALL,
                None,
                taken,
                &[asked, dual(json!({"clusterIP": "fd00:10:96:0::12b"})).expect("free")]
            ),
            Err(vec![
                "spec.clusterIPs: Invalid value: []string{\"fd00:10:96::12b\", \"\"}: failed to allocate IP \
                 fd00:10:96::12b: provided IP is already allocated"
                    .into()
            ])
        );
        let outside = dual(json!({"clusterIP": "fd00:10:97::1"})).expect_err("it is elsewhere");
        assert!(
            outside[0].ends_with("The range of valid IPs is fd00:10:96::/112"),
            "{outside:?}"
        );
    }

    #[test]
    fn a_cluster_of_one_family_gives_no_other() {
        let preferred = made(json!({"spec": {"ipFamilyPolicy": "PreferDualStack"}}), &[]).expect("one will do");
        assert_eq!(said(&preferred), json!(["PreferDualStack", ["IPv4"], ["10.96.1.42"]]));
        for (spec, fault) in [
            (
                json!({"ipFamilyPolicy": "RequireDualStack"}),
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
            ),
            (
                json!({"ipFamilies": ["IPv6"]}),
                "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
            ),
            (
                json!({"clusterIP": "fd00::1"}),
                "spec.clusterIPs[0]: Invalid value: []string{\"fd00::1\"}: IPv6 is not configured on this cluster",
            ),
        ] {
            assert_eq!(made(json!({"spec": spec}), &[]), Err(vec![fault.into()]));
        }
    }

    #[test]
    fn a_headless_service_has_families_and_no_address() {
        let chosen = json!({"app": "web"});
        let one = dual(json!({"clusterIP": "None", "selector": chosen})).expect("it needs none");
        assert_eq!(said(&one), json!(["SingleStack", ["IPv4"], ["None"]]));
        let two = dual(json!({"clusterIP": "None", "selector": chosen, "ipFamilyPolicy": "PreferDualStack"}));
        assert_eq!(
            said(&two.expect("it needs none")),
            json!(["PreferDualStack", ["IPv4", "IPv6"], ["None"]])
        );
        let free = json!(["RequireDualStack", ["IPv4", "IPv6"], ["None"]]);
        assert_eq!(said(&dual(json!({"clusterIP": "None"})).expect("it needs none")), free);
        let single = made(json!({"spec": {"clusterIP": "None"}}), &[]).expect("it needs none");
        assert_eq!(
            said(&single),
            free,
            "who keeps its endpoints may keep them of any family"
        );
        let back = changed(
            &dual(json!({"clusterIP": "None", "selector": chosen, "ipFamilyPolicy": "PreferDualStack"}))
                .expect("it needs none"),
            &[("ipFamilyPolicy", json!("SingleStack"))],
        );
        assert_eq!(said(&back.expect("it may")), json!(["SingleStack", ["IPv4"], ["None"]]));
    }

    #[test]
    fn the_policy_brings_a_second_family_and_takes_it_away() {
        let one = dual(json!({})).expect("one is free");
        let two = changed(&one, &[("ipFamilyPolicy", json!("PreferDualStack"))]).expect("another is free");
        assert_eq!(
            said(&two),
            json!(["PreferDualStack", ["IPv4", "IPv6"], ["10.96.1.42", "fd00:10:96::12a"]])
        );
        let back = changed(&two, &[("ipFamilyPolicy", json!("SingleStack"))]).expect("it goes");
        assert_eq!(said(&back), said(&one));
        assert_eq!(
            changed(
                &two,
                &[("clusterIPs", json!(["10.96.1.42"])), ("ipFamilies", json!(["IPv4"]))]
            ),
            Err(vec![
                "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the \
                 secondary cluster IP"
                    .into(),
                "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the \
                 secondary IP family"
                    .into()
            ])
        );
        let plain = json!({"spec": {"clusterIP": "10.96.1.42"}});
        let replaced = admitted(&Family::ALL, Some(&two), plain, &[]).expect("it says nothing else");
        assert_eq!(
            said(&replaced),
            said(&two),
            "who says only the first address means both"
        );
        let alone = admitted(&Family::ALL[..1], Some(&two), two.clone(), &[]).expect("nothing changed");
        assert_eq!(said(&alone), said(&two), "also where the cluster has one family by now");
        let alias = changed(&two, &[("type", json!("ExternalName"))]).expect("it may");
        assert_eq!(said(&alias), json!([null, null, null]));
        let again = changed(
            &alias,
            &[
                ("type", json!("ClusterIP")),
                ("ipFamilyPolicy", json!("RequireDualStack")),
            ],
        );
        assert_eq!(
            said(&again.expect("two are free")),
            json!(["RequireDualStack", ["IPv4", "IPv6"], ["10.96.1.42", "fd00:10:96::12b"]])
        );
    }
}
