//! Services.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    address, container,
    faults::{Faults, Path, go_list},
    metadata, probe,
};
use crate::{meta, name};

const SPEC: Path<'_> = Path::of("spec");
const KUBELET: i64 = 10250;
/// Seconds: a day.
const LONGEST_AFFINITY: i64 = 86_400;

fn text<'a>(service: &'a Value, key: &str) -> &'a str {
    meta::text(service, &["spec", key])
}

fn is_headless(service: &Value) -> bool {
    meta::list(service, &["spec", "clusterIPs"]) == [Value::from("None")]
}

pub(super) fn check(faults: &mut Faults, service: &Value) {
    let kind = text(service, "type");
    let ports = meta::list(service, &["spec", "ports"]);
    let path = SPEC.child("ports");
    if ports.is_empty() && !is_headless(service) && kind != "ExternalName" {
        faults.required(&path, "");
    }
    of_kind(faults, service, kind);
    for (index, port) in ports.iter().enumerate() {
        service_port(faults, &path.index(index), port, &ports[..index], ports.len() > 1);
    }
    metadata::labels(
        faults,
        &SPEC.child("selector"),
        meta::at(service, &["spec", "selector"]),
    );
    affinity(faults, service);
    addresses(faults, service);
    let externals = SPEC.child("externalIPs");
    for (index, one) in meta::list(service, &["spec", "externalIPs"]).iter().enumerate() {
        let one = one.as_str().unwrap_or("");
        if address::any(faults, &externals.index(index), one).is_some() {
            address::ordinary(faults, &externals.index(index), one);
        }
    }
    faults.word(
        &SPEC.child("type"),
        kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    for (index, port) in ports.iter().enumerate() {
        repeated(faults, &path.index(index), port, &ports[..index], kind);
    }
    traffic(faults, service, kind);
    balancer(faults, service, kind);
}

fn of_kind(faults: &mut Faults, service: &Value, kind: &str) {
    let ports = SPEC.child("ports");
    if kind == "LoadBalancer" {
        for (index, port) in meta::list(service, &["spec", "ports"]).iter().enumerate() {
            if meta::number(port, &["port"]) == Some(KUBELET) {
                let detail = format!("may not expose port {KUBELET} externally since it is used by kubelet");
                faults.invalid(&ports.index(index), &KUBELET, &detail);
            }
        }
    }
    if matches!(kind, "LoadBalancer" | "NodePort") && is_headless(service) {
        let path = SPEC.child("clusterIPs");
        let detail = format!("may not be set to 'None' for {kind} services");
        faults.invalid(&path.index(0), "None", &detail);
    }
    if kind == "ExternalName" {
        for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if meta::at(service, &["spec", key]).is_some() {
                faults.forbidden(&SPEC.child(key), "may not be set for ExternalName services");
            }
        }
        let external = text(service, "externalName");
        let host = external.strip_suffix('.').unwrap_or(external);
        let path = SPEC.child("externalName");
        if host.is_empty() {
            faults.required(&path, "");
        } else {
            faults.each(&path, host, name::dns1123_subdomain(host));
        }
    }
}

fn service_port(faults: &mut Faults, path: &Path<'_>, port: &Value, before: &[Value], is_one_of_many: bool) {
    let own = meta::text(port, &["name"]);
    let path_of_name = path.child("name");
    if own.is_empty() {
        if is_one_of_many {
            faults.required(&path_of_name, "");
        }
    } else {
        faults.each(&path_of_name, own, name::dns1123_label(own));
        if before.iter().any(|one| meta::text(one, &["name"]) == own) {
            faults.duplicate(&path_of_name, own);
        }
    }
    let number = meta::number(port, &["port"]).unwrap_or(0);
    for sentence in name::port_number(number) {
        faults.invalid(&path.child("port"), &number, &sentence);
    }
    let protocol = meta::text(port, &["protocol"]);
    faults.word(&path.child("protocol"), protocol, &container::PROTOCOLS);
    probe::port(faults, &path.child("targetPort"), meta::at(port, &["targetPort"]));
    let application = meta::text(port, &["appProtocol"]);
    if !application.is_empty() {
        faults.each(&path.child("appProtocol"), application, name::qualified(application));
    }
}

