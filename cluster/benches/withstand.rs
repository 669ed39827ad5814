//! `cargo bench --bench withstand`: what the network of the mini-cluster must withstand.
//!
//! Endpoints of 100 Services with up to 50 each come and go while clients connect: nobody is refused, and nobody comes to an
//! endpoint that has been gone for more than a second. Meanwhile the proxy ends and another takes over: a connection that is
//! there goes on. Then the table of connections is filled: who follows the path of a packet is told so. Needs root;
//! `PLIMSOLL_BENCH_SECONDS` is for how long endpoints change (10).
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::NetworkMode;
use agent::path::{Stage, Transport};
use agent::wiring::{Place, Wiring};
use apiserver::{Api, Part, Settings};
use objects::{Kind, Status, kind};
use proxy::Proxy;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SERVICES: u16 = 100;
/// Pods on each of two nodes; the first one of the first node asks.
const PODS: usize = 51;
/// Endpoints of a Service at most.
const ENDPOINTS: usize = 50;
const PORT: u16 = 8080;
/// From change to change.
const EVERY: Duration = Duration::from_millis(5);
/// For so long an endpoint that is gone may still be reached.
const GRACE: Duration = Duration::from_secs(1);
const CLIENTS: u64 = 4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("--list") {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: withstand needs root: nodes are network namespaces");
        return Ok(());
    }
    let seconds: u64 = match std::env::var("PLIMSOLL_BENCH_SECONDS") {
        _ if asked("--test") => 1,
        Ok(seconds) => seconds.parse()?,
        Err(_) => 10,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(churned(Duration::from_secs(seconds)))?;
    runtime.block_on(filled())
}

fn done<R>(thread: JoinHandle<io::Result<R>>) -> Result<R> {
    Ok(thread.join().map_err(|_| "a thread panicked")??)
}

fn served(group: &str, plural: &str) -> Result<&'static Kind> {
    Ok(kind::find(group, "v1", plural).ok_or("a kind is not served")?)
}

fn refused(status: Status) -> String {
    status.message
}

/// Numbers that are the same in each run (Knuth's linear congruential generator, MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Since when an endpoint of a Service is gone; those that are there have no time.
type Gone = Mutex<BTreeMap<(u16, usize), Option<Instant>>>;

fn address(service: u16) -> SocketAddr {
    let [high, low] = (service + 256).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, 96, high, low), 80))
}

/// What clients saw.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    stale: AtomicU64,
}

