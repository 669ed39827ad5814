//! Signal dispositions and the mask, asked by system call.

use sys::freestanding::signal::{self, Disposition};

use crate::{json::Json, signal_name};

/// What was inherited: blocked, ignored and caught signals by number.
pub(crate) struct Inherited {
    blocked: Option<signal::Set>,
    ignored: signal::Set,
    caught: signal::Set,
}

/// Asks before any handler of the probe is installed.
pub(crate) fn inherited() -> Inherited {
    let with = |wanted: Disposition| {
        (1..=signal_name::LAST)
            .filter(|number| signal::disposition(*number) == Ok(wanted))
            .fold(signal::Set::default(), signal::Set::with)
    };
    Inherited {
        blocked: signal::blocked().ok(),
        ignored: with(Disposition::Ignored),
        caught: with(Disposition::Caught),
    }
}

/// `signals: {blocked, ignored, caught}` as names.
pub(crate) fn all(json: &mut Json, inherited: &Inherited) {
    let names = |json: &mut Json, set: signal::Set| {
        json.array(|json| {
            (1..=signal_name::LAST)
                .filter(|number| set.has(*number))
                .for_each(|number| json.string(&signal_name::name(number)));
        });
    };
    json.key("signals").object(|json| {
        match inherited.blocked {
            Some(blocked) => names(json.key("blocked"), blocked),
            None => json.key("blocked").null(),
        }
        names(json.key("ignored"), inherited.ignored);
        names(json.key("caught"), inherited.caught);
    });
}
