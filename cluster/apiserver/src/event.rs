//! Events: what happened to an object, counted where it happens again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use objects::{kind, meta};
use serde_json::{Value, json};

use crate::{
    Api, DeleteOptions, Part,
    metadata::{now, random},
};

/// How many events are kept; the oldest go first, as in Kubernetes they do after an hour.
const KEPT: usize = 10_000;

/// What makes two events one: uid, kind, reason, message and component.
type Same = (String, String, String, String, String);

#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    names: HashMap<Same, (String, String)>,
    order: VecDeque<Same>,
}

impl Events {
    fn find(&self, same: &Same) -> Option<(String, String)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.names.get(same).cloned()
    }

    /// Remembers an event; returns the one that is too old from now on.
    fn add(&self, same: Same, path: (String, String)) -> Option<(String, String)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.names.insert(same.clone(), path).is_none() {
            known.order.push_back(same);
        }
        if known.order.len() <= KEPT {
            return None;
        }
        let oldest = known.order.pop_front()?;
        known.names.remove(&oldest)
    }
}

impl Api {
    /// Tells that something happened to an object. `kind` is `Normal` or `Warning`. What cannot be told is dropped, for
    /// nobody's work hangs on it.
    pub fn record(&self, about: &Value, kind: &str, reason: &str, message: &str, component: &str) {
        let Some(events) = kind::find("", "v1", "events") else {
            return;
        };
        let same = [meta::uid(about), kind, reason, message, component].map(str::to_owned);
        let [uid, kind, reason, message, component] = same;
        let same = (uid, kind, reason, message, component);
        if let Some((namespace, name)) = self.shared.events.find(&same) {
            let again = self.edit(events, &namespace, &name, Part::Main, |event| {
                let count = meta::number(event, &["count"]).unwrap_or(1);
                meta::set(event, &["count"], count + 1);
                meta::set(event, &["lastTimestamp"], now());
            });
            if again.is_ok() {
                return;
            }
        }
        let namespace = match meta::namespace(about) {
            "" => "default",
            namespace => namespace,
        };
        let name = format!("{}.{:016x}", meta::name(about), random());
        let (_, kind, reason, message, component) = &same;
        let time = now();
        let event = json!({
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": meta::reference(about),
            "reason": reason, "message": message, "type": kind, "count": 1,
            "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
            "firstTimestamp": time, "lastTimestamp": time, "eventTime": null,
        });
        if self.create(events, namespace, event).is_err() {
            return;
        }
        let path = (namespace.to_owned(), name);
        if let Some((namespace, name)) = self.shared.events.add(same, path) {
            // It may be gone with its namespace.
            let _gone = self.delete(events, &namespace, &name, &DeleteOptions::default());
        }
    }
}
