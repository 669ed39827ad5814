//! Connections: queries and responses after their length, as many as the client likes (RFC 7766).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{PAUSE, forwarded};
use crate::message::{Over, Reply, reply};
use crate::names::Names;

/// Connections at a time. The next ones wait to be accepted.
const CONNECTIONS: usize = 128;
/// How long a client may be silent, or not take what it asked for.
const IDLE: Duration = Duration::from_secs(10);

/// Answers until it is dropped, and every connection with it.
pub(super) async fn serve(names: Names, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let names = names.clone();
        open.spawn(async move {
            // A client that went, or that says what is no query, has had its answer.
            let _over = converse(&names, stream, IDLE).await.is_err();
            drop(place);
        });
    }
}

/// Answers one query after the other, until the client ends or is silent for `idle`.
async fn converse(names: &Names, mut stream: impl AsyncRead + AsyncWrite + Unpin, idle: Duration) -> io::Result<()> {
    let mut query = Vec::new();
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            query.resize(length.into(), 0);
            stream.read_exact(&mut query).await
        };
        tokio::time::timeout(idle, read).await??;
        let answer = match (reply(names, &query, Over::Tcp), names.upstream()) {
            (Reply::Packet(answer), _) => answer,
            (Reply::Forward(forward), Some(upstream)) => forwarded(upstream.as_ref(), query.clone(), forward).await,
            // Whoever asks for nothing gets nothing, and has no further say.
            _ => return Ok(()),
        };
        let mut packet = u16::try_from(answer.len())
            .map_err(io::Error::other)?
            .to_be_bytes()
            .to_vec();
        packet.extend(answer);
        tokio::time::timeout(idle, stream.write_all(&packet)).await??;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::future::BoxFuture;
    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};

    use super::*;
    use crate::{Faults, Options, Upstream};

    fn names(upstream: Option<Arc<dyn Upstream>>) -> Names {
        Names::new(Options {
            address: IpAddr::from([10, 96, 0, 10]),
            faults: Faults::default(),
            upstream,
        })
    }

    fn query(id: u16, name: &str) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::TXT));
        message.to_vec().unwrap()
    }

    fn framed(packet: &[u8]) -> Vec<u8> {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&length, packet].concat()
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Message {
        let mut packet = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut packet).await.unwrap();
        Message::from_vec(&packet).unwrap()
    }

    #[tokio::test]
    async fn several_queries_at_once_are_answered_one_after_the_other() {
        let (client, server) = tokio::io::duplex(64);
        let names = names(None);
        let serve = tokio::spawn(async move { converse(&names, server, IDLE).await });
        let first = framed(&query(1, "dns-version.cluster.local."));
        let second = framed(&query(2, "example.com."));
        let (mut reads, mut writes) = tokio::io::split(client);
        let both = [first, second].concat();
        let (written, one) = tokio::join!(writes.write_all(&both), read(&mut reads));
        written.unwrap();
        assert_eq!((one.metadata.id, one.answers.len()), (1, 1));
        let two = read(&mut reads).await;
        assert_eq!(
            (two.metadata.id, two.metadata.response_code),
            (2, ResponseCode::Refused)
        );
        drop((reads, writes));
        assert!(serve.await.unwrap().is_err(), "the end of the client is the end");
    }

    #[tokio::test]
    async fn a_client_that_is_silent_is_left() {
        let (mut client, server) = tokio::io::duplex(64);
        let names = names(None);
        let serve = tokio::spawn(async move { converse(&names, server, Duration::from_millis(50)).await });
        client.write_all(&[0, 40, 1, 2]).await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(serve.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_is_no_query_ends_the_conversation() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&framed(&[1, 2, 3])).await.unwrap();
        converse(&names(None), server, IDLE).await.unwrap();
    }

    /// Knows no name but says so at length; not at all where the name begins with `s`.
    #[derive(Debug)]
    struct Elsewhere;

    impl Upstream for Elsewhere {
        fn ask(&self, query: Vec<u8>) -> BoxFuture<'static, Option<Vec<u8>>> {
            Box::pin(async move {
                let mut message = Message::from_vec(&query).unwrap();
                message.metadata.message_type = MessageType::Response;
                message.metadata.response_code = ResponseCode::NXDomain;
                let known = !message.queries[0].name.to_string().starts_with('s');
                known.then(|| message.to_vec().unwrap())
            })
        }
    }

    #[tokio::test]
    async fn an_upstream_is_asked_for_what_is_not_the_clusters() {
        let (mut client, server) = tokio::io::duplex(4096);
        let names = names(Some(Arc::new(Elsewhere)));
        let _serve = tokio::spawn(async move { converse(&names, server, IDLE).await });
        for (name, code) in [
            ("example.com.", ResponseCode::NXDomain),
            ("silent.example.com.", ResponseCode::ServFail),
            ("7.0.0.127.in-addr.arpa.", ResponseCode::NXDomain),
            ("dns-version.cluster.local.", ResponseCode::NoError),
        ] {
            client.write_all(&framed(&query(7, name))).await.unwrap();
            let answer = read(&mut client).await;
            assert_eq!((answer.metadata.id, answer.metadata.response_code), (7, code), "{name}");
            assert_eq!(answer.metadata.authoritative, code == ResponseCode::NoError);
        }
    }
}
