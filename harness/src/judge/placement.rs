//! Where the pods of a workload are, and why.

use std::collections::{BTreeMap, BTreeSet};

use record::{
    Seen, Verdict,
    pods::{ConditionSeen, PodSeen},
};
use serde_json::Value;
use spec::{
    Matcher, Spanned,
    check::{PlacementCheck, Skew, Unschedulable},
};

use super::{evidence::Evidence, matcher::Unit};

/// The topology key that stands for the node itself.
const NODE: &str = "node";

/// What a pod that nobody could place says of it.
const SCHEDULED: &str = "PodScheduled";

pub(super) fn judge(want: &PlacementCheck, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Placement {
        pods,
        nodes,
        others,
        filtered,
        preempted,
        source: _,
    } = seen
    else {
        return None;
    };
    let who = on.unwrap_or("workload");
    // What is on its way out is no longer placed.
    let pods: Vec<&PodSeen> = pods.iter().filter(|pod| !pod.deleting).collect();
    let look = Look {
        who,
        shown: shown(who, &pods),
        pods,
        nodes,
    };
    let mut evidence = Evidence::default();
    let PlacementCheck {
        node,
        node_in,
        not_on,
        distinct_by,
        count,
        same_node_as,
        apart_from,
        skew,
        unschedulable,
        rejected_by,
        nominated,
        preempted: gone,
    } = want;
    if let Some(count) = count {
        let placed = look.placed().count();
        evidence.compare(
            &format!("pods of {who} on a node:"),
            count,
            Some(&Value::from(placed)),
            Unit::Plain,
            &look.shown,
        );
    }
    let of_pods = PlacementCheck {
        count: None,
        preempted: None,
        ..want.clone()
    };
    if look.pods.is_empty() && of_pods != PlacementCheck::default() {
        evidence.missed(format!("a pod of {who}"), "there is none".into());
        return Some(evidence.verdict());
    }
    if let Some(node) = node {
        look.node(node, "on", |pod| pod.node.as_deref(), &mut evidence);
    }
    if let Some(nominated) = nominated {
        look.node(nominated, "nominated", |pod| pod.nominated.as_deref(), &mut evidence);
    }
    if let Some(wanted) = node_in {
        look.among(wanted, true, &mut evidence);
    }
    if let Some(unwanted) = not_on {
        look.among(unwanted, false, &mut evidence);
    }
    if let Some(key) = distinct_by {
        look.distinct(key, &mut evidence);
    }
    for (other, together) in [(same_node_as, true), (apart_from, false)] {
        if let Some(other) = other {
            look.beside(other, others.get(&other.value), together, &mut evidence);
        }
    }
    if let Some(skew) = skew {
        look.skew(skew, &mut evidence);
    }
    if let Some(why) = unschedulable {
        look.unschedulable(why, &mut evidence);
    }
    if !rejected_by.is_empty() {
        match filtered {
            None => evidence.fault("the scheduler was not asked for its verdicts".into()),
            Some(filtered) => rejected(rejected_by, filtered, &mut evidence),
        }
    }
    if let Some(gone) = gone {
        match preempted {
            None => evidence.fault("nobody asked which pods had to go".into()),
            Some(preempted) => victims(who, gone, preempted, &mut evidence),
        }
    }
    if let Some(message) = look.pods.iter().find_map(|pod| refusal(pod)?.message.as_deref())
        && unschedulable.is_none()
    {
        evidence.because(format!("the scheduler says: {message}"));
    }
    Some(evidence.verdict())
}

struct Look<'a> {
    who: &'a str,
    pods: Vec<&'a PodSeen>,
    nodes: &'a BTreeMap<String, BTreeMap<String, String>>,
    shown: String,
}

