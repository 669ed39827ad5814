//! `${matrix.x}` and `${vars.x}`, replaced in the tree and never in the text, so that places and types stay true.
//!
//! References that only a run can resolve (`${dir.data}`, `${web.pid}`) stay in the text, and so does
//! `$${`, which stands for `${`: whoever resolves the rest when a step starts turns it into that.

use std::collections::BTreeMap;

use crate::{
    Family,
    fault::Fault,
    node::{Entry, Extent, Node, Value},
};

/// References that a run resolves when a step starts, beside those to workloads and host processes; `NAME` is free.
pub const RUN_REFERENCES: [&str; 11] = [
    "namespace",
    "node.ip",
    "node.ip.IPv4",
    "node.ip.IPv6",
    "node.name",
    "dir.NAME",
    "disk.NAME",
    "run.nonce",
    "image.probe",
    "host.blockDevice.major",
    "host.blockDevice.minor",
];

/// What can be known of a workload or host process: `${app.pid}`; of a workload of a cluster, names, nodes and addresses
/// of its pods, and the uid of its object; of a Service, its address and ports.
pub const OBJECT_PROPERTIES: [&str; 13] = [
    "pid",
    "id",
    "bundle",
    "podIP",
    "podIPs",
    "podName",
    "podNames",
    "node",
    "hostIP",
    "uid",
    "clusterIP",
    "port",
    "nodePort",
];

/// What references may name.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// Values of `${matrix.NAME}`.
    pub matrix: BTreeMap<&'a str, &'a Node>,
    /// Values of `${vars.NAME}`.
    pub vars: BTreeMap<&'a str, Node>,
    /// Names of workloads and host processes.
    pub objects: Vec<&'a str>,
}

/// A part of a text with references in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'t> {
    /// Text as it is.
    Literal(&'t str),
    /// The name in `${name}`.
    Reference(&'t str),
    /// `$${`, which stands for `${`.
    Escape,
    /// `${` without an end.
    Open(&'t str),
}

/// Takes a text apart.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let escaped = rest[..start].ends_with('$');
        let literal = &rest[..start - usize::from(escaped)];
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let inner = &rest[start + 2..];
        if escaped {
            parts.push(Part::Escape);
            rest = inner;
        } else if let Some(end) = inner.find('}') {
            parts.push(Part::Reference(&inner[..end]));
            rest = &inner[end + 1..];
        } else {
            parts.push(Part::Open(&rest[start..]));
            rest = "";
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}

/// Replaces the references of a tree that are known before a run; what cannot be replaced is a fault and stays.
pub fn substitute(node: &mut Node, scope: &Scope<'_>, faults: &mut Vec<Fault>) {
    let extent = node.extent;
    match &mut node.value {
        Value::List(elements) => {
            for element in elements {
                substitute(element, scope, faults);
            }
        }
        Value::Map(entries) => {
            for Entry { node, .. } in entries {
                substitute(node, scope, faults);
            }
        }
        Value::Text(text) if text.contains("${") => {
            if let Some(value) = scope.text(text, extent, faults) {
                node.value = value;
            }
        }
        _ => {}
    }
}

impl Scope<'_> {
    /// What a text becomes; `None` if it stays as it is.
    fn text(&self, text: &str, extent: Extent, faults: &mut Vec<Fault>) -> Option<Value> {
        let parts = parts(text);
        if let [Part::Reference(name)] = parts.as_slice() {
            return Some(self.lookup(name, extent, faults)?.placed(extent).value);
        }
        let mut changed = false;
        let mut joined = String::with_capacity(text.len());
        for part in parts {
            match part {
                Part::Literal(literal) => joined.push_str(literal),
                Part::Escape => joined.push_str("$${"),
                Part::Open(open) => {
                    faults.push(
                        Fault::new(extent, "a reference has no end")
                            .hint("expected `}`")
                            .help("write `$${` for the characters `${`"),
                    );
                    joined.push_str(open);
                }
                Part::Reference(name) => match self.lookup(name, extent, faults).map(|node| &node.value) {
                    None => {
                        joined.push_str("${");
                        joined.push_str(name);
                        joined.push('}');
                    }
                    Some(value) => {
                        changed = true;
                        match value {
                            Value::Text(text) => joined.push_str(text),
                            Value::Bool(value) => joined.push_str(&value.to_string()),
                            Value::Integer(value) => joined.push_str(&value.to_string()),
                            Value::Float(value) => joined.push_str(&value.to_string()),
                            Value::Null | Value::List(_) | Value::Map(_) => faults.push(
                                Fault::new(extent, format!("`${{{name}}}` is not a scalar"))
                                    .hint("only a whole value can be replaced by a list or map"),
                            ),
                        }
                    }
                },
            }
        }
        changed.then_some(Value::Text(joined))
    }

    fn lookup(&self, name: &str, extent: Extent, faults: &mut Vec<Fault>) -> Option<&Node> {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        let unknown = || Fault::new(extent, format!("unknown reference `${{{name}}}`"));
        match root {
            "matrix" => {
                let found = self.matrix.get(rest).copied();
                if found.is_none() {
                    faults.push(listed(unknown(), rest, "matrix", self.matrix.keys().copied()));
                }
                found
            }
            "vars" => {
                let found = self.vars.get(rest);
                if found.is_none() {
                    faults.push(listed(unknown(), rest, "vars", self.vars.keys().copied()));
                }
                found
            }
            root => {
                if self.objects.contains(&root) {
                    if !OBJECT_PROPERTIES.contains(&property(rest)) {
                        faults.push(listed(unknown(), rest, root, OBJECT_PROPERTIES.into_iter()));
                    }
                } else if is_of_the_run(name) {
                    // It stays for the run.
                } else if below(root).next().is_some() {
                    faults.push(listed(unknown(), rest, root, below(root)));
                } else {
                    let roots = RUN_REFERENCES.iter().filter_map(|known| known.split('.').next());
                    let fault = unknown()
                        .hint("neither matrix, vars, a workload, a host process nor a value of the run")
                        .help(format!("write `$${{{name}}}` for these characters as they are"));
                    let known = ["matrix", "vars"].into_iter().chain(roots);
                    faults.push(fault.suggest(root, known.chain(self.objects.iter().copied())));
                }
                None
            }
        }
    }
}

/// Of what stands behind a workload's name, what it is about: a Service has a port of each name, and an address of each
/// family.
pub(crate) fn property(rest: &str) -> &str {
    match rest.split_once('.') {
        Some((port @ ("port" | "nodePort"), _)) => port,
        Some((address @ ("podIP" | "podIPs" | "hostIP" | "clusterIP"), family)) if Family::named(family).is_some() => {
            address
        }
        _ => rest,
    }
}

/// What the run knows below this name.
fn below(root: &str) -> impl Iterator<Item = &'static str> + Clone {
    RUN_REFERENCES.iter().filter_map(move |known| {
        let (first, rest) = known.split_once('.')?;
        (first == root).then_some(rest)
    })
}

