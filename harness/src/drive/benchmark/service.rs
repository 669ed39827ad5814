//! A Service whose one endpoint becomes another pod: from the request that changes its EndpointSlice to the first connection
//! by the Service's address that comes there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kubernetes::Patch;
use record::bench::Sample;
use serde_json::{Value, json};
use spec::benchmark::{Point, Service as Load};

use super::Sampler;
use super::site::{PATIENCE, Pod, Shared, Site};
use crate::traffic::Place;
use crate::wait::{self, Waited};

const PORT: u16 = 8090;

/// From one connection to the next, so that whoever programs the change has a CPU, too.
const EVERY: Duration = Duration::from_micros(200);

/// A pod that can be behind the Service, and what it says.
struct Backend {
    address: Ipv4Addr,
    word: u8,
}

/// The Service.
pub(super) struct Service {
    site: Shared,
    /// Path of its EndpointSlice.
    slice: String,
    client: Place,
    address: SocketAddr,
    /// The first is there now.
    backends: [Backend; 2],
}

impl Service {
    /// Makes it, and those beside it, and sees that it leads to its first backend.
    ///
    /// # Errors
    /// What is not there or does not work, in a sentence.
    pub(super) fn prepare(load: &Load, shared: &Shared) -> Result<Self, String> {
        let mut borrowed = shared.borrow_mut();
        let site = &mut *borrowed;
        let client = site.pod("client", 0)?.place;
        let backends = [("far", b'1'), ("other", b'2')].map(|(name, word)| {
            let pod = site.pod(name, 1)?;
            say(&pod, word)?;
            Ok::<_, String>(Backend {
                address: pod.address,
                word,
            })
        });
        let [one, two] = backends;
        let backends = [one?, two?];
        for number in 0..load.others {
            make(site, &format!("other-{number}"), backends[0].address)?;
        }
        let address = make(site, "changed", backends[0].address)?;
        let made = Self {
            site: shared.clone(),
            slice: format!(
                "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices/changed",
                site.namespace()
            ),
            client,
            address: (address, PORT).into(),
            backends,
        };
        made.reaches(made.backends[0].word)?;
        Ok(made)
    }

    /// When a connection first came to the backend that says this.
    fn reaches(&self, word: u8) -> Result<Instant, String> {
        let address = self.address;
        let reached = self.client.run(move || reached(address, word));
        reached.map_err(|error| format!("{address} does not lead to the endpoint that it has: {error}"))
    }

    fn run(&self) -> Result<f64, String> {
        let next = &self.backends[1];
        let change = json!({"endpoints": [endpoint(next.address)]});
        let site = self.site.borrow();
        std::thread::scope(|scope| {
            let (client, address, word) = (&self.client, self.address, next.word);
            let connecting = scope.spawn(move || client.run(move || reached(address, word)));
            let began = Instant::now();
            let changed = site.client().patch(&self.slice, &Patch::Merge(&change));
            let reached = connecting.join().map_err(|_| "a thread of the harness ended early")?;
            changed.map_err(|error| crate::chain(&error))?;
            let reached = reached.map_err(|error| format!("the new endpoint is not reached: {error}"))?;
            Ok(reached.saturating_duration_since(began).as_secs_f64() * 1e3)
        })
    }
}

impl Sampler for Service {
    fn take(&mut self) -> Sample {
        let mut sample = Sample::default();
        match self.run() {
            Ok(took) => {
                sample.points.insert(Point::Change.name().into(), 0.0);
                sample.points.insert(Point::Effective.name().into(), took);
            }
            Err(failure) => sample.failure = Some(failure),
        }
        self.backends.swap(0, 1);
        sample
    }
}

/// Connects until somebody says this.
fn reached(address: SocketAddr, word: u8) -> io::Result<Instant> {
    let look = || -> Result<Instant, io::Error> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut said = [0];
        stream.read_exact(&mut said)?;
        match said == [word] {
            true => Ok(Instant::now()),
            false => Err(io::Error::other("the other endpoint answers")),
        }
    };
    match wait::until(PATIENCE, EVERY, look) {
        Waited::Done(at) => Ok(at),
        Waited::TimedOut { last, .. } => Err(last),
    }
}

/// Says a word to each who connects to the pod, until the guard ends.
fn say(pod: &Pod, word: u8) -> Result<(), String> {
    let listener = pod.place.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)));
    let listener = listener.map_err(|error| format!("failed to listen in a pod: {error}"))?;
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Who has gone has no use for it.
            let _gone = stream.write_all(&[word]);
        }
    });
    Ok(())
}

/// A Service without a selector, and its EndpointSlice; answers the address.
fn make(site: &mut Site, name: &str, backend: Ipv4Addr) -> Result<Ipv4Addr, String> {
    let made = site.object(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": PORT}]},
    }))?;
    site.object(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "", "port": PORT, "protocol": "TCP"}], "endpoints": [endpoint(backend)],
    }))?;
    let address = made["spec"]["clusterIP"].as_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| format!("Service {name} has no address"))
}

fn endpoint(address: Ipv4Addr) -> Value {
    json!({"addresses": [address], "conditions": {"ready": true}})
}
