//! How much a packet may hold before it is cut into those that the wire takes.
//!
//! What TCP sends passes the kernel in few and long packets (`segmentation-offloads` in the kernel's documentation), so that a
//! way costs by their number. Nodes and pods have no hardware between them that would cut any, and both ends are the same
//! kernel: with longer ones than IPv4 has a length for, the way through a node costs next to nothing ("BIG TCP", Linux 6.3;
//! older kernels do not know the attribute and leave it as it is).

use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec};

use super::{NetworkError, link};

/// Bytes of IPv4 that one packet may have within the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segments {
    /// What a packet has a length for, as the kernel has it unless told.
    Usual,
    /// Three times that. The kernel would allow more; caches do not.
    Long,
}

impl Segments {
    fn bytes(self) -> u32 {
        match self {
            Self::Usual => 64 << 10,
            Self::Long => 192 << 10,
        }
    }

    /// For an interface that is made.
    pub(super) fn limit<T>(self, interface: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        match self {
            Self::Usual => interface,
            Self::Long => interface.append_extra_attribute(LinkAttribute::GsoIpv4MaxSize(self.bytes())),
        }
    }

    /// For one that is there.
    pub(super) async fn set(self, links: &Handle, index: u32) -> Result<(), NetworkError> {
        let attribute = LinkAttribute::GsoIpv4MaxSize(self.bytes());
        let change = LinkUnspec::new_with_index(index).append_extra_attribute(attribute);
        let change = links.link().change(change.build()).execute().await;
        change.map_err(link("bound what an interface sends at once"))
    }
}
