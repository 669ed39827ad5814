//! What the scheduler sees of a pod; pods of one template have one shape.

use serde_json::Value;

use crate::resources::Requests;
use crate::selector::{Labels, NodeTerm, Operator, Placement, Selector, Want};
use crate::taint::Toleration;
use crate::words::{Word, Words};

/// Everything that placement depends on, but what makes one pod differ from its twin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) namespace: Word,
    pub(crate) labels: Labels,
    /// Kind and name of the controller.
    pub(crate) owner: Option<(Word, Word)>,
    pub(crate) priority: i32,
    pub(crate) never_preempts: bool,
    pub(crate) requests: Requests,
    pub(crate) ports: Vec<Port>,
    /// One for each container.
    pub(crate) images: Vec<Word>,
    pub(crate) placement: Placement,
    pub(crate) preferred_nodes: Vec<(i64, NodeTerm)>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) spread: Vec<Spread>,
    pub(crate) affinity: Vec<Term>,
    pub(crate) anti_affinity: Vec<Term>,
    /// Anti-affinity weighs less than nothing.
    pub(crate) preferred_pods: Vec<(i64, Term)>,
}

/// A port of the node that a pod takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Port {
    pub(crate) address: Word,
    pub(crate) protocol: Word,
    pub(crate) number: i64,
}

/// Pods by namespace and labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) namespaces: Vec<Word>,
    /// These namespaces too.
    pub(crate) namespace_selector: Option<Selector>,
    /// Absent: nobody.
    pub(crate) labels: Option<Selector>,
}