impl Look<'_> {
    fn placed(&self) -> impl Iterator<Item = (&PodSeen, &str)> {
        self.pods.iter().filter_map(|pod| Some((*pod, pod.node.as_deref()?)))
    }

    fn node(
        &self,
        want: &Matcher,
        word: &str,
        of: impl for<'p> Fn(&'p PodSeen) -> Option<&'p str>,
        evidence: &mut Evidence,
    ) {
        for pod in &self.pods {
            let node = of(pod).map(Value::from);
            let what = format!("{}: node {word}", pod.name);
            evidence.compare(&what, want, node.as_ref(), Unit::Plain, "");
        }
    }

    fn among(&self, nodes: &[Spanned<String>], wanted: bool, evidence: &mut Evidence) {
        let names: Vec<&str> = nodes.iter().map(|node| node.value.as_str()).collect();
        let holds = self
            .pods
            .iter()
            .all(|pod| pod.node.as_deref().is_some_and(|node| names.contains(&node) == wanted));
        if holds {
            evidence.held(self.shown.clone());
        } else {
            let word = if wanted {
                "on one of"
            } else {
                "on a node, and on none of"
            };
            evidence.missed(format!("{} {word} {}", self.who, names.join(", ")), self.shown.clone());
        }
    }

    /// The value of a node's label.
    fn value(&self, node: &str, key: &str) -> Option<String> {
        if key == NODE {
            return Some(node.to_owned());
        }
        self.nodes.get(node)?.get(key).cloned()
    }

    fn distinct(&self, key: &str, evidence: &mut Evidence) {
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut bare = Vec::new();
        for (pod, node) in self.placed() {
            match self.value(node, key) {
                Some(value) => values.entry(value).or_default().push(&pod.name),
                None => bare.push(node),
            }
        }
        let want = format!("{}'s pods on nodes with different `{key}`", self.who);
        if let Some(node) = bare.first() {
            evidence.missed(want, format!("node {node} has no label `{key}` ({})", self.shown));
            return;
        }
        let listed: Vec<String> = values
            .iter()
            .map(|(value, pods)| format!("{value}: {}", pods.join(", ")))
            .collect();
        let got = format!("by `{key}` {}", listed.join("; "));
        if values.is_empty() {
            evidence.missed(want, format!("none is on a node ({})", self.shown));
        } else if values.values().all(|pods| pods.len() == 1) {
            evidence.held(got);
        } else {
            evidence.missed(want, got);
        }
    }

    fn beside(&self, other: &str, nodes: Option<&Vec<String>>, together: bool, evidence: &mut Evidence) {
        let Some(nodes) = nodes else {
            evidence.fault(format!("nobody looked where `{other}` is"));
            return;
        };
        let word = if together { "on nodes with" } else { "on nodes without" };
        let want = format!("{} {word} pods of {other}", self.who);
        let list = nodes.iter().cloned().collect::<BTreeSet<_>>();
        let list: Vec<String> = list.into_iter().collect();
        let got = format!("{}; {other} on {}", self.shown, some(&list.join(", ")));
        // Of a workload that is nowhere nothing is apart or together.
        let holds = !nodes.is_empty()
            && self
                .pods
                .iter()
                .all(|pod| pod.node.as_ref().is_some_and(|node| nodes.contains(node) == together));
        if holds {
            evidence.held(got);
        } else {
            evidence.missed(want, got);
        }
    }

    fn skew(&self, skew: &Skew, evidence: &mut Evidence) {
        let key = skew.topology_key.as_str();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        if skew.among.is_empty() {
            counts.extend(self.nodes.keys().filter_map(|node| Some((self.value(node, key)?, 0))));
        } else {
            counts.extend(skew.among.iter().map(|value| (value.clone(), 0)));
        }
        let mut placed = 0;
        for (_, node) in self.placed() {
            if let Some(value) = self.value(node, key)
                && (skew.among.is_empty() || skew.among.contains(&value))
            {
                *counts.entry(value).or_default() += 1;
                placed += 1;
            }
        }
        let (most, least) = (counts.values().max(), counts.values().min());
        let want = format!("{} spread over `{key}` with a skew of at most {}", self.who, skew.max);
        let listed: Vec<String> = counts.iter().map(|(value, n)| format!("{value}: {n}")).collect();
        match (most, least) {
            (Some(most), Some(least)) if placed > 0 => {
                let got = format!("skew {} ({})", most - least, listed.join(", "));
                if most - least <= skew.max as usize {
                    evidence.held(got);
                } else {
                    evidence.missed(want, got);
                }
            }
            (None, _) | (_, None) => evidence.missed(want, format!("no node has the label `{key}`")),
            _ => evidence.missed(want, format!("none is on a node ({})", self.shown)),
        }
    }

    fn unschedulable(&self, want: &Unschedulable, evidence: &mut Evidence) {
        let by_default = Matcher::eq("Unschedulable");
        for pod in &self.pods {
            let Some(refusal) = refusal(pod) else {
                let got = match &pod.node {
                    Some(node) => format!("{} is on {node}", pod.name),
                    None => format!("nobody has looked at {} yet", pod.name),
                };
                evidence.missed(format!("{} that cannot be placed", pod.name), got);
                continue;
            };
            let reason = refusal.reason.as_deref().map(Value::from);
            let message = refusal.message.as_deref().map(Value::from);
            let wanted = want.reason.as_ref().unwrap_or(&by_default);
            evidence.compare(
                &format!("{}: reason", pod.name),
                wanted,
                reason.as_ref(),
                Unit::Plain,
                "",
            );
            if let Some(wanted) = &want.message {
                evidence.compare(
                    &format!("{}: message", pod.name),
                    wanted,
                    message.as_ref(),
                    Unit::Plain,
                    "",
                );
            }
        }
    }
}

