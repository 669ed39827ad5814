//! What a node serves to the API: logs, commands in containers, and the containers' own streams.

use std::fs::File;
use std::io::{Read, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use apiserver::{ContainerRef, Exit, Io, Link, LogOptions, Session, Streams};
use bytes::Bytes;
use objects::{Reason, Status};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use crate::context::{Context, Seen};
use crate::engine::{Container, Executed};
use crate::log::Stream;
use crate::log::read::{Reader, Wanted};

/// So many pieces wait for a reader that is slow.
const WAITING: usize = 16;
const PIECE: usize = 32 << 10;

/// The streams of a node, as long as it can be reached.
#[derive(Debug)]
pub(crate) struct Served {
    context: Arc<Context>,
    link: Link,
}

fn bad(message: String) -> Status {
    Status::new(Reason::BadRequest, message)
}

impl Served {
    pub(crate) fn new(context: Arc<Context>, link: Link) -> Self {
        Self { context, link }
    }

    fn find(&self, wanted: &ContainerRef) -> Result<Seen, Status> {
        if self.link.is_cut() || !*self.context.gate.borrow() {
            let address = self.context.network.address();
            return Err(Status::new(
                Reason::InternalError,
                format!("Get \"https://{address}:10250/containerLogs\": dial tcp {address}:10250: i/o timeout"),
            ));
        }
        let seen = self.context.seen.read().unwrap_or_else(PoisonError::into_inner);
        let found = seen
            .get(&wanted.uid)
            .and_then(|pod| pod.get(&wanted.container))
            .cloned();
        found.ok_or_else(|| {
            bad(format!(
                "container \"{}\" in pod \"{}\" is waiting to start: ContainerCreating",
                wanted.container, wanted.pod
            ))
        })
    }

    fn running(&self, wanted: &ContainerRef) -> Result<(Container, Seen), Status> {
        let seen = self.find(wanted)?;
        match seen.running.clone() {
            Some(container) => Ok((container, seen)),
            None => Err(bad(format!("container not found (\"{}\")", wanted.container))),
        }
    }
}

impl Streams for Served {
    fn logs(&self, wanted: &ContainerRef, options: &LogOptions) -> Result<mpsc::Receiver<Bytes>, Status> {
        let seen = self.find(wanted)?;
        let path = if options.previous {
            seen.previous.clone().ok_or_else(|| {
                bad(format!(
                    "previous terminated container \"{}\" in pod \"{}\" not found",
                    wanted.container, wanted.pod
                ))
            })?
        } else {
            seen.log.clone().ok_or_else(|| {
                let why = if seen.waiting.is_empty() {
                    "ContainerCreating"
                } else {
                    &seen.waiting
                };
                bad(format!(
                    "container \"{}\" in pod \"{}\" is waiting to start: {why}",
                    wanted.container, wanted.pod
                ))
            })?
        };
        let show = Wanted {
            tail: options.tail_lines.and_then(|lines| usize::try_from(lines).ok()),
            since: options.since,
            timestamps: options.timestamps,
            limit: options.limit_bytes.and_then(|bytes| usize::try_from(bytes).ok()),
        };
        let follow = seen.running.filter(|_| options.follow && !options.previous);
        let (send, pieces) = mpsc::channel(WAITING);
        tokio::spawn(show_log(path, show, follow, send));
        Ok(pieces)
    }

    fn exec(&self, wanted: &ContainerRef, command: &[String], io: Io) -> Result<Session, Status> {
        let (container, _) = self.running(wanted)?;
        let (session, ends) = session(io);
        let (context, command) = (self.context.clone(), command.to_vec());
        tokio::spawn(async move {
            let exit = execute(&context, &container, &command, io, ends.0).await;
            let _gone = ends.1.send(exit).is_err();
        });
        Ok(session)
    }

    fn attach(&self, wanted: &ContainerRef, io: Io) -> Result<Session, Status> {
        let (container, seen) = self.running(wanted)?;
        let (session, ends) = session(io);
        tokio::spawn(async move {
            let exit = attach(&container, seen.stdin_once, ends.0).await;
            let _gone = ends.1.send(exit).is_err();
        });
        Ok(session)
    }
}

/// The other ends of a session.
struct Ends {
    stdin: Option<mpsc::Receiver<Bytes>>,
    stdout: mpsc::Sender<Bytes>,
    stderr: mpsc::Sender<Bytes>,
    resize: mpsc::Receiver<(u16, u16)>,
}

fn session(io: Io) -> (Session, (Ends, oneshot::Sender<Exit>)) {
    let (stdin, read) = mpsc::channel(WAITING);
    let (out, stdout) = mpsc::channel(WAITING);
    let (err, stderr) = mpsc::channel(WAITING);
    let (resize, sizes) = mpsc::channel(WAITING);
    let (tell, exit) = oneshot::channel();
    let session = Session {
        stdin: io.stdin.then_some(stdin),
        stdout,
        stderr,
        resize,
        exit,
    };
    let ends = Ends {
        stdin: io.stdin.then_some(read),
        stdout: out,
        stderr: err,
        resize: sizes,
    };
    (session, (ends, tell))
}

async fn show_log(path: PathBuf, wanted: Wanted, follow: Option<Container>, send: mpsc::Sender<Bytes>) {
    let mut reader = Reader::new(wanted);
    let mut from = 0u64;
    let mut grown = follow.as_ref().map(|container| container.output.log.grown());
    let mut open = follow.as_ref().map(|container| container.output.is_open());
    loop {
        let path = path.clone();
        let read = tokio::task::spawn_blocking(move || read_from(&path, from)).await;
        let Ok(Ok(bytes)) = read else { return };
        from += u64::try_from(bytes.len()).unwrap_or(0);
        let text = Bytes::from(reader.take(&bytes));
        for at in (0..text.len()).step_by(PIECE) {
            let piece = text.slice(at..text.len().min(at + PIECE));
            if send.send(piece).await.is_err() {
                return;
            }
        }
        let (Some(grown), Some(open), false) = (&mut grown, &mut open, reader.is_full()) else {
            return;
        };
        tokio::select! {
            changed = grown.changed() => if changed.is_err() { return },
            ended = open.wait_for(|open| *open == 0) => {
                drop(ended);
                // What was written last may have come since.
                if !grown.has_changed().unwrap_or(false) {
                    return;
                }
            }
            () = send.closed() => return,
        }
    }
}

fn read_from(path: &std::path::Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    std::io::Seek::seek(&mut file, SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn execute(context: &Context, container: &Container, command: &[String], io: Io, ends: Ends) -> Exit {
    match run(context, container, command, io, ends).await {
        Ok(exit) => exit,
        Err(error) => Exit::Error(error),
    }
}

async fn run(context: &Context, container: &Container, command: &[String], io: Io, ends: Ends) -> Result<Exit, String> {
    let failed = |error: std::io::Error| format!("failed to make streams: {error}");
    let engine = |error: crate::engine::EngineError| {
        format!("Internal error occurred: error executing command in container: {error}")
    };
    let null = || File::options().read(true).write(true).open("/dev/null").map_err(failed);
    if io.tty {
        let streams = oci_runtime_client::Streams {
            stdin: Some(null()?),
            stdout: Some(null()?),
            stderr: Some(null()?),
        };
        let executed = context
            .engine
            .execute(container, command, streams, true)
            .await
            .map_err(engine)?;
        return Ok(with_terminal(executed, ends).await);
    }
    let pair = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()));
    let mut streams = oci_runtime_client::Streams {
        stdin: Some(null()?),
        stdout: Some(null()?),
        stderr: Some(null()?),
    };
    let (mut stdin, mut readers) = (None, Vec::new());
    if io.stdin {
        let (end, into) = pair()?;
        streams.stdin = Some(end.into());
        stdin = Some(pipe::Sender::from_owned_fd(into).map_err(failed)?);
    }
    let Ends {
        stdin: input,
        stdout,
        stderr,
        resize: _sizes,
    } = ends;
    for (wanted, slot, send) in [
        (io.stdout, &mut streams.stdout, stdout),
        (io.stderr, &mut streams.stderr, stderr),
    ] {
        if wanted {
            let (from, end) = pair()?;
            *slot = Some(end.into());
            readers.push((pipe::Receiver::from_owned_fd(from).map_err(failed)?, send));
        }
    }
    let executed = context
        .engine
        .execute(container, command, streams, false)
        .await
        .map_err(engine)?;
    if let (Some(mut into), Some(mut input)) = (stdin, input) {
        let process = executed.process.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    bytes = input.recv() => match bytes {
                        Some(bytes) if into.write_all(&bytes).await.is_ok() => {}
                        _ => return,
                    },
                    _ = process.wait() => return,
                }
            }
        });
    }
    let pumps: Vec<_> = readers
        .into_iter()
        .map(|(from, send)| tokio::spawn(pump(from, send)))
        .collect();
    let ended = executed.process.wait().await;
    for pump in pumps {
        // Somebody whom it left behind may hold the other end.
        let abort = pump.abort_handle();
        if tokio::time::timeout(std::time::Duration::from_millis(500), pump)
            .await
            .is_err()
        {
            abort.abort();
        }
    }
    Ok(Exit::Code(ended.code))
}

