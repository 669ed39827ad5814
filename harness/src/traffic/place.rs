//! A network namespace that sockets are made in.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace; it stays for as long as this is held.
#[derive(Debug, Clone)]
pub struct Place {
    /// Nothing is the namespace of whoever asks.
    net: Option<Arc<OwnedFd>>,
}

impl Place {
    /// That of the calling thread.
    pub fn here() -> Self {
        Self { net: None }
    }

    /// That to which a path leads, such as `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            net: Some(Arc::new(file.into())),
        })
    }

    /// A new one, in which nothing is but its loopback interface, which is down.
    ///
    /// # Errors
    /// What the kernel says: `EPERM` for want of `CAP_SYS_ADMIN`.
    pub fn new() -> io::Result<Self> {
        const CLONE_NEWNET: u32 = 0x4000_0000;
        let made = std::thread::spawn(|| {
            sys::namespace::unshare(CLONE_NEWNET)?;
            Self::open(Path::new("/proc/thread-self/ns/net"))
        });
        joined(made)
    }

    /// Does something on a thread of its own in the namespace, and waits for its end. Sockets and processes that it makes
    /// are of the namespace, and stay so.
    ///
    /// # Errors
    /// That the namespace cannot be entered, or what `act` says.
    pub fn run<R: Send + 'static>(&self, act: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
        let net = self.net.clone();
        joined(std::thread::spawn(move || {
            if let Some(net) = net {
                move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network))?;
            }
            act()
        }))
    }

    /// Its inode, by which two are told apart (`namespaces(7)`).
    ///
    /// # Errors
    /// What the system says.
    pub fn inode(&self) -> io::Result<u64> {
        match &self.net {
            Some(net) => Ok(File::from(net.try_clone()?).metadata()?.ino()),
            None => Ok(std::fs::metadata("/proc/thread-self/ns/net")?.ino()),
        }
    }

    /// Bytes that came into it by any interface but the loopback, as `/proc/net/dev` counts them.
    ///
    /// # Errors
    /// What the system says.
    pub fn taken_in(&self) -> io::Result<u64> {
        let table = self.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))?;
        Ok(taken_in(&table))
    }

    /// The descriptor, if it is not simply here.
    pub(super) fn descriptor(&self) -> Option<&OwnedFd> {
        self.net.as_deref()
    }
}

/// The first column of each interface's line but that of `lo` (`proc_net_dev(5)`).
fn taken_in(table: &str) -> u64 {
    let interfaces = table.lines().filter_map(|line| line.split_once(':'));
    let others = interfaces.filter(|(name, _)| name.trim() != "lo");
    let counted = others.filter_map(|(_, counters)| counters.split_whitespace().next()?.parse::<u64>().ok());
    counted.sum()
}

fn joined<R>(thread: std::thread::JoinHandle<io::Result<R>>) -> io::Result<R> {
    thread
        .join()
        .map_err(|_| io::Error::other("a thread of the harness ended early"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_is_counted_without_the_loopback() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo:  900  1 0 0\n  eth0:  70  1 0 0\n   p1: 5 1\n";
        assert_eq!(taken_in(table), 75);
    }

    #[test]
    fn a_new_place_is_another_one() {
        let Ok(place) = Place::new() else {
            // An ordinary user has no right to one.
            assert!(!rustix::process::geteuid().is_root());
            return;
        };
        let (own, other) = (Place::here().inode().unwrap(), place.inode().unwrap());
        assert_ne!(own, other);
        assert_eq!(place.run(|| Place::here().inode()).unwrap(), other);
        assert_eq!(place.taken_in().unwrap(), 0);
    }
}
