//! What is installed on a node, and how it is made to be what it shall be.

use std::collections::{BTreeMap, BTreeSet};

use netfilter::{Batch, Error, Flow, Netfilter, Place, Protocol, Step, TableState};
use objects::meta;

use crate::base::{self, ENTRIES, TABLE};
use crate::config::Config;
use crate::endpoint;
use crate::fault::Faults;
use crate::rules::{Answering, Maker, Needs};
use crate::service::Service;

/// An object as the API has it.
pub(crate) type Object = std::sync::Arc<serde_json::Value>;
/// Namespace and name of a Service.
pub(crate) type Key = (String, String);

/// The packet filter of a node: what it shall be, and what it is.
pub struct Tables {
    maker: Maker,
    socket: Netfilter,
    services: BTreeMap<Key, Object>,
    slices: BTreeMap<Key, BTreeMap<String, Object>>,
    changed: BTreeSet<Key>,
    /// What each Service has; empty until the table was written once.
    installed: BTreeMap<Key, Needs>,
    /// To whom an element belongs, and who else wants it: two Services may ask for one external address.
    owners: BTreeMap<Place, Key>,
    waiting: BTreeMap<Place, BTreeSet<Key>>,
    written: Option<Written>,
}

/// How the table was when it was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    generation: u32,
    table: TableState,
}

impl Tables {
    /// Of the node in whose network namespace the socket is, which is of the configuration's family. Nothing is written yet.
    pub fn new(config: Config, socket: Netfilter) -> Self {
        let faults = Faults::new(&config.faults);
        Self {
            maker: Maker { config, faults },
            socket,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            changed: BTreeSet::new(),
            installed: BTreeMap::new(),
            owners: BTreeMap::new(),
            waiting: BTreeMap::new(),
            written: None,
        }
    }

    /// A Service is there, or is another one now.
    pub fn put_service(&mut self, service: Object) {
        let key = key(&service);
        self.services.insert(key.clone(), service);
        self.changed.insert(key);
    }

    /// A Service is gone.
    pub fn remove_service(&mut self, service: &Object) {
        let key = key(service);
        self.services.remove(&key);
        self.changed.insert(key);
    }

    /// A slice is there, or is another one now.
    pub fn put_slice(&mut self, slice: Object, old: Option<&Object>) {
        if let Some(old) = old
            && endpoint::service_of(old) != endpoint::service_of(&slice)
        {
            self.remove_slice(old);
        }
        let Some(key) = endpoint::service_of(&slice) else {
            return;
        };
        let slices = self.slices.entry(key.clone()).or_default();
        let name = meta::name(&slice).to_owned();
        match slices.remove(&name) {
            Some(before) if self.maker.faults.has("stale-endpoints-kept") => {
                slices.insert(name, with_all(&slice, &before));
            }
            _ => {
                slices.insert(name, slice);
            }
        }
        self.changed.insert(key);
    }

    /// A slice is gone.
    pub fn remove_slice(&mut self, slice: &Object) {
        let Some(key) = endpoint::service_of(slice) else {
            return;
        };
        if self.maker.faults.has("stale-endpoints-kept") {
            return;
        }
        if let Some(slices) = self.slices.get_mut(&key) {
            slices.remove(meta::name(slice));
            if slices.is_empty() {
                self.slices.remove(&key);
            }
        }
        self.changed.insert(key);
    }

    /// Makes the packet filter what it shall be, in one transaction, and touches only what changed. The first time, and
    /// after [`Tables::forget`], it is written anew.
    ///
    /// # Errors
    /// What netfilter refuses; the next call writes all of it anew.
    pub fn sync(&mut self) -> Result<(), Error> {
        let anew = self.written.is_none();
        if anew {
            self.installed.clear();
            self.owners.clear();
            self.waiting.clear();
            self.changed = self.services.keys().cloned().collect();
        }
        if self.changed.is_empty() && !anew {
            return Ok(());
        }
        let new = self.wanted();
        let nothing = Needs::default();
        let changes: Vec<[&Needs; 2]> = new
            .iter()
            .map(|(key, new)| [self.installed.get(key).unwrap_or(&nothing), new])
            .collect();
        let steps: Vec<Step<'_>> = changes
            .iter()
            .map(|[old, new]| Step {
                old: &old.part,
                new: &new.part,
            })
            .collect();
        let mut batch = Batch::of(self.maker.config.family, TABLE);
        if anew {
            base::write(&self.maker.config, &self.maker.faults, &mut batch);
        }
        batch.change(&steps);
        let answering = answering(&changes);
        self.written = None;
        self.socket.commit(&batch)?;
        for (key, needs) in new {
            match needs == nothing {
                true => self.installed.remove(&key),
                false => self.installed.insert(key, needs),
            };
        }
        self.remember()?;
        self.forget_flows(&answering)
    }

