//! What is done to the network of a node on purpose, while the node itself goes on. [`Node::heal`] takes all of it back.

use std::net::Ipv4Addr;
use std::sync::PoisonError;
use std::time::Duration;

use super::Node;
use crate::network::NetworkError;

impl Node {
    /// Pulls its cable: it has no way to other nodes, and still one to the API.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn unplug(&self) -> Result<(), NetworkError> {
        *self.partitioned.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.context.network.partition().await
    }

    /// It and another node do not reach each other any more; everybody else reaches both.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn separate(&self, from: &Self) -> Result<(), NetworkError> {
        self.context.network.separate(&from.context.network).await
    }

    /// Of a hundred packets that it gets from the wire, and of a hundred that it sends there, so many are lost by chance;
    /// of those from and to one other node only, if it is told.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn lose(&self, percent: u8, with: Option<&Self>) -> Result<(), NetworkError> {
        let with = with.map(|node| &node.context.network);
        self.context.network.lose(percent, with).await
    }

    /// It sends so many bytes a second to the wire at most, and gets as many.
    ///
    /// # Errors
    /// [`NetworkError`], such as a kernel without `sch_tbf`.
    pub async fn throttle(&self, bytes: u64) -> Result<(), NetworkError> {
        self.context.network.throttle(bytes).await
    }

    /// What it gets from the wire comes so much later, and so does what it sends there.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn delay(&self, by: Duration) -> Result<(), NetworkError> {
        self.context.network.delay(by).await
    }

    /// Every packet filter rule of the node is deleted, whoever made it.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn flush(&self) -> Result<(), NetworkError> {
        self.context.network.flush().await
    }

    /// Nothing gets to a pod of this node or comes from it; who runs it does not notice.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn mute(&self, pod: Ipv4Addr) -> Result<(), NetworkError> {
        self.context.network.mute(pod).await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn unmute(&self, pod: Ipv4Addr) -> Result<(), NetworkError> {
        self.context.network.unmute(pod).await
    }
}
