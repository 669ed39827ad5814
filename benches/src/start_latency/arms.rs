//! Rounds for the regression gate: the bundled runtime against itself, in some arms with a delay that is planted.
//!
//! A round starts each arm once, in an order that is drawn anew. A planted delay is real time, spent before the runtime is
//! called while the clock runs: a share of the median of the reference's last starts.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::wait;
use statistics::quantile::quantile;

use super::inside::{Starter, chance};
use super::{Error, Subject, act, guard};

/// The first argument of this executable when it is called again in the guard.
pub const INSIDE: &str = "--arms-inside-the-guard";

/// Starts of the reference that are remembered for the size of a delay.
const REMEMBERED: usize = 101;

/// Starts before the first round.
const WARM: usize = 20;

/// A round.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// From the first round's beginning to this one's end.
    pub ended: Duration,
    /// The arms in the order in which they were started.
    pub order: Vec<usize>,
    /// How long each arm's start took, its delay included.
    pub took: Vec<Duration>,
}

/// Measures rounds for at most `time` in a guard, until `enough` breaks. `delays` has an arm each, the first of which is the
/// reference: a delay as a share of the reference's median.
///
/// # Errors
/// [`Error::Plimsoll`] where the bundled runtime was not built; else what the guard could not do.
pub fn measure(
    plimsoll: &Path,
    time: Duration,
    delays: &[f64],
    mut enough: impl FnMut(Round) -> ControlFlow<()>,
) -> Result<(), Error> {
    let words: Vec<String> = [time.as_secs_f64()].iter().chain(delays).map(f64::to_string).collect();
    guard::listen(INSIDE, plimsoll, &[words.join(",")], |line| {
        let round = heard(&line).filter(|round| round.took.len() == delays.len());
        round.map(&mut enough).ok_or(line)
    })
}

/// Measures what [`measure`] asked for in `words`, with control groups below `group`; each round is a line of `output`.
///
/// # Errors
/// A mount that was refused, or a start that failed.
///
/// # Notes
/// Changes mounts: for the guard only, which this cannot see from inside.
pub fn inside(plimsoll: &Path, words: &str, group: &str, output: &mut impl Write) -> Result<(), Error> {
    let words: Result<Vec<f64>, _> = words.split(',').map(str::parse).collect();
    let words = words.map_err(|error| act("read the delays")(io::Error::other(error)))?;
    let [time, delays @ ..] = words.as_slice() else {
        return Ok(());
    };
    let time = Duration::try_from_secs_f64(*time).unwrap_or_default();
    let subject = Subject::Bundled;
    let mut starter = Starter::new([(subject.name(), plimsoll)].into_iter(), group)?;
    starter.attest(subject)?;
    let mut remembered = VecDeque::new();
    for _ in 0..WARM {
        remembered.push_back(starter.start(subject, "true", None)?.as_secs_f64());
    }
    let mut chance = chance();
    let mut order: Vec<usize> = (0..delays.len()).collect();
    let began = Instant::now();
    while began.elapsed() < time {
        let (recent, _) = remembered.as_slices();
        let usual = quantile(recent, 0.5).unwrap_or_default();
        chance.shuffle(&mut order);
        let mut took = vec![Duration::ZERO; delays.len()];
        for &arm in &order {
            let late = wait::awake(Duration::from_secs_f64(usual * delays[arm]));
            took[arm] = late + starter.start(subject, "true", None)?;
        }
        remembered.push_back(took[0].as_secs_f64());
        if remembered.len() > REMEMBERED {
            remembered.pop_front();
        }
        remembered.make_contiguous();
        let round = Round {
            ended: began.elapsed(),
            order: order.clone(),
            took,
        };
        match writeln!(output, "{}", line(&round)) {
            // Whoever listened has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(act("tell a round"))?,
        }
    }
    Ok(())
}

/// A line is `ENDED ORDER TOOK`: nanoseconds, arms with commas between, nanoseconds with commas between.
pub(crate) fn line(round: &Round) -> String {
    let order: Vec<String> = round.order.iter().map(usize::to_string).collect();
    let took: Vec<String> = round.took.iter().map(|took| took.as_nanos().to_string()).collect();
    format!("{} {} {}", round.ended.as_nanos(), order.join(","), took.join(","))
}

/// See [`line()`].
pub(crate) fn heard(text: &str) -> Option<Round> {
    let mut words = text.split(' ');
    let (ended, order, took) = (words.next()?, words.next()?, words.next()?);
    let time = |word: &str| word.parse().ok().map(Duration::from_nanos);
    let round = Round {
        ended: time(ended)?,
        order: order.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
        took: took.split(',').map(time).collect::<Option<_>>()?,
    };
    (words.next().is_none() && round.order.len() == round.took.len()).then_some(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_heard_as_it_was_said() {
        let round = Round {
            ended: Duration::from_nanos(17),
            order: vec![1, 0],
            took: vec![Duration::from_nanos(3), Duration::from_nanos(5)],
        };
        assert_eq!(line(&round), "17 1,0 3,5");
        assert_eq!(heard("17 1,0 3,5"), Some(round));
        for noise in ["", "17", "17 1,0", "17 1,0 3", "17 1,0 3,x", "17 1,0 3,5 9"] {
            assert_eq!(heard(noise), None, "{noise}");
        }
    }
}
