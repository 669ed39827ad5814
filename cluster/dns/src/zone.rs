//! All records, by name and by the object that they are from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use hickory_proto::rr::rdata::{A, AAAA, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData};

use crate::DOMAIN;
use crate::path::Path;

/// How long a record may be kept, and how long that there is none: what CoreDNS says.
pub(crate) const TTL: u32 = 5;
/// Version of the specification, for `dns-version`.
const SCHEMA: &str = "1.1.0";
/// Where addresses have their names.
const REVERSE: [&str; 2] = ["in-addr.arpa", "ip6.arpa"];

/// A record without its time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) data: RData,
}

/// An object that has records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The zone itself.
    Zone,
    Service {
        namespace: String,
        name: String,
    },
    Pod {
        namespace: String,
        name: String,
    },
}

/// What is at a name.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// Records.
    Here(&'a [Arc<Entry>]),
    /// None, but there are names below it, and so it exists (RFC 8020).
    Between,
    /// Nothing.
    Nowhere,
}

/// A part of the tree of names for which we are the authority.
#[derive(Debug, Clone)]
pub(crate) struct Apex {
    path: Path,
    pub(crate) name: Name,
    /// Of addresses.
    pub(crate) reverse: bool,
}

/// The records.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    apexes: Vec<Apex>,
    server: Name,
    names: BTreeMap<Path, Vec<Arc<Entry>>>,
    sources: HashMap<Source, Vec<Arc<Entry>>>,
    serial: u32,
}

impl Zone {
    /// What is there without any object; `server` is the address of the name server.
    pub(crate) fn new(server: IpAddr) -> Self {
        let apex = |text: &str, reverse| {
            let name = absolute(text)?;
            let path = Path::of(&name);
            Some(Apex { path, name, reverse })
        };
        let forward = apex(DOMAIN, false);
        let reverse = REVERSE.iter().filter_map(|text| apex(text, true));
        let mut zone = Self {
            apexes: forward.into_iter().chain(reverse).collect(),
            server: below("ns.dns").unwrap_or_default(),
            names: BTreeMap::new(),
            sources: HashMap::new(),
            serial: 0,
        };
        let mut entries: Vec<Entry> = zone
            .apexes
            .iter()
            .map(|apex| Entry {
                name: apex.name.clone(),
                data: RData::NS(NS(zone.server.clone())),
            })
            .collect();
        entries.push(Entry {
            name: zone.server.clone(),
            data: of_address(server),
        });
        entries.extend(below("dns-version").map(|name| Entry {
            name,
            data: RData::TXT(TXT::new(vec![SCHEMA.into()])),
        }));
        zone.replace(Source::Zone, entries);
        zone
    }

    /// These are all records of the object now. Answers whether that is anything new.
    pub(crate) fn replace(&mut self, source: Source, entries: Vec<Entry>) -> bool {
        let old = self.sources.get(&source).map_or(&[][..], Vec::as_slice);
        if old.len() == entries.len() && old.iter().zip(&entries).all(|(old, new)| **old == *new) {
            return false;
        }
        self.serial = self.serial.wrapping_add(1);
        if let Some(gone) = self.sources.remove(&source) {
            self.take(&gone);
        }
        if entries.is_empty() {
            return true;
        }
        let entries: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
        for entry in &entries {
            let place = self.names.entry(Path::of(&entry.name)).or_default();
            place.push(entry.clone());
        }
        self.sources.insert(source, entries);
        true
    }

    fn take(&mut self, gone: &[Arc<Entry>]) {
        let paths: BTreeSet<Path> = gone.iter().map(|entry| Path::of(&entry.name)).collect();
        let gone: HashSet<*const Entry> = gone.iter().map(Arc::as_ptr).collect();
        for path in paths {
            if let Some(place) = self.names.get_mut(&path) {
                place.retain(|entry| !gone.contains(&Arc::as_ptr(entry)));
                if place.is_empty() {
                    self.names.remove(&path);
                }
            }
        }
    }

