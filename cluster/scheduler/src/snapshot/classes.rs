//! Classes of pods, and the counts that their terms need.

use std::sync::Arc;

use super::pods::count;
use super::{Class, Snapshot, SpreadUse};
use crate::id::{ClassId, MatcherId, NodeId, TallyId};
use crate::shape::{Shape, Spread, Term};
use crate::tally::{Counted, Eligible, Matcher, Role, Tallies, TallyKey, Whom};
use crate::words::Word;

/// Classes that no pod has are kept for the next pod of their kind, up to so many beyond those in use.
const SPARE_CLASSES: usize = 256;

impl Snapshot {
    pub(super) fn use_class(&mut self, class: ClassId) {
        let class = &mut self.classes[class.at()];
        class.users += 1;
        if class.users == 1 {
            self.used_classes += 1;
        }
    }

    pub(super) fn leave_class(&mut self, class: ClassId) {
        let class = &mut self.classes[class.at()];
        class.users -= 1;
        if class.users == 0 {
            self.used_classes -= 1;
        }
    }

    /// The class of pods of this shape.
    pub(crate) fn class(&mut self, shape: Shape) -> ClassId {
        if let Some(id) = self.class_by_shape.get(&shape) {
            return *id;
        }
        if self.classes.len() > 2 * self.used_classes + SPARE_CLASSES {
            self.rebuild();
        }
        self.new_class(Arc::new(shape))
    }

    pub(super) fn new_class(&mut self, shape: Arc<Shape>) -> ClassId {
        let id = ClassId::new(self.classes.len());
        self.class_by_shape.insert(shape.clone(), id);
        let meant = |matcher: &Matcher| {
            matcher
                .whom
                .means(shape.namespace, &shape.labels, &self.namespaces, &self.words)
        };
        let matchers = self
            .tallies
            .matchers
            .iter()
            .enumerate()
            .filter(|(_, matcher)| meant(matcher));
        let matchers = matchers.map(|(index, _)| MatcherId::new(index)).collect();
        self.classes.push(Class {
            shape: shape.clone(),
            users: 0,
            matchers,
            held: Vec::new(),
            spread: Vec::new(),
            affinity: Vec::new(),
            meets_itself: false,
            anti_affinity: Vec::new(),
            preferred_pods: Vec::new(),
            default_spread: None,
        });
        let keys: [Vec<Word>; 2] = [false, true].map(|hard| {
            let same = shape.spread.iter().filter(|constraint| constraint.hard == hard);
            same.map(|constraint| constraint.topology).collect()
        });
        let spread: Vec<SpreadUse> = shape
            .spread
            .iter()
            .map(|one| self.spread_use(one, &shape, keys[usize::from(one.hard)].clone()))
            .collect();
        let everyone = Whom {
            all: shape.affinity.iter().map(|term| term.who.clone()).collect(),
            live: false,
        };
        let meets_itself = everyone.means(shape.namespace, &shape.labels, &self.namespaces, &self.words);
        let affinity: Vec<TallyId> = shape
            .affinity
            .iter()
            .map(|term| self.tally(everyone.clone(), term.topology, Counted::Meant, None))
            .collect();
        let of_term = |snapshot: &mut Self, term: &Term, counted| {
            let whom = Whom {
                all: vec![term.who.clone()],
                live: false,
            };
            snapshot.tally(whom, term.topology, counted, None)
        };
        let mut held = Vec::new();
        let mut anti_affinity = Vec::new();
        for term in &shape.anti_affinity {
            anti_affinity.push(of_term(self, term, Counted::Meant));
            held.push(of_term(self, term, Counted::Holders(Role::Repels)));
        }
        for term in &shape.affinity {
            held.push(of_term(self, term, Counted::Holders(Role::Requires)));
        }
        let mut preferred_pods = Vec::new();
        for (weight, term) in &shape.preferred_pods {
            preferred_pods.push((*weight, of_term(self, term, Counted::Meant)));
            held.push(of_term(self, term, Counted::Holders(Role::Prefers(*weight))));
        }
        let class = &mut self.classes[id.at()];
        class.spread = spread;
        class.meets_itself = meets_itself;
        class.affinity = affinity;
        class.anti_affinity = anti_affinity;
        class.preferred_pods = preferred_pods;
        class.held = held;
        id
    }

