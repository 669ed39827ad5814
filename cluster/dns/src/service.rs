//! The records of a Service, sections 2.3 to 2.5 of the specification.

use std::collections::HashSet;
use std::net::IpAddr;

use hickory_proto::rr::rdata::{CNAME, PTR, SRV};
use hickory_proto::rr::{Name, RData};
use objects::meta;
use serde_json::Value;

use crate::DOMAIN;
use crate::fault::{Act, Faults};
use crate::pod::dashed;
use crate::zone::{Entry, absolute, of_address};

/// Priority and weight of every SRV record, as CoreDNS has them.
const PRIORITY: u16 = 0;
const WEIGHT: u16 = 100;

/// What is to be found of a Service whose endpoints are in these EndpointSlices.
pub(crate) fn entries<'a>(service: &Value, slices: impl IntoIterator<Item = &'a Value>, faults: &Faults) -> Vec<Entry> {
    let base = format!("{}.{}.svc.{DOMAIN}", meta::name(service), meta::namespace(service));
    let mut records = Records {
        base,
        faults,
        all: Vec::new(),
        seen: HashSet::new(),
    };
    match Form::of(service) {
        Form::Alias(target) => records.alias(target),
        Form::Headless => {
            if !faults.has(Act::HeadlessMissing) {
                records.endpoints(service, slices, true);
            }
        }
        Form::Addresses(addresses) => {
            records.service(service, &addresses);
            records.endpoints(service, slices, false);
        }
    }
    records.all
}

/// What a Service is to a resolver.
enum Form<'a> {
    /// Another name for one outside.
    Alias(&'a str),
    /// Its endpoints.
    Headless,
    /// Addresses of its own; none as long as it was given none.
    Addresses(Vec<IpAddr>),
}

impl<'a> Form<'a> {
    fn of(service: &'a Value) -> Self {
        if meta::text(service, &["spec", "type"]) == "ExternalName" {
            return Self::Alias(meta::text(service, &["spec", "externalName"]));
        }
        let only = meta::text(service, &["spec", "clusterIP"]);
        if only == "None" {
            return Self::Headless;
        }
        let all = meta::list(service, &["spec", "clusterIPs"]).iter();
        let mut addresses: Vec<IpAddr> = all.filter_map(|one| one.as_str()?.parse().ok()).collect();
        if addresses.is_empty() {
            addresses.extend(only.parse::<IpAddr>());
        }
        Self::Addresses(addresses)
    }
}

struct Records<'f> {
    /// The name of the Service.
    base: String,
    faults: &'f Faults,
    all: Vec<Entry>,
    /// An endpoint may be in two slices while it moves from one to the other.
    seen: HashSet<(Name, String)>,
}

