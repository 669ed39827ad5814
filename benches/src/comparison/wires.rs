//! What containers in networks of engines carry, beside a pair of interfaces with nothing on it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use harness::traffic::{Ends, Place, wire};
use statistics::chance::Chance;

use super::{Contender, Measure};
use crate::start_latency::{Error, act};

/// For so long bytes are sent.
const SENDING: Duration = Duration::from_millis(300);

/// An engine may take so long until its network leads anywhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ways that take turns.
#[derive(Debug)]
pub(super) struct Wires(Vec<(Option<Contender>, Ends)>);

fn lost(error: harness::traffic::Error) -> Error {
    act("send traffic")(std::io::Error::other(harness::chain(&error)))
}

impl Wires {
    /// The bare pair alone.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self(vec![(None, wire::bare().map_err(lost)?)]))
    }

    /// From the container of one process to that of another.
    pub(super) fn add(&mut self, who: Contender, from: i32, to: (i32, Ipv4Addr)) -> Result<(), Error> {
        let place = |pid: i32| {
            let path = format!("/proc/{pid}/ns/net");
            Place::open(Path::new(&path)).map_err(act(format!("open `{path}`")))
        };
        let ends = Ends {
            from: place(from)?,
            to: place(to.0)?,
            port: 0,
            address: (to.1, 0).into(),
        };
        ends.reached(PATIENCE).map_err(lost)?;
        self.0.push((Some(who), ends));
        Ok(())
    }

    /// A sample of each.
    pub(super) fn lines(&mut self, chance: &mut Chance) -> Result<Vec<String>, Error> {
        chance.shuffle(&mut self.0);
        let sent = self.0.iter().map(|(who, ends)| {
            let rate = ends.throughput(SENDING).map_err(lost)?.rate;
            Ok(match who {
                Some(who) => format!("sample {} {} {rate}", Measure::Throughput.name(), who.name()),
                None => format!("floor L11 {rate}"),
            })
        });
        sent.collect()
    }
}
