//! From a Service and its backends to what it needs in the packet filter.
//!
//! A port of a Service is up to four kinds of chains. `service-…` chooses among all backends, `local-…` among those of this
//! node, `external-…` decides for clients from outside which of the two, and `endpoint-…` leads to one backend. A backend of
//! which nothing is to be said but its address has no chain: the rule that chooses it leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use netfilter::{Field, Part, Rule, Set, Type, Value, Verdict};

use crate::base::{
    CLUSTER_ADDRESSES, HAIRPINS, MASQUERADE, NO_ENDPOINTS, NO_ENDPOINTS_NODE, NODE_PORTS, OWN, REJECT, SERVICES,
};
use crate::config::Config;
use crate::endpoint::{self, Endpoint, Endpoints};
use crate::fault::Faults;
use crate::service::{Port, Service};

/// Backends that are chosen from without a map. Only the first packet of a connection passes their rules.
const FEW: usize = 8;
/// How names of chains begin that lead to one backend, and comments of rules that stand for such a chain.
pub(crate) const ENDPOINT: &str = "endpoint-";
/// What [`Faults`] call forever.
const FOREVER: Duration = Duration::from_secs(86_400);

/// Where clients of UDP send to, and the backends that may answer there.
pub(crate) type Answering = BTreeMap<(IpAddr, u16), BTreeSet<(IpAddr, u16)>>;

/// What one Service needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// In the table.
    pub(crate) part: Part,
    /// Of the kernel's memory of who answers.
    pub(crate) answering: Answering,
}

/// Everything that the rules of a node's Services are made from.
pub(crate) struct Maker {
    pub(crate) config: Config,
    pub(crate) faults: Faults,
}

/// The backends of a port that get connections, by who asks.
struct Backends<'a> {
    /// Anybody's.
    all: Vec<&'a Endpoint>,
    /// Those of this node; empty unless one of the Service's policies asks for them.
    local: Vec<&'a Endpoint>,
}

impl Maker {
    /// What this Service needs.
    pub(crate) fn needs(&self, service: &Service, endpoints: &Endpoints) -> Needs {
        let mut needs = Needs::default();
        let place = (CLUSTER_ADDRESSES.into(), vec![service.address.into()]);
        needs.part.elements.insert(place, None);
        for port in &service.ports {
            if port.protocol == netfilter::Protocol::Udp && self.faults.has("udp-dropped") {
                continue;
            }
            let key = (port.name.clone(), port.protocol);
            let all = endpoints.get(&key).map(Vec::as_slice).unwrap_or_default();
            PortMaker::new(self, service, port, all).write(&mut needs);
        }
        needs
    }
}

/// How names of chains and comments of rules end that lead to a backend. `nft` takes no colons in names, as kube-proxy has it,
/// too.
pub(crate) fn of_backend(address: IpAddr, port: u16) -> String {
    let address = address.to_string().replace(':', ".");
    format!("__{address}/{port}")
}

/// How rules begin of which the first is taken once in so many times as there are, the next once in so many as are left, and
/// the last always: each as likely as any other.
fn one_in(count: usize) -> impl Iterator<Item = Rule> {
    let left = (1..=u32::try_from(count).unwrap_or(u32::MAX)).rev();
    left.map(|left| match left {
        1 => Rule::new(),
        left => Rule::new().is(Field::Random(left), 0u32),
    })
}

/// Makes the rules of one port.
struct PortMaker<'a> {
    maker: &'a Maker,
    service: &'a Service,
    port: &'a Port,
    backends: Backends<'a>,
    affinity: Option<Duration>,
    internal_local: bool,
    external_local: bool,
}

impl<'a> PortMaker<'a> {
    fn new(maker: &'a Maker, service: &'a Service, port: &'a Port, endpoints: &'a [Endpoint]) -> Self {
        let faults = &maker.faults;
        let policies = !faults.has("local-policy-ignored");
        let affinity = service.affinity.filter(|_| !faults.has("affinity-ignored"));
        let mut one = Self {
            maker,
            service,
            port,
            backends: Backends {
                all: Vec::new(),
                local: Vec::new(),
            },
            affinity: affinity.map(|timeout| match faults.has("affinity-forever") {
                true => FOREVER,
                false => timeout,
            }),
            internal_local: service.internal_local && policies,
            external_local: service.external_local && policies,
        };
        one.backends = one.choose(endpoints);
        one
    }