async fn churned(time: Duration) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 2, PODS).await?;
    let (client, servers) = wiring.pods().split_first().ok_or("there are pods")?;
    for (number, place) in servers.iter().enumerate() {
        serve(place, u8::try_from(number)?)?;
    }
    let api = Api::new(Settings::default()).map_err(refused)?;
    let (services, slices) = (served("", "services")?, served("discovery.k8s.io", "endpointslices")?);
    let gone: Arc<Gone> = Arc::default();
    let mut chance = Chance(5);
    let mut backends: Vec<BTreeSet<usize>> = Vec::new();
    for service in 0..SERVICES {
        let own: BTreeSet<usize> = (0..ENDPOINTS).map(|_| chance.below(servers.len())).collect();
        let name = format!("s{service}");
        let object = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": address(service).ip().to_string(), "ports": [{"port": 80}]},
        });
        api.create(services, "default", object).map_err(refused)?;
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"port": PORT}], "endpoints": endpoints(servers, &own),
        });
        api.create(slices, "default", object).map_err(refused)?;
        let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that never were have been gone for long.
        for number in 0..servers.len() {
            let since = (!own.contains(&number)).then(|| Instant::now() - 2 * GRACE);
            gone.insert((service, number), since);
        }
        backends.push(own);
    }
    let start = async || {
        let tables = proxy::Tables::new(wiring.proxied(0), wiring.netfilter(0).await?);
        Ok::<_, Box<dyn Error + Send + Sync>>(Proxy::start(api.clone(), "node-0", vec![tables]))
    };
    let mut proxy = start().await?;
    let mut lasting = lasting(client)?;

    let end = Arc::new(AtomicBool::new(false));
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| ask(client, seed, end.clone(), tally.clone(), gone.clone()))
        .collect();
    let began = Instant::now();
    let mut clock = tokio::time::interval(EVERY);
    let (mut changes, mut restarts) = (0u64, 0u32);
    while began.elapsed() < time {
        clock.tick().await;
        let service = chance.below(usize::from(SERVICES));
        let own = &mut backends[service];
        let mut left = Vec::new();
        for _ in 0..ENDPOINTS / 5 {
            let number = chance.below(servers.len());
            if own.len() > 1 && own.remove(&number) {
                left.push(number);
            } else {
                own.insert(number);
            }
        }
        let service = u16::try_from(service)?;
        let put = |since: Option<Instant>, numbers: &mut dyn Iterator<Item = usize>| {
            let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.for_each(|number| {
                gone.insert((service, number), since);
            });
        };
        // One that comes may be reached from the write on, one that goes until some time after it.
        put(None, &mut own.iter().copied());
        let told = endpoints(servers, own);
        let edited = api.edit(slices, "default", &format!("s{service}"), Part::Main, |slice| {
            slice["endpoints"] = told.clone();
        });
        edited.map_err(refused)?;
        put(
            Some(Instant::now()),
            &mut left.into_iter().filter(|number| !own.contains(number)),
        );
        changes += 1;
        if began.elapsed() > time.mul_f64(f64::from(restarts + 1) / 4.0) {
            drop(proxy);
            proxy = start().await?;
            restarts += 1;
            exchange(&mut lasting)?;
        }
    }
    end.store(true, Ordering::Relaxed);
    for client in clients {
        done(client)?;
    }
    exchange(&mut lasting)?;
    let (answered, failed, stale) = (
        tally.answered.load(Ordering::Relaxed),
        tally.failed.load(Ordering::Relaxed),
        tally.stale.load(Ordering::Relaxed),
    );
    println!(
        "{changes} changes of {SERVICES} Services with up to {ENDPOINTS} endpoints in {} s: {answered} connections, {failed} not \
         answered, {stale} to an endpoint that was gone for more than {} s; the proxy began anew {restarts} times, and a \
         connection that was there went on",
        time.as_secs(),
        GRACE.as_secs(),
    );
    if failed > 0 || stale > 0 || answered == 0 {
        return Err("it did not withstand".into());
    }
    Ok(())
}

fn endpoints(servers: &[Place], own: &BTreeSet<usize>) -> Value {
    let endpoint =
        |number: &usize| json!({"addresses": [servers[*number].address.to_string()], "conditions": {"ready": true}});
    own.iter().map(endpoint).collect()
}

/// Says its number on each connection, and then each byte that comes.
fn serve(place: &Place, number: u8) -> Result<()> {
    let listener = done(place.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))))?;
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut byte = [number];
                while stream.write_all(&byte).is_ok() && stream.read_exact(&mut byte).is_ok() {}
            });
        }
    });
    Ok(())
}

