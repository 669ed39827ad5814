//! `cargo bench --bench network`: what the network of the mini-cluster costs, beside what it is to cost.
//!
//! What is compared takes turns in one run, so that both see the same machine: packets between pods through their node's
//! wiring beside a pair of interfaces with nothing in between, a Service's address beside the pod's own. Each ratio is the
//! median of those of all rounds, of which every second one goes the other way round. That packets did pass through the node is seen in its counters, or the bench fails. Needs root; `PLIMSOLL_BENCH_ROUNDS` is how many rounds there are (15).
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::wiring::{self, Place, Wiring};
use agent::{NAME_SERVER, NetworkMode};
use apiserver::{Api, Part, Settings};
use objects::{Kind, kind};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// For so long bytes are sent in a round.
const SENDING: Duration = Duration::from_millis(200);
/// So many exchanges are a round.
const EXCHANGES: usize = 200;
/// So many changes of an endpoint.
const CHANGES: usize = 100;
const PORT: u16 = 8080;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("--list") {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: network needs root: nodes are network namespaces");
        return Ok(());
    }
    let rounds: usize = match std::env::var("PLIMSOLL_BENCH_ROUNDS") {
        _ if asked("--test") => 1,
        Ok(rounds) => rounds.parse()?,
        Err(_) => 15,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{:<62} {:>12} {:>12}", "", "seen", "to be");
    runtime.block_on(wired(rounds))?;
    runtime.block_on(carried(rounds))?;
    runtime.block_on(asked_for(rounds))?;
    runtime.block_on(programmed(rounds))?;
    runtime.block_on(changed(if rounds == 1 { 3 } else { CHANGES }))?;
    runtime.block_on(named(rounds))
}

/// A line of the table.
fn tell(what: &str, seen: &str, aim: &str, reached: bool) {
    let mark = if reached { "" } else { "  MISSED" };
    println!("{what:<62} {seen:>12} {aim:>12}{mark}");
}

/// The median of what each round saw of one beside what it saw of the other.
fn median_ratio(one: &[f64], other: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
    percentile(&mut ratios, 50)
}

fn ratio(what: &str, seen: f64, aim: f64, at_least: bool) {
    let (sign, reached) = match at_least {
        true => ("≥", seen >= aim),
        false => ("≤", seen <= aim),
    };
    tell(what, &format!("{seen:.2}"), &format!("{sign} {aim:.2}"), reached);
}

fn time(what: &str, seen: Duration, aim: Duration) {
    let milliseconds = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    tell(
        what,
        &milliseconds(seen),
        &format!("≤ {}", milliseconds(aim)),
        seen <= aim,
    );
}

/// The value that so many of a hundred do not exceed.
fn percentile<T: Copy + PartialOrd>(samples: &mut [T], of_hundred: usize) -> T {
    samples.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    samples[(samples.len() * of_hundred / 100).min(samples.len() - 1)]
}

fn done<R>(thread: JoinHandle<io::Result<R>>) -> Result<R> {
    Ok(thread.join().map_err(|_| "a thread panicked")??)
}

/// A socket that listens there.
fn listen(place: &Place, port: u16) -> Result<TcpListener> {
    done(place.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))))
}

/// Three nodes with two pods each are wired.
async fn wired(rounds: usize) -> Result<()> {
    let mut took = Vec::new();
    // The kernel takes namespaces apart behind one's back, and whoever makes some meanwhile waits for it.
    let mut kept = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        kept.push(Wiring::make(NetworkMode::default(), 3, 2).await?);
        took.push(began.elapsed());
    }
    let aim = Duration::from_millis(150);
    time("3 nodes with 6 pods are wired, median", percentile(&mut took, 50), aim);
    Ok(())
}

/// Bytes a second from one place to another, by way of these nodes, as the receiver sees them.
fn throughput(from: &Place, to: &Place, by: &[Place]) -> Result<f64> {
    let before = passed(by)?;
    let listener = listen(to, PORT)?;
    let address = SocketAddr::from((to.address, PORT));
    let taken = std::thread::spawn(move || -> io::Result<(u64, Duration)> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; 1 << 18];
        let mut bytes = stream.read(&mut buffer)? as u64;
        let began = Instant::now();
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok((bytes, began.elapsed())),
                count => bytes += count as u64,
            }
        }
    });
    let sent = from.run(move || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let buffer = vec![0; 1 << 18];
        let began = Instant::now();
        while began.elapsed() < SENDING {
            stream.write_all(&buffer)?;
        }
        Ok(())
    });
    done(sent)?;
    let (bytes, took) = taken.join().map_err(|_| "a thread panicked")??;
    for (before, after) in before.into_iter().zip(passed(by)?) {
        let passed = after - before;
        if passed < bytes {
            return Err(format!("{bytes} bytes were sent, and {passed} passed through a node on their way").into());
        }
    }
    Ok(bytes as f64 / took.as_secs_f64())
}

