//! A node's agent without a node.

use apiserver::{ContainerRef, Exit, Io, LogOptions, Session, Streams};
use bytes::Bytes;
use objects::Status;
use tokio::sync::{mpsc, oneshot};

/// An agent that logs its own name and echoes.
pub(crate) struct Echo;

impl Streams for Echo {
    fn logs(&self, container: &ContainerRef, options: &LogOptions) -> Result<mpsc::Receiver<Bytes>, Status> {
        let (to, lines) = mpsc::channel(1);
        let text = format!(
            "{}/{} tail={:?}\n",
            container.pod, container.container, options.tail_lines
        );
        tokio::spawn(async move { to.send(text.into()).await });
        Ok(lines)
    }

    fn exec(&self, _container: &ContainerRef, command: &[String], io: Io) -> Result<Session, Status> {
        let (stdin, mut typed) = mpsc::channel::<Bytes>(1);
        let (out, stdout) = mpsc::channel(1);
        let (_err, stderr) = mpsc::channel(1);
        let (resize, _sizes) = mpsc::channel(1);
        let (end, exit) = oneshot::channel();
        let code = command.len();
        tokio::spawn(async move {
            while let Some(bytes) = typed.recv().await {
                out.send(bytes).await.expect("somebody reads");
            }
            // Nobody waits once the client is gone.
            let _gone = end.send(Exit::Code(i32::try_from(code).expect("few words")));
        });
        Ok(Session {
            stdin: io.stdin.then_some(stdin),
            stdout,
            stderr,
            resize,
            exit,
        })
    }

    fn attach(&self, container: &ContainerRef, io: Io) -> Result<Session, Status> {
        self.exec(container, &[], io)
    }
}
