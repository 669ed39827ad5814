//! Pods that wait: to be tried (active), after a failure for a while (backoff), or for the cluster to change
//! (unschedulable). Gated pods stand in none of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::id::PodId;
use crate::plugin::{PluginId, PluginSet, Rank};

/// The first pause after a failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A pod that no change has woken for so long is tried all the same.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked for such pods.
const ROUND: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stand {
    #[default]
    Nowhere,
    Active,
    Backoff,
    /// Its place in the list.
    Waiting(usize),
}

#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    stand: Stand,
    /// Changes whenever the pod moves: what heaps hold of it from before is void.
    turn: u32,
    failures: u32,
    failed_at: Duration,
    refused_by: PluginSet,
}

impl Ticket {
    fn pause_ends(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(10);
        match self.failures {
            0 => Duration::ZERO,
            _ => self.failed_at + (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE),
        }
    }
}

type Timed = BinaryHeap<Reverse<(Duration, u64, PodId, u32)>>;

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    tickets: Vec<Ticket>,
    active: BinaryHeap<(Rank, PodId, u32)>,
    backoff: Timed,
    /// Pods whose binding failed: their pause is never cut short.
    errors: Timed,
    waiting: Vec<PodId>,
    /// For each plugin, how many waiting pods it refused.
    refused: [usize; PluginId::ALL.len()],
    next_round: Duration,
    order: u64,
    priorities: Vec<i32>,
}

impl Queue {
    fn ticket(&mut self, pod: PodId) -> &mut Ticket {
        if self.tickets.len() <= pod.at() {
            self.tickets.resize(pod.at() + 1, Ticket::default());
            self.priorities.resize(pod.at() + 1, 0);
        }
        &mut self.tickets[pod.at()]
    }

    /// A new pod, or one that lost its gates.
    pub(crate) fn push(&mut self, pod: PodId, priority: i32, now: Duration) {
        self.leave(pod);
        self.priorities[pod.at()] = priority;
        self.activate(pod, now);
    }

    fn activate(&mut self, pod: PodId, since: Duration) {
        self.order += 1;
        let rank = Rank {
            priority: self.priorities[pod.at()],
            since,
            order: self.order,
        };
        let ticket = self.ticket(pod);
        ticket.stand = Stand::Active;
        let turn = ticket.turn;
        self.active.push((rank, pod, turn));
    }

    /// Takes a pod out of all queues; it keeps its pauses.
    pub(crate) fn leave(&mut self, pod: PodId) {
        let ticket = self.ticket(pod);
        ticket.turn = ticket.turn.wrapping_add(1);
        let refused_by = ticket.refused_by;
        if let Stand::Waiting(place) = std::mem::take(&mut ticket.stand) {
            self.waiting.swap_remove(place);
            if let Some(moved) = self.waiting.get(place) {
                self.tickets[moved.at()].stand = Stand::Waiting(place);
            }
            self.count(refused_by, false);
        }
    }

    /// Forgets a pod.
    pub(crate) fn forget(&mut self, pod: PodId) {
        self.leave(pod);
        let turn = self.tickets[pod.at()].turn;
        self.tickets[pod.at()] = Ticket {
            turn,
            ..Ticket::default()
        };
    }

    fn count(&mut self, plugins: PluginSet, comes: bool) {
        for id in PluginId::ALL.into_iter().filter(|id| plugins.has(*id)) {
            let count = &mut self.refused[id as usize];
            *count = if comes { *count + 1 } else { *count - 1 };
        }
    }

    /// A pod that fits nowhere waits for a change that one of these plugins cares about.
    pub(crate) fn wait(&mut self, pod: PodId, refused_by: PluginSet, now: Duration) {
        self.leave(pod);
        let place = self.waiting.len();
        if place == 0 {
            self.next_round = now + ROUND;
        }
        self.waiting.push(pod);
        self.count(refused_by, true);
        let ticket = self.ticket(pod);
        ticket.stand = Stand::Waiting(place);
        ticket.refused_by = refused_by;
        ticket.failures += 1;
        ticket.failed_at = now;
    }

    /// A pod whose binding failed is tried again after a pause.
    pub(crate) fn pause(&mut self, pod: PodId, priority: i32, now: Duration) {
        self.leave(pod);
        self.priorities[pod.at()] = priority;
        self.order += 1;
        let order = self.order;
        let ticket = self.ticket(pod);
        ticket.failures += 1;
        ticket.failed_at = now;
        ticket.stand = Stand::Backoff;
        let entry = Reverse((ticket.pause_ends(), order, pod, ticket.turn));
        self.errors.push(entry);
    }

    /// Whether any waiting pod was refused by one of these.
    pub(crate) fn any_refused_by(&self, plugins: PluginSet) -> bool {
        PluginId::ALL
            .into_iter()
            .any(|id| plugins.has(id) && self.refused[id as usize] > 0)
    }

