//! Ways in which the DNS can be broken on purpose, so that specs prove what they would notice.

/// One way to disobey.
#[derive(Debug)]
pub struct Fault {
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// The `dimension` labels of the specs that could be expected to notice; the first is what it breaks.
    pub dimensions: &'static [&'static str],
    /// What happens, in one sentence.
    pub what: &'static str,
    pub(crate) act: Act,
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    AddressesOfOneFamily,
    AliasesMissing,
    CaseFolded,
    CutUnsaid,
    HeadlessMissing,
    HostnamesMissing,
    NoDataDenied,
    OneAddress,
    ReverseMissing,
    Silent,
    SrvPort,
    Stale,
    TtlOfADay,
    UdpOnly,
    UnreadyPublished,
}

const fn fault(name: &'static str, dimensions: &'static [&'static str], what: &'static str, act: Act) -> Fault {
    Fault {
        name,
        dimensions,
        what,
        act,
    }
}

/// Every fault.
pub static FAULTS: &[Fault] = &[
    fault(
        "dns-stale",
        &["dns", "endpoints"],
        "a Service or pod keeps the records that it had first, even when it is gone",
        Act::Stale,
    ),
    fault(
        "dns-headless-missing",
        &["dns"],
        "no name of a headless Service exists",
        Act::HeadlessMissing,
    ),
    fault(
        "dns-hostnames-missing",
        &["dns"],
        "endpoints are not found by the host name of their pod",
        Act::HostnamesMissing,
    ),
    fault(
        "dns-publishes-unready",
        &["dns", "endpoints"],
        "a headless Service has the addresses of pods that are not ready, too",
        Act::UnreadyPublished,
    ),
    fault(
        "dns-one-address",
        &["dns"],
        "a headless Service has the address of one of its pods only",
        Act::OneAddress,
    ),
    fault(
        "dns-ipv6-missing",
        &["dns"],
        "no Service or endpoint is found by an IPv6 address, nor found to have one",
        Act::AddressesOfOneFamily,
    ),
    fault(
        "dns-srv-port-wrong",
        &["dns"],
        "SRV records name the port beside the right one",
        Act::SrvPort,
    ),
    fault(
        "dns-external-name-missing",
        &["dns"],
        "a Service of type ExternalName is no alias, and has no name",
        Act::AliasesMissing,
    ),
    fault(
        "dns-reverse-missing",
        &["dns"],
        "addresses have no names",
        Act::ReverseMissing,
    ),
    fault(
        "dns-nodata-denied",
        &["dns"],
        "a name that has no record of the type asked for is said not to exist",
        Act::NoDataDenied,
    ),
    fault(
        "dns-ttl-of-a-day",
        &["dns"],
        "records may be kept for a day",
        Act::TtlOfADay,
    ),
    fault("dns-udp-only", &["dns"], "nobody answers over TCP", Act::UdpOnly),
    fault(
        "dns-cut-unsaid",
        &["dns"],
        "an answer that was cut to fit a datagram does not say so",
        Act::CutUnsaid,
    ),
    fault(
        "dns-case-folded",
        &["dns"],
        "the question comes back in lower case",
        Act::CaseFolded,
    ),
    fault("dns-silent", &["dns"], "no question is answered", Act::Silent),
];

/// The fault of a name.
pub fn named(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|one| one.name == name)
}

/// The faults that were chosen; as a rule none.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<Act>);

impl Faults {
    /// Breaks one more thing.
    pub fn choose(&mut self, fault: &'static Fault) {
        self.0.push(fault.act);
    }

    pub(crate) fn has(&self, act: Act) -> bool {
        self.0.contains(&act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        for (place, one) in FAULTS.iter().enumerate() {
            assert!(one.name.starts_with("dns-"), "{}", one.name);
            assert_eq!(FAULTS.iter().position(|other| other.name == one.name), Some(place));
        }
        assert_eq!(named("dns-silent").map(|fault| fault.act), Some(Act::Silent));
    }
}
