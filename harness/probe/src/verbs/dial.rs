//! `dial`: connects, says something and waits for an answer. `send`: says something and waits for none.

use alloc::{string::ToString as _, vec::Vec};
use core::net::SocketAddr;

use sys::freestanding::{
    clock,
    rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        fd::OwnedFd,
        io::Errno,
        net::{
            RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, connect, recv, send as send_to, shutdown,
            socket_with, sockopt::socket_error,
        },
    },
};

use crate::{
    call::{Call, Failure},
    connection,
    trial::{self, Ending, OPTIONS, Series, Told, Trial},
};

/// What a datagram says if nobody says otherwise: an answer to nothing would be none.
const HELLO: &[u8] = b"plimsoll\n";

/// Most bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// A transport.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn of(call: &Call, usual: &str) -> Result<Protocol, Failure> {
        match call.option("protocol").unwrap_or(usual) {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            _ => Err(Failure::usage("`--protocol` is neither tcp nor udp")),
        }
    }
}

/// Connects to one after the other of several attempts, or to several addresses at the same time, and tells how that ended.
pub(super) fn dial(call: &Call) -> Result<u8, Failure> {
    call.only(&[&OPTIONS[..], &["protocol", "send"][..]].concat())?;
    call.word(0, "HOST:PORT")?;
    let protocol = Protocol::of(call, "tcp")?;
    let says = call.option("send").map(str::as_bytes);
    let series = Series::of(call)?;
    let targets: Vec<&str> = call.words().collect();
    let all_good = match targets.as_slice() {
        [only] => series.run(call, "connected", || {
            let mut open = [Open::begin(call, only, protocol, says, series.timeout)?];
            settle(&mut open)?;
            let [open] = open;
            Ok(open.into_trial())
        })?,
        several => {
            let mut open = several
                .iter()
                .map(|target| Open::begin(call, target, protocol, says, series.timeout))
                .collect::<Result<Vec<_>, _>>()?;
            settle(&mut open)?;
            let mut told = Told::default();
            let mut all_good = true;
            for open in open {
                let trial = open.into_trial();
                all_good &= trial.ending.word == "connected";
                told.tell(call, &trial)?;
            }
            call.line(|json| json.key("done").plain(several.len()))?;
            all_good
        }
    };
    Ok(u8::from(!all_good))
}

/// An attempt on its way.
struct Open<'t> {
    target: &'t str,
    address: Option<SocketAddr>,
    socket: Option<OwnedFd>,
    protocol: Protocol,
    /// What is still to be said; nothing more if it is empty.
    says: &'t [u8],
    waits_for_answer: bool,
    begun: u64,
    deadline: u64,
    ending: Option<(Ending, u64)>,
    answer: Vec<u8>,
}

