//! Nodes that have a pod's images already are better.

use super::{BEST, Look, Plugin};
use crate::id::NodeId;
use crate::resources::amount;

pub(crate) struct ImageLocality;

const MIB: i64 = 1024 * 1024;
/// Less than this is pulled in no time.
const LEAST: i64 = 23 * MIB;
/// More than this per container counts as this.
const MOST: i64 = 1000 * MIB;

/// The score for so many bytes, of so many containers.
fn score(bytes: i64, containers: usize) -> i64 {
    let most = MOST * containers as i64;
    BEST * (bytes.clamp(LEAST, most) - LEAST) / (most - LEAST)
}

/// An image counts more the more nodes have it, so that the first node to have one is not flooded.
fn scaled(bytes: i64, nodes_with: i64, nodes: usize) -> i64 {
    (bytes as f64 * (nodes_with as f64 / nodes as f64)) as i64
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn weight(&self) -> i64 {
        1
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let known = |image: &crate::words::Word| look.snapshot.images.get(image).is_some_and(|count| *count > 0);
        if !look.shape.images.iter().any(known) {
            scores.fill(0);
            return true;
        }
        let all = look.snapshot.size();
        for (node, out) in nodes.iter().zip(scores.iter_mut()) {
            let there = &look.snapshot.nodes[node.at()].images;
            let bytes = look.shape.images.iter().map(|image| match amount(there, *image) {
                0 => 0,
                bytes => scaled(bytes, look.snapshot.images.get(image).copied().unwrap_or(0), all),
            });
            *out = score(bytes.sum(), look.shape.images.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_images_score_nothing_and_large_ones_are_capped() {
        assert_eq!(score(0, 1), 0);
        assert_eq!(score(LEAST, 1), 0);
        assert_eq!(score(MOST, 1), 100);
        assert_eq!(score(9 * MOST, 1), 100);
        assert_eq!(score(MOST, 2), 49);
        assert_eq!(scaled(1000, 1, 4), 250);
    }
}
