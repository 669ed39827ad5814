//! How fast a pod may send and receive, by the annotations that the CNI plugin `bandwidth` serves:
//! <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/#support-traffic-shaping>.
//!
//! A token bucket (`tc-tbf(8)`) stands at either end of the pod's wire and holds back what leaves by that end: on the node
//! what goes to the pod, in the pod what it sends. The plugin shapes the latter on the node, through an interface made for it;
//! at the pod's own end none is needed, and who is `CAP_NET_ADMIN` in the pod could take it away.

use futures_util::StreamExt;
use objects::meta;
use objects::quantity::Quantity;
use rtnetlink::Handle;
use rtnetlink::packet_core::{DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use serde_json::Value;

use super::{FIRST, NetworkError, NodeNetwork, PodNetwork, link};
use crate::fault::Faults;

const INGRESS: &str = "kubernetes.io/ingress-bandwidth";
const EGRESS: &str = "kubernetes.io/egress-bandwidth";
/// What Kubernetes takes for reasonable, in bits a second.
const LEAST: i64 = 1_000;
const MOST: i64 = 1_000_000_000_000_000;

/// As much may go at once after a pause: what goes in a hundredth of a second, but two packets at least.
const BURSTS: u64 = 100;
const LEAST_BURST: u64 = 4096;
/// What is sent faster waits for up to a tenth of a second, and is dropped then.
const WAITS: u64 = 10;

/// Bits a second that a pod may receive and send; `None`: as many as it can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bandwidth {
    ingress: Option<u64>,
    egress: Option<u64>,
}

impl Bandwidth {
    /// What a pod is annotated with. Fails in Kubernetes' words.
    pub(crate) fn of(pod: &Value, faults: &Faults) -> Result<Self, String> {
        let read = |key: &str| {
            let Some(text) = meta::annotation(pod, key) else {
                return Ok(None);
            };
            let wrong = |why: &str| format!("{key}: {why}");
            let amount = Quantity::of(&Value::String(text.to_owned()));
            match amount.map(|amount| amount.value()) {
                None => Err(wrong(&format!("`{text}` is no quantity"))),
                Some(..LEAST) => Err(wrong("resource is unreasonably small (< 1kbit)")),
                Some(bits) if bits > MOST => Err(wrong("resource is unreasonably large (> 1Pbit)")),
                Some(bits) => Ok(u64::try_from(bits).ok()),
            }
        };
        let (ingress, egress) = (read(INGRESS)?, read(EGRESS)?);
        Ok(if faults.has("bandwidth-ignored") {
            Self::default()
        } else if faults.has("bandwidth-swapped") {
            Self {
                ingress: egress,
                egress: ingress,
            }
        } else {
            Self { ingress, egress }
        })
    }
}

/// `struct tc_tbf_qopt` of `linux/pkt_sched.h`, but for what attributes say better.
fn parameters(rate: u64, limit: u64) -> Vec<u8> {
    /// `TC_LINKLAYER_ETHERNET`.
    const ETHERNET: u8 = 1;
    let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
    // `struct tc_ratespec`: cell_log, linklayer, overhead, cell_align, mpu, rate; and none for the peak rate.
    let mut bytes = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&short(rate));
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&short(limit));
    // The buffer as time, and the largest packet at the peak rate.
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// Holds back what leaves by an interface.
pub(super) async fn shape(links: &Handle, index: u32, bits: u64) -> Result<(), NetworkError> {
    /// `TCA_TBF_PARMS`, `TCA_TBF_RATE64`, `TCA_TBF_BURST`.
    const PARAMETERS: u16 = 1;
    const RATE: u16 = 4;
    const BURST: u16 = 6;
    let rate = bits / 8;
    let burst = (rate / BURSTS).clamp(LEAST_BURST, u64::from(u32::MAX));
    let limit = burst + rate / WAITS;
    let burst = u32::try_from(burst).unwrap_or(u32::MAX);
    let option = |kind: u16, value: Vec<u8>| TcOption::Other(DefaultNla::new(kind, value));
    let mut message = TcMessage::default();
    message.header.index = i32::try_from(index).unwrap_or(i32::MAX);
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("tbf".to_owned()),
        TcAttribute::Options(vec![
            option(PARAMETERS, parameters(rate, limit)),
            option(RATE, rate.to_ne_bytes().to_vec()),
            option(BURST, burst.to_ne_bytes().to_vec()),
        ]),
    ];
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    let failed = || link(format!("hold interface {index} to {bits} bits a second with `tbf`"));
    let mut links = links.clone();
    let mut answers = links.request(request).map_err(failed())?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(failed()(rtnetlink::Error::NetlinkError(error)));
        }
    }
    Ok(())
}

