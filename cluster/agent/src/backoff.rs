//! How long a container that ended waits before it is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// A container that ran for so long starts from the beginning.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The waits so far. The first end waits for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The next wait, and when it was decided.
    next: Option<(Duration, Duration)>,
}

impl Backoff {
    /// When what ended at `finished` may begin again, both on the same clock.
    pub(crate) fn after(&mut self, finished: Duration) -> Duration {
        let wait = match self.next {
            Some((wait, decided)) if finished.saturating_sub(decided) <= FORGOTTEN => wait,
            _ => Duration::ZERO,
        };
        let longer = if wait.is_zero() { FIRST } else { (wait * 2).min(LONGEST) };
        let begin = finished + wait;
        self.next = Some((longer, begin));
        begin
    }

    /// The wait that was decided last.
    pub(crate) fn wait(&self) -> Duration {
        match self.next {
            Some((next, _)) if next > FIRST => {
                if next == LONGEST {
                    LONGEST
                } else {
                    next / 2
                }
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut backoff = Backoff::default();
        let mut now = Duration::from_secs(1000);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let begin = backoff.after(now);
            waits.push((begin - now).as_secs());
            now = begin + Duration::from_secs(1);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        now += Duration::from_secs(601);
        assert_eq!(backoff.after(now), now);
    }
}
