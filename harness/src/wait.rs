//! The only place that waits: always for something, and never past a deadline.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What [`until`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited<T, S> {
    /// The condition came true.
    Done(T),
    /// It did not in time; this was seen last.
    TimedOut {
        /// Time since the wait began.
        elapsed: Duration,
        /// What was seen last.
        last: S,
    },
}

/// Looks every `every` until `look` answers `Ok`, or `within` is up. Looks at least once.
pub fn until<T, S>(within: Duration, every: Duration, mut look: impl FnMut() -> Result<T, S>) -> Waited<T, S> {
    let start = Instant::now();
    loop {
        let last = match look() {
            Ok(done) => return Waited::Done(done),
            Err(last) => last,
        };
        let elapsed = start.elapsed();
        if elapsed >= within {
            return Waited::TimedOut { elapsed, last };
        }
        pause(every.min(within - elapsed));
    }
}

/// Waits until `instant`: the next look of a window, the end of a sample.
pub fn until_instant(instant: Instant) {
    pause(instant.saturating_duration_since(Instant::now()));
}

/// Spends this time awake, so that it is as exact as the clock; answers how long it was. None is spent for none, not even
/// that of a look at the clock.
pub fn awake(time: Duration) -> Duration {
    if time.is_zero() {
        return Duration::ZERO;
    }
    let start = Instant::now();
    loop {
        let spent = start.elapsed();
        if spent >= time {
            return spent;
        }
        std::hint::spin_loop();
    }
}

/// Waits for any of the descriptors to become readable or hang up, or for the time to be up (`None` is for ever).
/// Answers which are ready.
pub fn readable(fds: &[BorrowedFd<'_>], within: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = within.and_then(|t| Timespec::try_from(t).ok());
    // An interrupted or failed poll is "nothing yet": every caller has a deadline of its own and comes back.
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.iter().map(|p| !p.revents().is_empty()).collect(),
        Err(_) => vec![false; fds.len()],
    }
}

fn pause(time: Duration) {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        readable(&[], Some(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_times_out_tells_what_it_saw_last() {
        let mut n = 0;
        let waited: Waited<(), i32> = until(Duration::from_millis(20), Duration::from_millis(5), || {
            n += 1;
            Err(n)
        });
        let Waited::TimedOut { elapsed, last } = waited else {
            panic!("{waited:?}")
        };
        assert!(last >= 2 && elapsed >= Duration::from_millis(20));
    }

    #[test]
    fn time_awake_is_at_least_what_was_asked_for_and_none_is_none() {
        assert_eq!(awake(Duration::ZERO), Duration::ZERO);
        assert!(awake(Duration::from_micros(50)) >= Duration::from_micros(50));
    }

    #[test]
    fn a_condition_that_holds_already_costs_no_time() {
        let start = Instant::now();
        assert_eq!(
            until(Duration::ZERO, Duration::from_secs(5), || Ok::<_, ()>(7)),
            Waited::Done(7)
        );
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