impl Records<'_> {
    fn add(&mut self, name: &str, data: RData) {
        let Some(name) = absolute(name) else {
            return;
        };
        if self.seen.insert((name.clone(), data.to_string())) {
            self.all.push(Entry { name, data });
        }
    }

    /// A name, the address that it has, and the name that the address has.
    fn address(&mut self, name: &str, address: IpAddr, reverse: bool) {
        if address.is_ipv6() && self.faults.has(Act::AddressesOfOneFamily) {
            return;
        }
        self.add(name, of_address(address));
        if reverse
            && !self.faults.has(Act::ReverseMissing)
            && let Some(target) = absolute(name)
        {
            let data = RData::PTR(PTR(target));
            self.add(&Name::from(address).to_string(), data);
        }
    }

    fn srv(&mut self, port: &Value, target: &str) {
        let name = meta::text(port, &["name"]);
        let number = meta::number(port, &["port"]).and_then(|number| u16::try_from(number).ok());
        let (false, Some(mut number), Some(host)) = (name.is_empty(), number, absolute(target)) else {
            return;
        };
        if self.faults.has(Act::SrvPort) {
            number = number.wrapping_add(1);
        }
        let protocol = match meta::text(port, &["protocol"]) {
            "" => "tcp".into(),
            protocol => protocol.to_ascii_lowercase(),
        };
        let data = RData::SRV(SRV::new(PRIORITY, WEIGHT, number, host));
        self.add(&format!("_{name}._{protocol}.{}", self.base), data);
    }

    fn alias(&mut self, target: &str) {
        if self.faults.has(Act::AliasesMissing) {
            return;
        }
        if let Some(target) = absolute(target).filter(|name| !name.is_root()) {
            self.add(&self.base.clone(), RData::CNAME(CNAME(target)));
        }
    }

    fn service(&mut self, service: &Value, addresses: &[IpAddr]) {
        if addresses.is_empty() {
            return;
        }
        let base = self.base.clone();
        for address in addresses {
            self.address(&base, *address, true);
        }
        for port in meta::list(service, &["spec", "ports"]) {
            self.srv(port, &base);
        }
    }

    /// A name for each endpoint. Those of a headless Service are also what the Service's own names mean, and are found
    /// by their addresses.
    fn endpoints<'a>(&mut self, service: &Value, slices: impl IntoIterator<Item = &'a Value>, headless: bool) {
        let unready_too =
            meta::flag(service, &["spec", "publishNotReadyAddresses"]) || self.faults.has(Act::UnreadyPublished);
        for slice in slices {
            for endpoint in meta::list(slice, &["endpoints"]) {
                // Unknown is ready, says the API.
                let ready = meta::at(endpoint, &["conditions", "ready"]) != Some(&Value::Bool(false));
                if ready || unready_too {
                    self.endpoint(endpoint, meta::list(slice, &["ports"]), headless);
                }
            }
        }
    }

    fn endpoint(&mut self, endpoint: &Value, ports: &[Value], headless: bool) {
        let base = self.base.clone();
        let hostname = meta::text(endpoint, &["hostname"]);
        let addresses = meta::list(endpoint, &["addresses"]).iter();
        for address in addresses.filter_map(|one| one.as_str()?.parse::<IpAddr>().ok()) {
            if headless && self.faults.has(Act::OneAddress) && !self.all.is_empty() {
                return;
            }
            let named = !hostname.is_empty() && !self.faults.has(Act::HostnamesMissing);
            let label = if named { hostname.to_owned() } else { dashed(address) };
            let own = format!("{label}.{base}");
            if headless {
                self.address(&base, address, false);
                for port in ports {
                    self.srv(port, &own);
                }
            }
            self.address(&own, address, headless);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::named;

    fn lines(service: &Value, slices: &[Value], faults: &[&str]) -> Vec<String> {
        let mut chosen = Faults::default();
        faults.iter().for_each(|name| chosen.choose(named(name).unwrap()));
        let each = entries(service, slices, &chosen).into_iter();
        each.map(|entry| format!("{} {} {}", entry.name, entry.data.record_type(), entry.data))
            .collect()
    }

    fn headless() -> Value {
        json!({"metadata": {"name": "headless", "namespace": "default"}, "spec": {
            "clusterIP": "None", "ports": [{"name": "https", "port": 443}],
        }})
    }

    fn slice(endpoints: Value) -> Value {
        json!({"endpoints": endpoints, "ports": [{"name": "https", "port": 8443, "protocol": "TCP"}, {"port": 9}]})
    }

    #[test]
    fn a_service_has_its_address_its_named_ports_and_its_name_by_address() {
        let service = json!({"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {
            "clusterIP": "10.3.0.1", "clusterIPs": ["10.3.0.1", "fd00::1"],
            "ports": [{"name": "https", "port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP"}],
        }});
        assert_eq!(
            lines(&service, &[], &[]),
            [
                "kubernetes.default.svc.cluster.local. A 10.3.0.1",
                "1.0.3.10.in-addr.arpa. PTR kubernetes.default.svc.cluster.local.",
                "kubernetes.default.svc.cluster.local. AAAA fd00::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR \
                 kubernetes.default.svc.cluster.local.",
                "_https._tcp.kubernetes.default.svc.cluster.local. SRV 0 100 443 kubernetes.default.svc.cluster.local.",
            ]
        );
        let endpoints = slice(json!([{"addresses": ["10.3.0.100"], "hostname": "my-pet"}]));
        assert_eq!(
            lines(&service, &[endpoints], &[])[5..],
            ["my-pet.kubernetes.default.svc.cluster.local. A 10.3.0.100"],
            "only by its own name"
        );
    }

    #[test]
    fn a_headless_service_is_its_ready_endpoints() {
        let endpoints = json!([
            {"addresses": ["10.3.0.100"], "hostname": "my-pet", "conditions": {"ready": true}},
            {"addresses": ["10.3.0.101"]},
            {"addresses": ["10.3.0.102"], "conditions": {"ready": false}},
        ]);
        let want = [
            "headless.default.svc.cluster.local. A 10.3.0.100",
            "_https._tcp.headless.default.svc.cluster.local. SRV 0 100 8443 my-pet.headless.default.svc.cluster.local.",
            "my-pet.headless.default.svc.cluster.local. A 10.3.0.100",
            "100.0.3.10.in-addr.arpa. PTR my-pet.headless.default.svc.cluster.local.",
            "headless.default.svc.cluster.local. A 10.3.0.101",
            "_https._tcp.headless.default.svc.cluster.local. SRV 0 100 8443 \
             10-3-0-101.headless.default.svc.cluster.local.",
            "10-3-0-101.headless.default.svc.cluster.local. A 10.3.0.101",
            "101.0.3.10.in-addr.arpa. PTR 10-3-0-101.headless.default.svc.cluster.local.",
        ];
        let twice = [slice(endpoints.clone()), slice(endpoints.clone())];
        assert_eq!(
            lines(&headless(), &twice, &[]),
            want,
            "an endpoint in two slices is one"
        );
        let mut all = headless();
        meta::set(&mut all, &["spec", "publishNotReadyAddresses"], true);
        assert_eq!(lines(&all, &twice, &[]).len(), 12);
        assert_eq!(lines(&headless(), &twice, &["dns-publishes-unready"]).len(), 12);
        assert!(lines(&headless(), &[], &[]).is_empty());
    }

    #[test]
    fn endpoints_of_two_families_share_their_host_name() {
        let both = [
            slice(json!([{"addresses": ["10.3.0.100"], "hostname": "my-pet"}])),
            slice(
                json!([{"addresses": ["fd00:10:244::64"], "hostname": "my-pet"}, {"addresses": ["fd00:10:244::65"]}]),
            ),
        ];
        assert_eq!(
            lines(&headless(), &both, &[]),
            [
                "headless.default.svc.cluster.local. A 10.3.0.100",
                "_https._tcp.headless.default.svc.cluster.local. SRV 0 100 8443 my-pet.headless.default.svc.cluster.local.",
                "my-pet.headless.default.svc.cluster.local. A 10.3.0.100",
                "100.0.3.10.in-addr.arpa. PTR my-pet.headless.default.svc.cluster.local.",
                "headless.default.svc.cluster.local. AAAA fd00:10:244::64",
                "my-pet.headless.default.svc.cluster.local. AAAA fd00:10:244::64",
                "4.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa. PTR \
                 my-pet.headless.default.svc.cluster.local.",
                "headless.default.svc.cluster.local. AAAA fd00:10:244::65",
                "_https._tcp.headless.default.svc.cluster.local. SRV 0 100 8443 \
                 fd00-10-244--65.headless.default.svc.cluster.local.",
                "fd00-10-244--65.headless.default.svc.cluster.local. AAAA fd00:10:244::65",
                "5.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa. PTR \
                 fd00-10-244--65.headless.default.svc.cluster.local.",
            ]
        );
        let four = lines(&headless(), &both, &["dns-ipv6-missing"]);
        assert!(
            !four
                .iter()
                .any(|line| line.contains("AAAA") || line.contains("ip6.arpa")),
            "{four:?}"
        );
        assert_eq!(four.iter().filter(|line| line.contains(" A ")).count(), 2);
    }

    #[test]
    fn a_faulty_zone_has_other_records() {
        let slices = [slice(
            json!([{"addresses": ["10.3.0.100"], "hostname": "my-pet"}, {"addresses": ["10.3.0.101"]}]),
        )];
        let has = |faults: &[&str], text: &str| {
            lines(&headless(), &slices, faults)
                .iter()
                .any(|line| line.contains(text))
        };
        assert!(has(&[], "8443") && has(&[], "PTR") && has(&[], "A 10.3.0.101"));
        assert!(has(&["dns-srv-port-wrong"], "8444") && !has(&["dns-srv-port-wrong"], "8443"));
        assert!(!has(&["dns-reverse-missing"], "PTR"));
        assert!(!has(&["dns-one-address"], "10.3.0.101"));
        assert!(!has(&["dns-hostnames-missing"], "my-pet"));
        assert!(lines(&headless(), &slices, &["dns-headless-missing"]).is_empty());
    }

    #[test]
    fn an_external_name_is_an_alias_and_nothing_else() {
        let service = json!({"metadata": {"name": "foo", "namespace": "default"}, "spec": {
            "type": "ExternalName", "externalName": "www.example.com", "ports": [{"name": "x", "port": 1}],
        }});
        assert_eq!(
            lines(&service, &[], &[]),
            ["foo.default.svc.cluster.local. CNAME www.example.com."]
        );
        assert!(lines(&service, &[], &["dns-external-name-missing"]).is_empty());
    }

    #[test]
    fn a_service_that_has_no_address_yet_is_not_there() {
        let service =
            json!({"metadata": {"name": "foo", "namespace": "default"}, "spec": {"ports": [{"name": "x", "port": 1}]}});
        assert!(lines(&service, &[], &[]).is_empty());
    }
}
