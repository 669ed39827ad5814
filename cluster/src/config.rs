//! What a cluster is made of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, NetworkMode, NodeConfig, faults};

/// The configuration of a cluster, as a file or a spec has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The nodes.
    pub nodes: Vec<NodeConfig>,
    /// How pods and nodes are connected.
    #[serde(skip_serializing_if = "is_usual")]
    pub network: NetworkMode,
    /// What choices among equals depend on.
    pub seed: u64,
    /// Command line of the OCI runtime; the bundled one unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Vec<String>>,
    /// Where objects are kept beyond the end of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<PathBuf>,
    /// Names of faults that are there from the start.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub faults: BTreeSet<String>,
}

fn is_usual(network: &NetworkMode) -> bool {
    *network == NetworkMode::default()
}

/// Whether a cluster can be made of it.
///
/// # Errors
/// [`Error::Config`] for an unknown fault, a node's name that is taken, or an empty runtime.
pub fn check(config: &Config) -> Result<(), Error> {
    let wrong = |why: String| Err(Error::Config(why));
    for name in &config.faults {
        if !faults().iter().any(|fault| fault.name == *name) {
            return wrong(format!("there is no fault `{name}`"));
        }
    }
    let mut names = BTreeSet::new();
    for node in &config.nodes {
        for one in node.expand() {
            if names.contains(&one.name) {
                return wrong(format!("two nodes are called `{}`", one.name));
            }
            names.insert(one.name);
        }
    }
    if config.runtime.as_ref().is_some_and(Vec::is_empty) {
        return wrong("the command line of the runtime is empty".into());
    }
    Ok(())
}
