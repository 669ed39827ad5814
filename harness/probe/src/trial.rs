//! Attempts to reach something: how one ended, how many are made, and how they are told.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::net::SocketAddr;

use sys::freestanding::{
    clock,
    rustix::{fd::AsFd, io::Errno, net::getsockname},
};

use crate::{
    call::{Call, Failure},
    errno, init,
    json::Json,
    quantity,
    resolver::{self, Family},
};

/// Most bytes of a body that are told.
const TOLD: usize = 256;

/// The word for an error of a socket.
pub(crate) fn word(errno: Errno) -> &'static str {
    match errno {
        Errno::CONNREFUSED => "refused",
        Errno::TIMEDOUT => "timeout",
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => "reset",
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN => "unreachable",
        _ => "error",
    }
}

/// How an attempt ended.
pub(crate) struct Ending {
    pub(crate) word: &'static str,
    pub(crate) errno: Option<Errno>,
}

impl Ending {
    /// It went well, or in a way for which the kernel has no number.
    pub(crate) const fn plain(word: &'static str) -> Ending {
        Ending { word, errno: None }
    }

    /// The name led nowhere.
    pub(crate) const UNRESOLVED: Ending = Ending::plain("unresolved");

    /// The other side ended the connection before it had said what it was asked for.
    pub(crate) const CLOSED: Ending = Ending::plain("closed");
}

impl From<Errno> for Ending {
    fn from(errno: Errno) -> Ending {
        Ending {
            word: word(errno),
            errno: Some(errno),
        }
    }
}

/// One attempt.
pub(crate) struct Trial {
    pub(crate) target: String,
    pub(crate) address: Option<SocketAddr>,
    /// The own end.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) ending: Ending,
    /// Without the search for the address.
    pub(crate) nanoseconds: u64,
    pub(crate) status: Option<u16>,
    /// What came back, if something was waited for and came whole.
    pub(crate) body: Option<Vec<u8>>,
}

impl Trial {
    /// One whose name led nowhere.
    pub(crate) fn unresolved(target: &str) -> Trial {
        Trial {
            target: target.to_string(),
            address: None,
            source: None,
            ending: Ending::UNRESOLVED,
            nanoseconds: 0,
            status: None,
            body: None,
        }
    }
}

/// The address and port of a socket's own end.
pub(crate) fn own_end(socket: impl AsFd) -> Option<SocketAddr> {
    getsockname(socket).ok().and_then(|address| address.try_into().ok())
}

/// The address of `HOST:PORT`, or `None` if the name leads to none that the call wants.
pub(crate) fn address(call: &Call, target: &str, patience: u64) -> Result<Option<SocketAddr>, Failure> {
    let families = match call.option("family") {
        None => &[Family::V4, Family::V6][..],
        Some("IPv4") => &[Family::V4],
        Some("IPv6") => &[Family::V6],
        Some(other) => return Err(Failure::usage(format!("`{other}` is neither IPv4 nor IPv6"))),
    };
    let (host, port) = target
        .rsplit_once(':')
        .ok_or_else(|| Failure::usage(format!("`{target}` is not HOST:PORT")))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port: u16 = port
        .parse()
        .map_err(|_| Failure::usage(format!("`{port}` is not a port")))?;
    Ok(resolver::first_address(host, families, patience).map(|address| SocketAddr::new(address, port)))
}

/// How many attempts are made, and when.
pub(crate) struct Series {
    repeat: u64,
    /// From the beginning of one to that of the next, at least.
    every: u64,
    /// Time for each.
    pub(crate) timeout: u64,
    /// Time for all.
    within: Option<u64>,
}

/// Options of every verb that makes attempts.
pub(crate) const OPTIONS: [&str; 6] = ["family", "repeat", "every", "timeout", "within", "nonce"];

impl Series {
    /// What a call asks for.
    pub(crate) fn of(call: &Call) -> Result<Series, Failure> {
        let time = |name: &str| call.option(name).map(quantity::nanoseconds).transpose();
        Ok(Series {
            repeat: call.number("repeat", 1)?,
            every: time("every")?.unwrap_or(0),
            timeout: time("timeout")?.unwrap_or(2_000_000_000),
            within: time("within")?,
        })
    }

    /// Makes one attempt after the other and tells each, as long as there is time for a whole one; the last line tells how
    /// many there were. Answers whether all were made and ended with `good`.
    pub(crate) fn run(
        &self,
        call: &Call,
        good: &str,
        mut attempt: impl FnMut() -> Result<Trial, Failure>,
    ) -> Result<bool, Failure> {
        let begun = clock::monotonic();
        let end = self.within.map_or(u64::MAX, |within| begun.saturating_add(within));
        let mut told = Told::default();
        let (mut done, mut went_well) = (0, true);
        while done < self.repeat {
            let due = begun.saturating_add(done.saturating_mul(self.every));
            let left = due.saturating_sub(clock::monotonic());
            let starts = clock::monotonic().saturating_add(left);
            if done > 0 && starts.saturating_add(self.timeout) > end {
                break;
            }
            if left > 0 {
                init::idle_for(left);
            }
            let trial = attempt()?;
            went_well &= trial.ending.word == good;
            told.tell(call, &trial)?;
            done += 1;
        }
        call.line(|json| json.key("done").plain(done))?;
        Ok(went_well && done == self.repeat)
    }
}

/// The bodies that were told already: each is told once, and then only by its hash.
#[derive(Default)]
pub(crate) struct Told {
    hashes: Vec<u64>,
}

impl Told {
    /// Writes the line of one attempt.
    pub(crate) fn tell(&mut self, call: &Call, trial: &Trial) -> Result<(), Failure> {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        let hash = trial.body.as_ref().map(|body| fnv1a(body));
        let is_new = hash.is_some_and(|hash| !self.hashes.contains(&hash));
        if is_new {
            self.hashes.extend(hash);
        }
        call.line(|json| {
            json.key("target").string(&trial.target);
            optional(json, "address", text(trial.address));
            optional(json, "source", text(trial.source));
            json.key("connection").string(trial.ending.word);
            optional(json, "errno", trial.ending.errno.map(errno::name));
            json.key("wall_ns").plain(trial.nanoseconds);
            if let Some(status) = trial.status {
                json.key("status").plain(status);
            }
            if let (Some(body), Some(hash)) = (&trial.body, hash) {
                json.key("hash").string(&format!("{hash:016x}"));
                json.key("length").plain(body.len());
                if is_new {
                    json.key("body").bytes(&body[..body.len().min(TOLD)]);
                }
            }
        })
    }
}

fn optional(json: &mut Json, key: &str, value: Option<String>) {
    json.key(key).bytes_or_null(value.as_deref().map(str::as_bytes));
}

/// FNV-1a, 64 bits (RFC 9923): it tells bodies apart that were not made to collide.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