async fn pump(mut from: pipe::Receiver, send: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if send.send(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
            return;
        }
    }
}

async fn with_terminal(executed: Executed, ends: Ends) -> Exit {
    let Some(master) = executed.master else {
        return Exit::Error("the runtime sent no terminal".into());
    };
    let Ends {
        stdin,
        stdout,
        stderr: _none,
        mut resize,
    } = ends;
    let input = master.clone();
    let feeding = tokio::spawn(async move {
        let mut stdin = stdin;
        loop {
            let bytes = async {
                match &mut stdin {
                    Some(stdin) => stdin.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                bytes = bytes => match bytes {
                    Some(bytes) => if input.write(&bytes).await.is_err() { return },
                    None => stdin = None,
                },
                Some((columns, rows)) = resize.recv() => input.resize(columns, rows),
                else => return,
            }
        }
    });
    let mut buffer = vec![0; PIECE];
    loop {
        tokio::select! {
            biased;
            read = master.read(&mut buffer) => match read {
                Ok(count @ 1..) => if stdout.send(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                    // Who hung up sends a SIGHUP by closing the terminal.
                    executed.process.kill();
                    break;
                },
                _ => break,
            },
            () = stdout.closed() => {
                executed.process.kill();
                break;
            }
        }
    }
    let ended = executed.process.wait().await;
    feeding.abort();
    Exit::Code(ended.code)
}

async fn attach(container: &Container, once: bool, ends: Ends) -> Exit {
    let output = container.output.clone();
    let mut live = output.live();
    let Ends {
        mut stdin,
        stdout,
        stderr,
        mut resize,
    } = ends;
    let fed = stdin.is_some();
    loop {
        let bytes = async {
            match &mut stdin {
                Some(stdin) => stdin.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            piece = live.recv() => match piece {
                Ok((Stream::Out, bytes)) => if stdout.send(bytes).await.is_err() { break },
                Ok((Stream::Err, bytes)) => if stderr.send(bytes).await.is_err() { break },
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
            },
            bytes = bytes => match bytes {
                Some(bytes) => drop(output.feed(&bytes).await),
                None => {
                    stdin = None;
                    if once {
                        output.close_stdin().await;
                    }
                }
            },
            Some((columns, rows)) = resize.recv() => if let Some(master) = output.master() {
                master.resize(columns, rows);
            },
            ended = container.process.wait() => {
                output.drained().await;
                while let Ok((stream, bytes)) = live.try_recv() {
                    let to = if stream == Stream::Out { &stdout } else { &stderr };
                    if to.send(bytes).await.is_err() {
                        break;
                    }
                }
                return Exit::Code(ended.code);
            }
            () = stdout.closed() => break,
        }
    }
    if once && fed {
        output.close_stdin().await;
    }
    Exit::Code(0)
}
