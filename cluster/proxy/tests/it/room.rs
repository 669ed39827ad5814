//! Rooms: network namespaces, each with a thread that lives in it. The tests of policies have them, too.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// `CLONE_NEWNET`.
const NET: u32 = 0x4000_0000;
/// Long enough for a machine that is busy; only what is dropped takes as long.
const PATIENCE: Duration = Duration::from_millis(700);
/// Hardware address of the node's end of every pair.
const NODE_END: &str = "ee:ee:ee:ee:ee:ee";

/// Whether there can be rooms; if not, it is told why.
pub(crate) fn is_possible() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: network namespaces need root");
        return false;
    }
    if Command::new("ip").arg("-V").output().is_err() {
        eprintln!("skipped: there is no `ip` to connect network namespaces with");
        return false;
    }
    true
}

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

    /// A pair of interfaces: one of this name here, `eth0` there.
    pub(crate) fn join(&self, name: &str, other: &Self) {
        self.ip(&format!(
            "link add {name} address {NODE_END} type veth peer name eth0 netns {}",
            other.thread
        ));
        self.ip(&format!("link set {name} up"));
        other.ip("link set eth0 up");
    }

    /// Has it send on what is not for it.
    pub(crate) fn forward(&self) {
        self.run(|| {
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

/// The next datagram. A signal, or what the kernel takes for one, ends a wait that has a timeout (`signal(7)`).
pub(crate) fn hear(socket: &UdpSocket, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(datagram) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            heard => return heard,
        }
    }
}

/// One exchange over a socket that may be used again.
pub(crate) fn exchange(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> io::Result<String> {
    let mut answer = [0; 64];
    socket.send_to(b"?", (address, port))?;
    let (length, _) = hear(socket, &mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// As a node connects its pods: a routed pair, and a gateway that exists nowhere.
pub(crate) fn connect(node: &Room, place: usize, address: Ipv4Addr) -> Room {
    let room = Room::new();
    node.join(&format!("pod{place}"), &room);
    node.ip(&format!("route add {address}/32 dev pod{place}"));
    room.ip(&format!("address add {address}/32 dev eth0"));
    room.ip("route add 169.254.1.1 dev eth0 scope link");
    room.ip(&format!("neighbour add 169.254.1.1 lladdr {NODE_END} dev eth0"));
    room.ip("route add default via 169.254.1.1");
    room
}