/// Ports and node ports that are there twice, and node ports that should not be there.
fn repeated(faults: &mut Faults, path: &Path<'_>, port: &Value, before: &[Value], kind: &str) {
    let protocol = meta::text(port, &["protocol"]);
    let is_taken = |key: &str, number: i64| {
        before
            .iter()
            .any(|one| meta::text(one, &["protocol"]) == protocol && meta::number(one, &[key]).unwrap_or(0) == number)
    };
    let node = meta::number(port, &["nodePort"]).unwrap_or(0);
    if node != 0 {
        let path = path.child("nodePort");
        if kind == "ClusterIP" {
            faults.forbidden(&path, "may not be used when `type` is 'ClusterIP'");
        }
        if is_taken("nodePort", node) {
            faults.duplicate(&path, &node);
        }
    }
    let number = meta::number(port, &["port"]).unwrap_or(0);
    if is_taken("port", number) {
        let shown = format!(
            "core.ServicePort{{Name:\"\", Protocol:{protocol:?}, AppProtocol:(*string)(nil), Port:{number}, TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:\"\"}}, NodePort:0}}"
        );
        faults.duplicate(path, &super::faults::Plain(shown));
    }
}

fn affinity(faults: &mut Faults, service: &Value) {
    let kind = text(service, "sessionAffinity");
    faults.word(&SPEC.child("sessionAffinity"), kind, &["ClientIP", "None"]);
    let config = meta::at(service, &["spec", "sessionAffinityConfig"]);
    let path = SPEC.child("sessionAffinityConfig");
    match (kind, config) {
        ("None", Some(_)) => faults.forbidden(&path, "must not be set when session affinity is None"),
        ("ClientIP", config) => {
            let seconds = config.and_then(|config| meta::number(config, &["clientIP", "timeoutSeconds"]));
            let path = path.child("clientIP");
            let path = path.child("timeoutSeconds");
            match seconds {
                None => faults.required(&path, "when session affinity type is ClientIP"),
                Some(seconds) if !(1..=LONGEST_AFFINITY).contains(&seconds) => {
                    let detail = format!("must be greater than 0 and less than {LONGEST_AFFINITY}");
                    faults.invalid(&path, &seconds, &detail);
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
}

/// What is wrong with `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` of a Service, whoever hands addresses out apart.
pub(super) fn addresses(faults: &mut Faults, service: &Value) {
    if text(service, "type") == "ExternalName" {
        return;
    }
    let addresses = meta::list(service, &["spec", "clusterIPs"]);
    let families = meta::list(service, &["spec", "ipFamilies"]);
    let path = SPEC.child("clusterIPs");
    let shown = go_list("[]string", addresses);
    match (text(service, "clusterIP"), addresses) {
        ("", []) => {}
        ("", _) => faults.invalid(&path, &shown, "must be empty when `clusterIP` is not specified"),
        (_, []) => faults.required(&path, ""),
        (one, [first, ..]) if first != one => {
            faults.invalid(&path, &shown, "first value must match `clusterIP`");
        }
        _ => {}
    }
    let path_of_families = SPEC.child("ipFamilies");
    for (index, family) in families.iter().enumerate() {
        let path = path_of_families.index(index);
        faults.word(&path, family.as_str().unwrap_or(""), &["IPv4", "IPv6"]);
        if families[..index].contains(family) {
            faults.duplicate(&path, family);
        }
    }
    let policy = text(service, "ipFamilyPolicy");
    if !policy.is_empty() {
        faults.word(
            &SPEC.child("ipFamilyPolicy"),
            policy,
            &["PreferDualStack", "RequireDualStack", "SingleStack"],
        );
    }
    let mut known = Vec::new();
    for (index, one) in addresses.iter().enumerate() {
        let one = one.as_str().unwrap_or("");
        if index == 0 && one == "None" {
            if addresses.len() > 1 {
                faults.invalid(&path, &shown, "'None' must be the first and only value");
            }
            continue;
        }
        known.extend(address::any(faults, &path.index(index), one).map(family_of));
    }
    if addresses.len() > 2 {
        faults.invalid(&path, &shown, "may only hold up to 2 values");
    }
    if known.len() < addresses.len() {
        // The families of others would be compared with the wrong ones.
        return;
    }
    if known.len() > 1 && !(known.contains(&"IPv4") && known.contains(&"IPv6") && known.len() == 2) {
        faults.invalid(&path, &shown, "may specify no more than one IP for each IP family");
    }
    for (index, (family, expected)) in known.iter().zip(families).enumerate() {
        if let Some(expected) = expected.as_str().filter(|expected| expected != family)
            && matches!(expected, "IPv4" | "IPv6")
        {
            let detail = format!("expected an {expected} value as indicated by `ipFamilies[{index}]`");
            faults.invalid(&path.index(index), addresses[index].as_str().unwrap_or(""), &detail);
        }
    }
}

fn family_of(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn traffic(faults: &mut Faults, service: &Value, kind: &str) {
    let has_externals = !meta::list(service, &["spec", "externalIPs"]).is_empty();
    let is_external = matches!(kind, "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && has_externals);
    let policy = text(service, "externalTrafficPolicy");
    let path = SPEC.child("externalTrafficPolicy");
    if is_external {
        faults.word(&path, policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        faults.invalid(&path, policy, "may only be set for externally-accessible services");
    }
    let needs_check = kind == "LoadBalancer" && policy == "Local";
    let port = meta::number(service, &["spec", "healthCheckNodePort"]).unwrap_or(0);
    if port != 0 && !needs_check {
        faults.invalid(
            &SPEC.child("healthCheckNodePort"),
            &port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
    let policy = text(service, "internalTrafficPolicy");
    if !policy.is_empty() || kind != "ExternalName" {
        faults.word(&SPEC.child("internalTrafficPolicy"), policy, &["Cluster", "Local"]);
    }
    let distribution = text(service, "trafficDistribution");
    if !matches!(distribution, "" | "PreferClose") {
        faults.unsupported(&SPEC.child("trafficDistribution"), distribution, &["PreferClose"]);
    }
}

fn balancer(faults: &mut Faults, service: &Value, kind: &str) {
    let ranges = meta::list(service, &["spec", "loadBalancerSourceRanges"]);
    if kind == "LoadBalancer" {
        let path = SPEC.child("LoadBalancerSourceRanges");
        for (index, range) in ranges.iter().enumerate() {
            address::range(faults, &path.index(index), range.as_str().unwrap_or("").trim());
        }
        let class = text(service, "loadBalancerClass");
        if !class.is_empty() {
            faults.each(&SPEC.child("loadBalancerClass"), class, name::qualified(class));
        }
        return;
    }
    let detail = "may only be used when `type` is 'LoadBalancer'";
    if !ranges.is_empty() {
        faults.forbidden(&SPEC.child("LoadBalancerSourceRanges"), detail);
    }
    for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if meta::at(service, &["spec", key]).is_some() {
            faults.forbidden(&SPEC.child(key), detail);
        }
    }
}

/// An address, once given, stays, unless the service is or becomes a mere name; a second one goes when the policy says so.
pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    if [old, new].iter().any(|one| text(one, "type") == "ExternalName") {
        return;
    }
    if !(is_headless(old) && is_headless(new)) {
        addresses_stay(faults, old, new);
    }
    if !is_headless(old) && !is_headless(new) {
        families_stay(faults, old, new);
    }
    let class = |service| meta::at(service, &["spec", "loadBalancerClass"]);
    let are_balancers = [old, new].iter().all(|one| text(one, "type") == "LoadBalancer");
    if are_balancers && class(old) != class(new) {
        faults.invalid(
            &SPEC.child("loadBalancerClass"),
            class(new).unwrap_or(&Value::Null),
            "may not change once set",
        );
    }
}

const STAYS: &str = "may not change once set";

fn addresses_stay(faults: &mut Faults, old: &Value, new: &Value) {
    let (before, after) = (
        meta::list(old, &["spec", "clusterIPs"]),
        meta::list(new, &["spec", "clusterIPs"]),
    );
    let path = SPEC.child("clusterIPs");
    let shown = go_list("[]string", after);
    if before.len() > after.len() && after.is_empty() {
        faults.invalid(&path.index(0), &shown, "primary clusterIP can not be unset");
    }
    let compared = if before.len() == after.len() { before.len() } else { 1 };
    for (index, (before, after)) in before.iter().zip(after).take(compared).enumerate() {
        if before != after {
            faults.invalid(&path.index(index), &shown, STAYS);
        }
    }
    if before.len() > after.len() && after.len() == 1 {
        released(
            faults,
            new,
            "must be set to 'SingleStack' when releasing the secondary clusterIP",
        );
    }
}

fn families_stay(faults: &mut Faults, old: &Value, new: &Value) {
    let (before, after) = (
        meta::list(old, &["spec", "ipFamilies"]),
        meta::list(new, &["spec", "ipFamilies"]),
    );
    let path = SPEC.child("ipFamilies");
    let shown = go_list("[]core.IPFamily", after);
    if before.len() == after.len() {
        for _ in before.iter().zip(after).filter(|(before, after)| before != after) {
            faults.invalid(&path.index(0), &shown, STAYS);
        }
        return;
    }
    let addresses = meta::list(new, &["spec", "clusterIPs"]);
    if before.len() > after.len() && addresses.is_empty() {
        faults.invalid(&path.index(0), &shown, "primary ipFamily can not be unset");
    }
    if let (Some(before), Some(after)) = (before.first(), after.first())
        && before != after
    {
        // Kubernetes shows the addresses here.
        faults.invalid(&path.index(0), &go_list("[]string", addresses), STAYS);
    }
    if before.len() > after.len() && after.len() == 1 {
        released(
            faults,
            new,
            "must be set to 'SingleStack' when releasing the secondary ipFamily",
        );
    }
}

fn released(faults: &mut Faults, new: &Value, why: &str) {
    let path = SPEC.child("ipFamilyPolicy");
    match text(new, "ipFamilyPolicy") {
        "SingleStack" => {}
        "" => faults.invalid(&path, &super::faults::Plain("null".into()), why),
        policy => faults.invalid(&path, policy, why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::tests::{told, updated},
        *,
    };

    fn service(spec: Value) -> Value {
        let mut service = json!({"spec": {"ports": [{"port": 80}]}});
        for (key, value) in spec.as_object().expect("a map") {
            meta::set(&mut service, &["spec", key], value.clone());
        }
        if let Some(address) = meta::at(&service, &["spec", "clusterIP"]).cloned()
            && meta::at(&service, &["spec", "clusterIPs"]).is_none()
        {
            meta::set(&mut service, &["spec", "clusterIPs"], vec![address]);
        }
        service
    }

    #[test]
    fn ports_are_named_and_unique() {
        assert_eq!(told("", "services", service(json!({}))), [""; 0]);
        assert_eq!(
            told("", "services", service(json!({"ports": []}))),
            ["spec.ports: Required value"]
        );
        assert_eq!(
            told("", "services", service(json!({"ports": [], "clusterIP": "None"}))),
            [""; 0]
        );
        assert_eq!(
            told(
                "",
                "services",
                service(json!({"ports": [{"port": 80}, {"port": 0, "name": "b"}]}))
            ),
            [
                "spec.ports[0].name: Required value",
                "spec.ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[1].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"
            ]
        );
        assert_eq!(
            told(
                "",
                "services",
                service(json!({"ports": [{"port": 80, "nodePort": 30000}]}))
            ),
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
        );
    }

    #[test]
    fn a_type_has_what_belongs_to_it() {
        for (spec, fault) in [
            (
                json!({"type": "Other"}),
                "spec.type: Unsupported value: \"Other\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
            (
                json!({"type": "NodePort", "clusterIP": "None"}),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ),
            (
                json!({"clusterIP": "10.96.0.300"}),
                "spec.clusterIPs[0]: Invalid value: \"10.96.0.300\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            ),
            (
                json!({"externalTrafficPolicy": "Local"}),
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ),
        ] {
            let faults = told("", "services", service(spec.clone()));
            assert!(faults.contains(&String::from(fault)), "{spec}: {faults:?}");
        }
        assert_eq!(
            told(
                "",
                "services",
                json!({"metadata": {"name": "1a"}, "spec": {"ports": [{"port": 1}]}})
            )
            .len(),
            1
        );
    }

    #[test]
    fn an_address_stays() {
        let (old, new) = (
            service(json!({"clusterIP": "10.96.0.1"})),
            service(json!({"clusterIP": "10.96.0.2"})),
        );
        assert_eq!(
            updated("", "services", old.clone(), new),
            ["spec.clusterIPs[0]: Invalid value: []string{\"10.96.0.2\"}: may not change once set"]
        );
        assert_eq!(updated("", "services", old.clone(), old), [""; 0]);
    }

    #[test]
    fn two_addresses_are_of_two_families() {
        let told = |spec: Value| told("", "services", service(spec));
        let (v4, v6) = ("10.96.0.1", "fd00:10:96::1");
        assert_eq!(
            told(
                json!({"clusterIP": v6, "clusterIPs": [v6, v4], "ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"})
            ),
            [""; 0]
        );
        assert_eq!(
            told(json!({"clusterIP": v4, "clusterIPs": [v4, "10.96.0.2"]})),
            [
                "spec.clusterIPs: Invalid value: []string{\"10.96.0.1\", \"10.96.0.2\"}: may specify no more than one IP for each IP family"
            ]
        );
        assert_eq!(
            told(json!({"clusterIP": v4, "clusterIPs": [v4, v6], "ipFamilies": ["IPv6", "IPv4"]})),
            [
                "spec.clusterIPs[0]: Invalid value: \"10.96.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
                "spec.clusterIPs[1]: Invalid value: \"fd00:10:96::1\": expected an IPv4 value as indicated by `ipFamilies[1]`"
            ]
        );
        assert_eq!(
            told(json!({"clusterIP": v4, "clusterIPs": [v4, v6, "fd00:10:96::2"]})),
            [
                "spec.clusterIPs: Invalid value: []string{\"10.96.0.1\", \"fd00:10:96::1\", \"fd00:10:96::2\"}: may only hold up to 2 values",
                "spec.clusterIPs: Invalid value: []string{\"10.96.0.1\", \"fd00:10:96::1\", \"fd00:10:96::2\"}: may specify no more than one IP for each IP family"
            ]
        );
        assert_eq!(
            told(json!({"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "Both"})),
            [
                "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
                "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\""
            ]
        );
        assert_eq!(
            told(json!({"clusterIPs": [v4]})),
            [
                "spec.clusterIPs: Invalid value: []string{\"10.96.0.1\"}: must be empty when `clusterIP` is not specified"
            ]
        );
    }

    #[test]
    fn a_second_family_comes_and_goes_and_the_first_stays() {
        let one = service(json!({"clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
        let two = service(
            json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00:10:96::1"],
            "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}),
        );
        let updated = |old: &Value, new: &Value| updated("", "services", old.clone(), new.clone());
        assert_eq!(updated(&one, &two), [""; 0]);
        assert_eq!(updated(&two, &one), [""; 0]);
        let mut kept = one.clone();
        meta::set(&mut kept, &["spec", "ipFamilyPolicy"], "PreferDualStack");
        assert_eq!(
            updated(&two, &kept),
            [
                "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP",
                "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily"
            ]
        );
        let mut other = two.clone();
        meta::set(
            &mut other,
            &["spec", "clusterIPs"],
            json!(["10.96.0.1", "fd00:10:96::2"]),
        );
        assert_eq!(
            updated(&two, &other),
            ["spec.clusterIPs[1]: Invalid value: []string{\"10.96.0.1\", \"fd00:10:96::2\"}: may not change once set"]
        );
        let turned = service(json!({"clusterIP": "fd00:10:96::1", "clusterIPs": ["fd00:10:96::1"],
            "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}));
        assert_eq!(
            updated(&two, &turned),
            [
                "spec.clusterIPs[0]: Invalid value: []string{\"fd00:10:96::1\"}: may not change once set",
                "spec.ipFamilies[0]: Invalid value: []string{\"fd00:10:96::1\"}: may not change once set"
            ]
        );
    }
}
