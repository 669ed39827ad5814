//! The harness' own traffic: bytes, requests and connections by TCP between two network namespaces.
//!
//! The same code measures floors and whatever a cluster puts between two places, so that a ratio of both has nothing of the
//! generator in it. Sockets are made by a thread in the namespace that they shall be of, and stay there.

pub mod iperf3;
pub mod place;
pub mod wire;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub use place::Place;

use crate::wait;

/// For so long bytes are sent. Windows of TCP are open after a few milliseconds where nothing is far away.
pub const SENDING: Duration = Duration::from_millis(100);

/// So many requests, or connections, are one sample.
pub const EXCHANGES: u32 = 200;

/// Sent at once; `iperf3` does the same.
const PART: usize = 128 << 10;

/// Nothing takes as long as this.
const WITHIN: Duration = Duration::from_secs(30);

/// Why traffic did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something was refused.
    #[error("failed to {act}")]
    Act {
        /// What was done to what.
        act: String,
        /// What the system said.
        source: io::Error,
    },
    /// It came to no end, or to a wrong one.
    #[error("{0}")]
    Lost(String),
}

fn act(act: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Error {
    let act = act.to_string();
    move |source| Error::Act { act, source }
}

/// From where to where.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Who begins.
    pub from: Place,
    /// Who listens.
    pub to: Place,
    /// On which port; 0 is any that is free.
    pub port: u16,
    /// By what address the other end is reached; its port 0 stands for that on which it listens.
    pub address: SocketAddr,
}

/// What bytes came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carried {
    /// So many arrived.
    pub bytes: u64,
    /// 10⁹ bits a second, as the receiver saw them.
    pub rate: f64,
}

impl Ends {
    /// Both on the loopback interface of the namespace of the calling thread.
    pub fn loopback() -> Self {
        Self {
            from: Place::here(),
            to: Place::here(),
            port: 0,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }

    /// Sends for `during` on one connection.
    ///
    /// # Errors
    /// [`Error`].
    pub fn throughput(&self, during: Duration) -> Result<Carried, Error> {
        let (near, far) = self.connect()?;
        let sender = std::thread::spawn(move || -> io::Result<()> {
            let (mut near, part, began) = (near, vec![0; PART], Instant::now());
            while began.elapsed() < during {
                near.write_all(&part)?;
            }
            Ok(())
        });
        let received = receive(far);
        ended(sender)?;
        received
    }

    /// Seconds that a request of one byte and its answer take on a connection that is there: the mean of [`EXCHANGES`]. Both
    /// ends run on one CPU: where two wake each other, that is most of it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn round_trip(&self) -> Result<f64, Error> {
        let (mut near, mut far) = self.connect()?;
        let echo = std::thread::spawn(move || {
            to_one_cpu()?;
            (0..EXCHANGES).try_for_each(|_| answer(&mut far))
        });
        let asked = std::thread::spawn(move || -> io::Result<Duration> {
            to_one_cpu()?;
            let began = Instant::now();
            (0..EXCHANGES).try_for_each(|_| ask(&mut near))?;
            Ok(began.elapsed())
        });
        let took = ended(asked)?;
        ended(echo)?;
        Ok(took.as_secs_f64() / f64::from(EXCHANGES))
    }

    /// Seconds that a connection with one such request takes, from before it is made until it is closed at this end: the mean
    /// of [`EXCHANGES`], on one CPU.
    ///
    /// # Errors
    /// [`Error`].
    pub fn connection(&self) -> Result<f64, Error> {
        let listener = self.listen()?;
        let address = self.address_of(&listener)?;
        let echo = std::thread::spawn(move || {
            to_one_cpu()?;
            (0..EXCHANGES).try_for_each(|_| answer(&mut accept(&listener)?))
        });
        let asked = self.from.run(move || {
            to_one_cpu()?;
            let began = Instant::now();
            (0..EXCHANGES).try_for_each(|_| ask(&mut open(address)?))?;
            Ok(began.elapsed())
        });
        let took = asked.map_err(act(format!("make connections to {}", self.address)))?;
        ended(echo)?;
        Ok(took.as_secs_f64() / f64::from(EXCHANGES))
    }