    fn choose(&self, endpoints: &'a [Endpoint]) -> Backends<'a> {
        let (config, faults) = (&self.maker.config, &self.maker.faults);
        if faults.has("unready-served") {
            return Backends {
                all: endpoints.iter().collect(),
                local: endpoints.iter().filter(|one| one.node == config.node).collect(),
            };
        }
        let all = endpoint::serving(endpoints, |_| true);
        let mut all = endpoint::near(all, &config.node, config.zone.as_deref());
        let mut local = match self.internal_local || self.external_local {
            true => endpoint::serving(endpoints, |one| one.node == config.node),
            false => Vec::new(),
        };
        for chosen in [&mut all, &mut local] {
            if faults.has("backend-lost") && chosen.len() > 1 {
                chosen.pop();
            }
            if faults.has("one-backend-only") {
                chosen.truncate(1);
            }
        }
        Backends { all, local }
    }

    /// Namespace, name, protocol and port: what the names of all its chains end with.
    fn name(&self) -> String {
        let Service { namespace, name, .. } = self.service;
        format!("{namespace}/{name}/{}/{}", self.port.protocol, self.port.name)
    }

    fn endpoint_name(&self, endpoint: &Endpoint) -> String {
        format!(
            "{ENDPOINT}{}{}",
            self.name(),
            of_backend(endpoint.address, endpoint.port)
        )
    }

    /// The time is in the name, since that of a set cannot be changed.
    fn affinity_name(&self, endpoint: &Endpoint, timeout: Duration) -> String {
        let (name, seconds) = (self.name(), timeout.as_secs());
        let backend = of_backend(endpoint.address, endpoint.port);
        format!("affinity-{name}{backend}-{seconds}s")
    }

    fn front(&self, address: IpAddr) -> Vec<Value> {
        vec![address.into(), self.port.protocol.into(), self.port.number.into()]
    }

    fn write(&self, needs: &mut Needs) {
        let part = &mut needs.part;
        let Backends { all, local } = &self.backends;
        let internal = self.policy_chain(self.internal_local);
        let external = format!("external-{}", self.name());
        let faults = &self.maker.faults;

        let node_port = self.port.node_port.filter(|_| !faults.has("node-port-closed"));
        let addresses: Vec<IpAddr> = match faults.has("external-address-closed") {
            true => Vec::new(),
            false => self.service.external.clone(),
        };
        let some = |is_local: bool| !all.is_empty() && (!is_local || !local.is_empty());
        let (inside, outside) = (some(self.internal_local), some(self.external_local));

        let mut lead = |map: &'static str, key: Vec<Value>, verdict: Verdict| {
            part.elements.insert((map.into(), key), Some(verdict));
        };
        match inside {
            true => lead(
                SERVICES,
                self.front(self.service.address),
                Verdict::Goto(internal.clone()),
            ),
            false => lead(NO_ENDPOINTS, self.front(self.service.address), self.refusal()),
        }
        for address in &addresses {
            if !all.is_empty() {
                lead(SERVICES, self.front(*address), Verdict::Goto(external.clone()));
            }
            if !outside {
                lead(NO_ENDPOINTS, self.front(*address), self.refusal());
            }
        }
        if let Some(number) = node_port {
            let key = vec![self.port.protocol.into(), number.into()];
            if !all.is_empty() {
                lead(NODE_PORTS, key.clone(), Verdict::Goto(external.clone()));
            }
            if !outside {
                lead(NO_ENDPOINTS_NODE, key, self.refusal());
            }
        }

        if !all.is_empty() {
            let has_outside = node_port.is_some() || !addresses.is_empty();
            self.chains(has_outside.then_some(external), part);
        }
        self.answering(node_port, &addresses, &mut needs.answering);
    }

    /// What is done about a packet that no backend may have: refused if there is none at all, and dropped if there is one
    /// elsewhere, for the client may be told of another node.
    fn refusal(&self) -> Verdict {
        match self.backends.all.is_empty() && !self.maker.faults.has("no-endpoints-dropped") {
            true => Verdict::Goto(REJECT.into()),
            false => Verdict::Drop,
        }
    }

