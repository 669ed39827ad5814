//! Which versions of IP there are.

use netfilter::Family;
use serde::{Deserialize, Serialize};

/// The versions of IP that nodes, pods and Services have addresses of.
///
/// Written as a list, the first of which is the primary one: what has one address only has it of that
/// (<https://kubernetes.io/docs/concepts/services-networking/dual-stack/>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Families {
    /// `[IPv4]`.
    #[default]
    Ipv4,
    /// `[IPv4, IPv6]`.
    Dual,
}

/// A list of families that a cluster cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FamiliesError {
    /// There is no such family.
    #[error("there is no family of addresses `{0}`: there are IPv4 and IPv6")]
    Unknown(String),
    /// Of this cluster both IPv4 and the order are needed.
    #[error(
        "families can be IPv4, or IPv4 and IPv6 in this order, and not `{0}`: the API, the DNS and the wire are reached by IPv4"
    )]
    Unsupported(String),
}

impl Families {
    /// Those that a list of names means.
    ///
    /// # Errors
    /// [`FamiliesError`].
    pub fn read<S: AsRef<str>>(names: &[S]) -> Result<Self, FamiliesError> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let known = |name: &&&str| ["IPv4", "IPv6"].contains(name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(FamiliesError::Unknown((*unknown).to_owned()));
        }
        match names[..] {
            ["IPv4"] => Ok(Self::Ipv4),
            ["IPv4", "IPv6"] => Ok(Self::Dual),
            _ => Err(FamiliesError::Unsupported(names.join(","))),
        }
    }

    /// Each of them, the primary one first.
    pub fn all(self) -> &'static [Family] {
        match self {
            Self::Ipv4 => &[Family::Ipv4],
            Self::Dual => &[Family::Ipv4, Family::Ipv6],
        }
    }

    /// Whether IPv6 is one of them.
    pub fn is_dual(self) -> bool {
        self == Self::Dual
    }

    /// Whether there is nothing to be said of it.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<Vec<String>> for Families {
    type Error = FamiliesError;

    fn try_from(names: Vec<String>) -> Result<Self, FamiliesError> {
        Self::read(&names)
    }
}

impl From<Families> for Vec<String> {
    fn from(families: Families) -> Self {
        families.all().iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_begins_with_ipv4_can_be_had() {
        let read = |names| serde_json::from_value::<Families>(names).map_err(|error| error.to_string());
        assert_eq!(read(json!(["IPv4"])), Ok(Families::Ipv4));
        assert_eq!(read(json!(["IPv4", "IPv6"])), Ok(Families::Dual));
        for wrong in [
            json!([]),
            json!(["IPv6"]),
            json!(["IPv6", "IPv4"]),
            json!(["IPv4", "IPv4"]),
        ] {
            let why = read(wrong).unwrap_err();
            assert!(why.contains("IPv4 and IPv6 in this order"), "{why}");
        }
        let why = read(json!(["IPv5"])).unwrap_err();
        assert!(why.contains("there is no family of addresses `IPv5`"), "{why}");
        assert_eq!(serde_json::to_value(Families::Dual).unwrap(), json!(["IPv4", "IPv6"]));
    }
}
