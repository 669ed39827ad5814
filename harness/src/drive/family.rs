//! Addresses by their family, where an object has several.

use std::net::IpAddr;

use serde_json::Value;
use spec::Family;

use super::cluster::text;

/// Those of a family; all of them where none is asked for.
pub(super) fn only(addresses: Vec<String>, family: Option<Family>) -> Vec<String> {
    let Some(family) = family else { return addresses };
    let is_wanted = |address: &String| address.parse::<IpAddr>().is_ok_and(|address| family.has(address));
    addresses.into_iter().filter(is_wanted).collect()
}

/// The addresses of an object: those of a list of texts or of maps with `ip`, or the only one where there is no list.
pub(super) fn addresses(object: &Value, list: &str, one: &str) -> Vec<String> {
    let each = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
    let each = each.filter_map(|address| address.as_str().or_else(|| address["ip"].as_str()));
    let mut all: Vec<String> = each.map(str::to_owned).collect();
    if all.is_empty() {
        all.push(text(object, one));
    }
    all.retain(|address| !address.is_empty());
    all
}

/// What stands behind a name in a reference, and the family that is asked for: `podIP.IPv6`.
pub(super) fn split(rest: &str) -> (&str, Option<Family>) {
    match rest.rsplit_once('.') {
        Some((what, word)) => match Family::named(word) {
            Some(family) => (what, Some(family)),
            None => (rest, None),
        },
        None => (rest, None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_has_several_addresses_or_one() {
        let pod = json!({"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}});
        let all = addresses(&pod, "/status/podIPs", "/status/podIP");
        assert_eq!(all, ["10.0.0.1", "fd00::1"]);
        assert_eq!(only(all.clone(), Some(Family::Ipv6)), ["fd00::1"]);
        assert_eq!(only(all, None).len(), 2);
        let old = json!({"spec": {"clusterIP": "10.96.0.1"}});
        assert_eq!(addresses(&old, "/spec/clusterIPs", "/spec/clusterIP"), ["10.96.0.1"]);
        assert!(addresses(&json!({}), "/status/podIPs", "/status/podIP").is_empty());
    }

    #[test]
    fn a_reference_ends_with_a_family_or_not() {
        assert_eq!(split("podIP.IPv6"), ("podIP", Some(Family::Ipv6)));
        assert_eq!(split("podIP"), ("podIP", None));
        assert_eq!(split("port.http"), ("port.http", None));
    }
}