    /// Waiting pods and who refused them.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (PodId, PluginSet)> + '_ {
        self.waiting.iter().map(|pod| (*pod, self.tickets[pod.at()].refused_by))
    }

    /// A waiting pod may fit now: it is tried when its pause is over.
    pub(crate) fn wake(&mut self, pod: PodId, now: Duration) {
        self.leave(pod);
        let ends = self.tickets[pod.at()].pause_ends();
        if ends <= now {
            let since = self.tickets[pod.at()].failed_at;
            self.activate(pod, since);
        } else {
            self.order += 1;
            let order = self.order;
            let ticket = self.ticket(pod);
            ticket.stand = Stand::Backoff;
            let entry = Reverse((ends, order, pod, ticket.turn));
            self.backoff.push(entry);
        }
    }

    pub(crate) fn is_waiting(&self, pod: PodId) -> bool {
        let ticket = self.tickets.get(pod.at());
        ticket.is_some_and(|ticket| matches!(ticket.stand, Stand::Waiting(_)))
    }

    /// The next pod to try. While nobody else is to be tried, pauses are cut short.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<PodId> {
        self.end_pauses(now);
        while let Some((_, pod, turn)) = self.active.pop() {
            if self.tickets[pod.at()].turn == turn {
                self.leave(pod);
                return Some(pod);
            }
        }
        while let Some(Reverse((_, _, pod, turn))) = self.backoff.pop() {
            if self.tickets[pod.at()].turn == turn {
                self.leave(pod);
                return Some(pod);
            }
        }
        None
    }

    fn end_pauses(&mut self, now: Duration) {
        for errors in [false, true] {
            loop {
                let heap = if errors { &mut self.errors } else { &mut self.backoff };
                let Some(Reverse((ends, _, pod, turn))) = heap.peek().copied() else {
                    break;
                };
                if ends > now {
                    break;
                }
                heap.pop();
                if self.tickets[pod.at()].turn == turn {
                    self.leave(pod);
                    self.activate(pod, ends);
                }
            }
        }
        if !self.waiting.is_empty() && now >= self.next_round {
            self.next_round = now + ROUND;
            let tickets = &self.tickets;
            let impatient = |pod: &&PodId| tickets[pod.at()].failed_at + PATIENCE <= now;
            let impatient: Vec<PodId> = self.waiting.iter().filter(impatient).copied().collect();
            for pod in impatient {
                self.wake(pod, now);
            }
        }
    }

    /// When there may be something to do though nothing changes.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        let pauses = self.backoff.peek().into_iter().chain(self.errors.peek());
        let round = (!self.waiting.is_empty()).then_some(self.next_round);
        pauses.map(|Reverse((ends, ..))| *ends).chain(round).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const POD: PodId = PodId(0);
    const OTHER: PodId = PodId(1);

    fn refused() -> PluginSet {
        PluginSet::default().with(PluginId::NodeAffinity)
    }

    #[test]
    fn a_woken_pod_pauses_longer_each_time_up_to_ten_seconds() {
        let mut queue = Queue::default();
        queue.push(POD, 0, Duration::ZERO);
        let mut now = Duration::ZERO;
        for pause in [1, 2, 4, 8, 10, 10] {
            // The other pod keeps the queue busy, so that no pause is cut short.
            queue.push(OTHER, -1, now);
            assert_eq!(queue.pop(now), Some(POD), "after {now:?}");
            queue.wait(POD, refused(), now);
            queue.wake(POD, now);
            let almost = now + SECOND * pause - Duration::from_millis(1);
            assert_eq!(queue.pop(almost), Some(OTHER));
            assert_eq!(queue.wake_at(), Some(now + SECOND * pause));
            now += SECOND * pause;
        }
    }

    #[test]
    fn a_pause_is_cut_short_when_nobody_else_waits_but_not_after_a_failed_binding() {
        let mut queue = Queue::default();
        queue.push(POD, 0, Duration::ZERO);
        assert_eq!(queue.pop(Duration::ZERO), Some(POD));
        queue.wait(POD, refused(), Duration::ZERO);
        assert_eq!(queue.pop(Duration::ZERO), None);
        queue.wake(POD, Duration::ZERO);
        assert_eq!(queue.pop(Duration::ZERO), Some(POD));
        queue.pause(POD, 0, Duration::ZERO);
        assert_eq!(queue.pop(SECOND), None);
        assert_eq!(queue.pop(2 * SECOND), Some(POD));
    }

    #[test]
    fn a_pod_that_nothing_wakes_is_tried_after_five_minutes() {
        let mut queue = Queue::default();
        queue.push(POD, 0, Duration::ZERO);
        assert_eq!(queue.pop(Duration::ZERO), Some(POD));
        queue.wait(POD, refused(), Duration::ZERO);
        assert!(queue.any_refused_by(refused()));
        assert_eq!(queue.pop(299 * SECOND), None);
        assert_eq!(queue.pop(330 * SECOND), Some(POD));
        assert!(!queue.any_refused_by(refused()));
    }

    #[test]
    fn a_pod_that_left_is_not_handed_out() {
        let mut queue = Queue::default();
        queue.push(POD, 0, Duration::ZERO);
        queue.push(OTHER, 5, Duration::ZERO);
        queue.forget(OTHER);
        assert_eq!(queue.pop(Duration::ZERO), Some(POD));
        assert_eq!(queue.pop(Duration::ZERO), None);
    }
}