/// The condition of a pod that is not placed, once the scheduler has looked at it.
fn refusal(pod: &PodSeen) -> Option<&ConditionSeen> {
    let condition = pod.conditions.get(SCHEDULED)?;
    (pod.node.is_none() && condition.status == "False").then_some(condition)
}

fn rejected(
    want: &BTreeMap<String, Matcher>,
    filtered: &BTreeMap<String, record::pods::FilteredSeen>,
    evidence: &mut Evidence,
) {
    for (node, want) in want {
        let what = format!("{node} is filtered out by");
        match filtered.get(node) {
            None => evidence.missed(format!("{what} {want}"), format!("the scheduler knows no node {node}")),
            Some(seen) => {
                let plugin = seen.plugin.as_deref().map(Value::from);
                let reason = seen.reason.as_deref().unwrap_or_default();
                evidence.compare(&what, want, plugin.as_ref(), Unit::Plain, reason);
            }
        }
    }
}

fn victims(who: &str, want: &[Spanned<String>], gone: &[String], evidence: &mut Evidence) {
    let wanted: BTreeSet<&str> = want.iter().map(|name| name.value.as_str()).collect();
    let seen: BTreeSet<&str> = gone.iter().map(String::as_str).collect();
    let list = |names: &BTreeSet<&str>| some(&names.iter().copied().collect::<Vec<_>>().join(", "));
    let got = format!("gone for {who}: {}", list(&seen));
    if wanted == seen {
        evidence.held(got);
    } else {
        evidence.missed(format!("gone for {who}: {}", list(&wanted)), got);
    }
}

fn some(list: &str) -> String {
    if list.is_empty() { "none".into() } else { list.into() }
}

