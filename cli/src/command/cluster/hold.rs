//! The process that stands outside of a cluster's guard: it makes it, waits, and removes what is left.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use cluster::Serving;
use harness::guard::cgroup::Limits;
use harness::guard::{HOME, Held, Home};

use super::error::Error;
use super::place::{Place, file};
use super::serve;
use crate::arguments::cluster::Hold;

/// Tasks of a whole cluster.
const TASKS: u64 = 32_768;

pub(super) fn hold(asked: &Hold, place: &Place) -> Result<u8, Error> {
    rustix::process::setsid().map_err(|errno| Error::Process {
        act: "leave the terminal's session",
        source: errno.into(),
    })?;
    let lock = place.hold(&asked.token)?;
    let config = serve::read(&place.at("config.json"))?;
    let own = std::env::current_exe().map_err(Error::Start)?;
    let listener = io::stdin().as_fd().try_clone_to_owned().map_err(Error::Listen)?;
    let options = harness::guard::Hold {
        // As the groups of a run's cases are called, so that they are found by the token.
        token: format!("{}-cluster", asked.token),
        work: place.directory.clone(),
        keep: asked.keep.clone(),
        limits: Limits {
            memory: memory(),
            pids: TASKS,
            cpu_favour: 1,
        },
    };
    let keep = asked.keep.as_ref().map(|_| PathBuf::from(format!("{HOME}/keep")));
    let held = harness::guard::hold(&options, |home| {
        let served = home.map_err(Error::Guard).and_then(|home: Home| {
            let serving = Serving {
                name: place.name.clone(),
                config,
                listener: listener.into(),
                kubeconfig: Some(PathBuf::from(format!("{HOME}/work/kubeconfig"))),
                keep,
                own,
                no_cgroups: home.no_cgroups,
            };
            cluster::serve(serving, &mut serve::tell).map_err(Error::Serve)
        });
        serve::end(served)
    });
    let (reason, leftovers) = match held {
        Ok(Held::Inside(code)) => return Ok(u8::try_from(code).unwrap_or(3)),
        Ok(Held::Outside { reason, leftovers }) => (reason, leftovers),
        Err(error) => {
            let error = Error::Guard(error);
            serve::failed(&harness::chain(&error));
            return Err(error);
        }
    };
    for left in &leftovers {
        // Standard error is the log.
        let _told = writeln!(io::stderr(), "left: {left}");
    }
    match reason {
        Some(reason) if reason == harness::guard::hold::TOLD => {
            if leftovers.is_empty() {
                fs_err::remove_dir_all(&place.directory).map_err(file("remove", &place.directory))?;
            }
        }
        // It ended by itself: its log tells why.
        reason => {
            let _told = writeln!(io::stderr(), "ended: {}", reason.as_deref().unwrap_or("by itself"));
            if leftovers.is_empty() {
                for name in ["lock", "kubeconfig"] {
                    let _not_there = std::fs::remove_file(place.at(name));
                }
            }
        }
    }
    drop(lock);
    Ok(u8::from(!leftovers.is_empty()))
}

/// Bytes that the whole of a cluster may use: nine tenths of the machine's.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim();
        kib.parse::<u64>().ok()
    });
    total.map_or(4 << 30, |kib| kib * 1024 / 10 * 9)
}
