//! Which families of addresses a Service has, and in which order.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/dual-stack/>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use objects::{Cause, meta, validate};
use serde_json::{Value, json};

use super::{cause, go_texts, kind};

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// The first is that of Services that ask for none.
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// As a Service has it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// Where the addresses of Services are: the first of 65536.
    pub(super) const fn network(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(10, 96, 0, 0)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0)),
        }
    }

    /// Bits that the addresses of Services have in common.
    pub(super) const fn prefix(self) -> u8 {
        match self {
            Self::V4 => 16,
            Self::V6 => 112,
        }
    }
}

/// The families that a Service says it has.
pub(super) fn of(service: &Value) -> Vec<Family> {
    let words = meta::list(service, &["spec", "ipFamilies"]).iter();
    let family = |word: &Value| Family::ALL.into_iter().find(|family| *word == family.word());
    words.filter_map(family).collect()
}

fn set(service: &mut Value, families: &[Family]) {
    let words: Vec<Value> = families.iter().map(|family| json!(family.word())).collect();
    meta::set(service, &["spec", "ipFamilies"], words);
}

fn policy(service: &Value) -> &str {
    meta::text(service, &["spec", "ipFamilyPolicy"])
}

fn same(old: &Value, new: &Value, field: &str) -> bool {
    meta::list(old, &["spec", field]) == meta::list(new, &["spec", field])
}

/// Whether a change leaves a Service that prefers two families alone: it is brought neither a second one nor deprived of it
/// because the cluster has other families by now.
pub(super) fn keeps(old: Option<&Value>, new: &Value) -> bool {
    old.is_some_and(|old| {
        kind(old) == kind(new)
            && [old, new].iter().all(|one| policy(one) == "PreferDualStack")
            && same(old, new, "clusterIPs")
            && same(old, new, "ipFamilies")
    })
}

/// Makes `ipFamilyPolicy` and `ipFamilies` say what they mean on a cluster with these families, and says what is wrong with
/// them.
pub(super) fn init(old: Option<&Value>, service: &mut Value, available: &[Family]) -> Vec<Cause> {
    let is_free =
        is_headless(service) && meta::map(service, &["spec", "selector"]).is_none_or(serde_json::Map::is_empty);
    if policy(service).is_empty() {
        let before = old.map(policy).filter(|policy| !policy.is_empty());
        let usual = if is_free { "RequireDualStack" } else { "SingleStack" };
        meta::set(service, &["spec", "ipFamilyPolicy"], before.unwrap_or(usual).to_owned());
    }
    let causes = validate::service_addresses(service);
    if !causes.is_empty() {
        return causes;
    }
    let mut causes = Vec::new();
    if let Some(old) = old {
        release(old, service, &mut causes);
    }
    if policy(service) == "SingleStack" {
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if meta::list(service, &["spec", field]).len() == 2 {
                let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                causes.push(of_policy(service, &why));
            }
        }
    }
    let mut families = of(service);
    let addresses = meta::list(service, &["spec", "clusterIPs"]);
    for (index, address) in addresses.iter().enumerate().skip(families.len()) {
        let Some(family) = address.as_str().and_then(|one| one.parse().ok()).map(Family::of) else {
            break;
        };
        if available.contains(&family) {
            families.push(family);
        } else {
            let why = format!("{} is not configured on this cluster", family.word());
            causes.push(cause(&format!("spec.clusterIPs[{index}]"), &go_texts(addresses), &why));
        }
    }
    if !causes.is_empty() {
        return causes;
    }
    // Who keeps the endpoints himself may have them of any family.
    if !is_free {
        if policy(service) == "RequireDualStack" && available.len() < 2 {
            causes.push(of_policy(
                service,
                "this cluster is not configured for dual-stack services",
            ));
        }
        for (index, family) in families.iter().enumerate() {
            if !available.contains(family) {
                let shown = format!("{:?}", family.word());
                causes.push(cause(
                    &format!("spec.ipFamilies[{index}]"),
                    &shown,
                    "not configured on this cluster",
                ));
            }
        }
        if !causes.is_empty() {
            return causes;
        }
    }
    if families.is_empty() {
        families.extend(available.first());
    }
    if let [only] = families[..]
        && policy(service) != "SingleStack"
        && (is_free || available.len() == 2)
    {
        families.push(only.other());
    }
    set(service, &families);
    causes
}

/// The second family goes if the policy, and nothing else, says so.
fn release(old: &Value, service: &mut Value, causes: &mut Vec<Cause>) {
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let after = meta::list(service, &["spec", field]);
        if policy(service) == "SingleStack" {
            if after.len() > 1 && same(old, service, field) {
                let first = after[..1].to_vec();
                meta::set(service, &["spec", field], first);
            }
        } else if !after.is_empty() && after.len() < meta::list(old, &["spec", field]).len() {
            let why = format!("must be 'SingleStack' to release the secondary {what}");
            causes.push(of_policy(service, &why));
        }
    }
}

fn of_policy(service: &Value, why: &str) -> Cause {
    cause("spec.ipFamilyPolicy", &format!("{:?}", policy(service)), why)
}

fn is_headless(service: &Value) -> bool {
    meta::text(service, &["spec", "clusterIP"]) == "None"
}
