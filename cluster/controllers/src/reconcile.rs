//! The loop that all controllers share: changes make keys, keys are looked at one after the other.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use apiserver::{Api, User};
use objects::{Kind, Status};
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::queue::Queue;
use crate::world::{Change, World};
use crate::{BoxFuture, Controller, Shared};

/// How long keys are worked on before others get the thread.
const TURN: Duration = Duration::from_millis(5);

/// What a controller does beside waiting.
pub(crate) trait Reconcile: Send + 'static {
    /// What is looked at as a whole.
    type Key: Ord + Hash + Clone + Debug + Send;

    /// In kebab-case, as events name it.
    const NAME: &'static str;

    /// Changes of what are heard of.
    fn kinds(&self) -> Vec<&'static Kind>;

    /// What a change is about.
    fn keys(&mut self, world: &World, change: &Change) -> Vec<Self::Key>;

    /// What is looked at once at the start, whatever there is.
    fn first(&self) -> Vec<Self::Key> {
        Vec::new()
    }

    /// Looks, and acts. What is returned is when to look again although nothing changes.
    ///
    /// # Errors
    /// What the API refused; the key is looked at again.
    fn reconcile(&mut self, cluster: &Cluster, key: &Self::Key, now: SystemTime) -> Result<Option<Duration>, Status>;
}

/// A controller made of a [`Reconcile`].
pub(crate) struct Loop<R> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reconcile: R,
}

impl<R: Reconcile> Controller for Loop<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn run(self: Box<Self>, api: Api, stop: watch::Receiver<bool>) -> BoxFuture<()> {
        let api = api.acting_as(User::system("kube-controller-manager"));
        Box::pin(async move {
            self.shared.feed(&api, &stop);
            let cluster = Cluster::new(api, self.shared.world.clone(), R::NAME);
            let mut stop = stop;
            tokio::select! {
                () = turn(self.reconcile, cluster) => {}
                _ended = stop.wait_for(|stop| *stop) => {}
            }
        })
    }
}

async fn turn<R: Reconcile>(mut reconcile: R, cluster: Cluster) {
    let kinds = reconcile.kinds();
    cluster.world.until_ready(&kinds).await;
    let mut changes = cluster.world.subscribe(&kinds);
    let mut queue = Queue::new();
    for key in reconcile.first() {
        queue.add(key, Instant::now());
    }
    loop {
        let turn = Instant::now();
        while turn.elapsed() < TURN {
            while let Ok(change) = changes.try_recv() {
                note(&mut reconcile, &cluster, &mut queue, &change);
            }
            let Some(key) = queue.take(Instant::now()) else { break };
            look(&mut reconcile, &cluster, &mut queue, key);
        }
        if queue.next_due().is_some_and(|due| due <= Instant::now()) || turn.elapsed() >= TURN {
            tokio::task::yield_now().await;
            continue;
        }
        let due = queue.next_due();
        let due = async move {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => note(&mut reconcile, &cluster, &mut queue, &change),
                None => return,
            },
            () = due => {}
        }
    }
}

fn note<R: Reconcile>(reconcile: &mut R, cluster: &Cluster, queue: &mut Queue<R::Key>, change: &Change) {
    let now = Instant::now();
    for key in reconcile.keys(&cluster.world, change) {
        queue.add(key, now);
    }
}

fn look<R: Reconcile>(reconcile: &mut R, cluster: &Cluster, queue: &mut Queue<R::Key>, key: R::Key) {
    let started = Instant::now();
    let result = reconcile.reconcile(cluster, &key, SystemTime::now());
    let now = Instant::now();
    match result {
        Ok(again) => {
            queue.done(&key, now - started, now);
            if let Some(again) = again {
                queue.add_at(key, now + again);
            }
        }
        Err(status) => {
            tracing::debug!(controller = R::NAME, ?key, %status.message, "looked in vain");
            queue.failed(key, now);
        }
    }
}
