//! `events`: what a container uses, once or again and again, and when its memory ran out.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Verb, print};
use crate::Global;
use crate::arguments::{Arguments, Flag, switch, value};
use crate::cgroup::{self, OomEvent};
use crate::container::{Container, Status};
use crate::error::{Attempt, Error, Result};

const FLAGS: [Flag; 2] = [
    switch("stats", None, "print once what the container uses"),
    value("interval", None, "TIME", "time between two reports (default 5s)"),
];

pub(super) const VERB: Verb = Verb {
    name: "events",
    words: "ID",
    help: "report what a container uses, as lines of JSON",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    let interval = duration(arguments.text("interval")?.unwrap_or("5s"))?;
    let Some(pidfd) = container.pidfd() else {
        return Err(container.not("watch", "created, running or paused"));
    };
    if arguments.on("stats") {
        report(&container)?;
        return Ok(0);
    }
    // Without a memory controller there is nothing to tell about it.
    let mut oom = cgroup::oom_watch(&container.saved.cgroup).ok();
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polls = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if let Some(oom) = &oom {
            polls.push(PollFd::new(oom, PollFlags::IN));
        }
        match rustix::event::poll(&mut polls, Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.attempt(|| "wait for events".into())?,
        };
        let ready: Vec<bool> = polls.iter().map(|p| !p.revents().is_empty()).collect();
        drop(polls);
        if ready.get(1) == Some(&true)
            && let Some(watch) = &mut oom
        {
            match watch.wait(Duration::ZERO)? {
                OomEvent::Oom => {
                    print(&format!(
                        "{}\n",
                        serde_json::json!({ "type": "oom", "id": container.saved.id })
                    ))?;
                }
                OomEvent::Nothing => {}
                OomEvent::Gone => oom = None,
            }
        }
        if ready[0] || container.status() == Status::Stopped {
            return Ok(0);
        }
        if Instant::now() >= next {
            report(&container)?;
            next = Instant::now() + interval;
        }
    }
}

fn report(container: &Container) -> Result<i32> {
    let stats = container.saved.cgroup.stats()?;
    let line = serde_json::json!({ "type": "stats", "id": container.saved.id, "data": stats });
    print(&format!("{line}\n"))
}

/// `5s`, `100ms`, `1m`, or seconds.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::usage(format!("--interval: `{text}` is not a time such as `5s` or `100ms`"));
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    let duration = match &text[at..] {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        "h" => Duration::from_secs(number.saturating_mul(3600)),
        _ => return Err(wrong()),
    };
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn an_interval_has_a_unit() {
        assert_eq!(duration("100ms").unwrap(), Duration::from_millis(100));
        assert_eq!(duration("2").unwrap(), Duration::from_secs(2));
        for wrong in ["", "s", "0s", "5 s", "1d", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
