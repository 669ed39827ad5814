//! A node's way to containers: the runtime's command line, and what outlives an agent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci_runtime_client::{Client, Outcome, Streams};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::console::{Master, Socket};
use crate::log::{Lines, Log, Stream};
use crate::process::{Ended, Process, begun};

/// Bounds each command of the runtime.
const DEADLINE: Duration = Duration::from_secs(60);
/// So many commands of the runtime at once.
const AT_ONCE: usize = 8;
/// How long what a container wrote is waited for when its process is gone.
const DRAIN: Duration = Duration::from_millis(200);

/// Why a container does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Something around the runtime.
    #[error("failed to {act}")]
    Around { act: &'static str, source: io::Error },
    /// The runtime itself.
    #[error("{verb} failed: {message}")]
    Runtime { verb: &'static str, message: String },
}

fn around(act: &'static str) -> impl FnOnce(io::Error) -> EngineError {
    move |source| EngineError::Around { act, source }
}

/// What a container writes, where it reads: the log, and whoever is attached.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) log: Log,
    live: broadcast::Sender<(Stream, Bytes)>,
    stdin: tokio::sync::Mutex<Option<pipe::Sender>>,
    master: Option<Master>,
    open: watch::Sender<usize>,
}

impl Output {
    /// What it writes from now on.
    pub(crate) fn live(&self) -> broadcast::Receiver<(Stream, Bytes)> {
        self.live.subscribe()
    }

    pub(crate) fn master(&self) -> Option<&Master> {
        self.master.as_ref()
    }

    /// Gives it something to read.
    pub(crate) async fn feed(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(master) = &self.master {
            return master.write(bytes).await;
        }
        match self.stdin.lock().await.as_mut() {
            Some(stdin) => stdin.write_all(bytes).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// There is nothing more to read.
    pub(crate) async fn close_stdin(&self) {
        drop(self.stdin.lock().await.take());
    }

    /// Waits until all that was written is in the log; not for others that hold the other end.
    pub(crate) async fn drained(&self) {
        let mut open = self.open.subscribe();
        let all = open.wait_for(|open| *open == 0);
        let _late = tokio::time::timeout(DRAIN, all).await.is_err();
    }

    /// Whether somebody may still write.
    pub(crate) fn is_open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    fn take(&self, lines: &mut Lines, stream: Stream, bytes: &[u8]) {
        lines.take(bytes, SystemTime::now(), &self.log);
        if self.live.receiver_count() > 0 {
            // Nobody may be left by now.
            let _nobody = self.live.send((stream, Bytes::copy_from_slice(bytes))).is_err();
        }
    }
}

fn pump_pipe(output: &Arc<Output>, from: pipe::Receiver, stream: Stream) {
    let output = output.clone();
    tokio::spawn(async move {
        let mut from = from;
        let mut lines = Lines::new(stream);
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            output.take(&mut lines, stream, &buffer[..count]);
        }
        lines.end(SystemTime::now(), &output.log);
        output.open.send_modify(|open| *open -= 1);
    });
}

fn pump_terminal(output: &Arc<Output>, master: Master) {
    let output = output.clone();
    tokio::spawn(async move {
        let mut lines = Lines::new(Stream::Out);
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = master.read(&mut buffer).await {
            output.take(&mut lines, Stream::Out, &buffer[..count]);
        }
        lines.end(SystemTime::now(), &output.log);
        output.open.send_modify(|open| *open -= 1);
    });
}

/// A container that runs, or ran.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) process: Process,
    pub(crate) output: Arc<Output>,
    pub(crate) directory: PathBuf,
    /// Its group, below its node's.
    pub(crate) group: PathBuf,
    pub(crate) started: SystemTime,
}

/// What is written down of a container, for an agent that comes later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) begun: u64,
    pub(crate) started: String,
    pub(crate) group: PathBuf,
}

/// How a container is to be begun.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) id: &'a str,
    /// The bundle.
    pub(crate) directory: &'a Path,
    pub(crate) config: &'a Value,
    pub(crate) log: &'a Path,
    pub(crate) group: &'a Path,
    pub(crate) stdin: bool,
    pub(crate) tty: bool,
}

