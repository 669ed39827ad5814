//! Where packets come from, and how the probe is run there.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use oci_runtime_client::{Exec, Outcome, Streams};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use super::Lack;
use crate::drive::World;
use crate::drive::cluster::{NETWORKS, text};
use crate::guard::HOME;

/// Where the probe lies in its image.
const PROBE: &str = "/bin/probe";

/// A place that packets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A container of a runtime, by the name of its workload.
    Container { name: String, id: String, pid: i32 },
    /// A container of a pod.
    Pod {
        namespace: String,
        pod: String,
        container: Option<String>,
    },
    /// The namespaces in which the subject was started.
    Host,
    /// A network namespace of the bundled cluster, by a path that leads to it.
    Network { what: String, path: PathBuf },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { name, .. } => write!(f, "`{name}`"),
            Self::Pod { pod, .. } => write!(f, "pod {pod}"),
            Self::Host => f.write_str("the host"),
            Self::Network { what, .. } => f.write_str(what),
        }
    }
}

/// What running it came to.
pub(super) struct Said {
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// How it ended, in words.
    ended: String,
}

impl From<Outcome> for Said {
    fn from(outcome: Outcome) -> Self {
        let ended = if outcome.hung {
            format!("was still running after {:?} and was killed", outcome.took)
        } else {
            format!("ended with status {}", outcome.shell_code())
        };
        Self {
            ended,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
        }
    }
}