/// Where each pod is, in words.
fn shown(who: &str, pods: &[&PodSeen]) -> String {
    const SHOWN: usize = 12;
    if pods.is_empty() {
        return format!("{who} has no pods");
    }
    let mut parts: Vec<String> = pods
        .iter()
        .take(SHOWN)
        .map(|pod| match &pod.node {
            Some(node) => format!("{} on {node}", pod.name),
            None => format!("{} on no node", pod.name),
        })
        .collect();
    if pods.len() > SHOWN {
        parts.push(format!("and {} more", pods.len() - SHOWN));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use record::pods::FilteredSeen;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, node: Option<&str>) -> PodSeen {
        let mut pod = PodSeen {
            name: name.into(),
            node: node.map(str::to_owned),
            ..PodSeen::default()
        };
        if node.is_none() {
            let condition = ConditionSeen {
                status: "False".into(),
                reason: Some("Unschedulable".into()),
                message: Some("0/3 nodes are available: 1 node(s) had untolerated taint(s).".into()),
            };
            pod.conditions.insert(SCHEDULED.into(), condition);
        }
        pod
    }

    fn look(pods: Vec<PodSeen>) -> Seen {
        let zone = |zone: &str| [("zone".to_owned(), zone.to_owned())].into();
        Seen::Placement {
            pods,
            nodes: [
                ("gpu-1".to_owned(), zone("a")),
                ("gen-1".to_owned(), zone("a")),
                ("gen-2".to_owned(), zone("b")),
                ("bare".to_owned(), BTreeMap::new()),
            ]
            .into(),
            others: [("db".to_owned(), vec!["gen-1".to_owned()])].into(),
            filtered: Some(
                [(
                    "gpu-1".to_owned(),
                    FilteredSeen {
                        plugin: Some("TaintToleration".into()),
                        reason: Some("node(s) had untolerated taint(s)".into()),
                    },
                )]
                .into(),
            ),
            preempted: Some(vec!["low".into()]),
            source: "test".into(),
        }
    }

    #[track_caller]
    fn passes(want: Value, pods: Vec<PodSeen>) {
        let want: PlacementCheck = super::super::placed(want);
        let verdict = judge(&want, Some("web"), &look(pods)).unwrap();
        assert!(matches!(verdict, Verdict::Pass { .. }), "{verdict:?}");
    }

    #[track_caller]
    fn fails(want: Value, pods: Vec<PodSeen>) -> String {
        let want: PlacementCheck = super::super::placed(want);
        let verdict = judge(&want, Some("web"), &look(pods)).unwrap();
        let Verdict::Fail { got, .. } = verdict else {
            panic!("must fail: {verdict:?}");
        };
        got
    }

    fn two(a: &str, b: &str) -> Vec<PodSeen> {
        vec![pod("web-1", Some(a)), pod("web-2", Some(b))]
    }

    #[test]
    fn what_is_said_of_a_node_holds_for_every_pod() {
        passes(json!({"node": "gen-1"}), two("gen-1", "gen-1"));
        fails(json!({"node": "gen-1"}), two("gen-1", "gen-2"));
        fails(json!({"node": "gen-1"}), vec![]);
        passes(json!({"node": {"exists": false}}), vec![pod("web-1", None)]);
        fails(json!({"node": {"exists": false}}), two("gen-1", "gen-1"));
        fails(json!({"node": {"exists": false}}), vec![]);
        passes(json!({"nodeIn": ["gen-1", "gen-2"]}), two("gen-1", "gen-2"));
        fails(json!({"nodeIn": ["gen-1"]}), two("gen-1", "gen-2"));
        passes(json!({"notOn": ["gpu-1"]}), two("gen-1", "gen-2"));
        fails(json!({"notOn": ["gpu-1"]}), vec![pod("web-1", None)]);
    }

    #[test]
    fn distinct_pods_share_no_value_of_the_label() {
        passes(json!({"distinctBy": "zone", "count": 2}), two("gen-1", "gen-2"));
        let got = fails(json!({"distinctBy": "zone", "count": 2}), two("gpu-1", "gen-1"));
        assert_eq!(got, "by `zone` a: web-1, web-2");
        passes(json!({"distinctBy": "node"}), two("gpu-1", "gen-1"));
        fails(json!({"distinctBy": "zone"}), two("bare", "gen-1"));
        fails(
            json!({"distinctBy": "zone", "count": 2}),
            vec![pod("web-1", Some("gen-1"))],
        );
        fails(json!({"distinctBy": "zone"}), vec![pod("web-1", None)]);
    }

    #[test]
    fn a_skew_counts_every_value_that_a_node_has() {
        passes(
            json!({"skew": {"topologyKey": "zone", "max": 0}}),
            two("gen-1", "gen-2"),
        );
        let got = fails(
            json!({"skew": {"topologyKey": "zone", "max": 1}}),
            two("gen-1", "gpu-1"),
        );
        assert_eq!(got, "skew 2 (a: 2, b: 0)");
        passes(
            json!({"skew": {"topologyKey": "zone", "max": 0, "among": ["a"]}}),
            two("gen-1", "gpu-1"),
        );
        fails(
            json!({"skew": {"topologyKey": "rack", "max": 9}}),
            two("gen-1", "gen-2"),
        );
        fails(
            json!({"skew": {"topologyKey": "zone", "max": 9}}),
            vec![pod("web-1", None)],
        );
    }

    #[test]
    fn beside_and_apart_need_the_other_to_be_somewhere() {
        passes(json!({"sameNodeAs": "db"}), two("gen-1", "gen-1"));
        fails(json!({"sameNodeAs": "db"}), two("gen-1", "gen-2"));
        passes(json!({"apartFrom": "db"}), two("gen-2", "gpu-1"));
        fails(json!({"apartFrom": "db"}), two("gen-2", "gen-1"));
        fails(json!({"apartFrom": "db"}), vec![pod("web-1", None)]);
    }

    #[test]
    fn who_cannot_be_placed_says_why() {
        let want = json!({"unschedulable": {"message": {"matches": "untolerated taint"}}});
        passes(want.clone(), vec![pod("web-1", None)]);
        fails(want.clone(), two("gen-1", "gen-1"));
        let silent = PodSeen {
            conditions: BTreeMap::new(),
            ..pod("web-1", None)
        };
        assert_eq!(fails(want, vec![silent]), "nobody has looked at web-1 yet");
        fails(
            json!({"unschedulable": {"reason": "SchedulingGated"}}),
            vec![pod("web-1", None)],
        );
    }

    #[test]
    fn each_node_has_its_own_plugin() {
        passes(
            json!({"rejectedBy": {"gpu-1": "TaintToleration"}}),
            vec![pod("web-1", None)],
        );
        fails(
            json!({"rejectedBy": {"gpu-1": "NodeAffinity"}}),
            vec![pod("web-1", None)],
        );
        fails(
            json!({"rejectedBy": {"gen-9": "NodeAffinity"}}),
            vec![pod("web-1", None)],
        );
    }

    #[test]
    fn victims_are_these_and_no_others() {
        passes(json!({"preempted": ["low"]}), two("gen-1", "gen-1"));
        fails(json!({"preempted": ["low", "middle"]}), two("gen-1", "gen-1"));
        fails(json!({"preempted": ["middle"]}), two("gen-1", "gen-1"));
    }

    #[test]
    fn a_pod_that_is_on_its_way_out_is_not_placed() {
        let gone = PodSeen {
            deleting: true,
            ..pod("web-0", Some("gpu-1"))
        };
        passes(
            json!({"node": "gen-1", "count": 1}),
            vec![gone, pod("web-1", Some("gen-1"))],
        );
    }
}
