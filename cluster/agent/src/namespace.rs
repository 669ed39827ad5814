//! Namespaces that are held by their files, and a thread that lives in one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

/// `CLONE_NEW*` of the kinds that a sandbox holds.
pub(crate) const NET: u32 = 0x4000_0000;
pub(crate) const UTS: u32 = 0x0400_0000;
pub(crate) const IPC: u32 = 0x0800_0000;

/// A namespace, alive as long as this is.
#[derive(Debug, Clone)]
pub(crate) struct Namespace(Arc<OwnedFd>);

impl Namespace {
    /// The one that this thread is in; `kind` is a name in `/proc/PID/ns`.
    fn own(kind: &str) -> io::Result<Self> {
        Self::open(&format!("/proc/thread-self/ns/{kind}"))
    }

    /// The one that a process is in.
    pub(crate) fn of(pid: i32, kind: &str) -> io::Result<Self> {
        Self::open(&format!("/proc/{pid}/ns/{kind}"))
    }

    fn open(path: &str) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        Ok(Self(Arc::new(rustix::fs::open(
            path,
            flags,
            rustix::fs::Mode::empty(),
        )?)))
    }

    /// A path by which any process finds it while this one holds it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Moves this thread into it, if it is one of networks.
    pub(crate) fn enter(&self) -> io::Result<()> {
        sys::namespace::join(self.0.as_fd(), NET)
    }

    /// For `IFLA_NET_NS_FD`.
    pub(crate) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

type Errand = Box<dyn FnOnce() + Send>;

/// A thread that lives in a network namespace and does there what it is asked to.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    errands: mpsc::Sender<Errand>,
    net: Namespace,
}

impl Room {
    /// In a new network namespace.
    pub(crate) async fn create(name: &str) -> io::Result<Self> {
        Self::begin(name, None).await
    }

    /// In one that is there.
    pub(crate) async fn enter(name: &str, net: Namespace) -> io::Result<Self> {
        Self::begin(name, Some(net)).await
    }

    async fn begin(name: &str, there: Option<Namespace>) -> io::Result<Self> {
        let (errands, inbox) = mpsc::channel::<Errand>();
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let net = match there {
                Some(net) => net.enter().map(|()| net),
                None => sys::namespace::unshare(NET).and_then(|()| Namespace::own("net")),
            };
            let stay = net.is_ok();
            if tell.send(net).is_ok() && stay {
                inbox.into_iter().for_each(|errand| errand());
            }
        })?;
        let net = told.await.map_err(io::Error::other)??;
        Ok(Self { errands, net })
    }

    pub(crate) fn net(&self) -> &Namespace {
        &self.net
    }

    /// Does it in there.
    pub(crate) async fn run<R: Send + 'static>(&self, errand: impl FnOnce() -> R + Send + 'static) -> io::Result<R> {
        let (tell, told) = oneshot::channel();
        let errand = Box::new(move || {
            // Who asked may have gone.
            let _gone = tell.send(errand()).is_err();
        });
        self.errands
            .send(errand)
            .map_err(|_| io::Error::other("the thread of a network namespace is gone"))?;
        told.await.map_err(io::Error::other)
    }
}

/// What the containers of a pod share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// `None` is the node's.
    pub(crate) net: Option<Namespace>,
    pub(crate) uts: Option<Namespace>,
    pub(crate) ipc: Option<Namespace>,
}

impl Shared {
    /// Makes namespaces of these `kinds`, does `inside` in them (the network's loopback, sockets), and names the host.
    pub(crate) async fn create<R: Send + 'static>(
        kinds: u32,
        hostname: String,
        inside: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<(Self, R)> {
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new().name("sandbox".into()).spawn(move || {
            let made = || {
                sys::namespace::unshare(kinds)?;
                if kinds & UTS != 0 {
                    rustix::system::sethostname(hostname.as_bytes())?;
                }
                let own = |kind: u32, name: &str| (kinds & kind != 0).then(|| Namespace::own(name)).transpose();
                let shared = Self {
                    net: own(NET, "net")?,
                    uts: own(UTS, "uts")?,
                    ipc: own(IPC, "ipc")?,
                };
                Ok((shared, inside()?))
            };
            let _gone = tell.send(made()).is_err();
        })?;
        told.await.map_err(io::Error::other)?
    }
}
