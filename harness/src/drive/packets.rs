//! Steps that send packets: the probe sends them where the spec says, and tells what came of each.
//!
//! Nobody else is asked: not the subject, which would tell of itself, and not a program of the host, which looks from
//! another place. In a container or pod the probe is run by the subject's `exec`. Its lines bear a word that was not known
//! before this look, so that no older line and no other program can stand in for it.

mod line;
mod origin;
mod path;

use std::collections::BTreeMap;
use std::time::Duration;

use record::Seen;
use record::packets::{AnswerSeen, AttemptSeen};
use serde_json::{Value, json};
use spec::step::{Http, Protocol, Reach};
use spec::{Action, Check, Family, Rate, Span};

use self::origin::Origin;
use super::cluster::text;
use super::{Stuck, World};
use crate::judge::packets;
use crate::reference;

/// Time for one attempt unless the step says otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The same for a cell of a table, which is known to be blocked by nothing else.
const TIMEOUT_OF_CELL: Duration = Duration::from_secs(1);

/// Of the time of a step, what is left for the way to the probe and back.
const WAY: Duration = Duration::from_secs(1);

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// Who was to send, or what was to be reached, is not there: the checks fail.
    Absent(String),
    /// The measuring itself went wrong: the checks end in error.
    Broken(String),
}

impl From<Lack> for Seen {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Absent(what) => Self::Absent { what },
            Lack::Broken(why) => Self::Unmeasured { why },
        }
    }
}

/// The node that a step is done for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Each {
    /// Its name in the spec.
    pub(super) name: String,
    /// Its addresses, the first of them first.
    pub(super) addresses: Vec<String>,
}

