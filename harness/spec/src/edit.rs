//! `set` and `unset` of a sabotage: paths into the tree of a spec.
//!
//! Segments are map keys, list indexes, or the `name` or `id` of a list's element; keys with dots are written as
//! `['a.b/c']`. A path that does not exist is a fault, except that `set` may create its last segment, and that a map of
//! the format that is left out ([`OPTIONAL_MAPS`]) is there with its defaults.

use crate::{
    fault::{Fault, closest},
    node::{Entry, Extent, Node, Value},
};

/// Maps of the format that may be left out: `set` goes through them as if they were written.
pub const OPTIONAL_MAPS: [&str; 12] = [
    "namespaces",
    "resources",
    "limits",
    "requests",
    "env",
    "user",
    "capabilities",
    "sysctls",
    "annotations",
    "timeouts",
    "concurrency",
    "vars",
];

/// Takes a path apart.
///
/// # Errors
/// A sentence about what is wrong with it.
pub fn segments(path: &str) -> Result<Vec<String>, String> {
    let mut segments = Vec::new();
    let mut rest = path;
    loop {
        if let Some(quoted) = rest.strip_prefix("['") {
            let Some((key, after)) = quoted.split_once("']") else {
                return Err(format!("`[` in path `{path}` has no end"));
            };
            segments.push(key.to_owned());
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("path `{path}` has an empty segment"));
            }
            segments.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return Ok(segments);
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.starts_with("['") => {}
            None => return Err(format!("path `{path}` cannot be read at `{rest}`")),
        }
    }
}

/// Puts a value at a path.
///
/// # Errors
/// A fault at `at`, the place where the path is written.
pub fn set(root: &mut Node, path: &str, value: Node, at: Extent) -> Result<(), Box<Fault>> {
    let segments = segments(path).map_err(|message| Fault::new(at, message))?;
    let Some((last, parents)) = segments.split_last() else {
        return Err(Box::new(Fault::new(at, "the path is empty")));
    };
    let mut parent = root;
    for segment in parents {
        if let Value::Map(entries) = &mut parent.value
            && OPTIONAL_MAPS.contains(&segment.as_str())
            && !entries.iter().any(|entry| entry.key == *segment)
        {
            let node = Node {
                extent: at,
                value: Value::Map(Vec::new()),
            };
            entries.push(Entry {
                key: segment.clone(),
                extent: at,
                node,
            });
        }
        parent = child(parent, segment).map_err(|known| missing(path, segment, &known, at))?;
    }
    if let Value::Map(entries) = &mut parent.value {
        match entries.iter_mut().find(|entry| entry.key == *last) {
            Some(entry) => entry.node = value,
            None => entries.push(Entry {
                key: last.clone(),
                extent: at,
                node: value,
            }),
        }
        return Ok(());
    }
    if let (Value::List(elements), Ok(index)) = (&mut parent.value, last.parse::<usize>())
        && index == elements.len()
    {
        elements.push(value);
        return Ok(());
    }
    *child(parent, last).map_err(|known| missing(path, last, &known, at))? = value;
    Ok(())
}

/// Takes away what is at a path.
///
/// # Errors
/// A fault at `at`, the place where the path is written.
pub fn unset(root: &mut Node, path: &str, at: Extent) -> Result<(), Box<Fault>> {
    let segments = segments(path).map_err(|message| Fault::new(at, message))?;
    let Some((last, parents)) = segments.split_last() else {
        return Err(Box::new(Fault::new(at, "the path is empty")));
    };
    let parent = descend(root, path, parents, at)?;
    child(parent, last).map_err(|known| missing(path, last, &known, at))?;
    match &mut parent.value {
        Value::Map(entries) => entries.retain(|entry| entry.key != *last),
        Value::List(elements) => {
            if let Some(index) = position(elements, last) {
                elements.remove(index);
            }
        }
        _ => {}
    }
    Ok(())
}

/// What is at a path, if it is there.
pub fn get<'n>(root: &'n Node, path: &str) -> Option<&'n Node> {
    segments(path)
        .ok()?
        .iter()
        .try_fold(root, |node, segment| match &node.value {
            Value::Map(_) => node.get(segment),
            Value::List(elements) => elements.get(position(elements, segment)?),
            _ => None,
        })
}