    pub(super) fn spread_use(&mut self, constraint: &Spread, shape: &Shape, keys: Vec<Word>) -> SpreadUse {
        let whom = Whom {
            all: vec![constraint.who.clone()],
            live: true,
        };
        let own = whom.means(shape.namespace, &shape.labels, &self.namespaces, &self.words);
        let rule = Eligible {
            keys,
            placement: (constraint.honor_affinity && !shape.placement.is_free()).then(|| shape.placement.clone()),
            tolerations: constraint.honor_taints.then(|| shape.tolerations.clone()),
        };
        let tally = self.tally(whom, constraint.topology, Counted::Meant, Some(rule));
        SpreadUse {
            tally,
            topology: self.tallies.tally(tally).key.topology,
            max_skew: constraint.max_skew,
            min_domains: constraint.min_domains,
            hard: constraint.hard,
            own: i64::from(own),
        }
    }

    /// A tally, with all pods counted in it.
    pub(super) fn tally(&mut self, whom: Whom, topology: Word, counted: Counted, rule: Option<Eligible>) -> TallyId {
        let (matcher, is_new) = self.tallies.matcher(whom);
        if is_new {
            let whom = &self.tallies.matchers[matcher.at()].whom;
            for class in &mut self.classes {
                let shape = &class.shape;
                if whom.means(shape.namespace, &shape.labels, &self.namespaces, &self.words) {
                    class.matchers.push(matcher);
                }
            }
        }
        let topology = self.tallies.topology(topology, &self.nodes);
        let eligibility = rule.map(|rule| self.tallies.eligibility(rule, &self.nodes, &self.words));
        let key = TallyKey {
            matcher,
            counted,
            topology,
            eligibility,
        };
        let (tally, is_new) = self.tallies.tally_of(key, &self.nodes);
        if is_new && counted == Counted::Meant {
            let live = self.tallies.matchers[matcher.at()].whom.live;
            for pod in self.pods.iter().flatten() {
                let Some(node) = pod.node else { continue };
                let meant = self.classes[pod.class.at()].matchers.contains(&matcher);
                if meant && !(live && pod.terminating) {
                    self.tallies.count(tally, node, true);
                }
            }
        }
        tally
    }

    /// Forgets classes without pods and counts everything anew.
    pub(super) fn rebuild(&mut self) {
        self.rebuilds += 1;
        let old = std::mem::take(&mut self.classes);
        self.class_by_shape.clear();
        self.tallies = Tallies::default();
        let mut renamed: Vec<ClassId> = vec![ClassId::new(0); old.len()];
        // No pod may be counted while classes have no counts: they are put back after.
        let homes: Vec<Option<NodeId>> = self
            .pods
            .iter_mut()
            .map(|pod| pod.as_mut().and_then(|pod| pod.node.take()))
            .collect();
        for (index, class) in old.into_iter().enumerate().filter(|(_, class)| class.users > 0) {
            let users = class.users;
            let id = self.new_class(class.shape);
            self.classes[id.at()].users = users;
            renamed[index] = id;
        }
        for (index, home) in homes.into_iter().enumerate() {
            let Some(pod) = self.pods[index].as_mut() else {
                continue;
            };
            pod.class = renamed[pod.class.at()];
            pod.node = home;
            if let Some(node) = home {
                let class = &self.classes[pod.class.at()];
                count(&mut self.tallies, class, pod.terminating, node, true);
            }
        }
    }

    /// The anti-affinity of placed pods that means pods of this class.
    pub(crate) fn repelling(&self, class: &Class) -> Vec<TallyId> {
        if self.tallies.repelling == 0 {
            return Vec::new();
        }
        let holders = class
            .matchers
            .iter()
            .flat_map(|matcher| &self.tallies.matchers[matcher.at()].holders);
        let repels = |tally: &TallyId| {
            let tally = self.tallies.tally(*tally);
            tally.key.counted == Counted::Holders(Role::Repels) && tally.total > 0
        };
        holders.copied().filter(repels).collect()
    }
}

impl Class {
    /// The constraints that only ask: those of the pod, or else the default ones.
    pub(crate) fn asked_spread(&self) -> impl Iterator<Item = &SpreadUse> {
        let default = self.default_spread.iter().flat_map(|(_, uses)| uses.iter());
        self.spread.iter().filter(|one| !one.hard).chain(default)
    }
}
