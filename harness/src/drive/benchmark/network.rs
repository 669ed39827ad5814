//! Bytes, requests and connections along a way through the network.
//!
//! The harness sends from the network namespaces of the cluster's pods, which it finds by the pods' own processes, with the
//! code that also measures the floors. That packets pass through the nodes is seen in the counters of these.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use record::bench::{Isolation, Sample};
use serde_json::{Value, json};
use spec::benchmark::{Benchmark, Counted, Generator, Network as Load, Path as Way, Point};

use super::Sampler;
use super::site::{PATIENCE, Shared, Site};
use crate::drive::cluster::Lack;
use crate::guard::HOME;
use crate::traffic::{self, EXCHANGES, Ends, Place, SENDING, iperf3};

/// Headers of IP and TCP without options (RFC 791, RFC 9293): no packet is shorter.
const LEAST: u64 = 40;

/// A way that is taken again and again.
pub(super) struct Network {
    ends: Ends,
    /// The nodes that everything on the way passes.
    by: Vec<Place>,
    /// Who sends in place of the harness, and how much.
    other: Option<(PathBuf, u64)>,
    isolation: Option<Isolation>,
    bits: bool,
    connections: bool,
    requests: bool,
}

impl Network {
    /// Finds both ends, and sees that one reaches the other. `cluster` is asked for a cluster if the way needs one.
    ///
    /// # Errors
    /// [`Lack`]: what is needed is not there, or does not work.
    pub(super) fn prepare(
        benchmark: &Benchmark,
        load: &Load,
        cluster: &mut dyn FnMut() -> Result<Shared, Lack>,
    ) -> Result<Self, Lack> {
        let program = match load.generator {
            Generator::BuiltIn => None,
            Generator::Iperf3 => Some(installed()?),
        };
        let lost = |error: traffic::Error| Lack::Broken(crate::chain(&error));
        let (mut ends, by) = match load.path {
            Way::Loopback => (Ends::loopback(), Vec::new()),
            Way::Veth => (traffic::wire::bare().map_err(lost)?, Vec::new()),
            way => through(&mut cluster()?.borrow_mut(), way).map_err(Lack::Broken)?,
        };
        if ends.port == 0 {
            // `iperf3` chooses none itself; nobody else listens in these namespaces.
            ends.port = PORTS[load.path as usize];
        }
        ends.reached(PATIENCE).map_err(lost)?;
        let other = match program {
            None => None,
            Some(program) => Some((program, iperf3::LONGER * ends.throughput(SENDING).map_err(lost)?.bytes)),
        };
        let measures = benchmark.measure.values();
        let rates: Vec<Counted> = measures
            .clone()
            .filter_map(|measure| measure.rate.as_ref().map(|rate| rate.value))
            .collect();
        let is_asked = |measure: &spec::Spanned<spec::benchmark::Measure>| {
            measure.from.as_ref().is_some_and(|from| from.value == Point::Request)
        };
        Ok(Self {
            isolation: match load.path {
                Way::Loopback => None,
                _ => Some(isolation(&ends)?),
            },
            bits: rates.contains(&Counted::Bits),
            connections: rates.contains(&Counted::Connections),
            requests: measures.clone().any(is_asked),
            ends,
            by,
            other,
        })
    }

    fn run(&self, sample: &mut Sample) -> Result<(), String> {
        let told = |error: traffic::Error| crate::chain(&error);
        let before = self.passed()?;
        let mut least = 0;
        if self.bits {
            let scratch = format!("{HOME}/tmp");
            let carried = match &self.other {
                None => self.ends.throughput(SENDING),
                Some((program, bytes)) => iperf3::throughput(&self.ends, *bytes, program, Path::new(&scratch)),
            };
            let carried = carried.map_err(told)?;
            least += carried.bytes;
            sample.rates.insert(Counted::Bits.name().into(), carried.rate);
        }
        if self.connections {
            let seconds = self.ends.connection().map_err(told)?;
            least += LEAST * u64::from(EXCHANGES);
            sample.rates.insert(Counted::Connections.name().into(), 1.0 / seconds);
        }
        if self.requests {
            let seconds = self.ends.round_trip().map_err(told)?;
            least += LEAST * u64::from(EXCHANGES);
            sample.points.insert(Point::Request.name().into(), 0.0);
            sample.points.insert(Point::Response.name().into(), seconds * 1e3);
        }
        for (before, after) in before.into_iter().zip(self.passed()?) {
            let passed = after.saturating_sub(before);
            if passed < least {
                return Err(format!(
                    "at least {least} bytes were sent, and {passed} passed a node on their way"
                ));
            }
        }
        Ok(())
    }

