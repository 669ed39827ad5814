//! What a Service asks of a proxy.

use std::net::IpAddr;
use std::time::Duration;

use netfilter::{Family, Protocol};
use objects::meta;
use serde_json::Value;

/// Labels that keep a proxy away: the Service is another proxy's, or nobody's.
const ANOTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// What `sessionAffinityConfig` is unless told.
const AFFINITY: u64 = 10_800;

/// A Service that has an address of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) external: Vec<IpAddr>,
    pub(crate) ports: Vec<Port>,
    /// A client stays with its backend for so long after its last connection.
    pub(crate) affinity: Option<Duration>,
    /// Clients inside reach backends of their own node only.
    pub(crate) internal_local: bool,
    /// Clients outside reach backends of the node only that they come to.
    pub(crate) external_local: bool,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) number: u16,
    pub(crate) node_port: Option<u16>,
}

/// A protocol that can be served here.
pub(crate) fn protocol(object: &Value) -> Option<Protocol> {
    match meta::text(object, &["protocol"]) {
        "" | "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

/// A port's number.
pub(crate) fn number(object: &Value, field: &str) -> Option<u16> {
    let number = meta::number(object, &[field])?;
    u16::try_from(number).ok().filter(|number| *number != 0)
}

impl Service {
    /// Nothing for one that a proxy has nothing to do with: headless, an alias, somebody else's, or of another family.
    pub(crate) fn read(object: &Value, family: Family) -> Option<Self> {
        let is = |field: &str, word: &str| meta::text(object, &["spec", field]) == word;
        let labelled = |label: &str| meta::label(object, label).is_some();
        if is("type", "ExternalName") || labelled(ANOTHER_PROXY) || labelled(HEADLESS) {
            return None;
        }
        let of_family = |text: &str| text.parse().ok().filter(|address| Family::of(*address) == family);
        let own = meta::list(object, &["spec", "clusterIPs"])
            .iter()
            .filter_map(Value::as_str);
        let mut own = own.chain([meta::text(object, &["spec", "clusterIP"])]);
        let external = meta::list(object, &["spec", "externalIPs"]).iter();
        let ports = meta::list(object, &["spec", "ports"]).iter();
        Some(Self {
            namespace: meta::namespace(object).to_owned(),
            name: meta::name(object).to_owned(),
            address: own.find_map(of_family)?,
            external: external.filter_map(|one| of_family(one.as_str()?)).collect(),
            ports: ports.filter_map(Port::read).collect(),
            affinity: is("sessionAffinity", "ClientIP").then(|| affinity(object)),
            internal_local: is("internalTrafficPolicy", "Local"),
            external_local: is("externalTrafficPolicy", "Local"),
        })
    }
}

fn affinity(object: &Value) -> Duration {
    let path = ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"];
    let seconds = meta::number(object, &path).and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(AFFINITY))
}

impl Port {
    fn read(object: &Value) -> Option<Self> {
        Some(Self {
            name: meta::text(object, &["name"]).to_owned(),
            protocol: protocol(object)?,
            number: number(object, "port")?,
            node_port: number(object, "nodePort"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_without_an_address_of_their_own_are_nobodys_business() {
        let service = |spec: Value| {
            Service::read(
                &json!({"metadata": {"name": "web", "namespace": "a"}, "spec": spec}),
                Family::Ipv4,
            )
        };
        assert_eq!(service(json!({"clusterIP": "None"})), None);
        assert_eq!(
            service(json!({"type": "ExternalName", "externalName": "x.example"})),
            None
        );
        assert_eq!(service(json!({})), None);
        let labelled = |label: &str| {
            let object = json!({
                "metadata": {"name": "web", "namespace": "a", "labels": {label: "x"}}, "spec": {"clusterIP": "10.96.0.9"},
            });
            Service::read(&object, Family::Ipv4)
        };
        assert_eq!(labelled(ANOTHER_PROXY), None);
        assert_eq!(labelled(HEADLESS), None);
        assert!(labelled("app").is_some());
    }

    #[test]
    fn ports_of_protocols_that_are_unknown_here_are_left_out() {
        let object = json!({
            "metadata": {"name": "dns", "namespace": "a"},
            "spec": {"clusterIP": "10.96.0.10", "sessionAffinity": "ClientIP", "ports": [
                {"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30053}, {"name": "s", "port": 9, "protocol": "SCTP"},
            ]},
        });
        let service = Service::read(&object, Family::Ipv4).unwrap();
        let udp = Port {
            name: "u".into(),
            protocol: Protocol::Udp,
            number: 53,
            node_port: Some(30053),
        };
        assert_eq!(service.ports, [udp]);
        assert_eq!(service.affinity, Some(Duration::from_secs(10_800)));
    }

    #[test]
    fn each_family_has_its_own_addresses_of_a_service() {
        let object = json!({"metadata": {"name": "web", "namespace": "a"}, "spec": {
            "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"],
            "externalIPs": ["2001:db8::1", "192.0.2.1"],
        }});
        let read = |family| {
            let service = Service::read(&object, family).unwrap();
            (service.address.to_string(), service.external[0].to_string())
        };
        assert_eq!(read(Family::Ipv4), ("10.96.0.9".to_owned(), "192.0.2.1".to_owned()));
        assert_eq!(
            read(Family::Ipv6),
            ("fd00:10:96::9".to_owned(), "2001:db8::1".to_owned())
        );
        let single = json!({"spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}});
        assert_eq!(Service::read(&single, Family::Ipv6), None);
    }
}
