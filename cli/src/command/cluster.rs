//! `plimsoll cluster`: one file for each verb that does more than ask the API.

mod ask;
mod down;
pub(crate) mod error;
mod explain;
mod hold;
mod place;
mod schedule;
mod serve;
mod status;
mod up;

use std::path::Path;

use serde_json::{Value, json};

use self::ask::Client;
use self::error::Error;
use self::place::{Place, file};
use crate::arguments::cluster::{Cluster, ClusterVerb, Form};
use crate::streams::Streams;

/// Where the API has what Kubernetes has not.
const EXTENSION: &str = "/plimsoll/v1";

pub(super) fn cluster(asked: &Cluster, state: &Path, streams: &mut Streams) -> Result<u8, crate::error::Error> {
    let place = Place::of(state, &asked.name)?;
    let client = || -> Result<Client, Error> {
        if let Some(path) = &asked.kubeconfig {
            return Client::of(path);
        }
        place.held()?;
        Client::of(&place.kubeconfig())
    };
    match &asked.verb {
        ClusterVerb::Up(up) => return up::up(up, &place, state, streams),
        ClusterVerb::Down => return down::down(&place, streams),
        ClusterVerb::Hold(hold) => return Ok(hold::hold(hold, &place)?),
        ClusterVerb::Schedule(asked) => return schedule::schedule(asked, streams),
        ClusterVerb::Serve(serve) => return Ok(serve::serve(serve, &asked.name)?),
        ClusterVerb::Faults { format } => {
            let faults = cluster::faults();
            match format {
                Form::Json => streams.out(&format!("{:#}\n", json!(faults)))?,
                Form::Text => {
                    let width = faults.iter().map(|fault| fault.name.len()).max().unwrap_or_default();
                    let lines = faults
                        .iter()
                        .map(|fault| format!("{:width$}  {}\n", fault.name, fault.what));
                    streams.out(&lines.collect::<String>())?;
                }
            }
        }
        ClusterVerb::Status { format } => status::status(&client()?, *format, streams)?,
        ClusterVerb::Kubeconfig => {
            place.held()?;
            let path = place.kubeconfig();
            let text = fs_err::read_to_string(&path).map_err(file("read", &path))?;
            streams.out(&text)?;
        }
        ClusterVerb::Reset => told(&client()?.post(&format!("{EXTENSION}/reset"), &json!({}))?, streams)?,
        ClusterVerb::Snapshot { snapshot } => {
            let answer = client()?.post(&format!("{EXTENSION}/snapshot"), &json!({"name": snapshot}))?;
            told(&answer, streams)?;
        }
        ClusterVerb::Restore { snapshot } => {
            let answer = client()?.post(&format!("{EXTENSION}/restore"), &json!({"name": snapshot}))?;
            told(&answer, streams)?;
        }
        ClusterVerb::Explain { pod, format } => explain::explain(&client()?, pod, *format, streams)?,
        ClusterVerb::Node(node) => {
            let path = format!("{EXTENSION}/nodes/{}/{}", node.node, node.act.word());
            told(&client()?.post(&path, &json!({}))?, streams)?;
        }
    }
    Ok(0)
}

/// Prints the sentence that an answer consists of.
fn told(answer: &Value, streams: &mut Streams) -> Result<(), crate::error::Error> {
    match answer.get("message").and_then(Value::as_str) {
        Some(message) => streams.out(&format!("{message}\n")),
        None => streams.out(&format!("{answer}\n")),
    }
}