/// Bytes that came into each of these by any interface but the loopback, as `/proc/net/dev` has them.
fn passed(nodes: &[Place]) -> Result<Vec<u64>> {
    let counted = |node: &Place| {
        let table = done(node.run(|| std::fs::read_to_string("/proc/thread-self/net/dev")))?;
        let interfaces = table.lines().filter_map(|line| line.split_once(':'));
        let taken = interfaces.filter(|(name, _)| name.trim() != "lo");
        let taken = taken.filter_map(|(_, counters)| counters.split_whitespace().next()?.parse::<u64>().ok());
        Ok(taken.sum())
    };
    nodes.iter().map(counted).collect()
}

/// Throughput between pods beside a bare pair.
async fn carried(rounds: usize) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 2, 2).await?;
    let bare = wiring::bare().await?;
    let [near, beside, far, _] = wiring.pods() else {
        return Err("there are four pods".into());
    };
    // The rules that each node has from the start.
    for node in 0..2 {
        proxy::Tables::new(wiring.proxied(node), wiring.netfilter(node).await?).sync()?;
        policy::Tables::new(&wiring.judged(node), wiring.netfilter(node).await?).sync()?;
    }
    let nodes = [wiring.node(0), wiring.node(1)];
    let pairs = [
        (&bare[0], &bare[1], &nodes[..0]),
        (near, beside, &nodes[..1]),
        (near, far, &nodes[..]),
    ];
    let mut seen = [const { Vec::new() }; 3];
    for round in 0..rounds + 1 {
        let mut turns: Vec<_> = seen.iter_mut().zip(pairs).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (seen, (from, to, by)) in turns {
            let bytes = throughput(from, to, by)?;
            // The first one finds out who is where.
            if round > 0 {
                seen.push(bytes);
            }
        }
    }
    let [mut bare, near, far] = seen;
    let (near, far) = (median_ratio(&near, &bare), median_ratio(&far, &bare));
    println!(
        "{:<62} {:>12}",
        "  (a bare pair of interfaces, Gbit/s)",
        format!("{:.1}", percentile(&mut bare, 50) * 8e-9)
    );
    ratio("throughput pod to pod of a node / bare pair", near, 0.95, true);
    ratio("throughput pod to pod of another node / bare pair", far, 0.95, true);
    Ok(())
}

fn service(number: u16) -> Value {
    let [high, low] = (number + 256).to_be_bytes();
    json!({"metadata": {"name": format!("s{number}"), "namespace": "x"}, "spec": {
        "clusterIP": format!("10.96.{high}.{low}"), "ports": [{"port": 80}],
    }})
}

fn slice(number: u16, backends: &[Ipv4Addr]) -> Value {
    let endpoints: Vec<Value> = backends
        .iter()
        .map(|address| json!({"addresses": [address.to_string()], "conditions": {"ready": true}}))
        .collect();
    json!({
        "metadata": {
            "name": format!("s{number}"), "namespace": "x", "labels": {"kubernetes.io/service-name": format!("s{number}")},
        },
        "addressType": "IPv4", "ports": [{"port": PORT}], "endpoints": endpoints,
    })
}

/// Moves this thread to one CPU, the same for all. There, nothing but the way of a packet makes a difference; where two CPUs
/// wake each other, that is most of what an exchange takes.
fn to_one_cpu() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
    one.set(first.unwrap_or_default());
    Ok(sched_setaffinity(None, &one)?)
}

/// Seconds for one request and its response, each with a connection of its own or all on one.
fn exchange(from: &Place, to: SocketAddr, anew: bool) -> Result<f64> {
    let asked = from.run(move || -> io::Result<Duration> {
        to_one_cpu()?;
        let mut byte = [7];
        let open = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let mut stream = open()?;
        let began = Instant::now();
        for _ in 0..EXCHANGES {
            if anew {
                stream = open()?;
            }
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
        }
        Ok(began.elapsed())
    });
    Ok(done(asked)?.as_secs_f64() / EXCHANGES as f64)
}

