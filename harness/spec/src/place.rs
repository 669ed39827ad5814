//! Where a value of a case was written: in the test itself, or by the sabotage that was put into it.

use std::collections::BTreeMap;

use crate::{
    Position, edit,
    node::{Node, Value},
};

/// Longest text of a value that is kept, characters.
const SHOWN: usize = 80;

/// A value as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Where the value begins.
    pub at: Position,
    /// The value in one line, cut short if it is long.
    pub text: String,
    /// The sabotage wrote it.
    pub sabotaged: bool,
}

/// The values below `spec` by path, as a sabotage's `set` names them: `workloads.app.container.namespaces.pid`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    written: BTreeMap<String, Place>,
    set: BTreeMap<String, Place>,
    unset: BTreeMap<String, Position>,
}

/// What is known of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'p> {
    /// It is written.
    Written(&'p str, &'p Place),
    /// The sabotage took it away, at this place.
    Unset(&'p str, Position),
    /// It is not written; the nearest map around it is.
    Around(&'p str, &'p Place),
}

impl Places {
    /// The places of a spec's body, after a sabotage was put into it.
    pub(crate) fn of(spec: &Node, sabotage: Option<&Node>) -> Self {
        let mut places = Self::default();
        for entry in spec.entries() {
            if matches!(
                entry.key.as_str(),
                "cluster" | "workloads" | "setup" | "steps" | "teardown"
            ) {
                places.add(&entry.key, &entry.node);
            }
        }
        let Some(sabotage) = sabotage else { return places };
        for entry in sabotage.get("set").map(Node::entries).unwrap_or_default() {
            let Some(path) = normal(&entry.key) else { continue };
            let place = Place {
                at: entry.extent.at,
                text: shown(&entry.node),
                sabotaged: true,
            };
            places.set.insert(path.clone(), place);
            for (below, place) in &mut places.written {
                if below == &path || below.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')) {
                    place.sabotaged = true;
                    // The line on which the whole change stands is what a person looks for.
                    if below == &path {
                        place.at = entry.extent.at;
                    }
                }
            }
        }
        for element in sabotage.get("unset").map(Node::elements).unwrap_or_default() {
            if let Some(path) = element.text().and_then(normal) {
                places.unset.insert(path, element.extent.at);
            }
        }
        places
    }

    fn add(&mut self, path: &str, node: &Node) {
        let place = Place {
            at: node.extent.at,
            text: shown(node),
            sabotaged: false,
        };
        self.written.insert(path.to_owned(), place);
        for entry in node.entries() {
            self.add(&format!("{path}.{}", entry.key), &entry.node);
        }
        for (index, element) in node.elements().iter().enumerate() {
            self.add(&format!("{path}.{index}"), element);
        }
    }

    /// What is known of a path. What a sabotage changed in a map or list speaks for the whole of it.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let inside = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        if let Some((key, place)) = self.set.iter().find(|(key, _)| inside(key)) {
            return Some(Found::Written(key, place));
        }
        if let Some((key, at)) = self.unset.iter().find(|(key, _)| inside(key)) {
            return Some(Found::Unset(key, *at));
        }
        if let Some((key, place)) = self.written.get_key_value(path) {
            return Some(Found::Written(key, place));
        }
        let mut around = path;
        loop {
            if let Some((key, at)) = self.unset.get_key_value(around) {
                return Some(Found::Unset(key, *at));
            }
            around = around.rsplit_once('.')?.0;
            if let Some((key, place)) = self.written.get_key_value(around) {
                // Nothing above can have been taken away if this is there.
                return Some(Found::Around(key, place));
            }
        }
    }

    /// The value at a path, by itself.
    pub fn at(&self, path: &str) -> Option<Found<'_>> {
        let (key, place) = self.written.get_key_value(path)?;
        Some(Found::Around(key, place))
    }

    /// What the sabotage changed: paths, new values (none where it took away) and places.
    pub fn sabotaged(&self) -> Vec<(&str, Option<&str>, Position)> {
        let set = self.set.iter();
        let mut all: Vec<_> = set
            .map(|(path, place)| (path.as_str(), Some(place.text.as_str()), place.at))
            .collect();
        all.extend(self.unset.iter().map(|(path, at)| (path.as_str(), None, *at)));
        all
    }
}

fn shown(node: &Node) -> String {
    let text = match &node.value {
        Value::Text(text) => text.replace('\n', " "),
        _ => node.to_json().to_string(),
    };
    if text.chars().count() > SHOWN {
        text.chars().take(SHOWN - 1).chain(['…']).collect()
    } else {
        text
    }
}

fn normal(path: &str) -> Option<String> {
    edit::segments(path).ok().map(|segments| segments.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: places, labels: {area: isolation}}
spec:
  description: Places are known.
  targets: [runtime]
  workloads:
    app:
      container:
        image: plimsoll/probe
        args: [sleep, "300"]
        resources: {limits: {memory: 32Mi}}
  steps:
  - start: [app]
    expect:
    - {id: up, on: app, state: running}
  sabotage:
  - id: shared
    set: {workloads.app.container.namespaces.pid: host}
    mustFail: [up]
  - id: unlimited
    unset: [workloads.app.container.resources.limits.memory]
    mustFail: [up]
"#;

    fn places(sabotage: Option<&str>) -> Places {
        let loaded = crate::load(TEXT, "places.yaml");
        assert_eq!(loaded.faults, []);
        let variant = loaded.documents[0].variants().remove(0);
        loaded.documents[0].decode_placed(&variant, sabotage).unwrap().1
    }

    fn line(found: Option<Found<'_>>) -> (u32, &str, &str) {
        match found.unwrap() {
            Found::Written(_, place) => (place.at.line, "written", place.text.as_str()),
            Found::Unset(_, at) => (at.line, "unset", ""),
            Found::Around(_, place) => (place.at.line, "around", ""),
        }
    }

    #[test]
    fn a_value_is_found_where_it_is_written_or_where_it_would_be() {
        let places = places(None);
        let memory = places.find("workloads.app.container.resources.limits.memory");
        assert_eq!(line(memory), (13, "written", "32Mi"));
        let none = places.find("workloads.app.container.namespaces.pid");
        assert_eq!(line(none), (11, "around", ""));
        assert_eq!(places.sabotaged(), []);
        assert_eq!(places.find("nothing.of.this"), None);
    }

    #[test]
    fn what_a_sabotage_changed_stands_where_the_sabotage_says_so() {
        let shared = places(Some("shared"));
        let found = shared.find("workloads.app.container.namespaces.pid");
        assert_eq!(line(found), (20, "written", "host"));
        assert_eq!(shared.sabotaged()[0].0, "workloads.app.container.namespaces.pid");
        let unlimited = places(Some("unlimited"));
        let found = unlimited.find("workloads.app.container.resources.limits.memory");
        assert_eq!(line(found), (23, "unset", ""));
        assert_eq!(unlimited.sabotaged().len(), 1);
        let around = unlimited.find("workloads.app.container.resources");
        assert_eq!(line(around), (23, "unset", ""));
    }
}
