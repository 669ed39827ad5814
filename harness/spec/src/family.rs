//! Families of addresses, as Kubernetes calls them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Family {
    /// Addresses of 4 bytes (RFC 791).
    #[serde(rename = "IPv4")]
    Ipv4,
    /// Addresses of 16 bytes (RFC 8200).
    #[serde(rename = "IPv6")]
    Ipv6,
}

impl Family {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    /// The one that a word means.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.word() == word)
    }

    /// Whether an address is one of its.
    pub fn has(self, address: std::net::IpAddr) -> bool {
        address.is_ipv6() == (self == Self::Ipv6)
    }
}

/// The families of which nodes, pods and Services of a cluster have addresses; the first is the primary one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Family>", into = "Vec<Family>")]
pub enum Families {
    /// `[IPv4]`.
    #[default]
    Ipv4,
    /// `[IPv4, IPv6]`.
    Dual,
}

impl Families {
    /// Each of them, the primary one first.
    pub fn all(self) -> &'static [Family] {
        match self {
            Self::Ipv4 => &[Family::Ipv4],
            Self::Dual => &Family::ALL,
        }
    }

    /// Whether there is nothing to be said of it.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<Vec<Family>> for Families {
    type Error = &'static str;

    fn try_from(families: Vec<Family>) -> Result<Self, &'static str> {
        match families[..] {
            [Family::Ipv4] => Ok(Self::Ipv4),
            [Family::Ipv4, Family::Ipv6] => Ok(Self::Dual),
            _ => {
                Err("expected `[IPv4]` or `[IPv4, IPv6]`: IPv4, by which the API and the DNS are reached, comes first")
            }
        }
    }
}

impl From<Families> for Vec<Family> {
    fn from(families: Families) -> Self {
        families.all().to_vec()
    }
}

impl JsonSchema for Families {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Families".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The families of which nodes, pods and Services of a cluster have addresses; the first is the primary one.",
            "enum": [["IPv4"], ["IPv4", "IPv6"]],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ipv4_comes_first() {
        let read = |list| serde_json::from_value::<Families>(list).map_err(|error| error.to_string());
        assert_eq!(read(json!(["IPv4"])), Ok(Families::Ipv4));
        assert_eq!(read(json!(["IPv4", "IPv6"])), Ok(Families::Dual));
        for wrong in [
            json!([]),
            json!(["IPv6"]),
            json!(["IPv6", "IPv4"]),
            json!(["IPv4", "IPv4"]),
        ] {
            assert!(read(wrong.clone()).unwrap_err().contains("comes first"), "{wrong}");
        }
        assert!(read(json!(["IPv5"])).is_err());
        assert_eq!(serde_json::to_value(Families::Dual).unwrap(), json!(["IPv4", "IPv6"]));
    }

    #[test]
    fn addresses_are_of_one_family() {
        let (four, six) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        assert!(Family::Ipv4.has(four) && !Family::Ipv4.has(six));
        assert!(Family::Ipv6.has(six) && !Family::Ipv6.has(four));
        assert_eq!(
            Family::ALL.map(|family| Family::named(family.word())),
            Family::ALL.map(Some)
        );
    }
}