/// Answers each byte with itself.
fn echo(place: &Place, port: u16) -> Result<()> {
    let listener = listen(place, port)?;
    std::thread::spawn(move || {
        let _slower = to_one_cpu();
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let _slower = (to_one_cpu(), stream.set_nodelay(true));
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    Ok(())
}

/// Requests by a Service's address beside the pod's own.
async fn asked_for(rounds: usize) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 2, 1).await?;
    let [client, server] = wiring.pods() else {
        return Err("there are two pods".into());
    };
    // Two ports: a client has the same port of its own for both addresses, and the kernel would have to find others for those
    // that a Service's address leads to.
    let beside = PORT + 1;
    echo(server, PORT)?;
    echo(server, beside)?;
    let direct = SocketAddr::from((server.address, beside));
    let by_service = SocketAddr::from((Ipv4Addr::new(10, 96, 1, 0), 80));
    let mut tables = proxy::Tables::new(wiring.proxied(0), wiring.netfilter(0).await?);
    for node in 0..2 {
        policy::Tables::new(&wiring.judged(node), wiring.netfilter(node).await?).sync()?;
    }
    proxy::Tables::new(wiring.proxied(1), wiring.netfilter(1).await?).sync()?;
    for (services, told) in [(1, "1 Service"), (1000, "1 000 Services")] {
        for number in 0..services {
            tables.put_service(service(number).into());
            tables.put_slice(slice(number, &[server.address]).into(), None);
        }
        tables.sync()?;
        for (anew, how) in [(false, "request/response"), (true, "connection, request, response")] {
            let mut seen = [const { Vec::new() }; 2];
            for round in 0..rounds + 1 {
                let mut turns: Vec<_> = seen.iter_mut().zip([direct, by_service]).collect();
                if round % 2 == 1 {
                    turns.reverse();
                }
                for (seen, to) in turns {
                    let seconds = exchange(client, to, anew)?;
                    if round > 0 {
                        seen.push(seconds);
                    }
                }
            }
            let [direct, by_service] = seen;
            let what = format!("{how} by ClusterIP / without, {told}");
            ratio(&what, median_ratio(&by_service, &direct), 1.3, false);
        }
    }
    Ok(())
}

/// Rules for 5 000 Services with three endpoints each, and for one of them that changes.
async fn programmed(rounds: usize) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 1, 0).await?;
    let backends = |number: u16| {
        let [high, low] = number.to_be_bytes();
        [2, 3, 4].map(|third| Ipv4Addr::new(10, 244 + third, high, low))
    };
    let mut whole = Vec::new();
    let mut one = Vec::new();
    for round in 0..rounds.div_ceil(5) {
        let mut tables = proxy::Tables::new(wiring.proxied(0), wiring.netfilter(0).await?);
        let services: Vec<Arc<Value>> = (0..5000).map(|number| service(number).into()).collect();
        let slices: Vec<Arc<Value>> = (0..5000)
            .map(|number| slice(number, &backends(number)).into())
            .collect();
        let began = Instant::now();
        for (service, slice) in services.iter().zip(&slices) {
            tables.put_service(service.clone());
            tables.put_slice(slice.clone(), None);
        }
        tables.sync()?;
        whole.push(began.elapsed());
        for number in 0..20 {
            let mut fewer = backends(number).to_vec();
            fewer.truncate(1 + round % 2);
            let new: Arc<Value> = slice(number, &fewer).into();
            let began = Instant::now();
            tables.put_slice(new, Some(&slices[usize::from(number)]));
            tables.sync()?;
            one.push(began.elapsed());
        }
    }
    let told = "5 000 Services with 3 endpoints each are programmed, median";
    time(told, percentile(&mut whole, 50), Duration::from_secs(2));
    time(
        "one of them changes, median",
        percentile(&mut one, 50),
        Duration::from_millis(20),
    );
    time(
        "one of them changes, p99",
        percentile(&mut one, 99),
        Duration::from_millis(20),
    );
    Ok(())
}

fn served(group: &str, plural: &str) -> Result<&'static Kind> {
    Ok(kind::find(group, "v1", plural).ok_or("a kind is not served")?)
}

