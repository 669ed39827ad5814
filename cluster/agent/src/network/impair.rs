//! What is done to a node's network on purpose: packets that are dropped, a link that is slow or late.
//!
//! Packets are dropped by rules in a table of their own, so that those of the proxy are as they are without.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netfilter::{Batch, Chain, Family, Field, Hook, Rule, Value, Verdict};
use rtnetlink::Handle;
use rtnetlink::packet_route::tc::TcHandle;

use super::bandwidth::shape;
use super::relay::Relay;
use super::{FIRST, NetworkError, NodeNetwork, link, port};
use crate::address::{self, Subnet};

const TABLE: &str = "plimsoll-impair";
const IN: &str = "in";
const OUT: &str = "out";
/// Before connections are tracked: what is lost was never there.
const EARLIEST: i32 = -400;
/// After addresses were changed: whom a packet is for in the end.
const LATEST: i32 = 400;

/// All that is wrong on purpose.
#[derive(Debug, Default)]
pub(super) struct Impairments {
    /// Nodes that are as if they were not there, by number.
    apart: BTreeSet<u16>,
    /// Of a hundred packets from and to the wire, or from and to one node, so many are lost.
    loss: BTreeMap<Option<u16>, u8>,
    /// Pods from and to which nothing gets through.
    muted: BTreeSet<IpAddr>,
    /// Its rate is bounded.
    slow: bool,
    relay: Option<Relay>,
}

impl Impairments {
    fn drops(&self) -> bool {
        !(self.apart.is_empty() && self.loss.is_empty() && self.muted.is_empty())
    }

    /// Makes the table of a family what it is to be.
    fn batch(&self, family: Family) -> Batch {
        let mut batch = Batch::of(family, TABLE);
        batch.add_table();
        batch.delete_table();
        if !self.drops() {
            return batch;
        }
        batch.add_table();
        batch.add_chain(&Chain::filter(IN, Hook::Prerouting, EARLIEST));
        batch.add_chain(&Chain::filter(OUT, Hook::Postrouting, LATEST));
        for (chain, side, interface) in [
            (IN, Field::SourceAddress, Field::InputInterface),
            (OUT, Field::DestinationAddress, Field::OutputInterface),
        ] {
            for pod in self.muted.iter().filter(|pod| Family::of(**pod) == family) {
                batch.add_rule(chain, &Rule::new().is(side, *pod).count().drop());
            }
            for subnet in self.apart.iter().flat_map(|number| of_node(family, *number)) {
                let rule = Rule::new().within(side, subnet.base, subnet.prefix);
                batch.add_rule(chain, &rule.count().drop());
            }
            for (with, percent) in &self.loss {
                let wire = Rule::new().is(interface, FIRST);
                let rules: Vec<Rule> = match with {
                    None => vec![wire],
                    Some(number) => of_node(family, *number)
                        .map(|subnet| wire.clone().within(side, subnet.base, subnet.prefix))
                        .collect(),
                };
                for rule in rules {
                    let lost = (0..u32::from(*percent)).map(|chance| (Value::Number(chance), Verdict::Drop));
                    batch.add_rule(chain, &rule.choose(Field::Random(100), lost.collect()));
                }
            }
        }
        batch
    }
}

/// Every address of a family that packets of a node may have.
fn of_node(family: Family, number: u16) -> impl Iterator<Item = Subnet> {
    let own = Subnet::host(address::node_of(family, number));
    Subnet::of_pods(family, number).into_iter().chain([own])
}

impl NodeNetwork {
    async fn impair(&self, change: impl FnOnce(&mut Impairments) + Send) -> Result<(), NetworkError> {
        let mut all = self.impairments.lock().await;
        change(&mut all);
        self.write(&all).await
    }

    async fn write(&self, all: &Impairments) -> Result<(), NetworkError> {
        for family in self.families().all() {
            self.netfilter(*family).await?.commit(&all.batch(*family))?;
        }
        Ok(())
    }

    /// Nothing comes from another node any more, and nothing goes there.
    ///
    /// # Errors
    /// What the packet filter refuses.
    pub(crate) async fn separate(&self, from: &Self) -> Result<(), NetworkError> {
        let other = from.number;
        self.impair(|all| {
            all.apart.insert(other);
        })
        .await
    }