impl NodeNetwork {
    /// Holds a pod to its bandwidth; `inside` is a netlink socket in its namespace.
    pub(crate) async fn limit(
        &self,
        pod: &PodNetwork,
        inside: &Handle,
        bandwidth: Bandwidth,
    ) -> Result<(), NetworkError> {
        if let Some(bits) = bandwidth.ingress {
            shape(&self.links, pod.index, bits).await?;
        }
        if let Some(bits) = bandwidth.egress {
            shape(inside, FIRST, bits).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::network::lab::{Pod, is_root, listen, reach};
    use crate::network::{NetworkMode, Underlay, socket_in};

    fn read(ingress: &str, egress: &str, fault: Option<&str>) -> Result<Bandwidth, String> {
        let pod = json!({"metadata": {"annotations": {INGRESS: ingress, EGRESS: egress}}});
        let faults: BTreeSet<String> = fault.into_iter().map(str::to_owned).collect();
        Bandwidth::of(&pod, &Faults::new(&faults))
    }

    #[test]
    fn annotations_are_bits_a_second() {
        let both = |ingress, egress| {
            Ok(Bandwidth {
                ingress: Some(ingress),
                egress: Some(egress),
            })
        };
        assert_eq!(read("10M", "1k", None), both(10_000_000, 1_000));
        assert_eq!(read("10M", "1k", Some("bandwidth-swapped")), both(1_000, 10_000_000));
        assert_eq!(read("10M", "1k", Some("bandwidth-ignored")), Ok(Bandwidth::default()));
        let none = Bandwidth::of(&json!({}), &Faults::default());
        assert_eq!(none, Ok(Bandwidth::default()));
        for (wrong, why) in [
            ("999", "resource is unreasonably small (< 1kbit)"),
            ("2P", "resource is unreasonably large (> 1Pbit)"),
            ("fast", "`fast` is no quantity"),
        ] {
            let told = read("1M", wrong, None);
            assert_eq!(told, Err(format!("{EGRESS}: {why}")));
        }
    }

    /// Bytes that are sent to measure; a third of a second at the rate below.
    const LOAD: usize = 1 << 20;
    const RATE: u64 = 24_000_000;

    /// How long it takes to send that much from one pod to another.
    async fn send(from: &Pod, to: &Pod, port: u16) -> Duration {
        let listener = listen(&to.room, to.network.address, port).await;
        let sink = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut buffer, mut got) = (vec![0; 1 << 16], 0);
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                got += length;
            }
            (got, Instant::now())
        });
        let socket = socket_in(&from.room).await.unwrap();
        let mut stream = socket.connect((to.network.address, port).into()).await.unwrap();
        let begun = Instant::now();
        stream.write_all(&vec![0; LOAD]).await.unwrap();
        stream.shutdown().await.unwrap();
        let (got, ended) = sink.await.unwrap();
        assert_eq!(got, LOAD);
        ended - begun
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pod_receives_and_sends_no_faster_than_it_may() {
        if !is_root() {
            return;
        }
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let node = NodeNetwork::create(&underlay).await.unwrap();
        let fast = Pod::new(&node, "fast").await;
        // What may go at once goes at once; the rest needs its time, on however fast a machine.
        let bytes = |number: u64| f64::from(u32::try_from(number).unwrap());
        let least = Duration::from_secs_f64(bytes(LOAD.try_into().unwrap()) / bytes(RATE / 8) * 0.8);
        for (ingress, egress) in [(Some(RATE), None), (None, Some(RATE))] {
            let bandwidth = Bandwidth { ingress, egress };
            let slow = Pod::new(&node, "slow").await;
            reach(&fast.room, &slow.room, slow.network.address).await.unwrap();
            let free = send(&fast, &slow, 9000).await + send(&slow, &fast, 9000).await;
            node.limit(&slow.network, &slow.links, bandwidth).await.unwrap();
            let (to, from) = (send(&fast, &slow, 9001).await, send(&slow, &fast, 9001).await);
            let (held, other) = if ingress.is_some() { (to, from) } else { (from, to) };
            eprintln!("{bandwidth:?}: {held:?}, the other way {other:?}, both ways before {free:?}");
            assert!(held >= least, "{held:?} for what needs {least:?}");
            assert!(held > 4 * free, "{held:?}, before {free:?}");
            assert!(held > 4 * other, "{held:?}, the other way {other:?}");
        }
    }
}