/// From the write of an EndpointSlice to the first connection that comes to the other pod.
async fn changed(changes: usize) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 2, 2).await?;
    let [client, _, one, two] = wiring.pods() else {
        return Err("there are four pods".into());
    };
    for (place, word) in [(one, b"1"), (two, b"2")] {
        let listener = listen(place, PORT)?;
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _gone = stream.write_all(word).is_err();
            }
        });
    }
    let api = Api::new(Settings::default()).map_err(|status| status.message)?;
    let refused = |status: objects::Status| status.message;
    let slices = served("discovery.k8s.io", "endpointslices")?;
    let full = |mut object: Value, api_version: &str, kind: &str| {
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        object["metadata"]["namespace"] = "default".into();
        object
    };
    let service = full(service(0), "v1", "Service");
    api.create(served("", "services")?, "default", service)
        .map_err(refused)?;
    let first = full(slice(0, &[one.address]), "discovery.k8s.io/v1", "EndpointSlice");
    api.create(slices, "default", first).map_err(refused)?;
    let _proxy = proxy::Proxy::start(
        api.clone(),
        "node-0",
        vec![proxy::Tables::new(wiring.proxied(0), wiring.netfilter(0).await?)],
    );
    let to = SocketAddr::from((Ipv4Addr::new(10, 96, 1, 0), 80));
    let reaches = |word: u8| {
        let reached = client.run(move || -> io::Result<Instant> {
            loop {
                let mut byte = [0];
                let asked = TcpStream::connect_timeout(&to, Duration::from_secs(1));
                if asked.and_then(|mut stream| stream.read_exact(&mut byte)).is_ok() && byte == [word] {
                    return Ok(Instant::now());
                }
            }
        });
        tokio::task::spawn_blocking(move || done(reached))
    };
    reaches(b'1').await??;
    let mut took = Vec::new();
    for change in 0..changes {
        let (word, backend) = match change % 2 {
            0 => (b'2', two),
            _ => (b'1', one),
        };
        let reached = reaches(word);
        let began = Instant::now();
        api.edit(slices, "default", "s0", Part::Main, |slice| {
            slice["endpoints"][0]["addresses"][0] = backend.address.to_string().into();
        })
        .map_err(refused)?;
        took.push(reached.await??.saturating_duration_since(began));
    }
    time(
        "a changed endpoint is effective, p50",
        percentile(&mut took, 50),
        Duration::from_millis(50),
    );
    time(
        "a changed endpoint is effective, p99",
        percentile(&mut took, 99),
        Duration::from_millis(50),
    );
    Ok(())
}

/// A name is answered for a pod.
async fn named(rounds: usize) -> Result<()> {
    let wiring = Wiring::make(NetworkMode::default(), 1, 1).await?;
    let [client] = wiring.pods() else {
        return Err("there is a pod".into());
    };
    let api = Api::new(Settings::default()).map_err(|status| status.message)?;
    let mut service = service(0);
    service["apiVersion"] = "v1".into();
    service["kind"] = "Service".into();
    service["metadata"]["namespace"] = "default".into();
    api.create(served("", "services")?, "default", service)
        .map_err(|status| status.message)?;
    let names = dns::Names::new(dns::Options {
        address: IpAddr::V4(NAME_SERVER),
        faults: dns::Faults::default(),
        upstream: None,
    });
    let _following = names.follow(&api).await?;
    let (udp, tcp) = wiring.listen(0, NAME_SERVER, 53).await?;
    let _server = dns::Server::start(&names, dns::Sockets { udp, tcp })?;
    // RFC 1035, 4.1: a query with recursion desired for one name, type A, class IN.
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["s0", "default", "svc", "cluster", "local"] {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let asked = client.run(move || -> io::Result<Vec<Duration>> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.connect((NAME_SERVER, 53))?;
        let mut took = Vec::new();
        for _ in 0..rounds * 100 {
            let began = Instant::now();
            socket.send(&query)?;
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer)?;
            took.push(began.elapsed());
            // ANCOUNT: one record.
            if length < 12 || answer[6..8] != [0, 1] {
                return Err(io::Error::other("the name has no address"));
            }
        }
        Ok(took)
    });
    let mut took = tokio::task::spawn_blocking(move || done(asked)).await??;
    time(
        "a name is answered over UDP, p50",
        percentile(&mut took, 50),
        Duration::from_millis(1),
    );
    Ok(())
}
