//! The streams of a command in the messages of a WebSocket: the first byte of each says which stream it is of.
//!
//! `v4.channel.k8s.io`: 0 stdin, 1 stdout, 2 stderr, 3 how it ended, 4 size of the terminal.
//! `v5.channel.k8s.io`: the same, and 255 closes the stream that is named next.

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{Exit, Session};

/// Bytes of one message of a client.
const MESSAGE: usize = 1 << 20;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// A sub-protocol; the later is the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    V4,
    V5,
}

impl Protocol {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "v4.channel.k8s.io" => Some(Self::V4),
            "v5.channel.k8s.io" => Some(Self::V5),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// Carries the streams until the command or the client is gone.
pub(crate) async fn run(upgraded: Upgraded, session: Session, protocol: Protocol) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut sink, source) = socket.split();
    let Session {
        stdin,
        mut stdout,
        mut stderr,
        resize,
        mut exit,
    } = session;
    let inward = inward(source, stdin, resize, protocol);
    let outward = async {
        let (mut out, mut err) = (true, true);
        while out || err {
            let (channel, chunk) = tokio::select! {
                chunk = stdout.recv(), if out => (STDOUT, chunk),
                chunk = stderr.recv(), if err => (STDERR, chunk),
            };
            match chunk {
                Some(chunk) => sink.send(message(channel, &chunk)).await?,
                None if channel == STDOUT => out = false,
                None => err = false,
            }
        }
        sink.send(message(ERROR, told(&mut exit).await.to_string().as_bytes()))
            .await?;
        // kubectl takes a close that says nothing for a connection that broke.
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        sink.send(Message::Close(Some(normal))).await
    };
    // Who is first ends both; dropping the other half hangs up.
    tokio::select! {
        _sent = outward => {}
        () = inward => {}
    }
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut all = Vec::with_capacity(bytes.len() + 1);
    all.push(channel);
    all.extend_from_slice(bytes);
    Message::binary(all)
}

/// Takes what the client sends; returns when it is gone.
async fn inward(
    mut source: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut stdin: Option<mpsc::Sender<Bytes>>,
    resize: mpsc::Sender<(u16, u16)>,
    protocol: Protocol,
) {
    while let Some(Ok(message)) = source.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel, rest)) = bytes.split_first() else {
            continue;
        };
        match *channel {
            STDIN if !rest.is_empty() => {
                if let Some(to) = &stdin
                    && to.send(bytes.slice(1..)).await.is_err()
                {
                    stdin = None;
                }
            }
            RESIZE => {
                if let Ok(size) = serde_json::from_slice::<Size>(rest) {
                    // A terminal that is gone has no size.
                    let _gone = resize.send((size.width, size.height)).await;
                }
            }
            CLOSE if protocol == Protocol::V5 && rest == [STDIN] => stdin = None,
            _ => {}
        }
    }
}

/// How a command ended, as clients read it.
async fn told(exit: &mut oneshot::Receiver<Exit>) -> Value {
    let exit = exit
        .await
        .unwrap_or_else(|_| Exit::Error("the node lost the command".into()));
    match exit {
        Exit::Code(0) => json!({"metadata": {}, "status": "Success"}),
        Exit::Code(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Exit::Error(why) => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "message": why, "code": 500,
            "details": {"causes": [{"message": why}]},
        }),
    }
}