    fn policy_chain(&self, local: bool) -> String {
        let kind = if local { "local" } else { "service" };
        format!("{kind}-{}", self.name())
    }

    fn chains(&self, external: Option<String>, part: &mut Part) {
        let Backends { all, local } = &self.backends;
        let (of_all, of_local) = (self.policy_chain(false), self.policy_chain(true));
        // Clients on the node itself are answered by any backend, though it serves those outside by local ones only.
        let whole = !self.internal_local || external.is_some();
        let mut used: Vec<&Endpoint> = Vec::new();
        for (needed, name, backends) in [
            (whole, &of_all, all),
            (self.internal_local || self.external_local, &of_local, local),
        ] {
            if !needed || backends.is_empty() {
                continue;
            }
            part.chains.insert(name.clone(), self.balance(backends));
            let own = backends.iter().filter(|one| self.reaches_itself(one));
            let own = own.map(|one| ((HAIRPINS.into(), vec![one.address.into(); 2]), None));
            part.elements.extend(own);
            if self.has_chain(backends.len()) {
                used.extend(backends);
            }
        }
        if let Some(external) = external {
            part.chains.insert(external, self.external(&of_all, &of_local));
        }
        for endpoint in used {
            let rules = self.endpoint(endpoint, part);
            part.chains.insert(self.endpoint_name(endpoint), rules);
        }
    }

    /// Whether a chain leads to each backend, where there are so many. When any chain changes the kernel follows every way
    /// through all of them, so that what needs none has none.
    fn has_chain(&self, count: usize) -> bool {
        count > FEW || self.affinity.is_some() || self.maker.faults.has("source-lost")
    }

    /// Whether it could be sent to itself here: it would answer itself directly, and wait for an answer of the Service. Pods of
    /// other nodes are sent to themselves there, and the node itself is a stranger to all its Services.
    fn reaches_itself(&self, endpoint: &Endpoint) -> bool {
        self.maker.config.is_of_pod(endpoint.address) && !self.maker.faults.has("hairpin-not-masqueraded")
    }

    fn lead(&self, rule: Rule, endpoint: &Endpoint) -> Rule {
        rule.is(Field::Protocol, self.port.protocol)
            .dnat(endpoint.address, Some(endpoint.port))
    }

    /// The backend that a client had, or any.
    ///
    /// Any of few by a rule each, of many by a map. A map for each Service would be what kube-proxy does, but the kernel looks
    /// through all sets of a table, and through all messages of a batch, for each of them, so that the time grows with the
    /// square of their number.
    fn balance(&self, backends: &[&Endpoint]) -> Vec<Rule> {
        let mut rules = Vec::new();
        if let Some(timeout) = self.affinity {
            rules.extend(backends.iter().map(|endpoint| {
                Rule::new()
                    .in_set(&[Field::SourceAddress], &self.affinity_name(endpoint, timeout))
                    .goto(&self.endpoint_name(endpoint))
            }));
        }
        if backends.len() > FEW {
            rules.push(Rule::new().any_of(backends.iter().map(|endpoint| self.endpoint_name(endpoint))));
            return rules;
        }
        let chosen = one_in(backends.len()).zip(backends);
        rules.extend(chosen.map(|(rule, endpoint)| {
            let name = self.endpoint_name(endpoint);
            match self.has_chain(backends.len()) {
                true => rule.goto(&name),
                false => self.lead(rule, endpoint).about(&name),
            }
        }));
        rules
    }

    fn external(&self, of_all: &str, of_local: &str) -> Vec<Rule> {
        if !self.external_local {
            return vec![Rule::new().mark(MASQUERADE), Rule::new().goto(of_all)];
        }
        // Pods and the node itself are inside, whatever address they take.
        let pods = self.maker.config.pods.iter().map(|pods| {
            Rule::new()
                .within(Field::SourceAddress, pods.base, pods.prefix)
                .goto(of_all)
        });
        let mut rules: Vec<Rule> = pods.collect();
        rules.push(Rule::new().is(Field::SourceKind, OWN).mark(MASQUERADE));
        rules.push(Rule::new().is(Field::SourceKind, OWN).goto(of_all));
        if !self.backends.local.is_empty() {
            rules.push(Rule::new().goto(of_local));
        }
        rules
    }

