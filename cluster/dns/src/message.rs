//! From the packet of a query to the packet of a response.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::answer::{Answer, Answered, answer};
use crate::fault::Act;
use crate::names::Names;

/// Bytes of a header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;
/// Bytes that every client takes by UDP, and the least that EDNS can ask for.
const SMALLEST: u16 = 512;
/// Bytes of a datagram that no way cuts into pieces (<https://www.dnsflagday.net/2020/>); what we take and give at most.
const DATAGRAM: u16 = 1232;

/// By what a packet came, and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What to do about a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It asks for nothing.
    Nothing,
    /// To be sent.
    Packet(Vec<u8>),
    /// To be asked elsewhere.
    Forward(Forward),
}

/// A query that is somebody else's to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// What to send if nobody answers.
    pub(crate) failed: Vec<u8>,
    /// What to send if the answer is longer than [`Forward::limit`].
    pub(crate) cut: Vec<u8>,
    /// Bytes that the client takes.
    pub(crate) limit: usize,
}

/// Answers a packet.
pub(crate) fn reply(names: &Names, packet: &[u8], over: Over) -> Reply {
    let (Some(header), false) = (packet.first_chunk::<HEADER>(), names.faults().has(Act::Silent)) else {
        return Reply::Nothing;
    };
    // A response is never answered, or two servers could do so for ever.
    if header[2] & 0x80 != 0 {
        return Reply::Nothing;
    }
    let turn = names.turn();
    let Ok(request) = Message::from_vec(packet) else {
        return Reply::Packet(malformed(header));
    };
    let limit = limit(&request, over);
    let unsaid = names.faults().has(Act::CutUnsaid);
    let send = |code, found: Answer| fit(response(names, &request, code, found), limit, !unsaid);
    let only = |code| send(code, Answer::default());
    let packet = match asked(&request) {
        Err(code) => only(code),
        Ok(query) => {
            let zone = names.zone();
            match answer(&zone, &query.name, query.query_type, names.faults(), turn) {
                Answered::Foreign(_) if names.upstream().is_some() => {
                    let mut cut = response(names, &request, ResponseCode::NoError, Answer::default());
                    cut.metadata.truncation = true;
                    let failed = only(ResponseCode::ServFail);
                    return match (failed, cut.to_vec()) {
                        (Some(failed), Ok(cut)) => Reply::Forward(Forward { failed, cut, limit }),
                        _ => Reply::Nothing,
                    };
                }
                Answered::Ours(found) | Answered::Foreign(found) => send(found.code, found),
            }
        }
    };
    packet.map_or(Reply::Nothing, Reply::Packet)
}

/// The one question, if it is one that can be answered.
fn asked(request: &Message) -> Result<&Query, ResponseCode> {
    if request.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    if request.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
        return Err(ResponseCode::BADVERS);
    }
    // RFC 9619: exactly one.
    let [query] = request.queries.as_slice() else {
        return Err(ResponseCode::FormErr);
    };
    if !matches!(query.query_class, DNSClass::IN | DNSClass::ANY) {
        return Err(ResponseCode::Refused);
    }
    if matches!(query.query_type, RecordType::AXFR | RecordType::IXFR) {
        return Err(ResponseCode::Refused);
    }
    Ok(query)
}

/// How many bytes a response may have.
fn limit(request: &Message, over: Over) -> usize {
    let size = match (over, &request.edns) {
        (Over::Tcp, _) => u16::MAX,
        (Over::Udp, None) => SMALLEST,
        (Over::Udp, Some(edns)) => edns.max_payload().clamp(SMALLEST, DATAGRAM),
    };
    size.into()
}

fn response(names: &Names, request: &Message, code: ResponseCode, found: Answer) -> Message {
    let mut message = Message::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    message.metadata.response_code = code;
    message.metadata.authoritative = found.authoritative;
    message.metadata.recursion_desired = request.metadata.recursion_desired;
    message.metadata.recursion_available = names.upstream().is_some();
    message.metadata.checking_disabled = request.metadata.checking_disabled;
    message.queries = request.queries.clone();
    if names.faults().has(Act::CaseFolded) {
        for query in &mut message.queries {
            query.name = query.name.to_lowercase();
        }
    }
    message.answers = found.answers;
    message.authorities = found.authorities;
    message.additionals = found.additionals;
    if let Some(asked) = &request.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM);
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        message.edns = Some(edns);
    }
    message
}

