//! Steps that send packets, and checks of what came back.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::{Checker, Place, expected_one_of, matcher::Field};
use crate::{
    Action, Check, Family, Rate, Span, Spanned, Step, Subject, Window,
    check::{DnsCheck, EndpointsCheck, Reachability, ResponsesCheck, cgroup::Unit},
    fault::Fault,
    node::{Extent, Node, Value},
    step::{MOST_ATTEMPTS, Reach},
    substitute::{OBJECT_PROPERTIES, Part, parts, property},
};

/// What can come of an attempt to get an answer.
pub(crate) const CONNECTIONS: &[&str] = &[
    "connected",
    "refused",
    "timeout",
    "reset",
    "closed",
    "unreachable",
    "unresolved",
    "error",
];

/// What can come of an attempt that waits for no answer.
pub(crate) const SENDINGS: &[&str] = &[
    "sent",
    "refused",
    "timeout",
    "reset",
    "unreachable",
    "unresolved",
    "error",
];

/// What the network itself can do to an attempt: who admits all of this admits everything.
pub(crate) const OUTCOMES: &[&str] = &["connected", "refused", "timeout", "reset", "unreachable"];

/// As [`OUTCOMES`], where no answer is waited for.
pub(crate) const OUTCOMES_OF_SENDING: &[&str] = &["sent", "refused", "unreachable"];

/// RFC 1035 section 4.1.1.
pub(crate) const RCODES: &[&str] = &["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"];

/// Transports of an answer.
pub(crate) const TRANSPORTS: &[&str] = &["udp", "tcp"];

/// What a reference may say of a workload of a cluster.
const OF_OBJECTS: [&str; 10] = [
    "podIP",
    "podIPs",
    "podName",
    "podNames",
    "hostIP",
    "node",
    "uid",
    "clusterIP",
    "nodePort",
    "port",
];

/// What a reference may say of a container.
const OF_CONTAINERS: [&str; 3] = ["pid", "id", "bundle"];

const NUMBER: Field = Field::Number(Unit::Number);

/// What the steps have in common.
struct Common<'s> {
    from: &'s Spanned<String>,
    container: Option<&'s str>,
    repeat: Option<u32>,
    rate: Option<Rate>,
    timeout: Option<Span>,
    for_each: bool,
}

fn common(action: &Action) -> Option<Common<'_>> {
    Some(match action {
        Action::Http(http) => Common {
            from: &http.from,
            container: http.container.as_deref(),
            repeat: http.repeat,
            rate: http.rate,
            timeout: http.timeout,
            for_each: http.for_each.is_some(),
        },
        Action::Dial(dial) => Common {
            from: &dial.from,
            container: dial.container.as_deref(),
            repeat: dial.repeat,
            rate: dial.rate,
            timeout: dial.timeout,
            for_each: dial.for_each.is_some(),
        },
        Action::Resolve(resolve) => Common {
            from: &resolve.from,
            container: resolve.container.as_deref(),
            repeat: None,
            rate: None,
            timeout: resolve.timeout,
            for_each: resolve.for_each.is_some(),
        },
        Action::Send(send) => Common {
            from: &send.from,
            container: send.container.as_deref(),
            repeat: send.repeat,
            rate: send.rate,
            timeout: send.timeout,
            for_each: send.for_each.is_some(),
        },
        _ => return None,
    })
}