    /// Of a hundred packets from the wire, and of a hundred to it, so many are lost by chance.
    ///
    /// # Errors
    /// What the packet filter refuses.
    pub(crate) async fn lose(&self, percent: u8, with: Option<&Self>) -> Result<(), NetworkError> {
        let with = with.map(|other| other.number);
        self.impair(|all| {
            all.loss.insert(with, percent.min(100));
        })
        .await
    }

    /// Nothing gets to a pod or from it, by whichever of its addresses.
    ///
    /// # Errors
    /// What the packet filter refuses.
    pub(crate) async fn mute(&self, pod: Ipv4Addr) -> Result<(), NetworkError> {
        let pod = self.addresses(pod);
        self.impair(|all| all.muted.extend(pod)).await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// What the packet filter refuses.
    pub(crate) async fn unmute(&self, pod: Ipv4Addr) -> Result<(), NetworkError> {
        let pod = self.addresses(pod);
        if self
            .impairments
            .lock()
            .await
            .muted
            .iter()
            .any(|muted| pod.contains(muted))
        {
            self.impair(|all| all.muted.retain(|muted| !pod.contains(muted)))
                .await?;
        }
        Ok(())
    }

    /// What is done on purpose to packets from or to an address, if anything is.
    pub(crate) async fn impaired(&self, address: IpAddr) -> Option<String> {
        let all = self.impairments.lock().await;
        let family = Family::of(address);
        let owns = |number: u16| of_node(family, number).any(|subnet| subnet.has(address));
        if !owns(self.number) && *self.cut.lock().await {
            return Some("its interface is down".into());
        }
        if all.muted.contains(&address) {
            return Some(format!("{address} is muted"));
        }
        if let Some(number) = all.apart.iter().find(|number| owns(**number)) {
            return Some(format!("it is separated from {}", address::node_of(family, *number)));
        }
        let lossy = |with: Option<u16>| with.is_none_or(owns) && !owns(self.number);
        let (_, percent) = all.loss.iter().find(|(with, _)| lossy(**with))?;
        Some(format!("it loses {percent} of 100 packets from and to {address}"))
    }

    /// Deletes every rule of the node, whoever made it, but for what is impaired on purpose.
    ///
    /// # Errors
    /// What the packet filter refuses.
    pub(crate) async fn flush(&self) -> Result<(), NetworkError> {
        let all = self.impairments.lock().await;
        for family in self.families().all() {
            let mut batch = Batch::of(*family, TABLE);
            batch.delete_every_table();
            let mut socket = self.netfilter(*family).await?;
            socket.commit(&batch)?;
            if all.drops() {
                socket.commit(&all.batch(*family))?;
            }
        }
        Ok(())
    }

    /// Both ends of the node's link.
    fn ends(&self) -> [(&Handle, u32); 2] {
        [(&self.links, FIRST), (&self.underlay.links, port(self.number))]
    }

    /// So many bytes a second go to the wire, and as many come from it.
    ///
    /// # Errors
    /// The kernel has no token bucket (`sch_tbf`).
    pub(crate) async fn throttle(&self, bytes: u64) -> Result<(), NetworkError> {
        let mut all = self.impairments.lock().await;
        all.slow = true;
        for (links, index) in self.ends() {
            shape(links, index, bytes.saturating_mul(8)).await?;
        }
        Ok(())
    }

    /// Every frame takes so much longer, in each direction.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub(crate) async fn delay(&self, by: Duration) -> Result<(), NetworkError> {
        let mut all = self.impairments.lock().await;
        if let Some(relay) = all.relay.take() {
            relay.end(&self.underlay, self.number).await?;
        }
        all.relay = Some(Relay::start(&self.underlay, self.number, by).await?);
        Ok(())
    }

