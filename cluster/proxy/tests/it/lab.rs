//! A node with pods, and a machine outside: each a network namespace with a thread that lives in it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use netfilter::Netfilter;
use proxy::{Config, Subnet, Tables};
use serde_json::{Value, json};

/// `CLONE_NEWNET`.
const NET: u32 = 0x4000_0000;
/// Long enough for a machine that is busy; only what is dropped takes as long.
const PATIENCE: Duration = Duration::from_millis(700);

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 254);

type Errand = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own.
pub(crate) struct Room {
    errands: mpsc::Sender<Errand>,
    thread: i32,
}

impl Room {
    pub(crate) fn new() -> Self {
        let (errands, inbox) = mpsc::channel::<Errand>();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            sys::namespace::unshare(NET).unwrap();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            inbox.into_iter().for_each(|errand| errand());
        });
        let room = Self {
            errands,
            thread: told.recv().unwrap(),
        };
        room.ip("link set lo up");
        room
    }

    pub(crate) fn run<R: Send + 'static>(&self, errand: impl FnOnce() -> R + Send + 'static) -> R {
        let (tell, told) = mpsc::channel();
        self.errands
            .send(Box::new(move || {
                let _gone = tell.send(errand()).is_err();
            }))
            .unwrap();
        told.recv().expect("the errand came to its end")
    }

    pub(crate) fn ip(&self, words: &str) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let done = self.run(move || Command::new("ip").args(&words).output().unwrap());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Answers each connection with a name and the address that it comes from.
    pub(crate) fn serve(&self, name: &'static str, port: u16) {
        let listener = self.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answered = stream.and_then(|mut stream| {
                    let from = stream.peer_addr()?.ip();
                    stream.write_all(format!("{name} {from}").as_bytes())
                });
                let _gone = answered.is_err();
            }
        });
    }

    /// Answers each datagram with a name.
    pub(crate) fn answer(&self, name: &'static str, port: u16) {
        let socket = self.run(move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        std::thread::spawn(move || {
            let mut datagram = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut datagram) {
                let _gone = socket.send_to(name.as_bytes(), from).is_err();
            }
        });
    }

    /// What is answered there.
    pub(crate) fn dial(&self, address: Ipv4Addr, port: u16) -> io::Result<String> {
        self.run(move || {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })
    }

    /// How a connection there fails.
    pub(crate) fn failure(&self, address: Ipv4Addr, port: u16) -> io::ErrorKind {
        self.dial(address, port).expect_err("nobody is there").kind()
    }

    pub(crate) fn udp(&self) -> UdpSocket {
        self.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        })
    }
}

/// One exchange over a socket that may be used again.
pub(crate) fn exchange(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> io::Result<String> {
    let mut answer = [0; 64];
    socket.send_to(b"?", (address, port))?;
    let (length, _) = socket.recv_from(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

pub(crate) struct Lab {
    pub(crate) node: Room,
    pub(crate) outside: Room,
    pub(crate) pods: Vec<Room>,
    pub(crate) tables: Tables,
}

/// The address of a pod by its place.
pub(crate) fn pod(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, 2 + u8::try_from(place).unwrap())
}

pub(crate) fn config(faults: &[&str]) -> Config {
    let subnet = |base: [u8; 4], prefix| Subnet {
        base: base.into(),
        prefix,
    };
    Config {
        node: "one".into(),
        zone: None,
        addresses: vec![NODE],
        pods: vec![subnet([10, 244, 1, 0], 24)],
        direct: vec![subnet([10, 244, 0, 0], 16), subnet([172, 30, 0, 0], 24)],
        services: subnet([10, 96, 0, 0], 16),
        faults: faults.iter().map(|one| (*one).to_owned()).collect(),
    }
}

impl Lab {
    /// `None`, and why, where there cannot be one.
    pub(crate) fn new(pods: usize, faults: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        if Command::new("ip").arg("-V").output().is_err() {
            eprintln!("skipped: there is no `ip` to connect network namespaces with");
            return None;
        }
        let (node, outside) = (Room::new(), Room::new());
        node.run(|| {
            for (file, value) in [
                ("ip_forward", "1"),
                ("conf/all/rp_filter", "0"),
                ("conf/default/rp_filter", "0"),
                ("conf/all/send_redirects", "0"),
                ("conf/default/send_redirects", "0"),
            ] {
                std::fs::write(format!("/proc/sys/net/ipv4/{file}"), value).unwrap();
            }
        });
        node.ip(&format!(
            "link add e0 type veth peer name eth0 netns {}",
            outside.thread
        ));
        node.ip("link set e0 up");
        node.ip(&format!("address add {NODE}/24 dev e0"));
        node.ip(&format!("route add default via {OUTSIDE}"));
        outside.ip("link set eth0 up");
        outside.ip(&format!("address add {OUTSIDE}/24 dev eth0"));
        outside.ip(&format!("route add 10.0.0.0/8 via {NODE}"));
        outside.ip("address add 198.51.100.1/32 dev lo");
        let pods = (0..pods).map(|place| connect(&node, place)).collect();
        let socket = node.run(|| Netfilter::open().unwrap());
        Some(Self {
            node,
            outside,
            pods,
            tables: Tables::new(config(faults), socket),
        })
    }

    /// Writes a Service with these backends, and whatever else there is.
    pub(crate) fn put(&mut self, name: &str, spec: Value, backends: &[(usize, u16)]) {
        self.tables.put_service(service(name, spec).into());
        self.endpoints(name, backends);
    }

    /// Other backends for a Service: pods by place, and their port.
    pub(crate) fn endpoints(&mut self, name: &str, backends: &[(usize, u16)]) {
        let addresses: Vec<_> = backends.iter().map(|(place, _)| pod(*place)).collect();
        let port = backends.first().map_or(8080, |(_, port)| *port);
        self.tables.put_slice(slice(name, &addresses, port, "one"), None);
        self.tables.sync().unwrap();
    }
}

pub(crate) fn service(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec})
}

/// Backends of a port without a name, by TCP and UDP.
pub(crate) fn slice(service: &str, addresses: &[Ipv4Addr], port: u16, node: &str) -> Arc<Value> {
    let endpoint = |address: &Ipv4Addr| json!({"addresses": [address.to_string()], "nodeName": node});
    Arc::new(json!({
        "metadata": {"name": service, "namespace": "a", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"port": port, "protocol": "TCP"}, {"port": port, "protocol": "UDP"}],
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(),
    }))
}

/// As a node connects its pods: a routed pair, and a gateway that exists nowhere.
fn connect(node: &Room, place: usize) -> Room {
    let (room, address) = (Room::new(), pod(place));
    let mac = "ee:ee:ee:ee:ee:ee";
    node.ip(&format!(
        "link add pod{place} address {mac} type veth peer name eth0 netns {}",
        room.thread
    ));
    node.ip(&format!("link set pod{place} up"));
    node.ip(&format!("route add {address}/32 dev pod{place}"));
    room.ip("link set eth0 up");
    room.ip(&format!("address add {address}/32 dev eth0"));
    room.ip("route add 169.254.1.1 dev eth0 scope link");
    room.ip(&format!("neighbour add 169.254.1.1 lladdr {mac} dev eth0"));
    room.ip("route add default via 169.254.1.1");
    room
}
