//! The serving process: what it reads, and the one line that it says.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;

use cluster::{Config, Ready, Serving};
use harness::guard::HOME;
use serde_json::json;

use super::error::Error;
use super::place::file;
use crate::arguments::cluster::Serve;

/// `plimsoll cluster serve`: in a guard that somebody else made.
pub(super) fn serve(asked: &Serve, name: &str) -> Result<u8, Error> {
    let served = serving(asked, name).and_then(|serving| cluster::serve(serving, &mut tell).map_err(Error::Serve));
    Ok(u8::try_from(end(served)).unwrap_or(3))
}

fn serving(asked: &Serve, name: &str) -> Result<Serving, Error> {
    if !guarded() {
        return Err(Error::Wish(
            "`cluster serve` runs only in a guard, or the host would not be safe from it: use `plimsoll cluster up`"
                .into(),
        ));
    }
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(|errno| {
        Error::Process {
            act: "ask to die with the harness",
            source: errno.into(),
        }
    })?;
    let config = read(&asked.config)?;
    Ok(Serving {
        name: name.to_owned(),
        keep: config.keep.clone(),
        config,
        listener: listener()?,
        kubeconfig: asked.kubeconfig.clone(),
        own: std::env::current_exe().map_err(Error::Start)?,
        no_cgroups: None,
    })
}

/// Standard input if somebody listens there already, else a new socket.
fn listener() -> Result<TcpListener, Error> {
    let stdin = io::stdin();
    let given = rustix::net::sockopt::socket_acceptconn(&stdin) == Ok(true);
    if given {
        let socket = stdin.as_fd().try_clone_to_owned().map_err(Error::Listen)?;
        Ok(socket.into())
    } else {
        TcpListener::bind(("127.0.0.1", 0)).map_err(Error::Listen)
    }
}

/// Whether this process is in a guard: in none other is there such a directory on a file system of its own.
fn guarded() -> bool {
    let device = |path: &str| std::fs::metadata(path).map(|m| std::os::unix::fs::MetadataExt::dev(&m));
    let host_name = rustix::system::uname();
    host_name.nodename().to_bytes() == b"plimsoll-guard"
        && matches!((device(HOME), device("/")), (Ok(home), Ok(root)) if home != root)
}

/// A configuration, JSON or YAML.
pub(super) fn read(path: &Path) -> Result<Config, Error> {
    let text = fs_err::read_to_string(path).map_err(file("read", path))?;
    let config = |why: String| Error::Config {
        path: path.to_owned(),
        why,
    };
    let parsed = spec::node::parse(&text);
    if let Some(fault) = parsed.faults.first() {
        return Err(config(format!("line {}: {}", fault.extent.at.line, fault.message)));
    }
    let document = parsed
        .documents
        .first()
        .map_or_else(|| json!({}), spec::node::Node::to_json);
    serde_json::from_value(document).map_err(|error| config(error.to_string()))
}

/// Says that the cluster is ready.
pub(super) fn tell(ready: &Ready) {
    line(&json!({"ready": ready}));
}

/// Says that it is not, and why.
pub(super) fn failed(why: &str) {
    line(&json!({"failed": why}));
}

/// The exit status, once the reason is told.
pub(super) fn end(served: Result<(), Error>) -> i32 {
    match served {
        Ok(()) => 0,
        Err(error) => {
            let why = harness::chain(&error);
            failed(&why);
            // Standard error is the log.
            let _told = writeln!(io::stderr(), "error: {why}");
            i32::from(error.exit_code())
        }
    }
}

fn line(what: &serde_json::Value) {
    // Who asked may be gone.
    let mut out = io::stdout();
    let _gone = writeln!(out, "{what}").and_then(|()| out.flush());
}