fn descend<'n>(root: &'n mut Node, path: &str, segments: &[String], at: Extent) -> Result<&'n mut Node, Box<Fault>> {
    let mut node = root;
    for segment in segments {
        node = child(node, segment).map_err(|known| missing(path, segment, &known, at))?;
    }
    Ok(node)
}

/// The child by a segment, or the names that there are.
fn child<'n>(node: &'n mut Node, segment: &str) -> Result<&'n mut Node, Vec<String>> {
    match &mut node.value {
        Value::Map(entries) => match entries.iter().position(|entry| entry.key == segment) {
            Some(index) => Ok(&mut entries[index].node),
            None => Err(entries.iter().map(|entry| entry.key.clone()).collect()),
        },
        Value::List(elements) => match position(elements, segment) {
            Some(index) => Ok(&mut elements[index]),
            None => Err((0..elements.len())
                .map(|index| index.to_string())
                .chain(elements.iter().filter_map(|element| name(element).map(str::to_owned)))
                .collect()),
        },
        _ => Err(Vec::new()),
    }
}

fn position(elements: &[Node], segment: &str) -> Option<usize> {
    match segment.parse::<usize>() {
        Ok(index) => (index < elements.len()).then_some(index),
        Err(_) => elements.iter().position(|element| name(element) == Some(segment)),
    }
}

fn name(element: &Node) -> Option<&str> {
    ["name", "id"].into_iter().find_map(|key| element.get(key)?.text())
}

fn missing(path: &str, segment: &str, known: &[String], at: Extent) -> Box<Fault> {
    let mut fault = Fault::new(at, format!("path `{path}` does not exist")).hint(match known {
        [] => format!("nothing can be at `{segment}`"),
        known if known.len() <= 12 => format!("`{segment}` is not among {}", known.join(", ")),
        _ => format!("there is no `{segment}`"),
    });
    if let Some(name) = closest(segment, known.iter().map(String::as_str)) {
        fault = fault.help(format!("did you mean `{name}`?"));
    }
    Box::new(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        let text = "nodes:\n- {name: gpu-1, taints: [a]}\n- {id: x, 'a.b/c': 1}\nports: [{port: 80}]\n";
        crate::node::parse(text).documents.remove(0)
    }

    fn at() -> Extent {
        Extent::at(9, 9, 1)
    }

    fn number(number: i64) -> Node {
        Node {
            extent: at(),
            value: Value::Integer(number),
        }
    }

    #[test]
    fn paths_go_by_key_index_name_and_quoted_key() {
        let mut root = tree();
        set(&mut root, "nodes.gpu-1.taints.0", number(1), at()).unwrap();
        set(&mut root, "nodes.x['a.b/c']", number(2), at()).unwrap();
        set(&mut root, "ports.0.nodePort", number(3), at()).unwrap();
        unset(&mut root, "ports.0.port", at()).unwrap();
        assert_eq!(
            root.to_json(),
            serde_json::json!({
                "nodes": [{"name": "gpu-1", "taints": [1]}, {"id": "x", "a.b/c": 2}],
                "ports": [{"nodePort": 3}],
            })
        );
    }

    #[test]
    fn a_path_that_does_not_exist_is_a_fault() {
        let mut root = tree();
        for path in ["nodes.gpu-2.taints", "nodse.0", "ports.7.port", "ports.0.port.deeper.x"] {
            assert!(set(&mut root, path, number(1), at()).is_err(), "{path}");
            assert!(unset(&mut root, path, at()).is_err(), "{path}");
        }
        assert!(unset(&mut root, "ports.0.nodePort", at()).is_err());
        assert_eq!(root, tree());
        let fault = set(&mut root, "nodse.0", number(1), at()).unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean `nodes`?"));
    }

    #[test]
    fn a_map_of_the_format_that_is_left_out_counts_as_there() {
        let mut root = crate::node::parse("container: {image: x}").documents.remove(0);
        set(&mut root, "container.resources.limits.pids", number(5), at()).unwrap();
        let wanted = serde_json::json!({"container": {"image": "x", "resources": {"limits": {"pids": 5}}}});
        assert_eq!(root.to_json(), wanted);
    }

    #[test]
    fn a_path_that_cannot_be_read_is_a_fault() {
        for path in ["", "a..b", "a.", "['x", "a[0]", "['x']y"] {
            assert!(segments(path).is_err(), "{path}");
        }
    }
}
