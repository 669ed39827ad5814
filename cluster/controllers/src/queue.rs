//! What is to be looked at, and when: each key once, later after failures, and not too often.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// After the first failure.
const FIRST: Duration = Duration::from_millis(5);
/// After many.
const LONGEST: Duration = Duration::from_secs(16);

/// Keys that wait for their turn.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    ready: VecDeque<K>,
    queued: BTreeSet<K>,
    due: BTreeSet<(Instant, K)>,
    dues: BTreeMap<K, Instant>,
    failures: HashMap<K, u32>,
    resting: HashMap<K, Instant>,
}

impl<K: Ord + Hash + Clone> Queue<K> {
    pub(crate) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            due: BTreeSet::new(),
            dues: BTreeMap::new(),
            failures: HashMap::new(),
            resting: HashMap::new(),
        }
    }

    /// As soon as its turn comes; while it rests, when it has rested.
    pub(crate) fn add(&mut self, key: K, now: Instant) {
        match self.resting.get(&key).copied() {
            Some(until) if until > now => self.add_at(key, until),
            Some(_) => {
                self.resting.remove(&key);
                self.push(key);
            }
            None => self.push(key),
        }
    }

    fn push(&mut self, key: K) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Not before `when`, unless it is added for another reason.
    pub(crate) fn add_at(&mut self, key: K, when: Instant) {
        match self.dues.get(&key).copied() {
            Some(earlier) if earlier <= when => return,
            Some(later) => {
                self.due.remove(&(later, key.clone()));
            }
            None => {}
        }
        self.dues.insert(key.clone(), when);
        self.due.insert((when, key));
    }

    /// Again later: each failure in a row doubles the time.
    pub(crate) fn failed(&mut self, key: K, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = FIRST.saturating_mul(1 << (*failures).min(20)).min(LONGEST);
        *failures += 1;
        self.add_at(key, now + pause);
    }

    /// It went well, and took so long: what takes long is not done too often.
    pub(crate) fn done(&mut self, key: &K, took: Duration, now: Instant) {
        self.failures.remove(key);
        let rest = took * 5;
        if rest > Duration::from_millis(5) {
            self.resting
                .insert(key.clone(), now + rest.min(Duration::from_millis(250)));
        } else {
            self.resting.remove(key);
        }
    }

    /// The next one whose turn it is.
    pub(crate) fn take(&mut self, now: Instant) -> Option<K> {
        while let Some((when, key)) = self.due.first().cloned().filter(|(when, _)| *when <= now) {
            self.due.remove(&(when, key.clone()));
            self.dues.remove(&key);
            self.push(key);
        }
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    /// When the next one is due that waits.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once_and_in_its_turn() {
        let now = Instant::now();
        let mut queue = Queue::new();
        for key in ["a", "b", "a"] {
            queue.add(key, now);
        }
        assert_eq!(
            (queue.take(now), queue.take(now), queue.take(now)),
            (Some("a"), Some("b"), None)
        );
    }

    #[test]
    fn failures_in_a_row_double_the_wait_and_success_forgets_them() {
        let start = Instant::now();
        let mut queue = Queue::new();
        let mut now = start;
        for wait in [5, 10, 20, 40] {
            queue.failed("a", now);
            let due = queue.next_due().expect("it waits");
            assert_eq!(due - now, Duration::from_millis(wait));
            assert_eq!(queue.take(now), None);
            now = due;
            assert_eq!(queue.take(now), Some("a"));
        }
        queue.done(&"a", Duration::ZERO, now);
        queue.failed("a", now);
        assert_eq!(queue.next_due(), Some(now + FIRST));
    }

    #[test]
    fn the_earlier_of_two_times_counts() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.add_at("a", now + Duration::from_secs(9));
        queue.add_at("a", now + Duration::from_secs(1));
        queue.add_at("a", now + Duration::from_secs(5));
        assert_eq!(queue.take(now + Duration::from_secs(1)), Some("a"));
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn what_took_long_rests() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.done(&"a", Duration::from_millis(10), now);
        queue.add("a", now);
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.take(now + Duration::from_millis(50)), Some("a"));
    }
}
