//! `plimsoll cluster up`: a cluster from nothing, in a process that goes on after this one.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use cluster::{Config, NodeConfig, PodMode, RouteMode};
use serde_json::Value;

use super::error::Error;
use super::place::{Place, file};
use super::{down, serve};
use crate::arguments::cluster::{PodNetwork, Routes, Up};
use crate::streams::Streams;

/// How long a cluster may take until it is ready: with thousands of nodes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes if nothing is said about them.
const NODES: u16 = 3;

pub(super) fn up(asked: &Up, place: &Place, state: &Path, streams: &mut Streams) -> Result<u8, crate::error::Error> {
    let start = Instant::now();
    let config = config(asked)?;
    // What an earlier one left that was killed, before its directory is cleared, which alone knows its token.
    for what in harness::gc::collect(state)? {
        streams.err(&format!("removed: {what}"));
    }
    let claim = place.claim()?;
    let ready = match started(place, &config, streams) {
        Ok(ready) => ready,
        Err(error) => {
            // The process has ended, and its log said why.
            let _kept_for_later = std::fs::remove_dir_all(&place.directory);
            return Err(error.into());
        }
    };
    drop(claim);
    let nodes = ready.get("nodes").and_then(Value::as_u64).unwrap_or_default();
    let memory = ready.get("memory").and_then(Value::as_u64).unwrap_or_default();
    let name = match place.name.as_str() {
        "default" => String::new(),
        name => format!(" --name {name}"),
    };
    streams.out(&format!(
        "cluster `{}` is up: {} ready in {:.2} s, {} MiB\n\n  export KUBECONFIG={}\n  kubectl get nodes\n  plimsoll cluster status{name}\n  plimsoll cluster down{name}\n",
        place.name,
        crate::complaint::counted(usize::try_from(nodes).unwrap_or_default(), "node"),
        start.elapsed().as_secs_f64(),
        memory >> 20,
        place.kubeconfig().display(),
    ))?;
    Ok(0)
}

/// A node of which nothing is said but its name.
fn named(name: String) -> NodeConfig {
    NodeConfig {
        name,
        ..NodeConfig::default()
    }
}

/// The configuration: that of the file, and what the command line says beside it.
fn config(asked: &Up) -> Result<Config, Error> {
    let mut config = match &asked.config {
        Some(path) => serve::read(path)?,
        None => Config::default(),
    };
    let given = !config.nodes.is_empty() || asked.simulated.is_some();
    let real = asked.nodes.unwrap_or(if given { 0 } else { NODES });
    config.nodes.extend((0..real).map(|n| named(format!("node-{n}"))));
    if let Some(count) = asked.simulated.filter(|count| *count > 0) {
        config.nodes.push(NodeConfig {
            simulated: true,
            count: usize::try_from(count).ok(),
            ..named("simulated".into())
        });
    }
    if let Some(pods) = asked.pod_network {
        config.network.pods = match pods {
            PodNetwork::Ptp => PodMode::Ptp,
            PodNetwork::Bridge => PodMode::Bridge,
        };
    }
    if let Some(routes) = asked.routes {
        config.network.routes = match routes {
            Routes::HostGw => RouteMode::HostGw,
            Routes::Vxlan => RouteMode::Vxlan,
        };
    }
    if let Some(families) = asked.ip_families {
        config.network.families = families;
    }
    if let Some(runtime) = &asked.runtime {
        let path = std::env::var("PATH").unwrap_or_default();
        let subject = harness::subject::Subject::parse(&format!("oci:{runtime}"), Path::new(""), &path);
        config.runtime = Some(subject.map_err(|error| Error::Wish(error.to_string()))?.argv);
    }
    if let Some(seed) = asked.seed {
        config.seed = seed;
    }
    config.faults.extend(asked.faults.iter().cloned());
    if let Some(keep) = &asked.keep {
        config.keep = Some(keep.clone());
    }
    if let Some(keep) = &mut config.keep {
        *keep = std::path::absolute(&*keep).map_err(file("find", keep))?;
        fs_err::create_dir_all(&*keep).map_err(file("make", keep))?;
    }
    cluster::check(&config).map_err(|error| Error::Wish(harness::chain(&error)))?;
    Ok(config)
}

