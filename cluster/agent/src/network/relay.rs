//! A relay between a node and the wire that holds every frame for a while. The kernel's own way to do that, `netem`, is not
//! everywhere.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rtnetlink::{LinkUnspec, LinkVeth};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::segments::Segments;
use super::{FIRST, NetworkError, Underlay, link, namespace, parameters, up};

/// Frames beyond so many bytes are dropped, as a full queue does.
const MOST: usize = 32 << 20;

/// A relay at work, until it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    /// Its end tells the thread to end.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join().is_err();
        }
    }
}

/// Indices, on the wire, of the pair that stands for a node on the bridge while its own interface is off it.
fn pair(number: u16) -> (u32, u32) {
    (u32::from(number) + 0x2_0000, u32::from(number) + 0x4_0000)
}

impl Relay {
    /// Takes the interface of a node off the bridge and hands frames on between it and another port, each after this time.
    pub(super) async fn start(underlay: &Underlay, number: u16, by: Duration) -> Result<Self, NetworkError> {
        let started = Self::begin(underlay, number, by).await;
        if started.is_err() {
            // The node is not left between the bridge and nothing.
            let _undone = remove(underlay, number).await.is_err();
        }
        started
    }

    async fn begin(underlay: &Underlay, number: u16, by: Duration) -> Result<Self, NetworkError> {
        let node = super::port(number);
        let (on_bridge, inner) = pair(number);
        let names = (format!("relay{number}"), format!("inner{number}"));
        let peer = LinkUnspec::new_with_index(inner).name(names.1.clone()).build();
        let mut made = LinkVeth::new(&names.0, &names.1).index(on_bridge);
        made = made.set_info_data(super::InfoData::Veth(super::InfoVeth::Peer(peer)));
        let add = underlay.links.link().add(made.build());
        add.execute().await.map_err(link("make the interfaces of a relay"))?;
        // The wire itself is not behind them, and would answer for its own address past the relay.
        let silent = [format!("node{number}"), names.1].map(|name| (format!("ipv4/conf/{name}/arp_ignore"), "8"));
        parameters(&underlay.room, silent.to_vec()).await?;
        bounded(underlay, number, Segments::Usual).await?;
        up(&underlay.links, on_bridge).await?;
        up(&underlay.links, inner).await?;
        controlled(underlay, node, None).await?;
        controlled(underlay, on_bridge, Some(FIRST)).await?;
        let sockets = underlay.room.run(move || {
            let ends = [sys::packet::frames(node)?, sys::packet::frames(inner)?];
            Ok((ends, rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?))
        });
        let opened = sockets.await.and_then(|opened| opened);
        let (ends, (stopped, stop)) = opened.map_err(namespace("open the sockets of a relay"))?;
        let thread = std::thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || relay(&ends, &stopped, by))
            .map_err(namespace("start a relay"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Ends it and puts the node's interface back on the bridge.
    pub(super) async fn end(self, underlay: &Underlay, number: u16) -> Result<(), NetworkError> {
        drop(self);
        remove(underlay, number).await
    }
}

/// Takes away the interfaces of a relay, and puts the node's own back on the bridge.
async fn remove(underlay: &Underlay, number: u16) -> Result<(), NetworkError> {
    let gone = underlay.links.link().del(pair(number).0).execute().await;
    gone.map_err(link("remove the interfaces of a relay"))?;
    let own = vec![(format!("ipv4/conf/node{number}/arp_ignore"), "0")];
    parameters(&underlay.room, own).await?;
    bounded(underlay, number, Segments::Long).await?;
    controlled(underlay, super::port(number), Some(FIRST)).await
}

/// Bounds what a node sends at once: a frame of a socket has no length for more than a packet has.
async fn bounded(underlay: &Underlay, number: u16, segments: Segments) -> Result<(), NetworkError> {
    match underlay.nodes.lock().await.get(&number) {
        Some(links) => segments.set(links, FIRST).await,
        None => Ok(()),
    }
}

/// Puts an interface of the wire on the bridge, or takes it off.
async fn controlled(underlay: &Underlay, index: u32, by: Option<u32>) -> Result<(), NetworkError> {
    let change = LinkUnspec::new_with_index(index);
    let change = match by {
        Some(bridge) => change.controller(bridge),
        None => change.nocontroller(),
    };
    let change = underlay.links.link().change(change.build());
    change.execute().await.map_err(link("put an interface on the wire"))
}

/// Frames on their way to one end.
#[derive(Default)]
struct Held {
    frames: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Held {
    fn take_in(&mut self, due: Instant, frame: &[u8]) {
        if self.bytes + frame.len() <= MOST {
            self.bytes += frame.len();
            self.frames.push_back((due, frame.to_vec()));
        }
    }

    /// The first frame whose time has come.
    fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.frames.front().filter(|(due, _)| *due <= now)?;
        let (_, frame) = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    fn next(&self) -> Option<Instant> {
        self.frames.front().map(|(due, _)| *due)
    }
}

/// Hands frames on until `stopped` says something or its other end is gone.
fn relay(ends: &[OwnedFd; 2], stopped: &OwnedFd, by: Duration) {
    let mut held = [Held::default(), Held::default()];
    let mut buffer = vec![0; sys::packet::LONGEST];
    loop {
        let now = Instant::now();
        for (to, held) in ends.iter().zip(&mut held) {
            while let Some(frame) = held.due(now) {
                // A full interface drops, as ever.
                let _dropped = send(to, &frame, SendFlags::empty()).is_err();
            }
        }
        let left = held.iter().filter_map(Held::next).min();
        let left = left.map(|due| due.saturating_duration_since(Instant::now()));
        let time = left.and_then(|left| Timespec::try_from(left).ok());
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut waiting = [
            readable(ends[0].as_fd()),
            readable(ends[1].as_fd()),
            readable(stopped.as_fd()),
        ];
        let _interrupted = poll(&mut waiting, time.as_ref()).is_err();
        if !waiting[2].revents().is_empty() {
            return;
        }
        let due = Instant::now() + by;
        for (from, to) in [(0, 1), (1, 0)] {
            while let Ok((count @ 1.., _)) = recv(&ends[from], &mut buffer[..], RecvFlags::empty()) {
                held[to].take_in(due, &buffer[..count]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_wait_their_time_and_a_full_queue_drops() {
        let now = Instant::now();
        let mut held = Held::default();
        held.take_in(now + Duration::from_millis(5), b"first");
        held.take_in(now + Duration::from_millis(6), b"second");
        assert_eq!(held.due(now), None);
        assert_eq!(held.next(), Some(now + Duration::from_millis(5)));
        assert_eq!(held.due(now + Duration::from_millis(5)), Some(b"first".to_vec()));
        held.take_in(now, &vec![0; MOST]);
        assert_eq!(held.frames.len(), 1, "no room beside what is there");
    }
}
