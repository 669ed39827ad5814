//! What is installed on a node, and how it is made to be what it shall be.

use std::collections::{BTreeMap, BTreeSet};

use netfilter::{Batch, Error, Family, Netfilter, Part, Step, TableState};
use objects::meta;

use crate::base::{self, Entry, TABLE};
use crate::config::Config;
use crate::fault::Faults;
use crate::pod::{Key, Object, Pod, key};
use crate::policy::Policy;
use crate::rules::Maker;
use crate::world::World;

/// Whose part it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Policy(Key),
    Pod(Key),
}

/// How the table was when it was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    generation: u32,
    table: TableState,
    /// Without policies.
    is_idle: bool,
}

/// The policies of a node: what they shall be, and what they are.
pub struct Tables {
    node: String,
    family: Family,
    maker: Maker,
    entries: Vec<Entry>,
    idle: Vec<Entry>,
    socket: Netfilter,
    world: World,
    changed: BTreeSet<Owner>,
    /// What each has; empty until the table was written once.
    installed: BTreeMap<Owner, Part>,
    written: Option<Written>,
}

impl Tables {
    /// Of the node in whose network namespace the socket is, which is of the configuration's family. Nothing is written yet.
    pub fn new(config: &Config, socket: Netfilter) -> Self {
        let faults = Faults::new(&config.faults);
        let mut world = World::default();
        if let Some(address) = config.name_server {
            let pod = Pod::name_server(address);
            world.replace_pod(&pod.key(), Some(pod));
        }
        Self {
            node: config.node.clone(),
            family: config.family,
            entries: base::entries(config, &faults),
            idle: base::idle(),
            maker: Maker::new(faults),
            socket,
            world,
            changed: BTreeSet::new(),
            installed: BTreeMap::new(),
            written: None,
        }
    }

    /// Whether changes are to have their effect late.
    pub(crate) fn is_late(&self) -> bool {
        self.maker.faults.has("policy-update-late")
    }

    /// Whether there is any policy. Without one, pods and namespaces need not be known.
    pub fn has_policies(&self) -> bool {
        !self.world.policies.is_empty()
    }

    /// A policy is there, or is another one now.
    pub fn put_policy(&mut self, policy: &Object) {
        let new = Policy::read(policy, self.family, &self.maker.faults);
        self.replace_policy(key(policy), Some(new));
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, policy: &Object) {
        self.replace_policy(key(policy), None);
    }

    fn replace_policy(&mut self, key: Key, new: Option<Policy>) {
        let old = match &new {
            Some(new) => self.world.policies.insert(key.clone(), new.clone()),
            None => self.world.policies.remove(&key),
        };
        for policy in old.iter().chain(&new) {
            let pods = self.world.selected(policy).map(|pod| Owner::Pod(pod.key()));
            self.changed.extend(pods);
        }
        self.changed.insert(Owner::Policy(key));
    }

    /// A pod is there, or is another one now.
    pub fn put_pod(&mut self, pod: &Object) {
        self.replace_pod(&key(pod), Pod::read(pod, &self.node, self.family));
    }

    /// A pod is gone.
    pub fn remove_pod(&mut self, pod: &Object) {
        self.replace_pod(&key(pod), None);
    }

    fn replace_pod(&mut self, key: &Key, new: Option<Pod>) {
        for pod in self.world.replace_pod(key, new) {
            let policies = self.world.policies.iter();
            let concerned = policies.filter(|(_, policy)| self.world.concerns(policy, &pod));
            self.changed
                .extend(concerned.map(|(key, _)| Owner::Policy(key.clone())));
            self.changed.insert(Owner::Pod(pod.key()));
        }
    }

    /// A namespace is there, or is another one now.
    pub fn put_namespace(&mut self, namespace: &Object) {
        self.replace_namespace(meta::name(namespace), Some(namespace));
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, namespace: &Object) {
        self.replace_namespace(meta::name(namespace), None);
    }

    fn replace_namespace(&mut self, name: &str, new: Option<&Object>) {
        if self.world.replace_namespace(name, new.map(AsRef::as_ref)) {
            self.changed
                .extend(self.world.policies.keys().cloned().map(Owner::Policy));
        }
    }

    /// Makes the packet filter what it shall be, in one transaction, and touches only what changed. The first time, and
    /// after [`Tables::forget`], it is written anew, and so it is for the first policy and after the last.
    ///
    /// # Errors
    /// What netfilter refuses; the next call writes all of it anew.
    pub fn sync(&mut self) -> Result<(), Error> {
        let is_idle = !self.has_policies();
        let mut batch = Batch::of(self.family, TABLE);
        if self.written.is_none_or(|written| written.is_idle != is_idle) {
            self.installed.clear();
            self.changed = self.everybody();
            base::write(if is_idle { &self.idle } else { &self.entries }, &mut batch);
        }
        let new: Vec<(Owner, Part)> = std::mem::take(&mut self.changed)
            .into_iter()
            .map(|owner| (owner.clone(), self.part(&owner)))
            .collect();
        let nothing = Part::default();
        let steps: Vec<Step<'_>> = new
            .iter()
            .map(|(owner, new)| Step {
                old: self.installed.get(owner).unwrap_or(&nothing),
                new,
            })
            .collect();
        batch.change(&steps);
        self.commit(&batch)?;
        for (owner, part) in new {
            match part == nothing {
                true => self.installed.remove(&owner),
                false => self.installed.insert(owner, part),
            };
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.written = None;
        self.socket.commit(batch)?;
        let generation = self.socket.generation()?;
        let table = self.socket.table(TABLE)?;
        self.written = table.map(|table| Written {
            generation,
            table,
            is_idle: !self.has_policies(),
        });
        Ok(())
    }

    fn everybody(&self) -> BTreeSet<Owner> {
        let policies = self.world.policies.keys().cloned().map(Owner::Policy);
        let pods = self.world.pods().filter(|pod| pod.is_local);
        policies.chain(pods.map(|pod| Owner::Pod(pod.key()))).collect()
    }

    fn part(&self, owner: &Owner) -> Part {
        let part = match owner {
            Owner::Policy(key) => {
                let policy = self.world.policies.get(key);
                policy.map(|policy| self.maker.of_policy(&self.world, policy))
            }
            Owner::Pod(key) => {
                let pod = self.world.pod(key);
                pod.map(|pod| self.maker.of_pod(&self.world, pod))
            }
        };
        part.unwrap_or_default()
    }

    /// Whether the table is as it was left, as far as can be told at little cost: somebody else may have deleted it, or
    /// emptied a chain that packets come into.
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
        let entries = if written.is_idle { &self.idle } else { &self.entries };
        for Entry { chain, .. } in entries {
            if self.socket.rules(TABLE, Some(&chain.name))?.is_empty() {
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
}