    /// What the changed Services shall have, but for elements that are another's.
    fn wanted(&mut self) -> BTreeMap<Key, Needs> {
        let mut wanted: BTreeMap<Key, Needs> = BTreeMap::new();
        // Who waited for what is given back is to be made anew, too.
        while let Some(key) = self.changed.pop_first() {
            let needs = self.needs(&key);
            if let Some(old) = self.installed.get(&key) {
                let stays = |place: &&Place| needs.part.elements.contains_key(*place);
                for place in old.part.elements.keys().filter(|place| !stays(place)) {
                    if self.owners.get(place) == Some(&key) {
                        self.owners.remove(place);
                        let waiting = self.waiting.remove(place).unwrap_or_default();
                        self.changed.extend(waiting.into_iter().filter(|other| *other != key));
                    }
                }
            }
            wanted.insert(key, needs);
        }
        for (key, Needs { part, .. }) in &mut wanted {
            let elements = std::mem::take(&mut part.elements);
            for (place, verdict) in elements {
                let owner = self.owners.entry(place.clone()).or_insert_with(|| key.clone());
                if owner == key {
                    part.elements.insert(place, verdict);
                } else {
                    self.waiting.entry(place).or_default().insert(key.clone());
                }
            }
        }
        wanted
    }

    fn needs(&self, key: &Key) -> Needs {
        let family = self.maker.config.family;
        let service = self
            .services
            .get(key)
            .and_then(|service| Service::read(service, family));
        let slices = self.slices.get(key).into_iter().flat_map(BTreeMap::values);
        let endpoints = endpoint::read(slices.map(AsRef::as_ref), family);
        service.map_or_else(Needs::default, |service| self.maker.needs(&service, &endpoints))
    }

    fn remember(&mut self) -> Result<(), Error> {
        let generation = self.socket.generation()?;
        let table = self.socket.table(TABLE)?;
        self.written = table.map(|table| Written { generation, table });
        Ok(())
    }

    /// Whether the table is as it was written: others may have deleted or emptied it.
    ///
    /// # Errors
    /// What netfilter says.
    pub fn is_whole(&mut self) -> Result<bool, Error> {
        let Some(written) = self.written else {
            return Ok(false);
        };
        let generation = self.socket.generation()?;
        if generation == written.generation {
            return Ok(true);
        }
        if self.socket.table(TABLE)? != Some(written.table) {
            return Ok(false);
        }
        for (entry, _, _) in ENTRIES {
            if self.socket.rules(TABLE, Some(entry))?.is_empty() {
                return Ok(false);
            }
        }
        self.written = Some(Written { generation, ..written });
        Ok(true)
    }

    /// Believes nothing of what is installed: the next [`Tables::sync`] writes it anew.
    pub fn forget(&mut self) {
        self.written = None;
    }

    /// Makes the kernel forget who answered clients of UDP, where that is no backend any more. For TCP the connection ends
    /// with the backend; for UDP there is no end, and packets would go where nobody is.
    fn forget_flows(&mut self, answering: &Answering) -> Result<(), Error> {
        if answering.is_empty() || self.maker.faults.has("udp-flows-kept") {
            return Ok(());
        }
        let stale = |flow: &Flow| {
            let backends = answering.get(&flow.original.destination);
            backends.is_some_and(|backends| !backends.contains(&flow.reply.source))
        };
        let mut flows = self.socket.flows(Protocol::Udp)?;
        flows.retain(stale);
        self.socket.forget(&flows)
    }

    /// What the kernel counts among the table's rules: for looks from outside.
    ///
    /// # Errors
    /// What netfilter says.
    pub fn rules(&mut self) -> Result<usize, Error> {
        Ok(self.socket.rules(TABLE, None)?.len())
    }
}

/// Where backends of UDP changed, and those that there are now.
fn answering(changes: &[[&Needs; 2]]) -> Answering {
    let mut changed = Answering::new();
    for [old, new] in changes {
        for front in old.answering.keys().chain(new.answering.keys()) {
            if old.answering.get(front) != new.answering.get(front) {
                let backends = new.answering.get(front).cloned().unwrap_or_default();
                changed.entry(*front).or_default().extend(backends);
            }
        }
    }
    changed
}

fn key(object: &Object) -> Key {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}

/// The slice with what it had before and has no more.
fn with_all(slice: &Object, before: &Object) -> Object {
    let mut all = serde_json::Value::clone(slice);
    let addresses = |one: &serde_json::Value| meta::at(one, &["addresses"]).cloned();
    let mut endpoints = meta::list(slice, &["endpoints"]).to_vec();
    for old in meta::list(before, &["endpoints"]) {
        if !endpoints.iter().any(|one| addresses(one) == addresses(old)) {
            endpoints.push(old.clone());
        }
    }
    meta::set(&mut all, &["endpoints"], endpoints);
    if meta::list(&all, &["ports"]).is_empty() {
        meta::set(&mut all, &["ports"], meta::list(before, &["ports"]).to_vec());
    }
    all.into()
}