impl World<'_> {
    /// Sends what a step asks for, and keeps what came of it for the checks of this look.
    pub(super) fn send_packets(&mut self, action: &Action) {
        self.transport = transport(action);
        let seen = match action {
            Action::Reach(reach) => self.table(reach),
            Action::Resolve(_) => self.for_each(action).and_then(|each| self.questions(action, &each)),
            _ => self.for_each(action).and_then(|each| self.attempts(action, &each)),
        };
        self.each = None;
        self.packets = Some(seen.unwrap_or_else(Seen::from));
    }

    /// What the step's packets came to, as one of its checks looks at it.
    pub(crate) fn packets_of(&mut self, check: &Check) -> Seen {
        let Some(mut seen) = self.packets.clone() else {
            return Seen::Unmeasured {
                why: "the step sent nothing".into(),
            };
        };
        match self.references_of(check) {
            Ok(found) => {
                if let Seen::Attempts { references, .. } | Seen::Answers { references, .. } = &mut seen {
                    *references = found;
                }
                seen
            }
            // Who sent nothing is told first.
            Err(_) if matches!(seen, Seen::Absent { .. } | Seen::Unmeasured { .. }) => seen,
            Err(what) => Seen::Absent { what },
        }
    }

    /// What the references of a check stand for now.
    ///
    /// # Errors
    /// A sentence, if one stands for nothing.
    pub(crate) fn references_of(&mut self, check: &Check) -> Result<BTreeMap<String, Value>, String> {
        let names = reference::names(&reference::expectation(check));
        let known = names.into_iter().map(|name| {
            let value = self.look_up(&name)?;
            Ok((name, value))
        });
        known.collect()
    }

    /// Whom a step is done for.
    fn for_each(&mut self, action: &Action) -> Result<Vec<Option<Each>>, Lack> {
        let each = match action {
            Action::Http(http) => http.for_each,
            Action::Dial(dial) => dial.for_each,
            Action::Resolve(resolve) => resolve.for_each,
            Action::Send(send) => send.for_each,
            _ => None,
        };
        if each.is_none() {
            return Ok(vec![None]);
        }
        let cluster = self.cluster().map_err(Lack::Broken)?;
        let nodes = cluster.list("/api/v1/nodes").map_err(Lack::Broken)?;
        let ready: Vec<Option<Each>> = nodes
            .iter()
            .filter(|node| is_ready(node))
            .filter_map(|node| {
                let addresses = internal_addresses(node);
                (!addresses.is_empty()).then(|| Each {
                    name: cluster.names.of_spec(&text(node, "/metadata/name")).to_owned(),
                    addresses,
                })
            })
            .map(Some)
            .collect();
        if ready.is_empty() {
            return Err(Lack::Absent("no node is ready".into()));
        }
        Ok(ready)
    }

    /// The action with its references resolved, for the node that it is done for.
    fn with_values(&mut self, action: &Action) -> Result<Action, Lack> {
        self.resolved(action).map_err(|stuck| match stuck {
            Stuck::Host(why) | Stuck::Subject(why) => Lack::Absent(why),
        })
    }

    fn attempts(&mut self, action: &Action, each: &[Option<Each>]) -> Result<Seen, Lack> {
        let mut list = Vec::new();
        let mut wanted = 0;
        let time = self.step_time();
        // The first attempt of each is made in any case.
        let within = time.saturating_sub(WAY.min(time / 5)) / each.len().max(1) as u32;
        for each in each {
            self.each.clone_from(each);
            let asked = Attempts::of(&self.with_values(action)?)?;
            let origin = self.origin(&asked.from, asked.container.as_deref())?;
            let mut argv = asked.argv;
            argv.push(format!("--within={}", exact(within)));
            let lines = self.probe(&origin, &argv)?;
            wanted += u64::from(asked.repeat);
            list.extend(line::attempts(&lines).into_iter().map(|attempt| AttemptSeen {
                from: asked.from.clone(),
                to: asked.to.clone(),
                node: each.as_ref().map(|each| each.name.clone()),
                ..attempt
            }));
        }
        Ok(Seen::Attempts {
            list,
            wanted,
            references: BTreeMap::new(),
        })
    }

    fn questions(&mut self, action: &Action, each: &[Option<Each>]) -> Result<Seen, Lack> {
        let mut list = Vec::new();
        for each in each {
            self.each.clone_from(each);
            let Action::Resolve(resolve) = self.with_values(action)? else {
                return Err(Lack::Broken("an action was lost".into()));
            };
            let origin = self.origin(&resolve.from, resolve.container.as_deref())?;
            let mut argv = vec!["resolve".to_owned(), resolve.name.clone()];
            argv.extend(resolve.kind.map(|kind| format!("--type={}", kind.word())));
            argv.extend(resolve.server.as_ref().map(|server| format!("--server={server}")));
            argv.extend(resolve.tcp.then(|| "--tcp".to_owned()));
            argv.push(format!("--timeout={}", timeout(resolve.timeout, TIMEOUT)));
            let lines = self.probe(&origin, &argv)?;
            let answers = lines.iter().filter_map(line::answer).map(|answer| AnswerSeen {
                from: resolve.from.value.clone(),
                name: resolve.name.clone(),
                node: each.as_ref().map(|each| each.name.clone()),
                ..answer
            });
            list.extend(answers);
        }
        Ok(Seen::Answers {
            list,
            references: BTreeMap::new(),
        })
    }

    /// Dials from each to each, all of one row at the same time.
    fn table(&mut self, reach: &Reach) -> Result<Seen, Lack> {
        let mut addresses = Vec::new();
        for to in &reach.to {
            let written = match reach.port {
                Some(port) if !to.value.contains(':') => json!(pod_address(&to.value, reach.family, port)),
                _ => json!(to.value),
            };
            let mut address = written;
            self.resolve(&mut address).map_err(|stuck| match stuck {
                Stuck::Host(why) | Stuck::Subject(why) => Lack::Absent(why),
            })?;
            addresses.push(address.as_str().unwrap_or_default().to_owned());
        }
        let mut list = Vec::new();
        for from in &reach.from {
            let origin = self.origin(&from.value, None)?;
            let mut argv = vec!["dial".to_owned()];
            argv.extend(addresses.iter().cloned());
            argv.extend(reach.protocol.map(protocol));
            argv.extend(reach.family.map(of_family));
            argv.push(format!("--timeout={}", timeout(reach.timeout, TIMEOUT_OF_CELL)));
            let lines = self.probe(&origin, &argv)?;
            let cells = line::attempts(&lines);
            list.extend(cells.into_iter().zip(&reach.to).map(|(attempt, to)| AttemptSeen {
                from: from.value.clone(),
                to: to.value.clone(),
                ..attempt
            }));
        }
        Ok(Seen::Attempts {
            list,
            wanted: (reach.from.len() * reach.to.len()) as u64,
            references: BTreeMap::new(),
        })
    }

    /// Runs the probe there and reads its lines.
    fn probe(&mut self, origin: &Origin, argv: &[String]) -> Result<Vec<line::Line>, Lack> {
        self.questions += 1;
        let nonce = format!("{}.{}", self.job.nonce, self.questions);
        let mut argv = argv.to_vec();
        argv.push(format!("--nonce={nonce}"));
        let said = self.run_probe(origin, &argv)?;
        line::read(&said.stdout, &nonce).map_err(|told| match told {
            // The probe was there and told why it did nothing.
            _ if said.stderr.starts_with("probe: ") => Lack::Broken(said.stderr.trim().to_owned()),
            0 => self.no_probe(origin, &said),
            told => Lack::Broken(format!("the probe in {origin} was cut off after {told} lines")),
        })
    }

    /// Time for a step.
    pub(super) fn step_time(&self) -> Duration {
        let step = self.job.case.spec.timeouts.step;
        step.map_or(Duration::from_secs(10), |span| span.0)
    }
}

/// What a step asks the probe to try.
struct Attempts {
    from: String,
    container: Option<String>,
    to: String,
    repeat: u32,
    argv: Vec<String>,
}

