//! Domain names as keys that are sorted by what lies below what.

use hickory_proto::rr::Name;

/// A domain name from the root down, in lower case: each label after its length, so that whatever begins with a path is
/// at or below it, and all of that lies together in a sorted map. (RFC 4034, section 6.1, sorts alike.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Path(Vec<u8>);

impl Path {
    pub(crate) fn of(name: &Name) -> Self {
        let labels: Vec<&[u8]> = name.iter().collect();
        let mut path = Vec::with_capacity(name.len());
        for label in labels.into_iter().rev() {
            // A label has 63 bytes at most.
            path.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            path.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        Self(path)
    }

    pub(crate) fn is_at_or_below(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::of(&Name::from_ascii(text).unwrap())
    }

    #[test]
    fn below_is_by_labels_and_not_by_letters() {
        assert!(path("a.svc.cluster.local.").is_at_or_below(&path("Cluster.LOCAL.")));
        assert!(path("local.").is_at_or_below(&path("local.")));
        assert!(!path("xlocal.").is_at_or_below(&path("local.")));
        assert!(!path("localx.").is_at_or_below(&path("local.")));
        assert!(path("local.").is_at_or_below(&path(".")));
    }
}
