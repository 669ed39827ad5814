//! Where the packets of a failed look went missing: the bundled cluster, which holds the network namespaces, follows their
//! path while everything is still as it was.

use serde_json::{Value, json};

use record::Seen;
use record::packets::AttemptSeen;

use crate::drive::World;
use crate::drive::cluster::text;

/// Follows a connection's path.
const PATH: &str = "/plimsoll/v1/path";

/// Most paths that are followed for one failure.
const MOST: usize = 16;

impl World<'_> {
    /// The paths of the attempts of this look that did not come through, as JSON; nothing where nobody can follow them.
    pub(in crate::drive) fn paths(&mut self) -> Option<String> {
        let Some(Seen::Attempts { list, .. }) = &self.packets else {
            return None;
        };
        let mut missing: Vec<AttemptSeen> = Vec::new();
        for attempt in list {
            let is_known = |known: &AttemptSeen| {
                (&known.from, &known.address, &known.outcome) == (&attempt.from, &attempt.address, &attempt.outcome)
            };
            let is_through = ["connected", "sent"].contains(&attempt.outcome.as_str());
            if !is_through && attempt.address.is_some() && !missing.iter().any(is_known) {
                missing.push(attempt.clone());
            }
        }
        let followed: Vec<Value> = missing
            .iter()
            .take(MOST)
            .filter_map(|attempt| self.followed(attempt))
            .collect();
        (!followed.is_empty()).then(|| Value::from(followed).to_string())
    }

    fn followed(&mut self, attempt: &AttemptSeen) -> Option<Value> {
        let protocol = self.transport;
        let cluster = self.cluster.as_mut().filter(|cluster| cluster.tells_networks())?;
        let from = match attempt.from.strip_prefix("node/") {
            Some(node) => format!("node/{}", cluster.names.real(node)),
            None if attempt.from == "outside" => "outside".to_owned(),
            None => {
                let pods = cluster.pods(&attempt.from).ok()?;
                let pod = pods.iter().find(|pod| text(pod, "/status/phase") == "Running")?;
                format!(
                    "pod/{}/{}",
                    text(pod, "/metadata/namespace"),
                    text(pod, "/metadata/name")
                )
            }
        };
        let question = json!({
            "from": from,
            "source": attempt.source,
            "to": attempt.address,
            "protocol": protocol,
        });
        // A cluster that cannot tell leaves the failure as it is.
        let answer = cluster.client.post(PATH, &question).ok()?;
        Some(json!({
            "from": attempt.from,
            "to": attempt.to,
            "address": attempt.address,
            "outcome": attempt.outcome,
            "hops": answer["hops"],
        }))
    }
}
