//! The watches that keep the world up to date.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use apiserver::{Api, EventKind, WatchQuery};
use objects::kind::KINDS;
use objects::{Kind, meta};
use tokio::sync::watch;

use super::World;

/// After a watch could not be begun.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts a watch for every kind that is stored, until `stop` says `true` or is gone.
pub(crate) fn start(world: &Arc<World>, api: &Api, stop: &watch::Receiver<bool>) {
    for kind in KINDS.iter().filter(|kind| kind.stored && kind.kind != "Event") {
        let (world, api, mut stop) = (world.clone(), api.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = follow(&world, &api, kind) => {}
                _ended = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn follow(world: &World, api: &Api, kind: &'static Kind) {
    let query = WatchQuery {
        initial_events: true,
        ..WatchQuery::default()
    };
    loop {
        if let Ok(mut watch) = api.watch(kind, None, &query) {
            // Everything that is there is told first; what is not told by the first bookmark is gone.
            let mut untold: Option<HashSet<String>> = Some(world.uids(kind).into_iter().collect());
            while let Some(event) = watch.next().await {
                let uid = meta::uid(&event.object);
                match event.kind {
                    EventKind::Added | EventKind::Modified => {
                        if let Some(untold) = &mut untold {
                            untold.remove(uid);
                        }
                        world.put(kind, &event.object);
                    }
                    EventKind::Deleted => world.end(kind, uid, event.resource_version),
                    EventKind::Bookmark => {
                        for uid in untold.take().into_iter().flatten() {
                            world.end(kind, &uid, event.resource_version);
                        }
                        world.is_ready(kind);
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