impl World<'_> {
    /// Where packets from `from` come from.
    pub(super) fn origin(&mut self, from: &str, container: Option<&str>) -> Result<Origin, Lack> {
        if self.cluster.is_none() {
            if from == "host" {
                return Ok(Origin::Host);
            }
            let found = self.containers.get_mut(from);
            let found = found.ok_or_else(|| Lack::Absent(format!("`{from}` was never made")))?;
            let id = found.id.clone();
            let Some(init) = found.init.as_mut() else {
                return Err(Lack::Absent(format!(
                    "`{from}` has no process: nothing is sent from it"
                )));
            };
            if !init.alive() {
                return Err(Lack::Absent(format!("`{from}` has ended: nothing is sent from it")));
            }
            return Ok(Origin::Container {
                name: from.to_owned(),
                id,
                pid: init.pid,
            });
        }
        if from == "outside" || from.starts_with("node/") {
            return self.network(from);
        }
        let cluster = self.cluster().map_err(Lack::Broken)?;
        cluster.look_anew();
        let pods = cluster.pods(from).map_err(Lack::Absent)?;
        let runs = |pod: &&Value| {
            pod.pointer("/metadata/deletionTimestamp").is_none() && text(pod, "/status/phase") == "Running"
        };
        let pod = pods.iter().find(runs);
        let pod = pod.ok_or_else(|| Lack::Absent(format!("`{from}` has no pod that runs: nothing is sent from it")))?;
        Ok(Origin::Pod {
            namespace: text(pod, "/metadata/namespace"),
            pod: text(pod, "/metadata/name"),
            container: container.map(str::to_owned),
        })
    }

    /// A network namespace that the bundled cluster tells of.
    fn network(&mut self, from: &str) -> Result<Origin, Lack> {
        let cluster = self.cluster().map_err(Lack::Broken)?;
        let told = cluster
            .client
            .find(NETWORKS)
            .map_err(|error| Lack::Broken(crate::chain(&error)))?
            .ok_or_else(|| Lack::Broken("the cluster does not tell of its networks".into()))?;
        let (what, found) = match from.strip_prefix("node/") {
            Some(node) => (format!("node {node}"), &told["nodes"][cluster.names.real(node)]),
            None => ("outside of the nodes".to_owned(), &told["outside"]),
        };
        let path = found.as_str().map(PathBuf::from);
        let path = path.ok_or_else(|| Lack::Absent(format!("{what} has no network")))?;
        Ok(Origin::Network { what, path })
    }

    /// Runs the probe there.
    pub(super) fn run_probe(&mut self, origin: &Origin, argv: &[String]) -> Result<Said, Lack> {
        let begun = Instant::now();
        let said = self.run_probe_there(origin, argv);
        self.waited += begun.elapsed();
        said
    }

    fn run_probe_there(&mut self, origin: &Origin, argv: &[String]) -> Result<Said, Lack> {
        match origin {
            Origin::Container { id, .. } => {
                let mut args = vec![PROBE.to_owned()];
                args.extend(argv.iter().cloned());
                let exec = Exec {
                    args: &args,
                    // The container may have the nonce of the run in its environment, and would tell all about itself.
                    env: vec!["PLIMSOLL_REPORT=off".into()],
                    cwd: None,
                    user: None,
                    detach: None,
                };
                let outcome = self.client.exec(id, &exec);
                outcome
                    .map(Said::from)
                    .map_err(|error| Lack::Broken(crate::chain(&error)))
            }
            Origin::Pod {
                namespace,
                pod,
                container,
            } => {
                let mut args = vec![PROBE.to_owned()];
                args.extend(argv.iter().cloned());
                let cluster = self.cluster().map_err(Lack::Broken)?;
                match cluster.client.exec(namespace, pod, container.as_deref(), &args) {
                    Ok(said) => Ok(Said {
                        ended: match said.code {
                            Some(code) => format!("ended with status {code}"),
                            None => said.message,
                        },
                        stdout: said.stdout,
                        stderr: said.stderr,
                    }),
                    Err(error) => Err(match error.refusal() {
                        Some(refusal) => Lack::Absent(format!("nothing is sent from pod {pod}: {refusal}")),
                        None => Lack::Broken(crate::chain(&error)),
                    }),
                }
            }
            Origin::Host => self.run_own(argv).map(Said::from),
            Origin::Network { path, .. } => {
                let inside = |error: rustix::io::Errno| {
                    Lack::Broken(format!("failed to enter the network at `{}`: {error}", path.display()))
                };
                let open = |path: &Path| openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
                let own = open(Path::new("/proc/thread-self/ns/net")).map_err(inside)?;
                let there = open(path).map_err(inside)?;
                // A child begins where this thread is.
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(there.as_fd(), network).map_err(inside)?;
                let outcome = self.run_own(argv);
                move_into_link_name_space(own.as_fd(), network).map_err(inside)?;
                outcome.map(Said::from)
            }
        }
    }

    /// Runs the probe that was unpacked for the case, in the namespaces of this thread.
    fn run_own(&self, argv: &[String]) -> Result<Outcome, Lack> {
        let mut whole = vec![OsString::from(format!("{HOME}/image/bin/probe"))];
        whole.extend(argv.iter().map(OsString::from));
        oci_runtime_client::run(&whole, Streams::captured(), self.step_time())
            .map_err(|error| Lack::Broken(crate::chain(&error)))
    }

    /// Why the probe said nothing.
    pub(super) fn no_probe(&self, origin: &Origin, said: &Said) -> Lack {
        let complaint = said.stderr.trim().lines().last().unwrap_or_default();
        let told = if complaint.is_empty() {
            said.ended.clone()
        } else {
            format!("{}: {complaint}", said.ended)
        };
        let has_none = match origin {
            Origin::Container { pid, .. } => !Path::new(&format!("/proc/{pid}/root{PROBE}")).exists(),
            Origin::Pod { .. } => ["no such file", "not found", "executable file"]
                .iter()
                .any(|words| told.to_lowercase().contains(words)),
            Origin::Host | Origin::Network { .. } => false,
        };
        if has_none {
            return Lack::Broken(format!(
                "nothing can be measured from {origin}: its image has no `{PROBE}` ({told})"
            ));
        }
        match origin {
            // Who runs commands in containers is the subject.
            Origin::Container { .. } | Origin::Pod { .. } => {
                Lack::Absent(format!("nothing was sent from {origin}: the command in it {told}"))
            }
            Origin::Host | Origin::Network { .. } => Lack::Broken(format!("the probe in {origin} {told}")),
        }
    }
}
