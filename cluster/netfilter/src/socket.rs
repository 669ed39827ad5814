//! The socket.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg, sockopt};

use crate::attribute::{Reader, Writer};
use crate::error::{Error, Refusal};
use crate::message::{self, Kind};
use crate::{Batch, Family};

/// Types of answers, `NLMSG_*`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_DUMP`, and the flags of an answer: a dump that was overtaken, an error without the request, one with words.
const DUMP: u16 = 0x300;
const OVERTAKEN: u16 = 0x10;
const WORDS: u16 = 0x200;
/// The largest answer: a dump's part has at most 32 KiB.
const ANSWER: usize = 1 << 16;
/// Room for the kernel's refusals of a large batch.
const REFUSALS: usize = 1 << 20;
/// How often a dump that was overtaken is begun again.
const TRIES: usize = 8;

/// A socket of the network namespace that its thread was in when it was opened. What it tells is of one family; what it does
/// is of the batch's.
#[derive(Debug)]
pub struct Netfilter {
    family: Family,
    socket: netlink_sys::Socket,
    sequence: u32,
    /// Bytes that may be sent at once.
    room: usize,
    answer: Vec<u8>,
}

/// A message of the kernel.
struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Netfilter {
    /// Opens one for IPv4 in the network namespace of this thread. To change anything one needs `CAP_NET_ADMIN` over it.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open() -> Result<Self, Error> {
        Self::open_for(Family::Ipv4)
    }

    /// The same for tables and connections of that family.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open_for(family: Family) -> Result<Self, Error> {
        Self::connect(family).map_err(|source| Error::Open { source })
    }

    /// The family of what it tells.
    pub fn family(&self) -> Family {
        self.family
    }

    fn connect(family: Family) -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
        // Errors come with the kernel's words and without the message that they are about.
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        if sockopt::set_socket_recv_buffer_size_force(&socket, REFUSALS).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, REFUSALS)?;
        }
        Ok(Self {
            family,
            room: sockopt::socket_send_buffer_size(&socket)?,
            socket,
            sequence: 0,
            answer: vec![0; ANSWER],
        })
    }

    /// Has a batch done. When this returns it is done, or nothing of it is.
    ///
    /// # Errors
    /// [`Error::Refused`] names the first message that the kernel refused; others are of the socket.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let end = batch.end();
        self.send(&[batch.bytes(), end.bytes()])?;
        // The kernel did it while we sent; what it has to say lies there already.
        let mut refused: Vec<(u32, Refusal)> = Vec::new();
        self.collect(&mut refused)?;
        let others = refused.len().saturating_sub(1);
        match refused.into_iter().min_by_key(|(sequence, _)| *sequence) {
            None => Ok(()),
            Some((sequence, source)) => Err(Error::Refused {
                act: batch.describe(sequence),
                others,
                source,
            }),
        }
    }

    /// What was refused among what was sent last, by sequence number.
    pub(crate) fn collect(&mut self, refused: &mut Vec<(u32, Refusal)>) -> Result<(), Error> {
        loop {
            match self.receive(RecvFlags::DONTWAIT) {
                Ok(length) => {
                    for answer in answers(&self.answer[..length]) {
                        refused.extend(answer.refusal().map(|refusal| (answer.sequence, refusal)));
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                // There was no room for all of them: those that had room tell enough.
                Err(Errno::NOBUFS) => refused.push((u32::MAX, refusal(Errno::NOBUFS.raw_os_error()))),
                Err(errno) => return Err(Error::Receive { source: errno.into() }),
            }
        }
    }

    /// Sends these parts as one.
    pub(crate) fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let failed = |source: Errno| Error::Send {
            bytes,
            source: source.into(),
        };
        // The kernel counts what it needs around them, too.
        if bytes + 1024 > self.room {
            let wanted = bytes + 1024;
            sockopt::set_socket_send_buffer_size_force(&self.socket, wanted)
                .or_else(|_| sockopt::set_socket_send_buffer_size(&self.socket, wanted))
                .map_err(failed)?;
            self.room = sockopt::socket_send_buffer_size(&self.socket).map_err(failed)?;
        }
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        loop {
            let sent = sendmsg(
                self.socket.as_fd(),
                &parts,
                &mut SendAncillaryBuffer::default(),
                SendFlags::empty(),
            );
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<usize, Errno> {
        loop {
            match recv(&self.socket, self.answer.as_mut_slice(), flags) {
                Ok((length, _)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Asks for one thing. `None`: there is no such thing.
    pub(crate) fn ask<T>(
        &mut self,
        kind: Kind,
        body: impl FnOnce(&mut Writer),
        read: impl FnOnce(Reader<'_>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let question = self.question(kind, 0, body)?;
        loop {
            let length = self.wait()?;
            let sequence = self.sequence;
            let Some(answer) = answers(&self.answer[..length]).find(|answer| answer.sequence == sequence) else {
                continue;
            };
            return match answer.refusal() {
                Some(refusal) if refusal.errno == Errno::NOENT.raw_os_error() => Ok(None),
                Some(source) => Err(refused(&question, source)),
                None => Ok(answer.attributes().and_then(read)),
            };
        }
    }

    /// Asks for all that there is, and reads each.
    pub(crate) fn dump<T>(
        &mut self,
        kind: Kind,
        body: impl Fn(&mut Writer),
        read: impl Fn(Reader<'_>) -> Vec<T>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for _ in 0..TRIES {
            found.clear();
            let question = self.question(kind, DUMP, &body)?;
            if self.dumped(&question, &read, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// Whether nothing changed meanwhile.
    fn dumped<T>(
        &mut self,
        question: &Writer,
        read: impl Fn(Reader<'_>) -> Vec<T>,
        found: &mut Vec<T>,
    ) -> Result<bool, Error> {
        let mut whole = true;
        loop {
            let length = self.wait()?;
            let sequence = self.sequence;
            for answer in answers(&self.answer[..length]).filter(|answer| answer.sequence == sequence) {
                whole &= answer.flags & OVERTAKEN == 0;
                match (answer.refusal(), answer.kind) {
                    (Some(refusal), _) if refusal.errno == Errno::INTR.raw_os_error() => return Ok(false),
                    (Some(refusal), _) if refusal.errno == Errno::NOENT.raw_os_error() => return Ok(true),
                    (Some(source), _) => return Err(refused(question, source)),
                    (None, DONE) => return Ok(whole),
                    (None, _) => found.extend(answer.attributes().map(&read).into_iter().flatten()),
                }
            }
        }
    }

    fn question(&mut self, kind: Kind, flags: u16, body: impl FnOnce(&mut Writer)) -> Result<Writer, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut question = Writer::default();
        message::write(self.family, kind, flags, self.sequence, &mut question, body);
        self.send(&[question.bytes()])?;
        Ok(question)
    }

    fn wait(&mut self) -> Result<usize, Error> {
        self.receive(RecvFlags::empty())
            .map_err(|errno| Error::Receive { source: errno.into() })
    }
}

fn refused(question: &Writer, source: Refusal) -> Error {
    Error::Refused {
        act: message::describe(question.bytes()),
        others: 0,
        source,
    }
}

fn refusal(errno: i32) -> Refusal {
    Refusal { errno, words: None }
}

/// The messages of a datagram.
fn answers(datagram: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let length = usize::try_from(message.length()).ok()?;
        let answer = Answer {
            kind: message.message_type(),
            flags: message.flags(),
            sequence: message.sequence_number(),
            body: message.payload(),
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(answer)
    })
}

impl<'a> Answer<'a> {
    /// What is behind the family.
    fn attributes(&self) -> Option<Reader<'a>> {
        self.body.get(message::FAMILY..).map(Reader)
    }

    /// `struct nlmsgerr`, or the number at the end of a dump.
    fn refusal(&self) -> Option<Refusal> {
        /// `NLMSGERR_ATTR_MSG`.
        const TEXT: u16 = 1;
        if self.kind != ERROR && self.kind != DONE {
            return None;
        }
        let errno = i32::from_ne_bytes(self.body.get(..4)?.try_into().ok()?);
        if errno >= 0 {
            return None;
        }
        let behind = || self.body.get(4 + message::HEADER..);
        let words = (self.flags & WORDS != 0).then(behind).flatten();
        Some(Refusal {
            errno: -errno,
            words: words.and_then(|words| Reader(words).text(TEXT)),
        })
    }
}
