//! Names that a pod of the cluster asks for.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use record::bench::Sample;
use spec::benchmark::{Dns as Load, Point};

use super::Sampler;
use super::site::Site;

/// So many questions, one after the other, are one sample.
const QUESTIONS: u16 = 50;

/// A question without an answer is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket in a pod's network namespace, and what is asked for by it.
pub(super) struct Dns {
    socket: UdpSocket,
    question: Vec<u8>,
}

impl Dns {
    /// By the server that the pod itself would ask.
    ///
    /// # Errors
    /// What is not there or does not work, in a sentence.
    pub(super) fn prepare(load: &Load, site: &mut Site) -> Result<Self, String> {
        let pod = site.pod("client", 0)?;
        let resolver = format!("/proc/{}/root/etc/resolv.conf", pod.pid);
        let text =
            std::fs::read_to_string(&resolver).map_err(|error| format!("failed to read `{resolver}`: {error}"))?;
        let server = name_server(&text).ok_or_else(|| format!("the pod's resolv.conf names no server: {text}"))?;
        let to = SocketAddr::from((server, 53));
        let socket = pod.place.run(move || {
            let any: IpAddr = if to.is_ipv4() {
                [0, 0, 0, 0].into()
            } else {
                [0; 16].into()
            };
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(to)?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| format!("failed to make a socket for {to}: {error}"))?;
        let question = question(&load.name).ok_or_else(|| format!("`{}` is no name", load.name))?;
        let asked = Self { socket, question };
        asked.ask(0)?;
        Ok(asked)
    }

    fn ask(&self, id: u16) -> Result<(), String> {
        let mut question = self.question.clone();
        question[..2].copy_from_slice(&id.to_be_bytes());
        let failed = |error: std::io::Error| format!("no answer: {error}");
        self.socket.send(&question).map_err(failed)?;
        let mut answer = [0; 1500];
        let length = self.socket.recv(&mut answer).map_err(failed)?;
        has_address(&answer[..length], id)
    }
}

impl Sampler for Dns {
    fn take(&mut self) -> Sample {
        let mut sample = Sample::default();
        let began = Instant::now();
        let asked = (1..=QUESTIONS).try_for_each(|number| self.ask(number));
        let took = began.elapsed().as_secs_f64() / f64::from(QUESTIONS);
        sample.points.insert(Point::Query.name().into(), 0.0);
        sample.points.insert(Point::Answer.name().into(), took * 1e3);
        sample.failure = asked.err();
        sample
    }
}

/// The first server of a `resolv.conf(5)`.
fn name_server(text: &str) -> Option<IpAddr> {
    text.lines()
        .find_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok())
}

/// A question for the IPv4 address of a name, with recursion desired (RFC 1035, 4.1); its id is to be put in.
fn question(name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    Some(bytes)
}

/// Whether this answers the question with that id: no error (RCODE), and one record at least (ANCOUNT).
fn has_address(answer: &[u8], id: u16) -> Result<(), String> {
    let Some(header) = answer.get(..12) else {
        return Err(format!("an answer of {} bytes", answer.len()));
    };
    if header[..2] != id.to_be_bytes() {
        return Err("an answer to another question".into());
    }
    match (header[3] & 15, u16::from_be_bytes([header[6], header[7]])) {
        (0, records) if records > 0 => Ok(()),
        (code, records) => Err(format!("an answer with code {code} and {records} records")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_a_header_and_labels() {
        let bytes = question("a.bc.").unwrap();
        assert_eq!(bytes[4..6], [0, 1]);
        assert_eq!(bytes[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        assert_eq!(question("a..b"), None);
        assert_eq!(question(&"a".repeat(64)), None);
    }

    #[test]
    fn only_an_address_is_an_answer() {
        let answer = |id: u16, code: u8, records: u8| {
            let [high, low] = id.to_be_bytes();
            [high, low, 0x85, code, 0, 1, 0, records, 0, 0, 0, 0]
        };
        assert_eq!(has_address(&answer(7, 0, 1), 7), Ok(()));
        assert!(has_address(&answer(8, 0, 1), 7).is_err());
        assert!(has_address(&answer(7, 3, 0), 7).is_err());
        assert!(has_address(&[0; 4], 7).is_err());
    }

    #[test]
    fn the_first_server_is_asked() {
        let text = "search x.svc.cluster.local\nnameserver 10.96.0.10\nnameserver 1.1.1.1\n";
        assert_eq!(name_server(text), Some([10, 96, 0, 10].into()));
        assert_eq!(name_server("options ndots:5\n"), None);
    }
}
