//! The names of a cluster, as whoever answers for them holds them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::fault::Faults;
use crate::upstream::Upstream;
use crate::zone::{Entry, Source, Zone};

/// How names are answered for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients find the server; it is the address of `ns.dns.cluster.local`.
    pub address: IpAddr,
    /// What is broken on purpose.
    pub faults: Faults,
    /// Who is asked for names that are not the cluster's. Without one they are refused.
    pub upstream: Option<Arc<dyn Upstream>>,
}

/// All names, in memory. Clones are the same names.
#[derive(Debug, Clone)]
pub struct Names(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    zone: RwLock<Zone>,
    options: Options,
    turn: AtomicUsize,
    queries: AtomicU64,
}

impl Names {
    /// What is there without any object. [`Names::follow`] fills in the rest.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner {
            zone: RwLock::new(Zone::new(options.address)),
            options,
            turn: AtomicUsize::default(),
            queries: AtomicU64::default(),
        }))
    }

    /// How many names have records.
    pub fn count(&self) -> usize {
        self.zone().len()
    }

    /// How many packets asked for something so far.
    pub fn queries(&self) -> u64 {
        self.0.queries.load(Ordering::Relaxed)
    }

    /// The address of the server, as the options have it.
    pub fn address(&self) -> IpAddr {
        self.0.options.address
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.options.faults
    }

    pub(crate) fn upstream(&self) -> Option<&Arc<dyn Upstream>> {
        self.0.options.upstream.as_ref()
    }

    pub(crate) fn zone(&self) -> RwLockReadGuard<'_, Zone> {
        self.0.zone.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replace(&self, source: Source, entries: Vec<Entry>) {
        let mut zone = self.0.zone.write().unwrap_or_else(PoisonError::into_inner);
        zone.replace(source, entries);
    }

    /// Counts a query, and answers whose turn it is among equals.
    pub(crate) fn turn(&self) -> usize {
        self.0.queries.fetch_add(1, Ordering::Relaxed);
        self.0.turn.fetch_add(1, Ordering::Relaxed)
    }
}
