//! Node ports: the numbers by which a Service is had at every node.

use std::collections::BTreeSet;

use objects::{Cause, meta};
use serde_json::Value;

use super::{Used, cause, change_ports, wants_health_port};

const PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Gives a Service the node ports that it lacks, and refuses those that it cannot have.
pub(super) fn allocate(service: &mut Value, used: &mut Used, random: &mut dyn FnMut() -> u64) -> Vec<Cause> {
    let mut causes = Vec::new();
    if super::has_node_ports(service) {
        each(service, used, random, &mut causes);
    }
    if wants_health_port(service)
        && meta::number(service, &["spec", "healthCheckNodePort"]).unwrap_or_default() == 0
        && let Some(free) = free_port(used, random)
    {
        meta::set(service, &["spec", "healthCheckNodePort"], free);
    }
    causes
}

fn free_port(used: &Used, random: &mut dyn FnMut() -> u64) -> Option<i64> {
    let count = PORTS.end() - PORTS.start() + 1;
    let start = i64::try_from(random() % u64::try_from(count).unwrap_or(1)).unwrap_or_default();
    (0..count)
        .map(|step| PORTS.start() + (start + step) % count)
        .find(|port| !used.ports.contains(port))
}

fn each(service: &mut Value, used: &mut Used, random: &mut dyn FnMut() -> u64, causes: &mut Vec<Cause>) {
    let asked: BTreeSet<i64> = meta::list(service, &["spec", "ports"])
        .iter()
        .filter_map(|port| meta::number(port, &["nodePort"]))
        .filter(|number| *number != 0)
        .collect();
    let taken = used.ports.clone();
    used.ports.extend(asked);
    // One number for a port that is served by two protocols.
    let mut given: Vec<(Value, Value, i64)> = Vec::new();
    let mut index = 0;
    change_ports(service, |port| {
        let field = format!("spec.ports[{index}].nodePort");
        index += 1;
        let number = match meta::number(port, &["nodePort"]).unwrap_or_default() {
            0 => {
                let twin = given
                    .iter()
                    .find(|(one, protocol, _)| *one == port["port"] && *protocol != port["protocol"]);
                let Some(free) = twin.map(|(_, _, number)| *number).or_else(|| free_port(used, random)) else {
                    causes.push(cause(&field, "0", "failed to allocate a nodePort: range is full"));
                    return;
                };
                meta::set(port, &["nodePort"], free);
                used.ports.insert(free);
                free
            }
            number if !PORTS.contains(&number) => {
                let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                causes.push(cause(&field, &number.to_string(), why));
                return;
            }
            number if taken.contains(&number) => {
                causes.push(cause(&field, &number.to_string(), "provided port is already allocated"));
                return;
            }
            number => number,
        };
        given.push((port["port"].clone(), port["protocol"].clone(), number));
    });
}