fn is_of_the_run(name: &str) -> bool {
    RUN_REFERENCES.iter().any(|known| match known.strip_suffix("NAME") {
        Some(start) => name.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
        None => *known == name,
    })
}

fn listed<'n>(fault: Fault, written: &str, root: &str, known: impl Iterator<Item = &'n str> + Clone) -> Fault {
    let names: Vec<_> = known.clone().map(|name| format!("`${{{root}.{name}}}`")).collect();
    let hint = match names.as_slice() {
        [] => format!("the spec has no `{root}`"),
        names => format!("expected one of {}", names.join(", ")),
    };
    let fault = fault.hint(hint);
    match crate::fault::closest(written, known) {
        Some(name) => fault.help(format!("did you mean `${{{root}.{name}}}`?")),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(value: Value) -> Node {
        Node {
            extent: Extent::default(),
            value,
        }
    }

    fn replaced(text: &str) -> (Value, Vec<String>) {
        let (number, list) = (
            node(Value::Integer(5)),
            node(Value::List(vec![node(Value::Bool(true))])),
        );
        let scope = Scope {
            matrix: [("n", &number), ("list", &list)].into(),
            vars: [("who", node(Value::Text("me".into())))].into(),
            objects: vec!["web"],
        };
        let mut tree = node(Value::Text(text.into()));
        let mut faults = Vec::new();
        substitute(&mut tree, &scope, &mut faults);
        (tree.value, faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn a_scalar_that_is_one_reference_keeps_its_type() {
        assert_eq!(replaced("${matrix.n}"), (Value::Integer(5), vec![]));
        assert!(matches!(replaced("${matrix.list}"), (Value::List(_), faults) if faults.is_empty()));
    }

    #[test]
    fn references_within_a_text_are_joined() {
        assert_eq!(
            replaced("a${matrix.n}-${vars.who}."),
            (Value::Text("a5-me.".into()), vec![])
        );
    }

    #[test]
    fn what_a_run_resolves_stays() {
        let text = "${web.pid} ${run.nonce} ${dir.data}/x ${host.blockDevice.major} $${HOME}";
        assert_eq!(replaced(text), (Value::Text(text.into()), vec![]));
    }

    #[test]
    fn unknown_names_are_faults() {
        assert_eq!(replaced("${matrix.m}").1, ["unknown reference `${matrix.m}`"]);
        assert_eq!(replaced("x ${web.pdi}").1, ["unknown reference `${web.pdi}`"]);
        assert_eq!(replaced("x ${dir.}").1, ["unknown reference `${dir.}`"]);
        assert_eq!(replaced("x ${nobody.pid}").1, ["unknown reference `${nobody.pid}`"]);
        assert_eq!(replaced("x ${node.adress}").1, ["unknown reference `${node.adress}`"]);
        assert_eq!(replaced("x ${matrix.list}").1, ["`${matrix.list}` is not a scalar"]);
        assert_eq!(replaced("x ${matrix").1, ["a reference has no end"]);
    }
}