impl Checker<'_> {
    /// A step that sends packets. `place` is that of the step.
    pub(super) fn packets(&mut self, action: &Action, step: &Step, place: &Place<'_>) {
        let key = action.key();
        let at = place.key(key);
        if step.expect.is_empty() && self.is_whole {
            let fault = Fault::new(place.label(key), format!("`{key}` without `expect` looks at nothing"));
            self.fault(fault.hint("say what must come of it"));
        }
        let for_each = common(action).is_some_and(|common| common.for_each);
        if let Some(common) = common(action) {
            self.common(&common, &at);
        }
        match action {
            Action::Http(http) => {
                self.url(&http.url, at.key("url").extent);
                let authority = http.url.trim_start_matches("http://").split(['/', '?']).next();
                self.family(http.family, authority.unwrap_or_default(), at.key("url").extent);
                if let Some(method) = &http.method
                    && !is_token(method)
                {
                    let fault = Fault::new(at.key("method").extent, format!("`{method}` is not a method"));
                    self.fault(fault.hint("expected one word such as `GET` or `POST`"));
                }
                for (name, value) in &http.headers {
                    let ours = ["host", "connection", "content-length", "transfer-encoding"];
                    let extent = at.key("headers").label(name);
                    if ours.contains(&name.to_ascii_lowercase().as_str()) {
                        let fault = Fault::new(extent, format!("`{name}` is written by the probe itself"));
                        self.fault(fault.hint("leave it out"));
                    } else if !is_token(name) || value.contains(['\r', '\n']) {
                        let fault = Fault::new(extent, format!("`{name}` is not a header"));
                        self.fault(fault.hint("expected a name without spaces, and a value on one line"));
                    }
                }
            }
            Action::Dial(dial) => {
                self.address(&dial.address, at.key("address").extent);
                self.family(dial.family, &dial.address, at.key("address").extent);
            }
            Action::Send(send) => {
                self.address(&send.address, at.key("address").extent);
                self.family(send.family, &send.address, at.key("address").extent);
                if send.data.is_empty() {
                    let fault = Fault::new(at.key("data").extent, "`data` is empty");
                    self.fault(fault.hint("expected at least one byte"));
                }
            }
            Action::Resolve(resolve) => {
                let bare = resolve.name.trim_end_matches('.');
                if bare.is_empty() || bare.len() > 253 || bare.contains(char::is_whitespace) {
                    let fault = Fault::new(at.key("name").extent, format!("`{}` is not a name", resolve.name));
                    self.fault(fault.hint("expected a host name, or of a PTR record an address"));
                }
            }
            Action::Reach(reach) => self.reach(reach, &at),
            _ => {}
        }
        self.references(&at, for_each);
        self.references(&place.key("expect"), for_each);
    }

    fn common(&mut self, common: &Common<'_>, at: &Place<'_>) {
        self.whence(common.from, at.key("from").extent);
        if common.container.is_some() && !self.is_for_cluster() {
            let fault = Fault::new(at.label("container"), "`container` belongs to pods");
            self.fault(fault.hint("leave it out"));
        }
        if common.for_each && !self.is_for_cluster() {
            let fault = Fault::new(at.label("forEach"), "a runtime has no nodes");
            self.fault(fault.hint("`forEach` belongs to `targets: [cluster]`"));
        }
        if let Some(repeat) = common.repeat
            && !(1..=MOST_ATTEMPTS).contains(&repeat)
        {
            let fault = Fault::new(
                at.key("repeat").extent,
                format!("{repeat} attempts in one look make no sense"),
            );
            self.fault(fault.hint(format!("expected 1 to {MOST_ATTEMPTS}")));
        }
        let step = self.step_time();
        if let (Some(rate), Some(repeat)) = (common.rate, common.repeat) {
            let needed = rate.interval().saturating_mul(repeat.saturating_sub(1));
            if needed >= step {
                let shown = Span(Duration::from_millis(needed.as_millis().try_into().unwrap_or(u64::MAX)));
                let fault = Fault::new(
                    at.key("rate").extent,
                    format!("{repeat} attempts at {rate} take {shown}, longer than the step may take"),
                );
                self.fault(fault.hint(format!("a step has {}", Span(step))));
            }
        } else if common.rate.is_some() {
            let fault = Fault::new(at.label("rate"), "one attempt has no rate");
            self.fault(fault.hint("`rate` belongs to `repeat`"));
        }
        self.patience(common.timeout, at);
    }

    fn step_time(&self) -> Duration {
        self.test.timeouts.step.map_or(DEFAULT_STEP, |span| span.0)
    }

    fn patience(&mut self, timeout: Option<Span>, at: &Place<'_>) {
        let Some(timeout) = timeout else { return };
        let step = self.step_time();
        if timeout.0 < Duration::from_millis(1) || timeout.0 >= step {
            let fault = Fault::new(
                at.key("timeout").extent,
                format!("a timeout of {timeout} makes no sense"),
            );
            self.fault(fault.hint(format!(
                "expected at least 1ms, and less than the step's {}",
                Span(step)
            )));
        }
    }

    /// Who sends: a fault unless packets can come from there.
    fn whence(&mut self, from: &str, extent: Extent) {
        match from {
            "host" if self.is_for_cluster() => {
                let fault = Fault::new(extent, "packets of a cluster do not come from `host`");
                self.fault(fault.hint("expected a workload, `node/NAME` or `outside`"));
            }
            "host" => {}
            "outside" if self.is_for_cluster() => {}
            "outside" => {
                let fault = Fault::new(extent, "a runtime has no outside");
                self.fault(fault.hint("expected a workload or `host`"));
            }
            _ => match from.strip_prefix("node/") {
                Some(_) if !self.is_for_cluster() => {
                    let fault = Fault::new(extent, "a runtime has no nodes");
                    self.fault(fault.hint("expected a workload or `host`"));
                }
                Some(node) => self.node(node, extent),
                None => {
                    self.started(from, extent);
                    if self.is_for_cluster() {
                        self.pods_of(from, extent, "from");
                    }
                }
            },
        }
    }

    fn url(&mut self, url: &str, extent: Extent) {
        let Some(rest) = url.strip_prefix("http://") else {
            let message = match url.strip_prefix("https://") {
                Some(_) => "the probe speaks no TLS".to_owned(),
                None => format!("`{url}` is not a URL of HTTP"),
            };
            self.fault(Fault::new(extent, message).hint("expected `http://HOST[:PORT][/PATH]`"));
            return;
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if is_bare(host.rsplit_once(':').map_or(host, |(host, _)| host)) {
            return self.without_brackets(host, extent);
        }
        let port = match host.strip_prefix('[') {
            Some(v6) => v6.split_once(']').and_then(|(_, rest)| rest.strip_prefix(':')),
            None => host.rsplit_once(':').map(|(_, port)| port),
        };
        if host.is_empty() || host.starts_with(':') || url.contains(char::is_whitespace) || port.is_some_and(is_no_port)
        {
            let fault = Fault::new(extent, format!("`{url}` is not a URL of HTTP"));
            self.fault(fault.hint("expected `http://HOST[:PORT][/PATH]`"));
        }
    }

    fn address(&mut self, address: &str, extent: Extent) {
        // A reference may stand for both.
        let open = address.contains("${") && !address.ends_with(|c: char| c.is_ascii_digit());
        let (host, good) = match address.rsplit_once(':') {
            Some((host, port)) => (host, !host.is_empty() && !is_no_port(port)),
            None => (address, false),
        };
        if is_bare(host) {
            self.without_brackets(address, extent);
        } else if !good && !open {
            let fault = Fault::new(extent, format!("`{address}` is not an address to connect to"));
            self.fault(fault.hint("expected `HOST:PORT`"));
        }
    }

    fn without_brackets(&mut self, address: &str, extent: Extent) {
        let fault = Fault::new(extent, format!("where does the address end in `{address}`?"));
        self.fault(fault.hint("an IPv6 address stands in brackets: `[fd00::1]:80`"));
    }

    /// A fault where an address that stands there is not of the family that is asked for.
    fn family(&mut self, family: Option<Family>, address: &str, extent: Extent) {
        let Some(family) = family else { return };
        let literal = match address.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => address.split(':').next(),
        };
        let other = literal
            .and_then(|host| host.parse::<IpAddr>().ok())
            .is_some_and(|address| !family.has(address));
        if other {
            let fault = Fault::new(extent, format!("`{address}` is no address of {}", family.word()));
            self.fault(fault.hint("`family` is for names that have several addresses: leave it out"));
        }
    }

    fn reach(&mut self, reach: &Reach, at: &Place<'_>) {
        for (key, list) in [("from", &reach.from), ("to", &reach.to)] {
            if list.is_empty() && self.is_whole {
                let fault = Fault::new(at.key(key).extent, format!("`{key}` is empty"));
                self.fault(fault.hint("a table needs a row and a column"));
            }
            for (n, name) in list.iter().enumerate() {
                if list[..n].iter().any(|other| other.value == name.value) {
                    let fault = Fault::new(at.key(key).index(n).extent, format!("`{}` stands twice", name.value));
                    self.fault(fault.hint("each row and each column has a name of its own"));
                }
            }
        }
        for (n, from) in reach.from.iter().enumerate() {
            self.whence(from, at.key("from").index(n).extent);
        }
        for (n, to) in reach.to.iter().enumerate() {
            let extent = at.key("to").index(n).extent;
            if to.value.contains(':') {
                self.address(to, extent);
                self.family(reach.family, to, extent);
            } else if !self.is_for_cluster() {
                let fault = Fault::new(extent, format!("`{}` has no address that the runtime tells", to.value));
                self.fault(fault.hint("expected `HOST:PORT`"));
            } else {
                self.started(to, extent);
                self.pods_of(to, extent, "to");
                if reach.port.is_none() && self.is_whole {
                    let fault = Fault::new(extent, format!("which port of `{}`?", to.value));
                    self.fault(fault.hint("a column that is a workload needs `port`"));
                }
            }
        }
        self.patience(reach.timeout, at);
    }

    /// A fault for each `${…}` that is known, but not here: who reads the text has told what is not known at all.
    fn references(&mut self, at: &Place<'_>, for_each: bool) {
        let mut found = Vec::new();
        if let Some(node) = at.node {
            texts(node, &mut found);
        }
        for (name, extent) in found {
            let (first, rest) = name.split_once('.').unwrap_or((&name, ""));
            if first == "node" {
                if !for_each {
                    let fault = Fault::new(extent, format!("`${{{name}}}` of which node?"));
                    self.fault(fault.hint("it belongs to a step with `forEach: node`"));
                }
                continue;
            }
            let known: &[&str] = if self.names.host_processes.iter().any(|known| known == first) {
                &["pid"]
            } else if !self.names.workloads.iter().any(|known| known == first) {
                continue;
            } else if self.is_for_cluster() {
                &OF_OBJECTS
            } else {
                &OF_CONTAINERS
            };
            let property = property(rest);
            if OBJECT_PROPERTIES.contains(&property) && !known.contains(&property) {
                let fault = Fault::new(extent, format!("`{first}` has no `{rest}` to refer to"));
                self.fault(fault.hint(format!("expected one of {}", known.join(", "))));
            }
        }
    }

    /// What a check of packets needs of its step.
    pub(super) fn viewpoint_packets(&mut self, check: &Check, step: &Step, place: &Place<'_>) {
        let key = check.subject.key();
        let wanted: &[&str] = match &check.subject {
            Subject::Connection(_) => &["dial", "http", "send"],
            Subject::Responses(_) => &["http"],
            Subject::Dns(_) => &["resolve"],
            _ => &["reach"],
        };
        if check.on.is_some() {
            let fault = Fault::new(place.label("on"), format!("`{key}` is of what the step sent"));
            self.fault(fault.hint("leave `on` out: the step says `from` where"));
        }
        let action = step.action.as_ref().map(Action::key);
        if !action.is_some_and(|action| wanted.contains(&action)) {
            let fault = Fault::new(place.label(key), format!("`{key}` of what?"));
            self.fault(fault.hint(format!("it belongs to a step with `{}`", wanted.join("`, `"))));
        }
    }

    pub(super) fn packets_check(&mut self, check: &Check, step: &Step, place: &Place<'_>) {
        let at = place.key(check.subject.key());
        match &check.subject {
            Subject::Connection(matcher) => self.matcher(matcher, Field::Word(outcomes(step).0), &at),
            Subject::Responses(responses) => self.responses(responses, step, place),
            Subject::Dns(dns) => self.dns(dns, place),
            Subject::Endpoints(endpoints) => self.endpoints(endpoints, check, place),
            Subject::Reachability(table) => {
                if let Some(Action::Reach(reach)) = &step.action {
                    self.table(table, reach, place);
                }
            }
            _ => {}
        }
    }

    fn responses(&mut self, responses: &ResponsesCheck, step: &Step, place: &Place<'_>) {
        self.says_something(*responses != ResponsesCheck::default(), "responses", place);
        let at = place.key("responses");
        self.fields(
            &at,
            &[
                ("status", responses.status.as_ref(), NUMBER),
                ("failed", responses.failed.as_ref(), NUMBER),
                ("distinctBodies", responses.distinct_bodies.as_ref(), NUMBER),
                ("bodies", responses.bodies.as_ref(), Field::List),
            ],
        );
        if let Some(latency) = &responses.latency {
            let all = [&latency.p50, &latency.p95, &latency.p99, &latency.max];
            if all.into_iter().all(Option::is_none) && self.is_whole {
                let fault = Fault::new(at.label("latency"), "`latency` expects nothing");
                self.fault(fault.hint("an empty expectation holds for everything"));
            }
            let duration = Field::Number(Unit::Duration);
            self.fields(
                &at.key("latency"),
                &[
                    ("p50", latency.p50.as_ref(), duration),
                    ("p95", latency.p95.as_ref(), duration),
                    ("p99", latency.p99.as_ref(), duration),
                    ("max", latency.max.as_ref(), duration),
                ],
            );
        }
        if let Some(spread) = &responses.spread {
            let even = at.key("spread").key("even");
            if spread.even.over < 2 {
                let fault = Fault::new(even.key("over").extent, "what goes to one is always even");
                self.fault(fault.hint("expected at least 2"));
            }
            if spread.even.confidence.is_some_and(|c| !(0.5..1.0).contains(&c)) {
                let fault = Fault::new(even.key("confidence").extent, "this is no confidence");
                self.fault(fault.hint("expected at least 0.5 and less than 1, such as 0.99"));
            }
            if spread.even.detect.is_some_and(|d| !(d > 0.0 && d <= 1.0)) {
                let fault = Fault::new(even.key("detect").extent, "this is no part of a share");
                self.fault(fault.hint("expected more than 0 and at most 1, such as 0.5"));
            }
            if matches!(step.window, Window::Eventually { .. }) {
                let fault = Fault::new(at.label("spread"), "`eventually` draws again until chance suits");
                self.fault(fault.hint("look once, in a step of its own, after one that waits until all answer"));
            }
        }
    }

    fn dns(&mut self, dns: &DnsCheck, place: &Place<'_>) {
        self.says_something(*dns != DnsCheck::default(), "dns", place);
        self.fields(
            &place.key("dns"),
            &[
                ("rcode", dns.rcode.as_ref(), Field::Word(RCODES)),
                ("addresses", dns.addresses.as_ref(), Field::List),
                ("names", dns.names.as_ref(), Field::List),
                ("records", dns.records.as_ref(), Field::List),
                ("ttl", dns.ttl.as_ref(), Field::Number(Unit::Duration)),
                ("asked", dns.asked.as_ref(), Field::Text),
                ("via", dns.via.as_ref(), Field::Word(TRANSPORTS)),
            ],
        );
    }

    fn endpoints(&mut self, endpoints: &EndpointsCheck, check: &Check, place: &Place<'_>) {
        self.says_something(*endpoints != EndpointsCheck::default(), "endpoints", place);
        self.references(&place.key("endpoints"), false);
        let of = check.on.as_ref().and_then(|on| self.manifest_of(on));
        if let Some(kind) = of.map(|manifest| manifest.kind().to_owned())
            && kind != "Service"
        {
            let message = format!("`endpoints` is of services, and this is a {kind}");
            let fault = Fault::new(place.key("on").extent, message);
            self.fault(fault.hint("expected a workload that is a Service"));
        }
        self.fields(
            &place.key("endpoints"),
            &[
                ("ready", endpoints.ready.as_ref(), Field::List),
                ("notReady", endpoints.not_ready.as_ref(), Field::List),
                ("terminating", endpoints.terminating.as_ref(), Field::List),
                ("nodes", endpoints.nodes.as_ref(), Field::List),
                ("ports", endpoints.ports.as_ref(), Field::List),
            ],
        );
    }

    /// A table has a cell for each row and column, and no others.
    fn table(&mut self, table: &Reachability, reach: &Reach, place: &Place<'_>) {
        let at = place.key("reachability");
        let names = |list: &[Spanned<String>]| -> Vec<String> {
            let unique: BTreeSet<String> = list.iter().map(|name| name.value.clone()).collect();
            unique.into_iter().collect()
        };
        let (rows, columns) = (names(&reach.from), names(&reach.to));
        for (row, cells) in &table.0 {
            if !rows.contains(row) {
                let fault = Fault::new(at.label(row), format!("unknown row `{row}`"));
                let fault = fault.hint(expected_one_of(&rows, "`from` has none"));
                self.fault(fault.suggest(row, rows.iter().map(String::as_str)));
            }
            for column in cells.keys().filter(|column| !columns.contains(column)) {
                let fault = Fault::new(at.key(row).label(column), format!("unknown column `{column}`"));
                let fault = fault.hint(expected_one_of(&columns, "`to` has none"));
                self.fault(fault.suggest(column, columns.iter().map(String::as_str)));
            }
        }
        if !self.is_whole {
            return;
        }
        for row in &rows {
            let Some(cells) = table.0.get(row) else {
                let fault = Fault::new(place.label("reachability"), format!("the table has no row `{row}`"));
                self.fault(fault.hint("what is not said is not looked at: say `connected` or `blocked`"));
                continue;
            };
            for column in columns.iter().filter(|column| !cells.contains_key(*column)) {
                let fault = Fault::new(
                    at.label(row),
                    format!("the table says nothing of `{row}` to `{column}`"),
                );
                self.fault(fault.hint("what is not said is not looked at: say `connected` or `blocked`"));
            }
        }
    }
}