    /// Takes back everything but a cut.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub(crate) async fn unimpair(&self) -> Result<(), NetworkError> {
        let mut all = self.impairments.lock().await;
        if let Some(relay) = all.relay.take() {
            relay.end(&self.underlay, self.number).await?;
        }
        if std::mem::take(&mut all.slow) {
            for (links, index) in self.ends() {
                let mut gone = links.qdisc().del(i32::try_from(index).unwrap_or(i32::MAX));
                gone.message_mut().header.parent = TcHandle::ROOT;
                gone.execute()
                    .await
                    .map_err(link("lift the bound of the node's rate"))?;
            }
        }
        if all.drops() {
            *all = Impairments::default();
            self.write(&all).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::network::lab::{Pod, ask, is_root};
    use crate::network::{NetworkMode, Underlay};

    struct Place {
        node: NodeNetwork,
        pod: Pod,
    }

    /// Nodes with a pod each that answers with its name.
    async fn places<const N: usize>(names: [&'static str; N]) -> Option<[Place; N]> {
        if !is_root() {
            return None;
        }
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let mut all = Vec::new();
        for name in names {
            let node = NodeNetwork::create(&underlay).await.unwrap();
            let pod = Pod::new(&node, name).await;
            pod.tell(name, 8080).await;
            all.push(Place { node, pod });
        }
        all.try_into().ok()
    }

    async fn whole(from: &Place, to: &Place) {
        let end = Instant::now() + Duration::from_secs(10);
        while ask(&from.pod.room, to.pod.network.address, 8080).await.is_none() {
            assert!(Instant::now() < end, "never reached");
        }
    }

    async fn reaches(from: &Place, to: &Place) -> bool {
        ask(&from.pod.room, to.pod.network.address, 8080).await.is_some()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_nodes_are_separated_and_reach_a_third() {
        let Some(places) = places(["a", "b", "c"]).await else {
            return;
        };
        let [a, b, c] = &places[..] else { unreachable!() };
        whole(a, b).await;
        whole(c, a).await;
        a.node.separate(&b.node).await.unwrap();
        assert!(!reaches(a, b).await);
        assert!(!reaches(b, a).await);
        assert!(reaches(a, c).await && reaches(c, b).await);
        a.node.unimpair().await.unwrap();
        assert!(reaches(b, a).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_lost_and_muted_does_not_come() {
        let Some(places) = places(["a", "b"]).await else { return };
        let [a, b] = &places;
        whole(a, b).await;
        a.node.lose(100, Some(&b.node)).await.unwrap();
        assert!(!reaches(b, a).await);
        a.node.unimpair().await.unwrap();
        a.node.mute(a.pod.network.address).await.unwrap();
        assert!(!reaches(b, a).await);
        a.node.flush().await.unwrap();
        assert!(!reaches(b, a).await, "what is impaired on purpose stays");
        a.node.unmute(a.pod.network.address).await.unwrap();
        assert!(reaches(b, a).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_delayed_link_adds_its_time_in_each_direction() {
        let Some(places) = places(["a", "b"]).await else { return };
        let [a, b] = &places;
        whole(a, b).await;
        let by = Duration::from_millis(40);
        a.node.delay(by).await.unwrap();
        whole(b, a).await;
        let begun = Instant::now();
        assert!(reaches(b, a).await);
        assert!(begun.elapsed() >= 2 * by, "connecting took {:?}", begun.elapsed());
        a.node.unimpair().await.unwrap();
        whole(b, a).await;
        let quickest = quickest(b, a).await;
        assert!(quickest < 2 * by, "without a delay it took {quickest:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_link_takes_its_time() {
        let Some(places) = places(["a", "b"]).await else { return };
        let [a, b] = &places;
        whole(b, a).await;
        // Six frames of at least 60 bytes each come of a request, and four kilobytes go at once.
        a.node.throttle(2048).await.unwrap();
        let begun = Instant::now();
        for _ in 0..30 {
            assert!(reaches(b, a).await);
        }
        assert!(
            begun.elapsed() > Duration::from_secs(1),
            "it took {:?}",
            begun.elapsed()
        );
        a.node.unimpair().await.unwrap();
        assert!(quickest(b, a).await < Duration::from_millis(100));
    }

    async fn quickest(from: &Place, to: &Place) -> Duration {
        let mut least = Duration::MAX;
        for _ in 0..10 {
            let begun = Instant::now();
            if reaches(from, to).await {
                least = least.min(begun.elapsed());
            }
        }
        least
    }
}