    /// Tries for `within` until a connection comes to the other end.
    ///
    /// # Errors
    /// Why the last one did not.
    pub fn reached(&self, within: Duration) -> Result<(), Error> {
        let waited = wait::until(within, Duration::from_millis(5), || self.round_trip_of_one());
        match waited {
            wait::Waited::Done(()) => Ok(()),
            wait::Waited::TimedOut { last, .. } => Err(last),
        }
    }

    fn round_trip_of_one(&self) -> Result<(), Error> {
        let listener = self.listen()?;
        let address = self.address_of(&listener)?;
        let asked = self.from.run(move || {
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.local_addr()
        });
        let asked = asked.map_err(act(format!("connect to {}", self.address)))?;
        let is_there = wait::readable(&[listener.as_fd()], Some(Duration::from_secs(1)))[0];
        is_there
            .then_some(())
            .ok_or_else(|| Error::Lost(format!("what {asked} sent to {} came to somebody else", self.address)))
    }

    fn listen(&self) -> Result<TcpListener, Error> {
        let port = self.port;
        let listener = self.to.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
        listener.map_err(act(format!("listen on port {port}")))
    }

    fn address_of(&self, listener: &TcpListener) -> Result<SocketAddr, Error> {
        let mut address = self.address;
        if address.port() == 0 {
            let own = listener.local_addr().map_err(act("read an address"))?;
            address.set_port(own.port());
        }
        Ok(address)
    }

    /// Both ends of a connection.
    fn connect(&self) -> Result<(TcpStream, TcpStream), Error> {
        let listener = self.listen()?;
        let address = self.address_of(&listener)?;
        let near = self.from.run(move || open(address));
        let near = near.map_err(act(format!("connect to {address}")))?;
        let far = accept(&listener).map_err(act(format!("accept a connection to {address}")))?;
        Ok((near, far))
    }
}

/// Opens a connection that waits for nothing.
fn open(address: SocketAddr) -> io::Result<TcpStream> {
    bounded(TcpStream::connect_timeout(&address, WITHIN)?)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    if !wait::readable(&[listener.as_fd()], Some(WITHIN))[0] {
        return Err(io::ErrorKind::TimedOut.into());
    }
    bounded(listener.accept()?.0)
}

fn bounded(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    let mut byte = [7];
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)
}

fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    stream.write_all(&byte)
}

/// Reads until the other end closes. The first bytes only begin the time.
fn receive(far: TcpStream) -> Result<Carried, Error> {
    let (first, bytes, took) = drained(far).map_err(act("receive"))?;
    if bytes == 0 {
        return Err(Error::Lost("nothing arrived".into()));
    }
    Ok(Carried {
        bytes: bytes + first,
        rate: bytes as f64 * 8.0 / took.as_secs_f64() / 1e9,
    })
}

/// Bytes of the first read, bytes after it, and how long these took.
fn drained(mut far: TcpStream) -> io::Result<(u64, u64, Duration)> {
    let mut part = vec![0; PART];
    let first = far.read(&mut part)? as u64;
    let (mut bytes, began) = (0, Instant::now());
    loop {
        match far.read(&mut part)? {
            0 => return Ok((first, bytes, began.elapsed())),
            more => bytes += more as u64,
        }
    }
}

/// Moves this thread to the first CPU that it may use.
fn to_one_cpu() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(first.unwrap_or_default());
    Ok(sched_setaffinity(None, &one)?)
}

fn ended<R>(thread: std::thread::JoinHandle<io::Result<R>>) -> Result<R, Error> {
    let ended = thread
        .join()
        .map_err(|_| Error::Lost("the other end of a connection ended early".into()))?;
    ended.map_err(act("exchange bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_carries_bytes_requests_and_connections() {
        let ends = Ends::loopback();
        let carried = ends.throughput(Duration::from_millis(5)).unwrap();
        assert!(carried.rate > 0.0 && carried.bytes >= PART as u64, "{carried:?}");
        assert!(ends.round_trip().unwrap() > 0.0);
        assert!(ends.connection().unwrap() > 0.0);
        ends.reached(Duration::from_secs(5)).unwrap();
    }
}
