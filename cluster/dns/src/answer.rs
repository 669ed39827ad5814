//! From a question to the records that answer it.

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::fault::{Act, Faults};
use crate::path::Path;
use crate::zone::{Apex, Entry, Place, TTL, Zone};

/// How many aliases are followed.
const ALIASES: usize = 8;
/// Seconds.
const DAY: u32 = 86_400;

/// What a response says.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    /// Whether it is the word of the authority.
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

/// Whose business a question is.
#[derive(Debug)]
pub(crate) enum Answered {
    Ours(Answer),
    /// An upstream may know. Without one, this is to be said.
    Foreign(Answer),
}

/// Answers a question of class IN. `turn` decides which of several addresses comes first.
pub(crate) fn answer(zone: &Zone, name: &Name, kind: RecordType, faults: &Faults, turn: usize) -> Answered {
    let path = Path::of(name);
    let Some(apex) = zone.apex(&path) else {
        return Answered::Foreign(Answer {
            code: ResponseCode::Refused,
            ..Answer::default()
        });
    };
    let search = Search {
        zone,
        kind,
        faults,
        turn,
    };
    let answer = search.run(name.clone(), path, apex);
    // An address that nobody here has may have a name elsewhere.
    if apex.reverse && answer.code == ResponseCode::NXDomain {
        return Answered::Foreign(answer);
    }
    Answered::Ours(answer)
}

struct Search<'a> {
    zone: &'a Zone,
    kind: RecordType,
    faults: &'a Faults,
    turn: usize,
}

impl<'a> Search<'a> {
    fn run(&self, mut owner: Name, mut path: Path, mut apex: &'a Apex) -> Answer {
        let mut answer = Answer {
            authoritative: true,
            ..Answer::default()
        };
        for _ in 0..=ALIASES {
            let entries = match self.zone.at(&path) {
                Place::Here(entries) => entries,
                Place::Between => return self.nothing(answer, apex, ResponseCode::NoError),
                Place::Nowhere => return self.nothing(answer, apex, ResponseCode::NXDomain),
            };
            if apex.is(&path) && matches!(self.kind, RecordType::SOA | RecordType::ANY) {
                let soa = self.zone.soa(apex);
                answer.answers.push(self.record(&owner, &soa));
            }
            let found = self.of_kind(entries);
            if !found.is_empty() {
                answer.additionals = self.hosts(&found);
                answer
                    .answers
                    .extend(found.iter().map(|entry| self.record(&owner, entry)));
            }
            if !found.is_empty() || apex.is(&path) && self.kind == RecordType::SOA {
                return answer;
            }
            let alias = entries.iter().find_map(|entry| match &entry.data {
                RData::CNAME(target) => Some((entry, &target.0)),
                _ => None,
            });
            let Some((entry, target)) = alias else {
                return self.nothing(answer, apex, ResponseCode::NoError);
            };
            answer.answers.push(self.record(&owner, entry));
            owner = target.clone();
            path = Path::of(&owner);
            match self.zone.apex(&path) {
                Some(next) => apex = next,
                // It leads out of the cluster, and the client may go on from there.
                None => return answer,
            }
        }
        answer.code = ResponseCode::ServFail;
        answer
    }

