//! The ways in which a cluster can be broken from the start.

use serde::Serialize;

/// A fault of the scheduler, a controller, an agent, a proxy, network policies or the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// What specs that could notice it are labelled with; the first is what it breaks.
    pub dimensions: Vec<&'static str>,
    /// What happens, in one sentence.
    pub what: String,
}

/// Every fault, those of one part together.
pub fn faults() -> Vec<Fault> {
    let of_scheduler = scheduler::config::Fault::all().into_iter().map(|fault| Fault {
        name: fault.to_string(),
        dimensions: vec!["scheduling"],
        what: fault.describe(),
    });
    let of_controllers = controllers::FAULTS.iter().map(|fault| Fault {
        name: fault.name.to_owned(),
        dimensions: fault.dimensions.to_vec(),
        what: fault.what.to_owned(),
    });
    let of_node = agent::FAULTS
        .iter()
        .chain(proxy::FAULTS)
        .chain(policy::FAULTS)
        .map(|(name, dimension, what)| Fault {
            name: (*name).to_owned(),
            dimensions: vec![*dimension],
            what: (*what).to_owned(),
        });
    let of_dns = dns::FAULTS.iter().map(|fault| Fault {
        name: fault.name.to_owned(),
        dimensions: fault.dimensions.to_vec(),
        what: fault.what.to_owned(),
    });
    of_scheduler
        .chain(of_controllers)
        .chain(of_node)
        .chain(of_dns)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_faults_have_one_name() {
        let all = faults();
        let names: BTreeSet<&str> = all.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
    }
}
