//! Which case is next: in order, but for those that may not run beside what runs, or have no room beside it.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};

use crate::plan::{Case, is_cluster};

/// The room that a job has, in parts.
const PARTS: usize = 4;

#[derive(Debug)]
struct Place {
    exclusive: bool,
    group: Option<String>,
    /// Parts of a job that it takes.
    room: usize,
}

/// A cluster that is broken on purpose is mostly waited for: until a pod that never comes is late.
fn room(case: &Case) -> usize {
    let header = &case.header;
    if header.broken_on_purpose() && is_cluster(&header.subject) {
        1
    } else {
        PARTS
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<usize>,
    running: BTreeSet<usize>,
}

/// The cases of a run that have not begun.
#[derive(Debug)]
pub(super) struct Queue {
    places: Vec<Place>,
    /// Parts for all that runs at a time.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// For as many jobs at a time.
    pub(super) fn new(cases: &[Case], jobs: usize) -> Self {
        let places = cases
            .iter()
            .map(|c| Place {
                exclusive: c.spec.concurrency.exclusive,
                group: c.spec.concurrency.group.clone(),
                room: room(c),
            })
            .collect();
        let state = State {
            waiting: (0..cases.len()).collect(),
            running: BTreeSet::new(),
        };
        Self {
            places,
            room: jobs.max(1) * PARTS,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// How many can run side by side.
    pub(super) fn most(&self) -> usize {
        let least = self.places.iter().map(|place| place.room).min().unwrap_or(PARTS);
        (self.room / least).min(self.places.len())
    }

    /// The next case that may begin; waits while none may. `None` when there is none left, or `stop` says so.
    pub(super) fn next(&self, stop: &dyn Fn() -> bool) -> Option<usize> {
        let mut state = self.state.lock().ok()?;
        loop {
            if stop() || state.waiting.is_empty() {
                return None;
            }
            let free = state
                .waiting
                .iter()
                .copied()
                .find(|i| self.may_begin(*i, &state.running));
            if let Some(index) = free {
                state.waiting.remove(&index);
                state.running.insert(index);
                return Some(index);
            }
            state = self.changed.wait(state).ok()?;
        }
    }

    pub(super) fn done(&self, index: usize) {
        if let Ok(mut state) = self.state.lock() {
            state.running.remove(&index);
        }
        self.changed.notify_all();
    }

    /// Exclusive cases come last of all, so that they do not hold up the others one by one.
    fn may_begin(&self, index: usize, running: &BTreeSet<usize>) -> bool {
        let place = &self.places[index];
        if place.exclusive {
            return running.is_empty();
        }
        let taken: usize = running.iter().map(|r| self.places[*r].room).sum();
        if taken + place.room > self.room {
            return false;
        }
        running
            .iter()
            .map(|r| &self.places[*r])
            .all(|other| !other.exclusive && (place.group.is_none() || place.group != other.group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(places: Vec<Place>) -> Queue {
        let state = State {
            waiting: (0..places.len()).collect(),
            running: BTreeSet::new(),
        };
        Queue {
            places,
            room: 4 * PARTS,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn place(exclusive: bool, group: Option<&str>) -> Place {
        Place {
            exclusive,
            group: group.map(String::from),
            room: PARTS,
        }
    }

    #[test]
    fn what_takes_little_room_runs_beside_more() {
        let small = || Place {
            room: 1,
            ..place(false, None)
        };
        let mut queue = queue(vec![place(false, None), small(), place(false, None), small()]);
        queue.room = PARTS + 2;
        let go = || false;
        assert_eq!(
            [queue.next(&go), queue.next(&go), queue.next(&go)],
            [Some(0), Some(1), Some(3)]
        );
        queue.done(0);
        assert_eq!(queue.next(&go), Some(2));
    }

    #[test]
    fn an_exclusive_case_runs_beside_nothing() {
        let queue = queue(vec![place(false, None), place(true, None), place(false, None)]);
        let go = || false;
        assert_eq!(queue.next(&go), Some(0));
        assert_eq!(queue.next(&go), Some(2));
        assert!(!queue.may_begin(1, &queue.state.lock().unwrap().running));
        queue.done(0);
        queue.done(2);
        assert_eq!(queue.next(&go), Some(1));
        assert_eq!(queue.next(&go), None);
    }

    #[test]
    fn cases_of_a_group_run_one_after_another() {
        let queue = queue(vec![
            place(false, Some("a")),
            place(false, Some("a")),
            place(false, Some("b")),
        ]);
        let go = || false;
        assert_eq!((queue.next(&go), queue.next(&go)), (Some(0), Some(2)));
        queue.done(0);
        assert_eq!(queue.next(&go), Some(1));
    }

    #[test]
    fn a_run_that_is_to_end_begins_nothing_more() {
        assert_eq!(queue(vec![place(false, None)]).next(&|| true), None);
    }
}
