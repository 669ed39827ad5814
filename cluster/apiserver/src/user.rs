//! Who asks.

/// Whoever acts on the API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// `system:node:a`, `system:serviceaccount:default:web` …
    pub name: String,
    /// Groups, of which the authorizer knows some.
    pub groups: Vec<String>,
    /// What tells two users of the same name apart; empty where nothing does.
    pub uid: String,
}

impl User {
    /// A part of the cluster itself: `system:NAME`, which may do everything.
    pub fn system(name: &str) -> Self {
        Self {
            name: format!("system:{name}"),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            uid: String::new(),
        }
    }

    /// The agent of a node.
    pub fn node(name: &str) -> Self {
        Self {
            name: format!("system:node:{name}"),
            groups: vec!["system:nodes".into(), "system:authenticated".into()],
            uid: String::new(),
        }
    }
}