impl Attempts {
    fn of(action: &Action) -> Result<Self, Lack> {
        let (from, container, to, family, repeat, rate, patience) = match action {
            Action::Http(http) => (
                &http.from,
                &http.container,
                &http.url,
                http.family,
                http.repeat,
                http.rate,
                http.timeout,
            ),
            Action::Dial(dial) => (
                &dial.from,
                &dial.container,
                &dial.address,
                dial.family,
                dial.repeat,
                dial.rate,
                dial.timeout,
            ),
            Action::Send(send) => (
                &send.from,
                &send.container,
                &send.address,
                send.family,
                send.repeat,
                send.rate,
                send.timeout,
            ),
            other => return Err(Lack::Broken(format!("`{}` sends nothing", other.key()))),
        };
        let repeat = repeat.unwrap_or(1);
        let mut argv = vec![action.key().to_owned(), to.clone()];
        match action {
            Action::Http(http) => argv.extend(of_http(http)),
            Action::Dial(dial) => {
                argv.extend(dial.protocol.map(protocol));
                argv.extend(dial.send.as_ref().map(|text| format!("--send={text}")));
            }
            Action::Send(send) => {
                argv.extend(send.protocol.map(protocol));
                argv.push(format!("--data={}", send.data));
            }
            _ => {}
        }
        argv.extend(family.map(of_family));
        argv.push(format!("--repeat={repeat}"));
        argv.extend(
            rate.map(Rate::interval)
                .map(|every| format!("--every={}", exact(every))),
        );
        argv.push(format!("--timeout={}", timeout(patience, TIMEOUT)));
        Ok(Self {
            from: from.value.clone(),
            container: container.clone(),
            to: to.clone(),
            repeat,
            argv,
        })
    }
}

fn of_http(http: &Http) -> impl Iterator<Item = String> {
    let method = http.method.as_ref().map(|method| format!("--method={method}"));
    let headers = http
        .headers
        .iter()
        .map(|(name, value)| format!("--header={name}: {value}"));
    let body = http.body.as_ref().map(|body| format!("--body={body}"));
    method.into_iter().chain(headers).chain(body)
}

/// By what an action sends.
fn transport(action: &Action) -> &'static str {
    let told = match action {
        Action::Dial(dial) => dial.protocol,
        Action::Reach(reach) => reach.protocol,
        Action::Send(send) => Some(send.protocol.unwrap_or(Protocol::Udp)),
        _ => None,
    };
    told.unwrap_or(Protocol::Tcp).word()
}

fn of_family(family: Family) -> String {
    format!("--family={}", family.word())
}

fn protocol(protocol: Protocol) -> String {
    format!("--protocol={}", protocol.word())
}

fn timeout(given: Option<Span>, usual: Duration) -> String {
    exact(given.map_or(usual, |span| span.0))
}

/// A time as the probe reads it.
fn exact(time: Duration) -> String {
    format!("{}ns", time.as_nanos())
}

/// What came of packets, a line each, for people.
pub(super) fn table(seen: &Seen) -> String {
    let lines: Vec<String> = match seen {
        Seen::Attempts { list, .. } => list.iter().map(packets::told).collect(),
        Seen::Answers { list, .. } => list.iter().map(packets::answers::told).collect(),
        Seen::Absent { what } => vec![what.clone()],
        Seen::Unmeasured { why } => vec![why.clone()],
        _ => Vec::new(),
    };
    lines.iter().fold(String::new(), |all, line| all + line + "\n")
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// A node's addresses in its cluster, the first of them first.
fn internal_addresses(node: &Value) -> Vec<String> {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
    let internal = addresses
        .into_iter()
        .flatten()
        .filter(|address| address["type"] == "InternalIP");
    internal.map(|address| text(address, "/address")).collect()
}

/// How the first pod of a workload is dialled.
fn pod_address(workload: &str, family: Option<Family>, port: u16) -> String {
    match family {
        None => format!("${{{workload}.podIP}}:{port}"),
        Some(Family::Ipv4) => format!("${{{workload}.podIP.IPv4}}:{port}"),
        Some(Family::Ipv6) => format!("[${{{workload}.podIP.IPv6}}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_ipv6_stand_in_brackets() {
        assert_eq!(pod_address("web", None, 80), "${web.podIP}:80");
        assert_eq!(pod_address("web", Some(Family::Ipv4), 80), "${web.podIP.IPv4}:80");
        assert_eq!(pod_address("web", Some(Family::Ipv6), 80), "[${web.podIP.IPv6}]:80");
    }

    #[test]
    fn a_node_may_have_several_addresses() {
        let node = json!({"status": {"addresses": [
            {"type": "InternalIP", "address": "172.30.0.1"}, {"type": "InternalIP", "address": "fd00:172:30::1"},
            {"type": "Hostname", "address": "a"},
        ]}});
        assert_eq!(internal_addresses(&node), ["172.30.0.1", "fd00:172:30::1"]);
        assert!(internal_addresses(&json!({})).is_empty());
    }
}