    /// Bytes that came into each node of the way so far.
    fn passed(&self) -> Result<Vec<u64>, String> {
        let counted = |node: &Place| {
            node.taken_in()
                .map_err(|error| format!("failed to read a node's counters: {error}"))
        };
        self.by.iter().map(counted).collect()
    }
}

impl Sampler for Network {
    fn take(&mut self) -> Sample {
        let mut sample = Sample {
            isolation: self.isolation.clone(),
            ..Sample::default()
        };
        sample.failure = self.run(&mut sample).err();
        sample
    }
}

/// Ports that are listened on, by way. Each has its own: where a connection by a Service and one without have the same ends,
/// the kernel must find the former another port first.
const PORTS: [u16; 6] = [8080, 8081, 8082, 8083, 8084, 8085];

/// Both ends of a way through the cluster, and the nodes that it passes.
fn through(site: &mut Site, way: Way) -> Result<(Ends, Vec<Place>), String> {
    let port = PORTS[way as usize];
    let client = site.pod("client", 0)?;
    let (name, node) = match way {
        Way::SameNode => ("near", 0),
        _ => ("far", 1),
    };
    let server = site.pod(name, node)?;
    let (from, address) = match way {
        Way::ClusterIp => {
            let made = site.object(&service("by-address", "ClusterIP", name, port))?;
            let address = made["spec"]["clusterIP"].as_str().and_then(|text| text.parse().ok());
            let address: Ipv4Addr = address.ok_or("the Service has no address")?;
            (client.place, SocketAddr::from((address, SERVED)))
        }
        Way::NodePort => {
            let made = site.object(&service("by-port", "NodePort", name, port))?;
            let number = made.pointer("/spec/ports/0/nodePort").and_then(Value::as_u64);
            let number = number.and_then(|number| u16::try_from(number).ok());
            let number = number.ok_or("the Service has no port of the nodes")?;
            (
                site.outside().clone(),
                SocketAddr::from((site.address_of_node(0)?, number)),
            )
        }
        _ => (client.place, SocketAddr::from((server.address, port))),
    };
    let nodes = 0..=node;
    let ends = Ends {
        from,
        to: server.place,
        port,
        address,
    };
    Ok((ends, nodes.map(|number| site.node(number).clone()).collect()))
}

/// Port of a Service.
const SERVED: u16 = 80;

fn service(name: &str, kind: &str, app: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": kind, "selector": {"app": app}, "ports": [{"port": SERVED, "targetPort": port}]},
    })
}

/// Whether each end has a network namespace that is neither the other's nor the harness'.
fn isolation(ends: &Ends) -> Result<Isolation, Lack> {
    let inode = |place: &Place| {
        place
            .inode()
            .map_err(|error| Lack::Broken(format!("failed to look at a network namespace: {error}")))
    };
    let (here, from, to) = (inode(&Place::here())?, inode(&ends.from)?, inode(&ends.to)?);
    let network = vec!["network".to_owned()];
    Ok(match here != from && here != to && from != to {
        true => Isolation {
            own: network,
            shared: Vec::new(),
        },
        false => Isolation {
            own: Vec::new(),
            shared: network,
        },
    })
}

fn installed() -> Result<PathBuf, Lack> {
    let path = std::env::var("PATH").unwrap_or_default();
    iperf3::find(&path).ok_or_else(|| Lack::Unmet {
        requirement: "iperf3".into(),
        seen: format!("no directory of `{path}` has a program of this name"),
    })
}
