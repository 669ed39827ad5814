//! The addresses of Services themselves: `clusterIP`, and `clusterIPs`, of which it is the first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use objects::{Cause, meta};
use serde_json::{Value, json};

use super::family::{self, Family};
use super::{Used, cause, go_texts, kind};

const SIZE: u32 = 1 << 16;
/// The lower addresses are left to those who ask for one.
const ASKED_FOR: u32 = 256;

fn one(service: &Value) -> &str {
    meta::text(service, &["spec", "clusterIP"])
}

fn all(service: &Value) -> &[Value] {
    meta::list(service, &["spec", "clusterIPs"])
}

fn set_all(service: &mut Value, all: Vec<Value>) {
    if all.is_empty() {
        meta::remove(service, &["spec", "clusterIPs"]);
    } else {
        meta::set(service, &["spec", "clusterIPs"], all);
    }
}

/// A new Service that says its only address in the old way has it in the new one, too.
pub(super) fn complete(service: &mut Value) {
    let address = one(service).to_owned();
    if !address.is_empty() && all(service).is_empty() {
        set_all(service, vec![json!(address)]);
    }
}

/// What was given stays where a change does not speak of it, and both fields say the same where it speaks of one.
pub(super) fn carry(old: &Value, new: &mut Value) {
    if kind(old) != "ExternalName" && kind(new) != "ExternalName" {
        if one(new).is_empty() && !one(old).is_empty() {
            meta::set(new, &["spec", "clusterIP"], one(old).to_owned());
        }
        if all(new).is_empty() {
            set_all(new, all(old).to_vec());
        }
    }
    let (before, after) = (one(old), one(new).to_owned());
    if before == after {
        if all(new).is_empty() {
            set_all(new, all(old).to_vec());
        }
    } else if all(old) == all(new) {
        let only = if after.is_empty() {
            Vec::new()
        } else {
            vec![json!(after)]
        };
        set_all(new, only);
    }
}

/// Gives a Service the addresses that it lacks, in the order of its families, and refuses those that it cannot have. One
/// that has some already gets a second one at most.
pub(super) fn allocate(
    old: Option<&Value>,
    service: &mut Value,
    used: &Used,
    random: &mut dyn FnMut() -> u64,
) -> Vec<Cause> {
    let old = old.filter(|old| kind(old) != "ExternalName");
    if [old, Some(&*service)]
        .into_iter()
        .flatten()
        .any(|one| all(one).first() == Some(&json!("None")))
    {
        return Vec::new();
    }
    let families = family::of(service);
    let had = old.map_or(0, |old| family::of(old).len());
    if had == families.len() {
        return Vec::new();
    }
    let mut addresses = all(service).to_vec();
    addresses.resize(addresses.len().max(families.len()), json!(""));
    let asked = addresses.clone();
    let mut causes = Vec::new();
    for (family, address) in families.iter().zip(&mut addresses).skip(had) {
        match address.as_str().unwrap_or_default() {
            "" => match free(*family, used, random) {
                Some(free) => *address = json!(free.to_string()),
                None => causes.push(cause(
                    "spec.clusterIPs",
                    &go_texts(&asked),
                    "failed to allocate a serviceIP: range is full",
                )),
            },
            text => {
                if let Err(why) = check(text, *family, used) {
                    causes.push(cause("spec.clusterIPs", &go_texts(&asked), &why));
                }
            }
        }
    }
    if let Some(first) = addresses.first() {
        meta::set(service, &["spec", "clusterIP"], first.clone());
    }
    set_all(service, addresses);
    causes
}

/// Leaves a Service its first address only.
pub(super) fn drop_second(service: &mut Value) {
    let first: Vec<Value> = all(service).iter().take(1).cloned().collect();
    set_all(service, first);
}

fn offset(address: IpAddr) -> Option<u32> {
    let family = Family::of(address);
    let (address, first) = (number(address), number(family.network()));
    let offset = u32::try_from(address.checked_sub(first)?).ok()?;
    // The first is the network itself, and of IPv4 the last one a broadcast.
    let end = if family == Family::V4 { SIZE - 1 } else { SIZE };
    (1..end).contains(&offset).then_some(offset)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn at(family: Family, offset: u32) -> IpAddr {
    match family.network() {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first) + offset).into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first) + u128::from(offset)).into(),
    }
}

fn check(asked: &str, family: Family, used: &Used) -> Result<(), String> {
    let failed = |why: &str| Err(format!("failed to allocate IP {asked}: {why}"));
    let Ok(address) = asked.parse::<IpAddr>() else {
        // Its form is for validation to tell.
        return Ok(());
    };
    if offset(address).is_none() {
        return failed(&format!(
            "the provided IP ({asked}) is not in the valid range. The range of valid IPs is {}/{}",
            family.network(),
            family.prefix()
        ));
    }
    match used.addresses.contains(&address) {
        true => failed("provided IP is already allocated"),
        false => Ok(()),
    }
}

fn free(family: Family, used: &Used, random: &mut dyn FnMut() -> u64) -> Option<IpAddr> {
    let (first, count) = (ASKED_FOR, SIZE - 1 - ASKED_FOR);
    let start = u32::try_from(random() % u64::from(count)).unwrap_or_default();
    let upper = (0..count).map(|step| first + (start + step) % count);
    // When the upper ones are used up, the lower ones are as good; the first is the API's own.
    let all = upper.chain(2..ASKED_FOR);
    all.map(|offset| at(family, offset))
        .find(|address| !used.addresses.contains(address))
}