fn started(place: &Place, config: &Config, streams: &mut Streams) -> Result<Value, Error> {
    let path = place.at("config.json");
    let text = serde_json::to_vec_pretty(config).map_err(|error| file("write", &path)(error.into()))?;
    fs_err::write(&path, text).map_err(file("write", &path))?;
    // In this network namespace, and handed in: the guard's own has no way out.
    let listener = listen(config.keep.as_deref())?;
    let (said, says) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| Error::Start(e.into()))?;
    let log = File::create(place.log()).map_err(file("make", &place.log()))?;
    let own = std::env::current_exe().map_err(Error::Start)?;
    let mut command = Command::new(own);
    let state = place.directory.ancestors().nth(2).unwrap_or(Path::new("/"));
    command.arg("--state").arg(state);
    command.args(["cluster", "--name", &place.name, "hold"]);
    command.arg("--directory").arg(&place.directory);
    command.args(["--token", &harness::run::token().map_err(Error::Start)?]);
    if let Some(keep) = &config.keep {
        command.arg("--keep").arg(keep);
    }
    let child = command
        .current_dir("/")
        .stdin(OwnedFd::from(listener))
        .stdout(says)
        .stderr(log)
        .spawn()
        .map_err(Error::Start)?;
    // Its copies of what it hands on would keep the pipe open.
    drop(command);
    let answer = answer(said, place);
    if answer.is_err() {
        end(child, place, streams);
    }
    answer
}

/// The address of the API: that of the last time if the cluster is kept and nobody else has it now.
fn listen(keep: Option<&Path>) -> Result<TcpListener, Error> {
    let path: Option<PathBuf> = keep.map(|keep| keep.join("port"));
    let last = path
        .as_deref()
        .and_then(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u16>().ok());
    let again = last.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let listener = match again {
        Some(listener) => listener,
        None => TcpListener::bind(("127.0.0.1", 0)).map_err(Error::Listen)?,
    };
    if let Some(path) = path {
        let port = listener.local_addr().map_err(Error::Listen)?.port();
        fs_err::write(&path, port.to_string()).map_err(file("write", &path))?;
    }
    Ok(listener)
}

/// What the serving process says.
fn answer(said: OwnedFd, place: &Place) -> Result<Value, Error> {
    let silent = |why: &str| {
        let log = std::fs::read_to_string(place.log()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Error::NotReady {
            why: if last.is_empty() {
                why.to_owned()
            } else {
                format!("{why}: {}", last.join(" / "))
            },
        }
    };
    if !harness::wait::readable(&[said.as_fd()], Some(PATIENCE))[0] {
        return Err(silent(&format!("it was not ready within {} s", PATIENCE.as_secs())));
    }
    let mut line = String::new();
    BufReader::new(File::from(said))
        .read_line(&mut line)
        .map_err(Error::Start)?;
    let Ok(answer) = serde_json::from_str::<Value>(&line) else {
        return Err(silent("its process ended"));
    };
    match (answer.get("ready"), answer.get("failed")) {
        (Some(ready), _) => Ok(ready.clone()),
        (None, why) => Err(Error::NotReady {
            why: why.and_then(Value::as_str).unwrap_or("it did not say why").to_owned(),
        }),
    }
}

/// Ends a cluster that did not come up.
fn end(mut child: Child, place: &Place, streams: &mut Streams) {
    if let Ok(Some(holder)) = place.holder()
        && let Err(error) = down::end(place, &holder)
    {
        streams.err(&format!("error: {}", harness::chain(&error)));
    }
    let _ended = child.wait();
}
