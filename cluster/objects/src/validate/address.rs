//! IP addresses and ranges of them.

use std::net::IpAddr;

use super::faults::{Faults, Path};

/// An address of either family.
pub(super) fn any(faults: &mut Faults, path: &Path<'_>, address: &str) -> Option<IpAddr> {
    let known = address.parse().ok();
    if known.is_none() {
        faults.invalid(
            path,
            address,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
    known
}

/// An address that means one and the same machine everywhere.
pub(super) fn ordinary(faults: &mut Faults, path: &Path<'_>, address: &str) {
    let Ok(known) = address.parse::<IpAddr>() else {
        return faults.invalid(path, address, "must be a valid IP address");
    };
    let is_link_local = match known {
        IpAddr::V4(known) => known.is_link_local(),
        IpAddr::V6(known) => known.segments()[0] & 0xffc0 == 0xfe80,
    };
    let is_link_local_multicast = match known {
        IpAddr::V4(known) => known.octets()[..3] == [224, 0, 0],
        IpAddr::V6(known) => known.segments()[0] & 0xff0f == 0xff02,
    };
    if known.is_unspecified() {
        faults.invalid(path, address, &format!("may not be unspecified ({address})"));
    }
    if known.is_loopback() {
        faults.invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if is_link_local {
        let detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
        faults.invalid(path, address, detail);
    }
    if is_link_local_multicast {
        let detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        faults.invalid(path, address, detail);
    }
}

/// A range such as `10.0.0.0/8`, as address and bits.
pub(super) fn range(faults: &mut Faults, path: &Path<'_>, range: &str) -> Option<(IpAddr, u8)> {
    let known = range.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
    });
    if known.is_none() {
        faults.invalid(
            path,
            range,
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        );
    }
    known
}

/// Addresses of a pod or its host: each good, none twice, one of each family at most.
pub(super) fn one_of_each_family(faults: &mut Faults, path: &Path<'_>, addresses: &[&str]) {
    let mut families = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let known = any(faults, &path.index(index), address);
        families.extend(known.map(|known| known.is_ipv4()));
        if addresses[..index].contains(address) {
            faults.duplicate(&path.index(index), *address);
        }
    }
    let is_mixed = families.contains(&true) && families.contains(&false);
    if addresses.len() > 1 && (!is_mixed || addresses.len() > 2) {
        let shown = super::faults::Plain(format!("{addresses:?}"));
        faults.invalid(path, &shown, "may specify no more than one IP for each IP family");
    }
}
