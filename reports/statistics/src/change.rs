//! Where a history changed: E-divisive with the energy distance (Matteson and James, A nonparametric approach for multiple
//! change point analysis of multivariate data, JASA 2014).
//!
//! A history is cut where what is before and what follows differ most, each piece is cut again, and so on, as long as a
//! permutation test says that pieces shuffled in themselves seldom differ so much. It supposes nothing about distributions,
//! and sees changes of spread as well as of level. Values of a history must not depend on each other much: medians of runs
//! do not, single samples of one run do.

use crate::chance::Chance;

/// How a history is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuts {
    /// How often a history without a change may be cut.
    pub error: f64,
    /// Values in a piece, at least 2.
    pub least: usize,
    /// Permutations of a test. Fewer than `1/error` never cut.
    pub permutations: usize,
}

impl Default for Cuts {
    fn default() -> Self {
        Self {
            error: 0.05,
            least: 5,
            permutations: 199,
        }
    }
}

/// A place at which a history changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first value after it.
    pub at: usize,
    /// How often a history without it would differ so much.
    pub p: f64,
}

/// A place at which a piece would be cut, and by how much what is before differs from what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    at: usize,
    distance: f64,
}

/// The changes of a history, in its order. Values must be finite.
#[must_use]
pub fn changes(values: &[f64], cuts: &Cuts, chance: &mut Chance) -> Vec<Change> {
    let least = cuts.least.max(2);
    let mut borders = vec![0, values.len()];
    let mut found = Vec::new();
    loop {
        let pieces: Vec<(usize, usize)> = borders.windows(2).map(|ends| (ends[0], ends[1])).collect();
        let best = furthest(values, &pieces, least);
        let Some(best) = best else { break };
        let mut as_far = 0;
        let mut shuffled = values.to_vec();
        for _ in 0..cuts.permutations {
            for (from, to) in &pieces {
                chance.shuffle(&mut shuffled[*from..*to]);
            }
            let distance = furthest(&shuffled, &pieces, least).map_or(0.0, |cut| cut.distance);
            as_far += usize::from(distance >= best.distance);
        }
        let p = (as_far + 1) as f64 / (cuts.permutations + 1) as f64;
        if p > cuts.error {
            break;
        }
        found.push(Change { at: best.at, p });
        borders.push(best.at);
        borders.sort_unstable();
    }
    found.sort_by_key(|change| change.at);
    found
}

/// The cut of all pieces that separates most.
fn furthest(values: &[f64], pieces: &[(usize, usize)], least: usize) -> Option<Cut> {
    let cut = |&(from, to): &(usize, usize)| {
        let own = cut(&values[from..to], least)?;
        Some(Cut {
            at: from + own.at,
            ..own
        })
    };
    pieces
        .iter()
        .filter_map(cut)
        .max_by(|a, b| a.distance.total_cmp(&b.distance))
}

/// The cut of one piece that separates most what is before from what follows, up to an end that is looked for, too: else a
/// change that is taken back later would hide itself.
fn cut(values: &[f64], least: usize) -> Option<Cut> {
    let n = values.len();
    let distances: Vec<Vec<f64>> = (0..n).map(|at| to_those_before(values, at)).collect();
    let mut best: Option<Cut> = None;
    // Sums of distances: within what is before, within what follows, and across.
    let mut before = 0.0;
    for at in 1..n {
        before += distances[at - 1][at - 1];
        if at < least {
            continue;
        }
        let (mut after, mut across) = (0.0, 0.0);
        for (end, to) in distances.iter().enumerate().skip(at) {
            across += to[at];
            after += to[end] - to[at];
            let (m, k) = (at as f64, (end + 1 - at) as f64);
            if end + 1 - at < least {
                continue;
            }
            let energy = 2.0 * across / (m * k) - 2.0 * before / (m * (m - 1.0)) - 2.0 * after / (k * (k - 1.0));
            let distance = energy * m * k / (m + k);
            if best.is_none_or(|best| distance > best.distance) {
                best = Some(Cut { at, distance });
            }
        }
    }
    best
}

/// The sums of the distances of a value to the first none, one, two, … of those before it.
fn to_those_before(values: &[f64], at: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(at + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for other in &values[..at] {
        sum += (values[at] - other).abs();
        sums.push(sum);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seed: u64, levels: &[(usize, f64)]) -> Vec<f64> {
        let mut chance = Chance::new(seed);
        let level = |&(many, level): &(usize, f64)| std::iter::repeat_n(level, many);
        levels
            .iter()
            .flat_map(level)
            .collect::<Vec<f64>>()
            .into_iter()
            .map(|level| chance.normal(level, 0.1))
            .collect()
    }

    fn places(values: &[f64], seed: u64) -> Vec<usize> {
        let cuts = Cuts {
            permutations: 59,
            ..Cuts::default()
        };
        let found = changes(values, &cuts, &mut Chance::new(seed));
        found.iter().map(|change| change.at).collect()
    }

    #[test]
    fn the_distance_of_four_values_by_hand() {
        // 0, 1 | 5, 7: across 5+7+4+6 = 22, before 1, after 2.
        // 2·22/4 − 2·1/2 − 2·2/2 = 11 − 1 − 2 = 8; times 2·2/4 = 8.
        let found = cut(&[0.0, 1.0, 5.0, 7.0], 2).unwrap();
        assert_eq!(found, Cut { at: 2, distance: 8.0 });
        assert_eq!(cut(&[0.0, 1.0, 5.0], 2), None);
    }

    #[test]
    fn a_step_is_found_where_it_is_and_two_are_two() {
        assert_eq!(places(&history(1, &[(20, 1.0), (20, 2.0)]), 1), [20]);
        assert_eq!(places(&history(2, &[(15, 1.0), (15, 2.0), (15, 1.0)]), 2), [15, 30]);
    }

    #[test]
    fn a_change_of_spread_is_one_too() {
        let mut chance = Chance::new(3);
        let values: Vec<f64> = (0..80)
            .map(|at| chance.normal(0.0, if at < 40 { 0.1 } else { 2.0 }))
            .collect();
        let found = places(&values, 3);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((36..=46).contains(&found[0]), "{found:?}");
    }

    #[test]
    fn a_history_without_a_change_is_seldom_cut() {
        let trials = 100;
        let cut = (0..trials).filter(|seed| !places(&history(100 + seed, &[(30, 1.0)]), *seed).is_empty());
        // 5 % are allowed; 12 or more of 100 would come by chance once in 200 times.
        let cut = cut.count();
        assert!(cut < 12, "{cut}");
    }

    #[test]
    fn too_little_history_has_no_changes() {
        assert!(places(&[], 1).is_empty());
        assert!(places(&[1.0, 9.0, 1.0], 1).is_empty());
        assert!(places(&[1.0; 40], 1).is_empty());
    }
}
