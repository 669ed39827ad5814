//! The names of a cluster, as whoever answers for them holds them.

use std::net::IpAddr;
use std::ops::Deref;
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
pub struct Names {
    shared: Arc<Inner>,
    /// What is answered instead of what is known.
    held: Arc<RwLock<Option<Arc<Zone>>>>,
}

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
        Self {
            shared: Arc::new(Inner {
                zone: RwLock::new(Zone::new(options.address)),
                options,
                turn: AtomicUsize::default(),
                queries: AtomicU64::default(),
            }),
            held: Arc::default(),
        }
    }

    /// The same names, for whoever is to be held by himself.
    pub fn another(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            held: Arc::default(),
        }
    }

    /// From now on, these and their clones answer what they know now, whatever becomes of it.
    pub fn hold(&self) {
        let now = Arc::new(self.known().clone());
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// They answer what there is again.
    pub fn release(&self) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many names have records.
    pub fn count(&self) -> usize {
        self.zone().len()
    }

    /// How many packets asked for something so far.
    pub fn queries(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }

    /// The address of the server, as the options have it.
    pub fn address(&self) -> IpAddr {
        self.shared.options.address
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.shared.options.faults
    }

    pub(crate) fn upstream(&self) -> Option<&Arc<dyn Upstream>> {
        self.shared.options.upstream.as_ref()
    }

    fn known(&self) -> RwLockReadGuard<'_, Zone> {
        self.shared.zone.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn zone(&self) -> Reading<'_> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref() {
            Some(zone) => Reading::Held(zone.clone()),
            None => Reading::Known(self.known()),
        }
    }

    pub(crate) fn replace(&self, source: Source, entries: Vec<Entry>) {
        let mut zone = self.shared.zone.write().unwrap_or_else(PoisonError::into_inner);
        zone.replace(source, entries);
    }

    /// Counts a query, and answers whose turn it is among equals.
    pub(crate) fn turn(&self) -> usize {
        self.shared.queries.fetch_add(1, Ordering::Relaxed);
        self.shared.turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// The records that are answered from.
pub(crate) enum Reading<'n> {
    Known(RwLockReadGuard<'n, Zone>),
    Held(Arc<Zone>),
}

impl Deref for Reading<'_> {
    type Target = Zone;

    fn deref(&self) -> &Zone {
        match self {
            Self::Known(zone) => zone,
            Self::Held(zone) => zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_answers_what_was_known_and_the_others_what_is() {
        let names = Names::new(Options {
            address: IpAddr::from([10, 96, 0, 10]),
            faults: Faults::default(),
            upstream: None,
        });
        let (one, other) = (names.another(), names.another());
        let source = Source::Pod {
            namespace: "shop".into(),
            name: "web".into(),
        };
        let pod =
            serde_json::json!({"metadata": {"name": "web", "namespace": "shop"}, "status": {"podIP": "10.244.1.2"}});
        one.hold();
        names.replace(source.clone(), crate::pod::entries(&pod));
        assert!(!one.zone().knows(&source) && !one.clone().zone().knows(&source));
        assert!(other.zone().knows(&source));
        one.release();
        assert!(one.zone().knows(&source));
    }
}