impl<'t> Open<'t> {
    fn begin(
        call: &Call,
        target: &'t str,
        protocol: Protocol,
        says: Option<&'t [u8]>,
        timeout: u64,
    ) -> Result<Open<'t>, Failure> {
        let address = trial::address(call, target, timeout)?;
        let begun = clock::monotonic();
        let mut open = Open {
            target,
            address,
            socket: None,
            protocol,
            says: says.unwrap_or(if protocol == Protocol::Udp { HELLO } else { &[] }),
            waits_for_answer: says.is_some() || protocol == Protocol::Udp,
            begun,
            deadline: begun.saturating_add(timeout),
            ending: None,
            answer: Vec::new(),
        };
        match address {
            None => open.end(Ending::UNRESOLVED),
            Some(address) => {
                if let Err(errno) = open.connect(&address) {
                    open.end(errno.into());
                }
            }
        }
        Ok(open)
    }

    fn connect(&mut self, address: &SocketAddr) -> Result<(), Errno> {
        let kind = match self.protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = self
            .socket
            .insert(socket_with(connection::family(address), kind, flags, None)?);
        match connect(&*socket, address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn end(&mut self, ending: Ending) {
        let took = clock::monotonic() - self.begun;
        self.ending.get_or_insert((ending, took));
    }

    /// What it waits for.
    fn awaits(&self) -> PollFlags {
        if !self.says.is_empty() || !self.waits_for_answer {
            PollFlags::OUT
        } else {
            PollFlags::IN
        }
    }

    /// Goes on with what has become possible.
    fn go_on(&mut self) {
        if let Err(errno) = self.turn()
            && errno != Errno::AGAIN
            && errno != Errno::INTR
        {
            self.end(errno.into());
        }
    }

    fn turn(&mut self) -> Result<(), Errno> {
        let Some(socket) = &self.socket else { return Ok(()) };
        if self.awaits() == PollFlags::OUT {
            socket_error(socket)??;
            if !self.says.is_empty() {
                let count = send_to(socket, self.says, SendFlags::NOSIGNAL)?;
                self.says = &self.says[count..];
            }
            if self.says.is_empty() && !self.waits_for_answer {
                self.end(Ending::plain("connected"));
            }
            return Ok(());
        }
        self.answer.resize(ANSWER, 0);
        let got = recv(socket, &mut self.answer[..], RecvFlags::empty());
        self.answer.truncate(got.map_or(0, |(count, _)| count));
        let (count, _) = got?;
        if count == 0 && self.protocol == Protocol::Tcp {
            self.end(Ending::CLOSED);
        } else {
            self.end(Ending::plain("connected"));
        }
        Ok(())
    }

    fn into_trial(self) -> Trial {
        let (ending, nanoseconds) = self
            .ending
            .unwrap_or((Errno::TIMEDOUT.into(), clock::monotonic() - self.begun));
        let answered = self.waits_for_answer && ending.word == "connected";
        Trial {
            target: self.target.to_string(),
            address: self.address,
            source: self.socket.as_ref().and_then(trial::own_end),
            ending,
            nanoseconds,
            status: None,
            body: answered.then_some(self.answer),
        }
    }
}

/// Waits until each attempt has ended or its time is up.
fn settle(all: &mut [Open<'_>]) -> Result<(), Failure> {
    loop {
        let now = clock::monotonic();
        for open in all
            .iter_mut()
            .filter(|open| open.ending.is_none() && open.deadline <= now)
        {
            open.end(Errno::TIMEDOUT.into());
        }
        let Some(next) = all
            .iter()
            .filter(|open| open.ending.is_none())
            .map(|open| open.deadline)
            .min()
        else {
            return Ok(());
        };
        let left = next.saturating_sub(now);
        let time = Timespec {
            tv_sec: (left / 1_000_000_000) as i64,
            tv_nsec: (left % 1_000_000_000) as _,
        };
        let ready: Vec<usize> = {
            let waiting: Vec<(usize, &OwnedFd, PollFlags)> = all
                .iter()
                .enumerate()
                .filter(|(_, open)| open.ending.is_none())
                .filter_map(|(index, open)| Some((index, open.socket.as_ref()?, open.awaits())))
                .collect();
            let mut fds: Vec<PollFd<'_>> = waiting
                .iter()
                .map(|(_, socket, flags)| PollFd::new(*socket, *flags))
                .collect();
            match poll(&mut fds, Some(&time)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::of("wait for connections")(errno)),
            }
            waiting
                .iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|((index, ..), _)| *index)
                .collect()
        };
        for index in ready {
            all[index].go_on();
        }
    }
}

/// Says something, again and again, and waits for no answer. Datagrams come from one socket, as one flow.
pub(super) fn send(call: &Call) -> Result<u8, Failure> {
    call.only(&[&OPTIONS[..], &["protocol", "data"][..]].concat())?;
    let target = call.word(0, "HOST:PORT")?;
    let data = call
        .option("data")
        .ok_or_else(|| Failure::usage("`--data` is missing"))?
        .as_bytes();
    let protocol = Protocol::of(call, "udp")?;
    let series = Series::of(call)?;
    let mut flow = None;
    let all_sent = series.run(call, "sent", || {
        let Some(address) = trial::address(call, target, series.timeout)? else {
            return Ok(Trial::unresolved(target));
        };
        let begun = clock::monotonic();
        let (sent, source) = match protocol {
            Protocol::Tcp => stream(&address, data, series.timeout),
            Protocol::Udp => datagram(&mut flow, &address, data),
        };
        Ok(Trial {
            target: target.to_string(),
            address: Some(address),
            source,
            ending: sent.map_or_else(Ending::from, |()| Ending::plain("sent")),
            nanoseconds: clock::monotonic() - begun,
            status: None,
            body: None,
        })
    })?;
    Ok(u8::from(!all_sent))
}

fn stream(address: &SocketAddr, data: &[u8], timeout: u64) -> (Result<(), Errno>, Option<SocketAddr>) {
    let deadline = clock::monotonic().saturating_add(timeout);
    match connection::dial(address, timeout) {
        Ok(socket) => {
            let sent = connection::say(&socket, data, deadline).and_then(|()| shutdown(&socket, Shutdown::Write));
            (sent, trial::own_end(&socket))
        }
        Err(errno) => (Err(errno), None),
    }
}

fn datagram(flow: &mut Option<OwnedFd>, address: &SocketAddr, data: &[u8]) -> (Result<(), Errno>, Option<SocketAddr>) {
    let mut make = || -> Result<(), Errno> {
        if flow.is_none() {
            let family = connection::family(address);
            let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            connect(&socket, address)?;
            *flow = Some(socket);
        }
        Ok(())
    };
    if let Err(errno) = make() {
        return (Err(errno), None);
    }
    let Some(socket) = flow else {
        return (Err(Errno::NOTCONN), None);
    };
    // That an earlier datagram was refused is told now, and this one is not sent then.
    let sent = send_to(&*socket, data, SendFlags::NOSIGNAL).map(drop);
    (sent, trial::own_end(&*socket))
}