/// A process that was started beside a container's own.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) process: Process,
    pub(crate) master: Option<Master>,
}

/// The runtime of a node.
#[derive(Debug)]
pub(crate) struct Engine {
    argv: Vec<String>,
    root: PathBuf,
    slots: Semaphore,
    held: Mutex<HashMap<String, Container>>,
}

impl Engine {
    pub(crate) fn new(argv: &[String], root: &Path) -> Self {
        Self {
            argv: argv.to_vec(),
            root: root.to_path_buf(),
            slots: Semaphore::new(AT_ONCE),
            held: Mutex::default(),
        }
    }

    fn client(&self, directory: &Path) -> Client {
        Client::new(&self.argv, &self.root, &directory.join("runtime.log"), DEADLINE)
    }

    /// What the runtime calls itself.
    pub(crate) fn version(&self) -> Option<String> {
        self.client(Path::new("/")).version().ok()
    }

    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, EngineError> + Send + 'static,
    ) -> Result<R, EngineError> {
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|e| around("wait for the runtime")(io::Error::other(e)))?;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(around("run the runtime")(io::Error::other(error))),
        }
    }

    /// Creates and starts a container.
    pub(crate) async fn begin(&self, begin: Begin<'_>) -> Result<Container, EngineError> {
        let pipes = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| around("make a pipe")(e.into()));
        let receiver = |fd: OwnedFd| pipe::Receiver::from_owned_fd(fd).map_err(around("watch a pipe"));
        let null = || File::open("/dev/null").map_err(around("open `/dev/null`"));
        let mut streams = Streams {
            stdin: Some(null()?),
            stdout: None,
            stderr: None,
        };
        let (mut readers, mut stdin, mut socket) = (Vec::new(), None, None);
        if begin.tty {
            let name = format!("{}.sock", &begin.id[..12]);
            socket = Some(Socket::listen(begin.directory, &name).map_err(around("listen for a terminal"))?);
            let null = |_| {
                File::options()
                    .write(true)
                    .open("/dev/null")
                    .map_err(around("open `/dev/null`"))
            };
            (streams.stdout, streams.stderr) = (Some(null(())?), Some(null(())?));
        } else {
            let ((out, out_end), (err, err_end)) = (pipes()?, pipes()?);
            readers = vec![(receiver(out)?, Stream::Out), (receiver(err)?, Stream::Err)];
            (streams.stdout, streams.stderr) = (Some(out_end.into()), Some(err_end.into()));
            if begin.stdin {
                let (end, into) = pipes()?;
                streams.stdin = Some(end.into());
                stdin = Some(pipe::Sender::from_owned_fd(into).map_err(around("watch a pipe"))?);
            }
        }
        let path = begin.directory.join("config.json");
        std::fs::write(&path, begin.config.to_string()).map_err(around("write a configuration"))?;
        let log = Log::open(begin.log).map_err(around("open a log"))?;

        let client = self.client(begin.directory);
        let (id, directory) = (begin.id.to_owned(), begin.directory.to_path_buf());
        let more: Vec<String> = socket
            .iter()
            .flat_map(|socket| ["--console-socket".into(), socket.path().display().to_string()])
            .collect();
        let runtime = tokio::runtime::Handle::current();
        let (process, terminal) = self
            .blocking(move || {
                let pid_file = directory.join("pid");
                let created = client.create(&id, &directory, &pid_file, &more, streams);
                checked("create", created, client.log())?;
                let begun = || {
                    let text = std::fs::read_to_string(&pid_file).map_err(around("read a pid file"))?;
                    let pid = text
                        .trim()
                        .parse()
                        .map_err(|_| around("read a pid file")(io::ErrorKind::InvalidData.into()))?;
                    let _entered = runtime.enter();
                    let process = Process::hold(pid).map_err(around("hold the container's process"))?;
                    let terminal = socket.map(|socket| socket.receive()).transpose();
                    let terminal = terminal.map_err(around("receive the container's terminal"))?;
                    checked("start", client.start(&id), client.log())?;
                    Ok((process, terminal))
                };
                begun().inspect_err(|_| {
                    let _gone = client.delete(&id, true).is_err();
                })
            })
            .await?;

        let master = terminal
            .map(Master::new)
            .transpose()
            .map_err(around("watch a terminal"))?;
        let output = Arc::new(Output {
            log,
            live: broadcast::Sender::new(256),
            stdin: tokio::sync::Mutex::new(stdin),
            master: master.clone(),
            open: watch::Sender::new(readers.len() + usize::from(master.is_some())),
        });
        for (reader, stream) in readers {
            pump_pipe(&output, reader, stream);
        }
        if let Some(master) = master {
            pump_terminal(&output, master);
        }
        let container = Container {
            id: begin.id.into(),
            process,
            output,
            directory: begin.directory.into(),
            group: begin.group.into(),
            started: SystemTime::now(),
        };
        container.write_down();
        self.held().insert(container.id.clone(), container.clone());
        Ok(container)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, Container>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a container that an earlier agent began: by what it wrote down, by the kernel's and the runtime's word, and by
    /// the streams that are still held. `None` if any of them says otherwise; what is left of it is taken away then.
    pub(crate) async fn adopt(&self, directory: &Path) -> Option<Container> {
        let record: Record = serde_json::from_slice(&std::fs::read(directory.join("state.json")).ok()?).ok()?;
        let (client, id) = (self.client(directory), record.id.clone());
        let state = self
            .blocking(move || {
                client
                    .state(&id)
                    .map_err(|e| around("ask the runtime")(io::Error::other(e)))
            })
            .await;
        let pid = state.ok().and_then(|(_, state)| state?.get("pid")?.as_i64());
        let held = self.held().get(&record.id).cloned();
        if let Some(held) = held {
            let same = begun(record.pid) == Some(record.begun) && pid == Some(i64::from(record.pid));
            if same || held.process.ended().is_some() {
                return Some(held);
            }
        }
        let (client, id) = (self.client(directory), record.id);
        let taken = self.blocking(move || checked("delete", client.delete(&id, true), client.log()));
        let _gone = taken.await.is_err();
        None
    }

    /// Sends a signal to a container's process.
    pub(crate) async fn kill(&self, container: &Container, signal: &'static str) -> Result<(), EngineError> {
        let (client, id) = (self.client(&container.directory), container.id.clone());
        self.blocking(move || checked("kill", client.kill(&id, signal, false), client.log()))
            .await
    }

    /// Makes the runtime forget a container that ended.
    pub(crate) async fn delete(&self, container: &Container) -> Result<(), EngineError> {
        self.held().remove(&container.id);
        let (client, id) = (self.client(&container.directory), container.id.clone());
        self.blocking(move || checked("delete", client.delete(&id, true), client.log()))
            .await
    }

    /// Runs another process in a container, and returns when it runs.
    pub(crate) async fn execute(
        &self,
        container: &Container,
        command: &[String],
        streams: Streams,
        tty: bool,
    ) -> Result<Executed, EngineError> {
        let name = crate::worker::random_id();
        let directory = container.directory.clone();
        let socket = tty
            .then(|| Socket::listen(&directory, &format!("{}.sock", &name[..12])))
            .transpose()
            .map_err(around("listen for a terminal"))?;
        let (pid_file, log) = (
            directory.join(format!("{name}.pid")),
            directory.join(format!("{name}.log")),
        );
        let mut argv: Vec<OsString> = self.argv.iter().map(OsString::from).collect();
        argv.extend([
            OsString::from("--root"),
            self.root.clone().into(),
            "--log".into(),
            log.clone().into(),
        ]);
        argv.extend(["--log-format", "json", "exec", "--detach", "--pid-file"].map(OsString::from));
        argv.push(pid_file.clone().into());
        if let Some(socket) = &socket {
            argv.extend([OsString::from("--tty"), "--console-socket".into(), socket.path().into()]);
        }
        argv.push(container.id.clone().into());
        argv.extend(command.iter().map(OsString::from));
        let runtime = tokio::runtime::Handle::current();
        let done = self.blocking(move || {
            let ran = oci_runtime_client::run(&argv, streams, DEADLINE);
            let checked = checked("exec", ran, &log);
            let text = std::fs::read_to_string(&pid_file);
            for file in [&pid_file, &log] {
                let _not_there = std::fs::remove_file(file).is_err();
            }
            checked?;
            let text = text.map_err(around("read a pid file"))?;
            let pid = text
                .trim()
                .parse()
                .map_err(|_| around("read a pid file")(io::ErrorKind::InvalidData.into()))?;
            let _entered = runtime.enter();
            let process = Process::hold(pid).map_err(around("hold a process"))?;
            let terminal = socket.map(|socket| socket.receive()).transpose();
            Ok((process, terminal.map_err(around("receive a terminal"))?))
        });
        let (process, terminal) = done.await?;
        let master = terminal
            .map(Master::new)
            .transpose()
            .map_err(around("watch a terminal"))?;
        Ok(Executed { process, master })
    }

    /// Runs another process to its end or its deadline. Answers how it ended, `None` at the deadline, and what it wrote.
    pub(crate) async fn command(
        &self,
        container: &Container,
        command: &[String],
        deadline: Duration,
    ) -> Result<(Option<Ended>, String), EngineError> {
        let (reader, end) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| around("make a pipe")(e.into()))?;
        let mut reader = pipe::Receiver::from_owned_fd(reader).map_err(around("watch a pipe"))?;
        let end = File::from(end);
        let streams = Streams {
            stdin: Some(File::open("/dev/null").map_err(around("open `/dev/null`"))?),
            stderr: Some(end.try_clone().map_err(around("copy a pipe"))?),
            stdout: Some(end),
        };
        let begun = tokio::time::Instant::now();
        let executed = self.execute(container, command, streams, false).await?;
        let process = executed.process;
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let mut open = true;
        let ended = loop {
            tokio::select! {
                ended = process.wait() => break Some(ended),
                () = tokio::time::sleep_until(begun + deadline) => {
                    process.kill();
                    break None;
                }
                read = reader.read(&mut buffer), if open => match read {
                    Ok(count @ 1..) if text.len() < 10 << 10 => text.extend_from_slice(&buffer[..count]),
                    Ok(1..) => {}
                    _ => open = false,
                },
            }
        };
        while open && text.len() < 10 << 10 {
            match reader.try_read(&mut buffer) {
                Ok(count @ 1..) => text.extend_from_slice(&buffer[..count]),
                _ => open = false,
            }
        }
        Ok((ended, String::from_utf8_lossy(&text).into_owned()))
    }
}