/// Time for a step unless the spec says otherwise.
const DEFAULT_STEP: Duration = Duration::from_secs(10);

/// The words for what can come of a step's attempts: all, and those that the network decides.
pub(crate) fn outcomes(step: &Step) -> (&'static [&'static str], &'static [&'static str]) {
    match &step.action {
        Some(Action::Send(_)) => (SENDINGS, OUTCOMES_OF_SENDING),
        _ => (CONNECTIONS, OUTCOMES),
    }
}

/// Whether this is an IPv6 address, or a reference to one, that lacks its brackets.
fn is_bare(host: &str) -> bool {
    !host.starts_with('[') && (host.contains(':') || host.ends_with(".IPv6}"))
}

fn is_no_port(text: &str) -> bool {
    !text.contains("${") && !text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Names that stand as `${NAME}` in texts below a node, and where.
fn texts(node: &Node, found: &mut Vec<(String, Extent)>) {
    match &node.value {
        Value::Text(text) => {
            let names = parts(text).into_iter().filter_map(|part| match part {
                Part::Reference(name) => Some((name.to_owned(), node.extent)),
                Part::Literal(_) | Part::Escape | Part::Open(_) => None,
            });
            found.extend(names);
        }
        Value::List(elements) => elements.iter().for_each(|element| texts(element, found)),
        Value::Map(entries) => entries.iter().for_each(|entry| texts(&entry.node, found)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}