    /// Whether the object has records.
    pub(crate) fn knows(&self, source: &Source) -> bool {
        self.sources.contains_key(source)
    }

    /// How many names have records.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn at(&self, path: &Path) -> Place<'_> {
        if let Some(entries) = self.names.get(path) {
            return Place::Here(entries);
        }
        let after = (Bound::Excluded(path), Bound::Unbounded);
        match self.names.range::<Path, _>(after).next() {
            Some((next, _)) if next.is_at_or_below(path) => Place::Between,
            _ => Place::Nowhere,
        }
    }

    /// The part that we are the authority for and that has this path.
    pub(crate) fn apex(&self, path: &Path) -> Option<&Apex> {
        self.apexes.iter().find(|apex| path.is_at_or_below(&apex.path))
    }

    /// Start of authority: changes with every record.
    pub(crate) fn soa(&self, apex: &Apex) -> Entry {
        let mailbox = Name::from_ascii("hostmaster")
            .and_then(|name| name.append_domain(&apex.name))
            .unwrap_or_default();
        let soa = SOA::new(self.server.clone(), mailbox, self.serial, 7200, 1800, 86400, TTL);
        Entry {
            name: apex.name.clone(),
            data: RData::SOA(soa),
        }
    }
}

impl Apex {
    pub(crate) fn is(&self, path: &Path) -> bool {
        self.path == *path
    }
}

/// `text.` as a name, if it can be one.
pub(crate) fn absolute(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).ok()
}

/// A name below the cluster's domain.
pub(crate) fn below(text: &str) -> Option<Name> {
    absolute(&format!("{text}.{DOMAIN}"))
}

/// A or AAAA.
pub(crate) fn of_address(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, last: u8) -> Entry {
        Entry {
            name: below(name).unwrap(),
            data: of_address(IpAddr::from([10, 0, 0, last])),
        }
    }

    fn source(name: &str) -> Source {
        Source::Service {
            namespace: "a".into(),
            name: name.into(),
        }
    }

    fn count(zone: &Zone, name: &str) -> Option<usize> {
        match zone.at(&Path::of(&below(name).unwrap())) {
            Place::Here(entries) => Some(entries.len()),
            Place::Between => Some(0),
            Place::Nowhere => None,
        }
    }

    #[test]
    fn an_object_takes_its_records_along_and_leaves_those_of_others() {
        let mut zone = Zone::new([10, 96, 0, 10].into());
        let names = zone.len();
        assert!(zone.replace(source("one"), vec![entry("x.a.svc", 1), entry("p.x.a.svc", 1)]));
        assert!(zone.replace(source("two"), vec![entry("x.a.svc", 1)]));
        assert_eq!(count(&zone, "x.a.svc"), Some(2));
        assert_eq!((count(&zone, "a.svc"), count(&zone, "b.svc")), (Some(0), None));

        assert!(!zone.replace(source("two"), vec![entry("x.a.svc", 1)]), "nothing new");
        assert!(zone.replace(source("one"), vec![]));
        assert_eq!((count(&zone, "x.a.svc"), count(&zone, "p.x.a.svc")), (Some(1), None));
        assert!(zone.replace(source("two"), vec![]));
        assert_eq!((zone.len(), count(&zone, "svc")), (names, None));
    }

    #[test]
    fn every_change_has_a_serial_number() {
        let mut zone = Zone::new([10, 96, 0, 10].into());
        let serial = |zone: &Zone| match zone.soa(&zone.apexes[0]).data {
            RData::SOA(soa) => soa.serial,
            other => panic!("{other}"),
        };
        let first = serial(&zone);
        zone.replace(source("one"), vec![entry("x.a.svc", 1)]);
        zone.replace(source("one"), vec![entry("x.a.svc", 1)]);
        assert_eq!(serial(&zone), first + 1);
    }
}