    fn endpoint(&self, endpoint: &Endpoint, part: &mut Part) -> Vec<Rule> {
        let lost = self.maker.faults.has("source-lost");
        let mut rules: Vec<Rule> = lost.then(|| Rule::new().mark(MASQUERADE)).into_iter().collect();
        if let Some(timeout) = self.affinity {
            let name = self.affinity_name(endpoint, timeout);
            rules.push(Rule::new().remember(&[Field::SourceAddress], &name));
            let set = Set::new(&name, &[Type::Address]).remembering(timeout);
            part.sets.insert(name, set);
        }
        rules.push(self.lead(Rule::new(), endpoint));
        rules
    }

    fn answering(&self, node_port: Option<u16>, external: &[IpAddr], answering: &mut Answering) {
        if self.port.protocol != netfilter::Protocol::Udp {
            return;
        }
        let Backends { all, local } = &self.backends;
        let backends: BTreeSet<(IpAddr, u16)> = all.iter().chain(local).map(|one| one.backend()).collect();
        let addresses = external.iter().chain([&self.service.address]);
        let mut fronts: Vec<(IpAddr, u16)> = addresses.map(|address| (*address, self.port.number)).collect();
        if let Some(number) = node_port {
            fronts.extend(self.maker.config.addresses.iter().map(|address| (*address, number)));
        }
        answering.extend(fronts.into_iter().map(|front| (front, backends.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use netfilter::Family;
    use serde_json::json;

    use super::*;
    use crate::config::Subnet;

    fn subnet(base: [u8; 4], prefix: u8) -> Subnet {
        Subnet {
            base: base.into(),
            prefix,
        }
    }

    fn maker(faults: &[&str]) -> Maker {
        let faults: BTreeSet<String> = faults.iter().map(|one| (*one).to_owned()).collect();
        Maker {
            faults: Faults::new(&faults),
            config: Config {
                node: "one".into(),
                zone: None,
                family: Family::Ipv4,
                addresses: vec![[172, 30, 0, 1].into()],
                pods: vec![subnet([10, 244, 1, 0], 24)],
                direct: Vec::new(),
                services: subnet([10, 96, 0, 0], 16),
                faults,
            },
        }
    }

    fn service(more: serde_json::Value) -> Service {
        let mut spec = json!({
            "clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}],
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let object = json!({"metadata": {"name": "web", "namespace": "a"}, "spec": spec});
        Service::read(&object, Family::Ipv4).unwrap()
    }

    /// Backends by their address's last byte, on nodes of these names.
    fn backends(all: &[(u8, &str)]) -> Endpoints {
        let endpoints: Vec<_> = all
            .iter()
            .map(|(last, node)| json!({"addresses": [format!("10.244.1.{last}")], "nodeName": node}))
            .collect();
        let slice = json!({
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        });
        endpoint::read([slice].iter(), Family::Ipv4)
    }

    fn told(part: &Part) -> Vec<String> {
        let mut lines = Vec::new();
        for ((set, key), verdict) in &part.elements {
            let key: Vec<String> = key.iter().map(Value::to_string).collect();
            let verdict = verdict
                .as_ref()
                .map_or(String::new(), |verdict| format!(" : {verdict}"));
            lines.push(format!("{set} {}{verdict}", key.join(" . ")));
        }
        for (chain, rules) in &part.chains {
            lines.extend(rules.iter().map(|rule| format!("{chain}: {rule}")));
        }
        lines
    }

    #[test]
    fn a_service_with_two_backends_and_a_node_port() {
        let Needs { part, .. } = maker(&[]).needs(&service(json!({})), &backends(&[(2, "one"), (3, "two")]));
        assert_eq!(
            told(&part),
            [
                "cluster-ips 10.96.0.9",
                "hairpin-ips 10.244.1.2 . 10.244.1.2",
                "hairpin-ips 10.244.1.3 . 10.244.1.3",
                "service-ips 10.96.0.9 . tcp . 80 : goto service-a/web/tcp/http",
                "service-nodeports tcp . 30080 : goto external-a/web/tcp/http",
                "external-a/web/tcp/http: meta mark set mark and 0xffffbfff xor 0x4000",
                "external-a/web/tcp/http: goto service-a/web/tcp/http",
                "service-a/web/tcp/http: numgen random mod 2 0 meta l4proto tcp dnat to 10.244.1.2:8080",
                "service-a/web/tcp/http: meta l4proto tcp dnat to 10.244.1.3:8080",
            ]
        );
    }

    #[test]
    fn ipv6_has_the_same_rules_with_its_own_addresses() {
        let mut maker = maker(&[]);
        maker.config.family = Family::Ipv6;
        maker.config.pods = vec![Subnet {
            base: "fd00:10:244:1::".parse().unwrap(),
            prefix: 64,
        }];
        let object = json!({"metadata": {"name": "web", "namespace": "a"}, "spec": {
            "clusterIPs": ["10.96.0.9", "fd00:10:96::9"], "ports": [{"name": "http", "port": 80}],
        }});
        let slices = [("IPv4", "10.244.1.2"), ("IPv6", "fd00:10:244:1::2")].map(|(kind, address)| {
            json!({
                "addressType": kind, "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [address], "nodeName": "one"}],
            })
        });
        let service = Service::read(&object, Family::Ipv6).unwrap();
        let Needs { part, .. } = maker.needs(&service, &endpoint::read(slices.iter(), Family::Ipv6));
        assert_eq!(
            told(&part),
            [
                "cluster-ips fd00:10:96::9",
                "hairpin-ips fd00:10:244:1::2 . fd00:10:244:1::2",
                "service-ips fd00:10:96::9 . tcp . 80 : goto service-a/web/tcp/http",
                "service-a/web/tcp/http: meta l4proto tcp dnat to [fd00:10:244:1::2]:8080",
            ]
        );
    }

    #[test]
    fn only_pods_of_the_node_reach_themselves_through_it_and_few_need_no_chains() {
        let slice = json!({
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.244.1.2"]}, {"addresses": ["10.244.2.2"]}],
        });
        let endpoints = endpoint::read([slice].iter(), Family::Ipv4);
        let hairpins = |faults: &[&str]| {
            let Needs { part, .. } = maker(faults).needs(&service(json!({})), &endpoints);
            let all = told(&part).into_iter().filter(|line| line.starts_with(HAIRPINS));
            all.collect::<Vec<_>>()
        };
        assert_eq!(hairpins(&[]), ["hairpin-ips 10.244.1.2 . 10.244.1.2"]);
        assert!(hairpins(&["hairpin-not-masqueraded"]).is_empty());
        let chain = |address: &str| format!("endpoint-a/web/tcp/http__{address}/8080");
        let Needs { part, .. } = maker(&[]).needs(&service(json!({})), &endpoints);
        assert!(!part.chains.keys().any(|name| name.starts_with(ENDPOINT)));
        let comments: Vec<_> = part.chains["service-a/web/tcp/http"]
            .iter()
            .map(Rule::comment)
            .collect();
        let named = ["10.244.1.2", "10.244.2.2"].map(chain);
        assert_eq!(comments, named.each_ref().map(|name| Some(name.as_str())));
        let affine = service(json!({"sessionAffinity": "ClientIP"}));
        let Needs { part, .. } = maker(&[]).needs(&affine, &endpoints);
        assert!(named.iter().all(|name| part.chains.contains_key(name)));
    }

    #[test]
    fn each_of_few_backends_is_as_likely_as_any_other_and_many_are_a_map() {
        let told: Vec<String> = one_in(3).map(|rule| rule.to_string()).collect();
        assert_eq!(told, ["numgen random mod 3 0", "numgen random mod 2 0", ""]);
        let rules = |count: u8| {
            let all: Vec<(u8, &str)> = (2..count + 2).map(|last| (last, "one")).collect();
            let Needs { part, .. } = maker(&[]).needs(&service(json!({})), &backends(&all));
            let chains = part.chains.keys().filter(|name| name.starts_with(ENDPOINT)).count();
            (part.chains["service-a/web/tcp/http"].len(), chains)
        };
        assert_eq!(rules(8), (FEW, 0));
        assert_eq!(rules(9), (1, FEW + 1));
    }

    #[test]
    fn without_backends_clients_are_refused() {
        let Needs { part, .. } = maker(&[]).needs(&service(json!({})), &Endpoints::new());
        assert_eq!(
            told(&part),
            [
                "cluster-ips 10.96.0.9",
                "no-endpoint-nodeports tcp . 30080 : goto reject-chain",
                "no-endpoint-services 10.96.0.9 . tcp . 80 : goto reject-chain",
            ]
        );
        let broken = maker(&["no-endpoints-dropped", "node-port-closed"]);
        let Needs { part, .. } = broken.needs(&service(json!({})), &Endpoints::new());
        assert_eq!(
            told(&part),
            [
                "cluster-ips 10.96.0.9",
                "no-endpoint-services 10.96.0.9 . tcp . 80 : drop"
            ]
        );
    }

    #[test]
    fn local_policies_choose_backends_of_the_node_and_drop_where_there_are_none() {
        let local = service(json!({"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local"}));
        let chains = |part: &Part| part.chains.keys().cloned().collect::<Vec<_>>();
        let Needs { part, .. } = maker(&[]).needs(&local, &backends(&[(2, "one"), (3, "two")]));
        assert_eq!(
            chains(&part),
            [
                "external-a/web/tcp/http",
                "local-a/web/tcp/http",
                "service-a/web/tcp/http",
            ]
        );
        let external: Vec<String> = part.chains["external-a/web/tcp/http"]
            .iter()
            .map(Rule::to_string)
            .collect();
        assert_eq!(
            external,
            [
                "ip saddr 10.244.1.0/24 goto service-a/web/tcp/http",
                "fib saddr type 2 meta mark set mark and 0xffffbfff xor 0x4000",
                "fib saddr type 2 goto service-a/web/tcp/http",
                "goto local-a/web/tcp/http",
            ]
        );
        let Needs { part, .. } = maker(&[]).needs(&local, &backends(&[(3, "two")]));
        let elements = told(&part);
        assert!(
            elements.contains(&"no-endpoint-services 10.96.0.9 . tcp . 80 : drop".to_owned()),
            "{elements:?}"
        );
        assert!(
            elements.contains(&"no-endpoint-nodeports tcp . 30080 : drop".to_owned()),
            "{elements:?}"
        );
        let ignored = maker(&["local-policy-ignored"]);
        assert_eq!(
            ignored.needs(&local, &backends(&[(3, "two")])),
            maker(&[]).needs(&service(json!({})), &backends(&[(3, "two")]))
        );
    }

    #[test]
    fn affinity_is_a_set_for_each_backend() {
        let affine = service(json!({
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        }));
        let Needs { part, .. } = maker(&[]).needs(&affine, &backends(&[(2, "one"), (3, "two")]));
        let sets: Vec<_> = part.sets.keys().collect();
        assert_eq!(
            sets,
            [
                "affinity-a/web/tcp/http__10.244.1.2/8080-60s",
                "affinity-a/web/tcp/http__10.244.1.3/8080-60s"
            ]
        );
        let rules = &part.chains["service-a/web/tcp/http"];
        assert_eq!(
            rules[0].to_string(),
            "ip saddr @affinity-a/web/tcp/http__10.244.1.2/8080-60s goto endpoint-a/web/tcp/http__10.244.1.2/8080"
        );
        assert_eq!(rules.len(), 4);
        let ignored = maker(&["affinity-ignored"]).needs(&affine, &backends(&[(2, "one"), (3, "two")]));
        assert!(ignored.part.sets.is_empty());
    }

    #[test]
    fn every_fault_of_rules_changes_something() {
        let full = service(json!({
            "externalIPs": ["192.0.2.7"], "internalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
            "ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        }));
        let mut some = backends(&[(2, "one"), (3, "one")]);
        some.insert(("dns".into(), netfilter::Protocol::Udp), Vec::new());
        let mut unready = some.clone();
        for one in unready.values_mut().flatten() {
            one.ready = false;
            one.serving = false;
        }
        // These are faults of what is there for all Services, or of time.
        let elsewhere = ["wrong-port-dropped", "stale-endpoints-kept", "udp-flows-kept"];
        for (name, _, _) in crate::FAULTS.iter().filter(|(name, _, _)| !elsewhere.contains(name)) {
            let changed = [&some, &unready]
                .into_iter()
                .any(|endpoints| maker(&[name]).needs(&full, endpoints) != maker(&[]).needs(&full, endpoints));
            assert!(changed, "{name}");
        }
    }
}