    /// The records that were asked for; of addresses another one first each time.
    fn of_kind(&self, entries: &'a [Arc<Entry>]) -> Vec<&'a Entry> {
        let fits = |entry: &&Entry| self.kind == RecordType::ANY || entry.data.record_type() == self.kind;
        let mut found: Vec<&Entry> = Vec::with_capacity(entries.len());
        for entry in entries.iter().map(Arc::as_ref).filter(fits) {
            // Two pods with the node's address share a name; entries of one object differ already.
            if found.last().is_none_or(|last| last.data != entry.data) {
                found.push(entry);
            }
        }
        if matches!(self.kind, RecordType::A | RecordType::AAAA) && !found.is_empty() {
            let first = self.turn % found.len();
            found.rotate_left(first);
        }
        found
    }

    /// The addresses of hosts that SRV records name.
    fn hosts(&self, found: &[&Entry]) -> Vec<Record> {
        let mut hosts = Vec::new();
        for entry in found {
            let RData::SRV(srv) = &entry.data else {
                continue;
            };
            if let Place::Here(entries) = self.zone.at(&Path::of(&srv.target)) {
                let addresses = entries
                    .iter()
                    .filter(|entry| matches!(entry.data, RData::A(_) | RData::AAAA(_)));
                hosts.extend(addresses.map(|entry| self.record(&srv.target, entry)));
            }
        }
        hosts
    }

    /// There is no such name, or it has no such record: the start of authority says how long to remember that (RFC 2308).
    fn nothing(&self, mut answer: Answer, apex: &Apex, code: ResponseCode) -> Answer {
        let denied = code == ResponseCode::NoError && self.faults.has(Act::NoDataDenied);
        answer.code = if denied { ResponseCode::NXDomain } else { code };
        answer.authorities.push(self.record(&apex.name, &self.zone.soa(apex)));
        answer
    }

    fn record(&self, owner: &Name, entry: &Entry) -> Record {
        let ttl = if self.faults.has(Act::TtlOfADay) { DAY } else { TTL };
        Record::from_rdata(owner.clone(), ttl, entry.data.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::*;
    use crate::zone::{Source, absolute};
    use crate::{pod, service};

    fn zone() -> Zone {
        let mut zone = Zone::new(IpAddr::from([10, 96, 0, 10]));
        let mut add = |object: serde_json::Value, slices: Vec<serde_json::Value>| {
            let source = Source::Service {
                namespace: "shop".into(),
                name: object["metadata"]["name"].to_string(),
            };
            zone.replace(source, service::entries(&object, &slices, &Faults::default()));
        };
        let service = |name: &str, spec: serde_json::Value| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec});
        let alias = |name: &str, to: &str| service(name, json!({"type": "ExternalName", "externalName": to}));
        let port = json!([{"name": "http", "port": 80}]);
        add(service("web", json!({"clusterIP": "10.96.1.1", "ports": port})), vec![]);
        let slice = json!({"endpoints": [{"addresses": ["10.244.1.2"], "hostname": "one"}, {"addresses": ["10.244.2.2"]}],
            "ports": [{"name": "http", "port": 8080}]});
        add(service("set", json!({"clusterIP": "None"})), vec![slice]);
        add(alias("out", "www.example.com"), vec![]);
        add(alias("in", "web.shop.svc.cluster.local"), vec![]);
        add(alias("dead", "gone.shop.svc.cluster.local"), vec![]);
        add(alias("ring", "gnir.shop.svc.cluster.local"), vec![]);
        add(alias("gnir", "ring.shop.svc.cluster.local"), vec![]);
        for name in ["a", "b"] {
            let source = Source::Pod {
                namespace: "shop".into(),
                name: name.into(),
            };
            let pod = json!({"metadata": {"name": name, "namespace": "shop"}, "status": {"podIP": "172.30.0.1"}});
            zone.replace(source, pod::entries(&pod));
        }
        zone
    }

    fn lines(records: &[Record]) -> Vec<String> {
        let line = |one: &Record| format!("{} {} {} {}", one.name, one.ttl, one.record_type(), one.data);
        records.iter().map(line).collect()
    }

    fn ask_with(name: &str, kind: RecordType, faults: &[&str], turn: usize) -> (bool, Answer) {
        let mut chosen = Faults::default();
        faults
            .iter()
            .for_each(|name| chosen.choose(crate::named(name).unwrap()));
        match answer(&zone(), &absolute(name).unwrap(), kind, &chosen, turn) {
            Answered::Ours(answer) => (true, answer),
            Answered::Foreign(answer) => (false, answer),
        }
    }

    fn ask(name: &str, kind: RecordType) -> Answer {
        ask_with(name, kind, &[], 0).1
    }

    #[test]
    fn the_owner_of_an_answer_is_spelled_as_in_the_question() {
        assert_eq!(
            lines(&ask("WEB.shop.svc.Cluster.Local", RecordType::A).answers),
            ["WEB.shop.svc.Cluster.Local. 5 A 10.96.1.1"]
        );
    }

    #[test]
    fn what_is_not_there_is_told_from_what_has_no_such_record() {
        let code = |name: &str, kind| {
            let answer = ask(name, kind);
            assert!(answer.answers.is_empty() && answer.authoritative, "{name}");
            let soa = lines(&answer.authorities);
            assert!(
                soa.len() == 1 && soa[0].starts_with("cluster.local. 5 SOA ns.dns.cluster.local. "),
                "{soa:?}"
            );
            assert!(soa[0].ends_with(" 5"), "how long nothing is nothing: {soa:?}");
            answer.code
        };
        assert_eq!(
            code("web.shop.svc.cluster.local", RecordType::AAAA),
            ResponseCode::NoError
        );
        assert_eq!(code("shop.svc.cluster.local", RecordType::A), ResponseCode::NoError);
        assert_eq!(
            code("_tcp.web.shop.svc.cluster.local", RecordType::SRV),
            ResponseCode::NoError
        );
        assert_eq!(code("cluster.local", RecordType::A), ResponseCode::NoError);
        assert_eq!(
            code("nobody.shop.svc.cluster.local", RecordType::A),
            ResponseCode::NXDomain
        );
        assert_eq!(
            code("web.nowhere.svc.cluster.local", RecordType::A),
            ResponseCode::NXDomain
        );
        assert_eq!(code("example.com.cluster.local", RecordType::A), ResponseCode::NXDomain);
        let (_, denied) = ask_with(
            "web.shop.svc.cluster.local",
            RecordType::AAAA,
            &["dns-nodata-denied"],
            0,
        );
        assert_eq!(denied.code, ResponseCode::NXDomain);
    }

    #[test]
    fn names_of_others_are_refused_and_an_upstream_may_know_them() {
        for name in ["example.com", "local", ".", "xcluster.local"] {
            let (ours, answer) = ask_with(name, RecordType::A, &[], 0);
            assert_eq!((ours, answer.code), (false, ResponseCode::Refused), "{name}");
            assert!(!answer.authoritative && answer.authorities.is_empty());
        }
        let (ours, answer) = ask_with("1.0.0.127.in-addr.arpa", RecordType::PTR, &[], 0);
        assert_eq!((ours, answer.code), (false, ResponseCode::NXDomain));
        assert!(lines(&answer.authorities)[0].starts_with("in-addr.arpa. 5 SOA "));
        assert!(ask_with("2.1.244.10.in-addr.arpa", RecordType::PTR, &[], 0).0);
    }

    #[test]
    fn an_alias_is_followed_inside_the_cluster() {
        assert_eq!(
            lines(&ask("in.shop.svc.cluster.local", RecordType::A).answers),
            [
                "in.shop.svc.cluster.local. 5 CNAME web.shop.svc.cluster.local.",
                "web.shop.svc.cluster.local. 5 A 10.96.1.1"
            ]
        );
        let out = ask("out.shop.svc.cluster.local", RecordType::A);
        assert_eq!(
            lines(&out.answers),
            ["out.shop.svc.cluster.local. 5 CNAME www.example.com."]
        );
        assert_eq!((out.code, out.authorities.len()), (ResponseCode::NoError, 0));
        assert_eq!(ask("out.shop.svc.cluster.local", RecordType::CNAME).answers.len(), 1);
        let dead = ask("dead.shop.svc.cluster.local", RecordType::A);
        assert_eq!(
            (dead.code, dead.answers.len(), dead.authorities.len()),
            (ResponseCode::NXDomain, 1, 1)
        );
        assert_eq!(
            ask("ring.shop.svc.cluster.local", RecordType::A).code,
            ResponseCode::ServFail
        );
    }

    #[test]
    fn ports_are_told_with_the_addresses_of_their_hosts() {
        let answer = ask("_http._tcp.set.shop.svc.cluster.local", RecordType::SRV);
        assert_eq!(
            lines(&answer.answers),
            [
                "_http._tcp.set.shop.svc.cluster.local. 5 SRV 0 100 8080 one.set.shop.svc.cluster.local.",
                "_http._tcp.set.shop.svc.cluster.local. 5 SRV 0 100 8080 10-244-2-2.set.shop.svc.cluster.local.",
            ]
        );
        assert_eq!(
            lines(&answer.additionals),
            [
                "one.set.shop.svc.cluster.local. 5 A 10.244.1.2",
                "10-244-2-2.set.shop.svc.cluster.local. 5 A 10.244.2.2"
            ]
        );
    }

    #[test]
    fn of_several_addresses_another_one_comes_first_each_time() {
        let first = |turn| {
            let (_, answer) = ask_with("set.shop.svc.cluster.local", RecordType::A, &[], turn);
            assert_eq!(answer.answers.len(), 2);
            answer.answers[0].data.to_string()
        };
        assert_eq!(
            [first(0), first(1), first(2)],
            ["10.244.1.2", "10.244.2.2", "10.244.1.2"]
        );
    }

    #[test]
    fn pods_that_share_an_address_share_its_record() {
        assert_eq!(
            lines(&ask("172-30-0-1.shop.pod.cluster.local", RecordType::A).answers),
            ["172-30-0-1.shop.pod.cluster.local. 5 A 172.30.0.1"]
        );
    }

    #[test]
    fn the_zone_tells_of_itself() {
        assert_eq!(
            lines(&ask("dns-version.cluster.local", RecordType::TXT).answers),
            ["dns-version.cluster.local. 5 TXT 1.1.0"]
        );
        assert_eq!(
            lines(&ask("cluster.local", RecordType::NS).answers),
            ["cluster.local. 5 NS ns.dns.cluster.local."]
        );
        assert_eq!(ask("cluster.local", RecordType::SOA).answers.len(), 1);
        assert_eq!(ask("cluster.local", RecordType::ANY).answers.len(), 2);
        let (_, day) = ask_with("dns-version.cluster.local", RecordType::TXT, &["dns-ttl-of-a-day"], 0);
        assert_eq!(day.answers[0].ttl, 86_400);
    }
}
