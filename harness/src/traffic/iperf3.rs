//! The program `iperf3` (<https://software.es.net/iperf/>) between the same two ends, for whoever does not believe the
//! harness' own traffic.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci_runtime_client::Streams;
use serde_json::Value;

use super::{Carried, Ends, Error, act};
use crate::wait;

/// So many times as much as the harness sends for a sample. Its time has its own beginning in it, which halves the rate of a
/// tenth of a second where others want the CPU.
pub const LONGER: u64 = 10;

/// It has so long to listen, and to send.
const WITHIN: Duration = Duration::from_secs(30);

/// Where it is, by the directories of a `PATH`; none if it is not installed.
pub fn find(path: &str) -> Option<PathBuf> {
    let directories = std::env::split_paths(path);
    directories
        .map(|directory| directory.join("iperf3"))
        .find(|file| file.is_file())
}

/// Has it send so many bytes on one connection. Its temporary file lies in `scratch`.
///
/// Bytes and not a time, because it knows no fractions of seconds; a few make the rate too small ([`LONGER`]).
///
/// # Errors
/// [`Error`]; the ends need a port.
pub fn throughput(ends: &Ends, bytes: u64, program: &Path, scratch: &Path) -> Result<Carried, Error> {
    let mut server = serve(ends, program, scratch)?;
    let carried = send(ends, bytes, program, scratch);
    // It ends after one client; if there was none, it must not stay.
    let _ended = server.kill();
    let _reaped = server.wait();
    carried
}

fn serve(ends: &Ends, program: &Path, scratch: &Path) -> Result<Child, Error> {
    let (port, mut command) = (ends.port, Command::new(program));
    command
        .args(["--server", "--one-off", "--port", &port.to_string()])
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let spawned = ends.to.run(move || command.spawn());
    let mut server = spawned.map_err(act(format!("start `{}`", program.display())))?;
    let table = |name: &str| std::fs::read_to_string(format!("/proc/{}/net/{name}", server.id())).unwrap_or_default();
    let look = || match listens(&table("tcp"), port) || listens(&table("tcp6"), port) {
        true => Ok(()),
        false => Err(()),
    };
    match wait::until(WITHIN, Duration::from_millis(2), look) {
        wait::Waited::Done(()) => Ok(server),
        wait::Waited::TimedOut { elapsed, .. } => {
            let _ended = server.kill();
            let _reaped = server.wait();
            let what = format!(
                "`{}` did not listen on port {port} within {elapsed:?}",
                program.display()
            );
            Err(Error::Lost(what))
        }
    }
}

fn send(ends: &Ends, bytes: u64, program: &Path, scratch: &Path) -> Result<Carried, Error> {
    let address = ends.address.ip();
    let port = match ends.address.port() {
        0 => ends.port,
        port => port,
    };
    let mut temporary = OsString::from("TMPDIR=");
    temporary.push(scratch);
    let mut argv = vec![OsString::from("env"), temporary, program.into()];
    let words = format!("--json --client {address} --port {port} --bytes {bytes}");
    argv.extend(words.split(' ').map(OsString::from));
    let run = move || {
        oci_runtime_client::run(&argv, Streams::captured(), WITHIN)
            .map_err(|error| io::Error::other(crate::chain(&error)))
    };
    let outcome = ends
        .from
        .run(run)
        .map_err(act(format!("run `{}`", program.display())))?;
    read(&outcome.stdout).ok_or_else(|| {
        let complaint = serde_json::from_str::<Value>(&outcome.stdout).unwrap_or_default();
        let complaint = complaint["error"].as_str().unwrap_or(outcome.stderr.trim()).to_owned();
        Error::Lost(format!("`{}` told no rate: {complaint}", program.display()))
    })
}

/// What the receiver saw, of its JSON.
fn read(told: &str) -> Option<Carried> {
    let told: Value = serde_json::from_str(told).ok()?;
    let received = &told["end"]["sum_received"];
    let rate = received["bits_per_second"].as_f64()? / 1e9;
    let bytes = received["bytes"].as_u64().filter(|bytes| *bytes > 0)?;
    Some(Carried { bytes, rate })
}

/// Whether `/proc/net/tcp` or `tcp6` has a socket that listens on a port (`proc_net_tcp(5)`: state `0A`).
fn listens(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next();
        local.is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_receiver_saw_counts() {
        let told = r#"{"end": {"sum_sent": {"bits_per_second": 9e9, "bytes": 9}, "sum_received": {"bits_per_second": 8e9, "bytes": 1000000000}}}"#;
        let seen = read(told).unwrap();
        assert_eq!((seen.rate, seen.bytes), (8.0, 1_000_000_000));
        assert_eq!(read(r#"{"end": {}, "error": "unable to connect"}"#), None);
    }

    #[test]
    fn a_socket_that_listens_is_found_by_its_port() {
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 00000000:1F90 00000000:0000 0A 0:0\n   1: 0100007F:1F91 0:0 01 0:0\n";
        assert!(listens(table, 8080));
        assert!(!listens(table, 8081), "it is connected, and does not listen");
    }
}