impl Container {
    fn write_down(&self) {
        let record = Record {
            id: self.id.clone(),
            pid: self.process.pid,
            begun: begun(self.process.pid).unwrap_or(0),
            started: humantime::format_rfc3339_nanos(self.started).to_string(),
            group: self.group.clone(),
        };
        let text = serde_json::to_vec(&record).unwrap_or_default();
        // Without it a later agent begins the container anew.
        let _lost = std::fs::write(self.directory.join("state.json"), text).is_err();
    }
}

/// The runtime's refusal, in its own words.
fn checked(
    verb: &'static str,
    outcome: Result<Outcome, oci_runtime_client::Error>,
    log: &Path,
) -> Result<(), EngineError> {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            let message = format!("{error}: {cause}");
            return Err(EngineError::Runtime { verb, message });
        }
    };
    if outcome.code == Some(0) {
        return Ok(());
    }
    let logged = std::fs::read_to_string(log).unwrap_or_default();
    let last = logged.lines().rev().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some(line.get("msg")?.as_str()?.to_owned())
    });
    let message = match last {
        _ if outcome.hung => format!("it did not end within {} s", DEADLINE.as_secs()),
        Some(message) => message,
        None if outcome.stderr.trim().is_empty() => format!("it ended with {}", outcome.shell_code()),
        None => outcome.stderr.trim().to_owned(),
    };
    Err(EngineError::Runtime { verb, message })
}
