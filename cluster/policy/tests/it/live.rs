//! Connections that are there when policies change.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{DB, Lab, WEB, deny};
use crate::room::{Room, exchange, hear};

const PORT: u16 = 7;

/// Sends back what comes, as long as it comes.
fn echo(room: &Room) {
    let listener = room.run(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            if stream.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
    });
}

struct Connection {
    stream: TcpStream,
    asked: u8,
}

impl Connection {
    fn open(lab: &mut Lab) -> Self {
        lab.only(&[]);
        echo(&lab.db);
        let stream = lab.web.run(|| TcpStream::connect((DB, PORT)).unwrap());
        let mut connection = Self { stream, asked: 0 };
        assert!(connection.echoes_within(Duration::from_secs(10)));
        connection
    }

    /// Whether a byte that was not sent before comes back: one that was lost before may still come, too.
    fn echoes_within(&mut self, wait: Duration) -> bool {
        self.asked += 1;
        self.stream.set_read_timeout(Some(wait)).unwrap();
        self.stream.write_all(&[self.asked]).unwrap();
        let mut bytes = [0; 64];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(length @ 1..) if bytes[..length].contains(&self.asked) => return true,
                Ok(1..) => {}
                Ok(0) => panic!("the connection was closed"),
                // A signal ends a read that has a timeout (`signal(7)`).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The time is up.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Each of them closes the way from `web` to `db`.
fn closed() -> [Value; 3] {
    let of =
        |app: &str, direction: &str| json!({"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [direction]});
    [of("web", "Egress"), of("db", "Ingress"), deny("db")]
}

#[test]
fn a_connection_ends_with_its_next_packet_and_goes_on_when_it_may() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    let mut connection = Connection::open(&mut lab);
    let datagrams = lab.web.udp();
    assert_eq!(exchange(&datagrams, DB, 53).unwrap(), "db");
    for spec in closed() {
        lab.only(&[spec]);
        assert!(!connection.echoes_within(Duration::from_millis(500)));
        assert!(exchange(&datagrams, DB, 53).is_err());
        lab.only(&[]);
        assert!(connection.echoes_within(Duration::from_secs(10)));
        assert_eq!(exchange(&datagrams, DB, 53).unwrap(), "db");
    }
    // Only what `web` begins is closed: of what others began, it may answer.
    lab.only(&[json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]})]);
    assert!(lab.db.dial(WEB, 80).is_ok());
}

#[test]
fn who_answers_is_not_heard_either() {
    let Some(mut lab) = Lab::new(&[]) else { return };
    lab.only(&[]);
    let (asks, answers) = (lab.web.udp(), lab.db.udp());
    let to = (DB, answers.local_addr().unwrap().port());
    let mut bytes = [0; 8];
    asks.send_to(b"?", to).unwrap();
    let (_, from) = hear(&answers, &mut bytes).unwrap();
    answers.send_to(b"1", from).unwrap();
    assert!(hear(&asks, &mut bytes).is_ok());
    lab.only(&[json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]})]);
    answers.send_to(b"2", from).unwrap();
    assert!(hear(&asks, &mut bytes).is_err());
    lab.only(&[]);
    answers.send_to(b"3", from).unwrap();
    let (length, _) = hear(&asks, &mut bytes).unwrap();
    assert_eq!(bytes[..length], *b"3");
}

#[test]
fn a_fault_spares_what_is_there() {
    let Some(mut lab) = Lab::new(&["live-connections-spared"]) else {
        return;
    };
    let mut connection = Connection::open(&mut lab);
    lab.only(&[deny("db")]);
    assert!(connection.echoes_within(Duration::from_secs(10)));
    assert!(lab.web.dial(DB, 80).is_err());
}
