//! L10 and L12: TCP on the loopback interface of the guard, where nothing but the kernel is between both ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{Error, act};

/// What is sent for a sample of L10.
const BYTES: usize = 32 << 20;

/// At once.
const PART: usize = 128 << 10;

/// Requests for a sample of L12.
const REQUESTS: u32 = 500;

/// Nothing takes as long as this.
const WITHIN: Duration = Duration::from_secs(30);

/// Bits that one connection carries, 10⁹ a second.
pub(super) fn throughput() -> Result<f64, Error> {
    let (mut near, far) = pair()?;
    let sender = std::thread::spawn(move || {
        let (mut far, part) = (far, vec![0; PART]);
        (0..BYTES / PART).try_for_each(|_| far.write_all(&part))
    });
    let (mut part, mut bytes) = (vec![0; PART], 0);
    let began = Instant::now();
    while bytes < BYTES {
        match near.read(&mut part).map_err(act("receive"))? {
            0 => break,
            more => bytes += more,
        }
    }
    let took = began.elapsed().as_secs_f64();
    joined(sender)?;
    Ok(bytes as f64 * 8.0 / took / 1e9)
}

/// Seconds that a request of one byte and its answer take, the mean of many.
pub(super) fn round_trip() -> Result<f64, Error> {
    let (mut near, far) = pair()?;
    let echo = std::thread::spawn(move || {
        let (mut far, mut byte) = (far, [0]);
        (0..REQUESTS).try_for_each(|_| {
            far.read_exact(&mut byte)?;
            far.write_all(&byte)
        })
    });
    let mut byte = [0];
    let began = Instant::now();
    for _ in 0..REQUESTS {
        near.write_all(&byte).map_err(act("send a request"))?;
        near.read_exact(&mut byte).map_err(act("receive an answer"))?;
    }
    let took = began.elapsed().as_secs_f64();
    joined(echo)?;
    Ok(took / f64::from(REQUESTS))
}

/// Both ends of a connection.
fn pair() -> Result<(TcpStream, TcpStream), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(act("listen on the loopback interface"))?;
    let address = listener.local_addr().map_err(act("read an address"))?;
    let near = TcpStream::connect_timeout(&address, WITHIN).map_err(act("connect"))?;
    let (far, _) = listener.accept().map_err(act("accept a connection"))?;
    for end in [&near, &far] {
        end.set_nodelay(true).map_err(act("send without delay"))?;
        end.set_read_timeout(Some(WITHIN)).map_err(act("bound a wait"))?;
        end.set_write_timeout(Some(WITHIN)).map_err(act("bound a wait"))?;
    }
    Ok((near, far))
}

fn joined(thread: std::thread::JoinHandle<io::Result<()>>) -> Result<(), Error> {
    let ended = thread
        .join()
        .map_err(|_| Error::Stays("the other end of a connection ended early".into()))?;
    ended.map_err(act("send"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_carries_bytes_and_answers() {
        assert!(super::throughput().unwrap() > 0.0);
        assert!(super::round_trip().unwrap() > 0.0);
    }
}
