//! Indexes that cannot be taken for one another.

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) u32);

        impl $name {
            pub(crate) const fn at(self) -> usize {
                self.0 as usize
            }

            pub(crate) const fn new(index: usize) -> Self {
                Self(index as u32)
            }
        }
    )*};
}

id!(
    /// A node's place in the snapshot.
    NodeId,
    /// A pod's place in the snapshot.
    PodId,
    /// Pods that look the same to the scheduler.
    ClassId,
    /// Whom a selector means.
    MatcherId,
    /// Counts by topology domain.
    TallyId,
    /// A topology key in use.
    TopologyId,
    /// Which nodes count.
    EligibilityId
);