/// Connects to one Service after the other until the end.
fn ask(
    client: &Place,
    seed: u64,
    end: Arc<AtomicBool>,
    tally: Arc<Tally>,
    gone: Arc<Gone>,
) -> JoinHandle<io::Result<()>> {
    client.run(move || {
        let mut chance = Chance(seed);
        while !end.load(Ordering::Relaxed) {
            let service = chance.below(usize::from(SERVICES)) as u16;
            let began = Instant::now();
            let mut byte = [0];
            let asked = TcpStream::connect_timeout(&address(service), Duration::from_secs(2));
            match asked.and_then(|mut stream| stream.read_exact(&mut byte)) {
                Ok(()) => {
                    let gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
                    let since = gone.get(&(service, usize::from(byte[0]))).copied().flatten();
                    let stale = since.is_some_and(|since| since + GRACE < began);
                    tally.stale.fetch_add(u64::from(stale), Ordering::Relaxed);
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                }
                // All ports of this end are in use for a minute after so many connections.
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {}
                Err(_) => {
                    tally.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    })
}

/// A connection by a Service that is kept.
fn lasting(client: &Place) -> Result<TcpStream> {
    done(client.run(|| {
        let mut byte = [0];
        // The proxy has just begun.
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let asked = TcpStream::connect_timeout(&address(0), Duration::from_secs(1));
            let asked = asked.and_then(|mut stream| stream.read_exact(&mut byte).map(|()| stream));
            if asked.is_ok() || Instant::now() > end {
                return asked;
            }
        }
    }))
}

fn exchange(stream: &mut TcpStream) -> Result<()> {
    let mut byte = [0];
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&[42])?;
    stream.read_exact(&mut byte)?;
    match byte {
        [42] => Ok(()),
        _ => Err("a connection that was there answers something else".into()),
    }
}

/// So many flows are too many to begin for a bench.
const MOST: usize = 1 << 20;

/// As many flows as the kernel remembers, and what is said then about one that is too many.
async fn filled() -> Result<()> {
    let most = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    let most: usize = match most {
        Ok(most) => most.trim().parse()?,
        // Without the module's parameters there is nothing that could be full.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: a full table of connections: this kernel does not track any");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if most > MOST {
        println!("skipped: a full table of connections: it has room for {most}");
        return Ok(());
    }
    let wiring = Wiring::make(NetworkMode::default(), 1, 2).await?;
    let [from, to] = wiring.pods() else {
        return Err("there are two pods".into());
    };
    // Rules that ask about connections are what has them remembered.
    proxy::Tables::new(wiring.proxied(0), wiring.netfilter(0).await?).sync()?;
    serve(to, 0)?;
    crowd(from, to, most).await?;
    let address = SocketAddrV4::new(to.address, PORT);
    let asked = from.run(move || {
        Ok(TcpStream::connect_timeout(&address.into(), Duration::from_millis(500)).map_err(|error| error.kind()))
    });
    let asked = done(asked)?;
    let hops = wiring.follow(from, address, Transport::Tcp).await;
    let told = hops.iter().find(|hop| hop.stage == Stage::ConnectionTable);
    match (asked, told) {
        (Err(kind), Some(hop)) if hop.lost => {
            println!("{most} flows, then a connection: {kind}; {}: {}", hop.at, hop.told);
            Ok(())
        }
        (asked, told) => Err(format!("{most} flows, then a connection: {asked:?}; told: {told:?}").into()),
    }
}

/// Begins so many flows that the kernel does not give up for a new one: those of UDP that were answered, and go on after two
/// seconds (`nf_conntrack_proto_udp.c`, `IPS_ASSURED`). Each socket of one side talks to each of the other.
async fn crowd(from: &Place, to: &Place, flows: usize) -> Result<()> {
    let allowed = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    setrlimit(Resource::Nofile, limit)?;
    let open = |place: &Place, count: usize| {
        done(place.run(move || {
            let bind = |_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            (0..count).map(bind).collect::<io::Result<Vec<_>>>()
        }))
    };
    let side = flows.isqrt();
    let (clients, servers) = (open(from, flows.div_ceil(side))?, open(to, side)?);
    let addresses = servers
        .iter()
        .map(|server| Ok((to.address, server.local_addr()?.port())));
    let addresses: Vec<_> = addresses.collect::<io::Result<_>>()?;
    for server in &servers {
        server.set_read_timeout(Some(Duration::from_secs(5)))?;
    }
    // The last client has those that are left.
    let talks = |client: usize| side.min(flows - client * side);
    let began = Instant::now();
    let mut byte = [0];
    for (number, client) in clients.iter().enumerate() {
        for address in &addresses[..talks(number)] {
            client.send_to(&byte, address)?;
        }
        for server in &servers[..talks(number)] {
            let (_, client) = server.recv_from(&mut byte)?;
            // It is not read: it has passed through the node.
            server.send_to(&byte, client)?;
        }
    }
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(began.elapsed())).await;
    for (number, client) in clients.iter().enumerate() {
        for address in &addresses[..talks(number)] {
            client.send_to(&byte, address)?;
        }
        for server in &servers[..talks(number)] {
            server.recv_from(&mut byte)?;
        }
    }
    Ok(())
}