/// Encodes a message into at most so many bytes. What may be missing goes first, then answers from the last on; that some
/// are missing is `told` by the TC bit, and the client comes again over TCP (RFC 2181, section 9).
fn fit(mut message: Message, limit: usize, told: bool) -> Option<Vec<u8>> {
    let encoded = |message: &Message| message.to_vec().ok();
    let whole = encoded(&message)?;
    if whole.len() <= limit {
        return Some(whole);
    }
    message.additionals.clear();
    let lean = encoded(&message)?;
    if lean.len() <= limit {
        return Some(lean);
    }
    message.metadata.truncation = told;
    message.authorities.clear();
    let answers = std::mem::take(&mut message.answers);
    let mut fits = encoded(&message)?;
    let (mut least, mut most) = (0, answers.len());
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        message.answers = answers.get(..middle)?.to_vec();
        let packet = encoded(&message)?;
        if packet.len() <= limit {
            least = middle;
            fits = packet;
        } else {
            most = middle - 1;
        }
    }
    Some(fits)
}

/// FORMERR, with no more of the packet than its header: its id, its operation, and whether recursion was desired.
fn malformed(header: &[u8; HEADER]) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet[..2].copy_from_slice(&header[..2]);
    packet[2] = 0x80 | header[2] & 0x79;
    packet[3] = 1;
    packet
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::zone::Source;
    use crate::{Options, service};

    /// A headless Service with so many pods.
    fn names(pods: u8, faults: &[&str]) -> Names {
        let mut chosen = crate::Faults::default();
        faults
            .iter()
            .for_each(|name| chosen.choose(crate::named(name).unwrap()));
        let names = Names::new(Options {
            address: [10, 96, 0, 10].into(),
            faults: chosen,
            upstream: None,
        });
        let endpoints: Vec<_> = (0..pods)
            .map(|pod| json!({"addresses": [format!("10.244.0.{pod}")], "hostname": format!("pod-{pod}")}))
            .collect();
        let slice = json!({"endpoints": endpoints, "ports": [{"name": "http", "port": 80}]});
        let set = json!({"metadata": {"name": "set", "namespace": "a"}, "spec": {"clusterIP": "None"}});
        let source = Source::Service {
            namespace: "a".into(),
            name: "set".into(),
        };
        names.replace(source, service::entries(&set, [&slice], names.faults()));
        names
    }

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn bytes(names: &Names, message: &Message, over: Over) -> Vec<u8> {
        match reply(names, &message.to_vec().unwrap(), over) {
            Reply::Packet(packet) => packet,
            other => panic!("{other:?}"),
        }
    }

    fn ask(names: &Names, message: &Message, over: Over) -> Message {
        Message::from_vec(&bytes(names, message, over)).unwrap()
    }

    const SET: &str = "set.a.svc.cluster.local.";

    #[test]
    fn a_response_has_the_identity_and_the_question_of_its_query_letter_by_letter() {
        let asked = query("SeT.a.sVc.cluster.LOCAL.", RecordType::A);
        let answer = ask(&names(3, &[]), &asked, Over::Udp);
        assert_eq!(answer.metadata.id, 4711);
        assert_eq!(answer.queries[0].name.to_string(), "SeT.a.sVc.cluster.LOCAL.");
        assert_eq!(answer.answers[0].name.to_string(), "SeT.a.sVc.cluster.LOCAL.");
        assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
        assert!(!answer.metadata.recursion_available && answer.edns.is_none());
        let folded = ask(&names(3, &["dns-case-folded"]), &asked, Over::Udp);
        assert_eq!(folded.queries[0].name.to_string(), SET);
    }

    #[test]
    fn what_does_not_fit_a_datagram_is_cut_and_comes_whole_over_tcp() {
        let all = names(250, &[]);
        let small = query(SET, RecordType::A);
        let mut large = query(SET, RecordType::A);
        large.set_edns(Edns::new()).edns.as_mut().unwrap().set_max_payload(4096);
        for (asked, limit) in [(&small, 512), (&large, 1232)] {
            let packet = bytes(&all, asked, Over::Udp);
            let answer = Message::from_vec(&packet).unwrap();
            assert!(packet.len() <= limit && packet.len() > limit - 17, "{}", packet.len());
            assert!(answer.metadata.truncation && !answer.answers.is_empty());
            assert_eq!(answer.edns.is_some(), asked.edns.is_some());
            let whole = ask(&all, asked, Over::Tcp);
            assert!(!whole.metadata.truncation);
            assert_eq!(whole.answers.len(), 250);
        }
        assert_eq!(ask(&all, &large, Over::Udp).edns.unwrap().max_payload(), 1232);
        let silent = ask(&names(250, &["dns-cut-unsaid"]), &small, Over::Udp);
        assert!(!silent.metadata.truncation && silent.answers.len() < 250);
    }

    #[test]
    fn addresses_of_hosts_are_left_out_before_anything_is_cut() {
        let asked = query("_http._tcp.set.a.svc.cluster.local.", RecordType::SRV);
        let answer = ask(&names(8, &[]), &asked, Over::Udp);
        assert_eq!((answer.answers.len(), answer.additionals.len()), (8, 0));
        assert!(!answer.metadata.truncation);
        let whole = ask(&names(8, &[]), &asked, Over::Tcp);
        assert_eq!((whole.answers.len(), whole.additionals.len()), (8, 8));
    }

    #[test]
    fn what_cannot_be_answered_is_told_why() {
        let names = names(1, &[]);
        let code = |message: &Message| ask(&names, message, Over::Udp).metadata.response_code;
        assert_eq!(code(&query("example.com.", RecordType::A)), ResponseCode::Refused);
        assert_eq!(code(&query("cluster.local.", RecordType::AXFR)), ResponseCode::Refused);
        let mut two = query(SET, RecordType::A);
        two.add_query(two.queries[0].clone());
        assert_eq!(code(&two), ResponseCode::FormErr);
        let mut none = query(SET, RecordType::A);
        none.queries.clear();
        assert_eq!(code(&none), ResponseCode::FormErr);
        let mut chaos = query(SET, RecordType::A);
        chaos.queries[0].query_class = DNSClass::CH;
        assert_eq!(code(&chaos), ResponseCode::Refused);
        let mut notify = query(SET, RecordType::A);
        notify.metadata.op_code = OpCode::Notify;
        assert_eq!(code(&notify), ResponseCode::NotImp);
        let mut newer = query(SET, RecordType::A);
        newer.set_edns(Edns::new()).edns.as_mut().unwrap().set_version(1);
        // BADSIG has the same number.
        assert_eq!(u16::from(code(&newer)), u16::from(ResponseCode::BADVERS));
    }

    #[test]
    fn a_packet_that_is_no_message_is_a_format_error_and_a_response_is_not_answered() {
        let (names, silent) = (names(1, &[]), names(1, &["dns-silent"]));
        let packet = query(SET, RecordType::A).to_vec().unwrap();
        let half = reply(&names, &packet[..20], Over::Udp);
        assert_eq!(half, Reply::Packet(vec![0x12, 0x67, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(reply(&names, &packet[..11], Over::Udp), Reply::Nothing);
        let mut response = packet.clone();
        response[2] |= 0x80;
        assert_eq!(reply(&names, &response, Over::Udp), Reply::Nothing);
        assert_eq!(reply(&silent, &packet, Over::Udp), Reply::Nothing);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_stumble(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Reply::Packet(answer) = reply(&names(2, &[]), &packet, Over::Udp) {
                prop_assert!(answer.len() <= usize::from(DATAGRAM));
                prop_assert_eq!(&answer[..2], &packet[..2]);
                prop_assert!(answer[2] & 0x80 != 0);
            }
        }

        /// Closer to what is right, and so deeper into the decoder.
        #[test]
        fn nor_does_one_that_was_damaged_on_the_way(damage in proptest::collection::vec((0usize..60, any::<u8>()), 1..4)) {
            let mut asked = query(SET, RecordType::A);
            asked.set_edns(Edns::new());
            let mut packet = asked.to_vec().unwrap();
            for (place, byte) in damage {
                let length = packet.len();
                packet[place % length] = byte;
            }
            if let Reply::Packet(answer) = reply(&names(2, &[]), &packet, Over::Udp) {
                prop_assert!(Message::from_vec(&answer).is_ok());
            }
        }
    }
}
