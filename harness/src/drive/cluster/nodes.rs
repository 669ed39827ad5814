//! Names of nodes: those of a spec, and those of the cluster that it runs on.

use std::collections::BTreeMap;

use serde_json::Value;
use spec::{NodeConfig, Spanned};

use super::text;

/// The node by its name in the spec, and back. A name that stands for no other is its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    real: BTreeMap<String, String>,
}

impl Names {
    #[cfg(test)]
    pub(super) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let own = pairs.map(|(name, real)| (name.to_owned(), real.to_owned()));
        Self { real: own.into() }
    }

    /// The name in the cluster.
    pub(crate) fn real<'n>(&'n self, name: &'n str) -> &'n str {
        self.real.get(name).map_or(name, String::as_str)
    }

    /// The name in the spec.
    pub(crate) fn of_spec<'n>(&'n self, real: &'n str) -> &'n str {
        let known = self.real.iter().find(|(_, known)| *known == real);
        known.map_or(real, |(name, _)| name.as_str())
    }

    /// Finds for each declared node one of the cluster that is as it is declared, all of them different. With `all`, no
    /// node that takes pods is left over: where a pod is could not be judged on one that the spec does not know.
    ///
    /// # Errors
    /// What does not fit, in a sentence.
    pub(super) fn matched(declared: &[Spanned<NodeConfig>], nodes: &[Value], all: bool) -> Result<Self, String> {
        let wanted: Vec<(String, &NodeConfig)> = declared
            .iter()
            .flat_map(|node| node.names().into_iter().map(|name| (name, &node.value)))
            .collect();
        let open: Vec<&Value> = nodes.iter().filter(|node| takes_pods(node)).collect();
        let spare = nodes.iter().filter(|node| !takes_pods(node));
        let known: Vec<&Value> = open.iter().copied().chain(spare).collect();
        let fitting: Vec<Vec<usize>> = wanted
            .iter()
            .map(|(_, node)| (0..known.len()).filter(|n| fits(node, known[*n])).collect())
            .collect();
        if let Some(none) = fitting.iter().position(Vec::is_empty) {
            let names: Vec<String> = known.iter().map(|node| text(node, "/metadata/name")).collect();
            return Err(format!(
                "no node of the cluster is as `{}` is declared: it has {}",
                wanted[none].0,
                names.join(", ")
            ));
        }
        let mut taken: Vec<Option<usize>> = vec![None; known.len()];
        for (seeker, (name, _)) in wanted.iter().enumerate() {
            if !seat(seeker, &fitting, &mut taken, &mut vec![false; known.len()]) {
                return Err(format!("the cluster has too few nodes as `{name}` is declared"));
            }
        }
        if let (true, Some(over)) = (all, (0..open.len()).find(|n| taken[*n].is_none())) {
            return Err(format!(
                "node {} of the cluster takes pods, and the test does not declare it",
                text(known[over], "/metadata/name")
            ));
        }
        let mut real = BTreeMap::new();
        for (n, seeker) in taken.iter().enumerate() {
            if let Some(seeker) = seeker {
                real.insert(wanted[*seeker].0.clone(), text(known[n], "/metadata/name"));
            }
        }
        Ok(Self { real })
    }
}

/// Finds a seat for one, moving others if they have another (augmenting paths of a bipartite matching).
fn seat(seeker: usize, fitting: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &n in &fitting[seeker] {
        if std::mem::replace(&mut tried[n], true) {
            continue;
        }
        let free = match taken[n] {
            None => true,
            Some(other) => seat(other, fitting, taken, tried),
        };
        if free {
            taken[n] = Some(seeker);
            return true;
        }
    }
    false
}

/// Whether a pod without tolerations may get there.
fn takes_pods(node: &Value) -> bool {
    let repels = |taint: &Value| matches!(taint["effect"].as_str(), Some("NoSchedule" | "NoExecute"));
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    node.pointer("/spec/unschedulable") != Some(&Value::Bool(true)) && !taints.into_iter().flatten().any(repels)
}

fn fits(wanted: &NodeConfig, node: &Value) -> bool {
    let has_label = |(key, value): (&String, &String)| node["metadata"]["labels"][key.as_str()] == value.as_str();
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    let same = |taint: &&Value, wanted: &spec::cluster::Taint| {
        taint["key"] == wanted.key.as_str()
            && taint["value"].as_str().unwrap_or_default() == wanted.value.as_deref().unwrap_or_default()
            && taint["effect"] == serde_json::json!(wanted.effect)
    };
    let taints: Vec<&Value> = taints.into_iter().flatten().collect();
    let amounts = wanted
        .capacity
        .iter()
        .all(|(name, amount)| node["status"]["allocatable"][name.as_str()] == amount.0.as_str());
    wanted.labels.iter().all(has_label)
        && wanted.taints.iter().all(|w| taints.iter().any(|taint| same(taint, w)))
        && taints.iter().all(|taint| wanted.taints.iter().any(|w| same(taint, w)))
        && amounts
        && (node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))) == wanted.unschedulable
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(yaml: Value) -> Vec<Spanned<NodeConfig>> {
        let nodes = yaml.as_array().unwrap().iter();
        nodes
            .map(|node| Spanned {
                at: spec::Position::default(),
                value: serde_json::from_value(node.clone()).unwrap(),
            })
            .collect()
    }

    fn node(name: &str, zone: &str, taints: Value) -> Value {
        json!({"metadata": {"name": name, "labels": {"zone": zone}}, "spec": {"taints": taints}})
    }

    #[test]
    fn each_declared_node_stands_for_another_one() {
        let nodes = [node("x", "a", json!([])), node("y", "b", json!([]))];
        let names = Names::matched(
            &declared(json!([{"name": "any"}, {"name": "one", "labels": {"zone": "a"}}])),
            &nodes,
            true,
        );
        let names = names.unwrap();
        assert_eq!((names.real("one"), names.real("any")), ("x", "y"));
        assert_eq!((names.of_spec("y"), names.of_spec("z")), ("any", "z"));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let nodes = [node("x", "a", json!([])), node("y", "b", json!([]))];
        for (wanted, why) in [
            (
                json!([{"name": "n", "labels": {"zone": "c"}}]),
                "no node of the cluster is as `n`",
            ),
            (
                json!([{"name": "n", "labels": {"zone": "a"}, "count": 2}]),
                "too few nodes",
            ),
            (
                json!([{"name": "n", "labels": {"zone": "a"}}]),
                "node y of the cluster takes pods",
            ),
            (
                json!([{"name": "n", "capacity": {"cpu": 64}}]),
                "no node of the cluster",
            ),
        ] {
            let told = Names::matched(&declared(wanted), &nodes, true).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_tainted_node_may_be_left_over_and_any_where_no_place_is_judged() {
        let control = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
        let nodes = [node("c", "a", control), node("x", "a", json!([]))];
        let names = Names::matched(&declared(json!([{"name": "n"}])), &nodes, true).unwrap();
        assert_eq!(names.real("n"), "x");
        let nodes = [node("x", "a", json!([])), node("y", "b", json!([]))];
        let names = Names::matched(
            &declared(json!([{"name": "n", "labels": {"zone": "b"}}])),
            &nodes,
            false,
        )
        .unwrap();
        assert_eq!(names.real("n"), "y");
    }
}
