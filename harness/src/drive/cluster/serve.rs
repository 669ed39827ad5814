//! The bundled cluster as a process of the case's guard.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Lack;
use crate::guard::{HOME, Home, Job};
use crate::{observe, plan, wait};

/// Time for the API and all nodes to be there.
const UP: Duration = Duration::from_secs(30);

/// Nodes of a test that declares none.
const NODES: u32 = 3;

/// The process that serves.
#[derive(Debug)]
pub(in crate::drive) struct Server {
    /// What reaches it.
    pub(super) kubeconfig: PathBuf,
    /// What it complained.
    pub(in crate::drive) log: PathBuf,
}

impl Server {
    pub(super) fn start(job: &Job, home: &Home, number: usize) -> Result<Self, Lack> {
        if !home.by_root {
            return Err(Lack::Unmet {
                requirement: "root: true".into(),
                seen: "the harness runs as an ordinary user, and the bundled cluster's nodes are namespaces of root's"
                    .into(),
            });
        }
        let of_its_own = match number {
            0 => String::new(),
            number => format!("-{number}"),
        };
        let tmp = PathBuf::from(format!("{HOME}/tmp"));
        let (config, kubeconfig, log) = (
            tmp.join(format!("cluster{of_its_own}.json")),
            tmp.join(format!("kubeconfig{of_its_own}")),
            tmp.join(format!("cluster{of_its_own}.log")),
        );
        let broken = |act: &str, why: &dyn std::fmt::Display| Lack::Broken(format!("failed to {act}: {why}"));
        std::fs::write(&config, configuration(job, &of_its_own).to_string())
            .map_err(|error| broken(&format!("write `{}`", config.display()), &error))?;
        let stderr = File::create(&log).map_err(|error| broken(&format!("make `{}`", log.display()), &error))?;
        let (program, words) = job
            .subject
            .argv
            .split_first()
            .ok_or_else(|| Lack::Broken("the cluster has no program".into()))?;
        let mut child = Command::new(program)
            .args(words)
            .arg("--config")
            .arg(&config)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| broken(&format!("start `{program}`"), &error))?;
        let out = child
            .stdout
            .take()
            .ok_or_else(|| Lack::Broken("the cluster has no standard output".into()))?;
        let said = first_line(out, UP);
        let complaint = || {
            let text = observe::output::text(&log);
            let lines: Vec<&str> = text.lines().rev().take(3).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
        };
        // It ends with the guard, and whoever is PID 1 there waits for it.
        drop(child);
        let Some(line) = said else {
            return Err(Lack::Broken(format!(
                "the cluster was not there after {UP:?}: {}",
                complaint()
            )));
        };
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        if said.get("ready").is_some() {
            return Ok(Self { kubeconfig, log });
        }
        let why = said["failed"].as_str().map_or_else(complaint, str::to_owned);
        Err(Lack::Broken(format!("the cluster could not be started: {why}")))
    }
}

/// What `cluster serve` is told. Directories and control groups of nodes bear their names.
fn configuration(job: &Job, of_its_own: &str) -> Value {
    let declared = job.case.spec.cluster.clone().unwrap_or_default();
    let mut config = json!({"nodes": [{"name": format!("node{of_its_own}"), "count": NODES}]});
    if !declared.nodes.is_empty() {
        let nodes = declared.nodes.iter().map(|node| json!(node.value));
        config["nodes"] = nodes.collect();
    }
    if let Some(network) = declared.network.or_else(|| plan::network(&job.subject.name)) {
        config["network"] = json!(network);
    }
    if let Some(seed) = declared.seed {
        config["seed"] = json!(seed);
    }
    let mut faults: Vec<&str> = declared.faults.iter().map(|fault| fault.value.as_str()).collect();
    faults.extend(job.case.header.fault.as_deref());
    if !faults.is_empty() {
        config["faults"] = json!(faults);
    }
    config
}

/// The first line of a pipe; nothing if it does not come in time or the pipe ends before.
fn first_line(out: std::process::ChildStdout, within: Duration) -> Option<String> {
    let end = Instant::now() + within;
    while !wait::readable(&[out.as_fd()], Some(Duration::from_millis(100)))[0] {
        if Instant::now() >= end {
            return None;
        }
    }
    let mut line = String::new();
    // It is written at once.
    BufReader::new(out).read_line(&mut line).ok().filter(|n| *n > 0)?;
    Some(line)
}