/// A term of pod affinity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) who: Who,
    pub(crate) topology: Word,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spread {
    pub(crate) topology: Word,
    pub(crate) max_skew: i64,
    /// `DoNotSchedule`, not `ScheduleAnyway`.
    pub(crate) hard: bool,
    pub(crate) min_domains: usize,
    pub(crate) who: Who,
    pub(crate) honor_affinity: bool,
    pub(crate) honor_taints: bool,
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

impl Shape {
    /// Reads a pod. The priority is decided by the caller, who knows the priority classes.
    pub(crate) fn read(pod: &Value, priority: i32, never_preempts: bool, words: &mut Words) -> Self {
        let (meta, spec) = (&pod["metadata"], &pod["spec"]);
        let labels = Labels::read(&meta["labels"], words);
        let namespace = words.word(meta["namespace"].as_str().unwrap_or_default());
        let owner = list(meta, "ownerReferences").find(|owner| owner["controller"] == true);
        let owner = owner.map(|owner| {
            let mut word = |field: &str| words.word(owner[field].as_str().unwrap_or_default());
            (word("kind"), word("name"))
        });
        let mut shape = Self {
            namespace,
            owner,
            priority,
            never_preempts,
            requests: Requests::read(pod, words),
            tolerations: list(spec, "tolerations")
                .map(|one| Toleration::read(one, words))
                .collect(),
            placement: Placement {
                selector: Labels::read(&spec["nodeSelector"], words),
                terms: None,
            },
            ..Self::default()
        };
        for container in list(spec, "containers") {
            shape.read_ports(container, words);
        }
        for container in list(spec, "initContainers").filter(|one| one["restartPolicy"] == "Always") {
            shape.read_ports(container, words);
        }
        for container in list(spec, "initContainers").chain(list(spec, "containers")) {
            let image = normal_image(container["image"].as_str().unwrap_or_default());
            shape.images.push(words.word(&image));
        }
        let affinity = &spec["affinity"];
        if affinity.is_object() {
            shape.read_affinity(affinity, &labels, words);
        }
        for constraint in list(spec, "topologySpreadConstraints") {
            shape.spread.push(Spread::read(constraint, namespace, &labels, words));
        }
        shape.labels = labels;
        shape
    }

    fn read_ports(&mut self, container: &Value, words: &mut Words) {
        for port in list(container, "ports") {
            let number = port["hostPort"].as_i64().unwrap_or(0);
            if number > 0 {
                let address = port["hostIP"].as_str().filter(|text| !text.is_empty());
                self.ports.push(Port {
                    address: address.map_or(Word::ANY_ADDRESS, |text| words.word(text)),
                    protocol: port["protocol"].as_str().map_or(Word::TCP, |text| words.word(text)),
                    number,
                });
            }
        }
    }

    fn read_affinity(&mut self, affinity: &Value, labels: &Labels, words: &mut Words) {
        const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
        const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
        let node = &affinity["nodeAffinity"];
        if node[REQUIRED].is_object() {
            let terms = list(&node[REQUIRED], "nodeSelectorTerms").map(|term| NodeTerm::read(term, words));
            self.placement.terms = Some(terms.collect());
        }
        for one in list(node, PREFERRED) {
            let weight = one["weight"].as_i64().unwrap_or(0);
            self.preferred_nodes
                .push((weight, NodeTerm::read(&one["preference"], words)));
        }
        for (field, sign) in [("podAffinity", 1), ("podAntiAffinity", -1)] {
            let pods = &affinity[field];
            let required = list(pods, REQUIRED).map(|term| Term::read(term, self.namespace, labels, words));
            if sign > 0 {
                self.affinity = required.collect();
            } else {
                self.anti_affinity = required.collect();
            }
            for one in list(pods, PREFERRED) {
                let weight = sign * one["weight"].as_i64().unwrap_or(0);
                let term = Term::read(&one["podAffinityTerm"], self.namespace, labels, words);
                self.preferred_pods.push((weight, term));
            }
        }
    }
}

impl Default for Word {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Term {
    fn read(term: &Value, own: Word, labels: &Labels, words: &mut Words) -> Self {
        let mut namespaces: Vec<Word> = list(term, "namespaces")
            .filter_map(Value::as_str)
            .map(|name| words.word(name))
            .collect();
        let namespace_selector = Selector::read(&term["namespaceSelector"], words);
        if namespaces.is_empty() && namespace_selector.is_none() {
            namespaces.push(own);
        }
        namespaces.sort_unstable();
        let mut selector = Selector::read(&term["labelSelector"], words);
        for (field, operator) in [("matchLabelKeys", Operator::In), ("mismatchLabelKeys", Operator::NotIn)] {
            with_label_keys(&mut selector, &term[field], operator, labels, words);
        }
        Self {
            who: Who {
                namespaces,
                namespace_selector,
                labels: selector,
            },
            topology: words.word(term["topologyKey"].as_str().unwrap_or_default()),
        }
    }
}

impl Spread {
    fn read(constraint: &Value, own: Word, labels: &Labels, words: &mut Words) -> Self {
        let mut selector = Selector::read(&constraint["labelSelector"], words);
        with_label_keys(
            &mut selector,
            &constraint["matchLabelKeys"],
            Operator::In,
            labels,
            words,
        );
        Self {
            topology: words.word(constraint["topologyKey"].as_str().unwrap_or_default()),
            max_skew: constraint["maxSkew"].as_i64().unwrap_or(1),
            hard: constraint["whenUnsatisfiable"] != "ScheduleAnyway",
            min_domains: constraint["minDomains"].as_u64().unwrap_or(1) as usize,
            who: Who {
                namespaces: vec![own],
                namespace_selector: None,
                labels: selector,
            },
            honor_affinity: constraint["nodeAffinityPolicy"] != "Ignore",
            honor_taints: constraint["nodeTaintsPolicy"] == "Honor",
        }
    }
}

/// Adds the pod's own values of some labels to a selector; keys that the pod does not have are left out.
fn with_label_keys(
    selector: &mut Option<Selector>,
    keys: &Value,
    operator: Operator,
    labels: &Labels,
    words: &mut Words,
) {
    let Some(selector) = selector else { return };
    for key in keys.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let key = words.word(key);
        let Some(value) = labels.get(key) else { continue };
        let want = Want {
            operator,
            ..Want::equals(key, value)
        };
        if !selector.0.contains(&want) {
            selector.0.push(want);
        }
    }
}

/// An image's name with its tag, as nodes report it.
pub(crate) fn normal_image(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}
