//! Many rows at once: of a hundred that are tested at 5 %, five are wrong.

/// The p-values adjusted by Holm (1979): if all rows of at most `q` are rejected, one of those that are not different is among them
/// with a probability of at most `q`, whatever depends on what.
///
/// The least has an equal part of `q`, and what is rejected leaves its part to the others; hence it rejects whatever equal parts
/// (Bonferroni's) do. A p-value may come from samples that ended when some row was decided, if it is one at every look: then it
/// is never less than the one of the last possible look, for which this holds.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut most: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        most = most.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = most;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// The p-values adjusted by Benjamini and Hochberg (1995), which bound the expected share of wrong ones among those that are
    /// rejected, of independent rows and of such as depend on each other positively (Benjamini and Yekutieli 2001).
    fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
        let mut adjusted = vec![1.0; p.len()];
        let mut least: f64 = 1.0;
        for (rank, at) in order.into_iter().enumerate().rev() {
            least = least.min(p[at] * p.len() as f64 / (rank + 1) as f64);
            adjusted[at] = least;
        }
        adjusted
    }

    /// The p-value for which the calibrated e-value `p^(-1/2)/2` (Shafer et al. 2011) is as large as e-BH (Wang and Ramdas 2022)
    /// demands of the first of so many rows.
    fn e_benjamini_hochberg(rows: f64, q: f64) -> f64 {
        (q / (2.0 * rows)).powi(2)
    }

    #[test]
    fn the_least_has_an_equal_part_and_leaves_it_to_the_others() {
        // By hand: 0.01·3 = 0.03; 0.02·2 = 0.04; 0.03·1 = 0.03, but no less than the one before.
        let adjusted = holm(&[0.03, 0.01, 0.02]);
        for (found, wanted) in adjusted.iter().zip([0.04, 0.03, 0.04]) {
            assert!((found - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn it_rejects_what_equal_parts_reject() {
        let mut chance = Chance::new(1);
        for _ in 0..200 {
            let p: Vec<f64> = (0..6).map(|_| chance.uniform().powi(4)).collect();
            let rejected = |adjusted: &[f64]| adjusted.iter().map(|p| *p <= 0.05).collect::<Vec<_>>();
            let equal = rejected(&p.iter().map(|p| p * 6.0).collect::<Vec<_>>());
            let stepped = rejected(&holm(&p));
            assert!(equal.iter().zip(&stepped).all(|(equal, stepped)| !equal || *stepped));
        }
    }

    #[test]
    fn what_depends_on_what_does_not_matter_as_it_does_to_benjamini_and_hochberg() {
        // The worst that ten p-values can do to the latter (Hommel 1983), each by itself uniform: with a probability of q/k, k of
        // them lie just below kq/10.
        const ROWS: u32 = 10;
        const Q: f64 = 0.05;
        const TRIALS: u32 = 20_000;
        let mut chance = Chance::new(7);
        let (mut stepped, mut shared) = (0u32, 0u32);
        for _ in 0..TRIALS {
            let mut thrown = chance.uniform();
            let low = (1..=ROWS).find(|k| {
                thrown -= Q / f64::from(*k);
                thrown < 0.0
            });
            let mut p: Vec<f64> = (0..ROWS).map(|_| 0.5 + chance.uniform() / 2.0).collect();
            let mut places: Vec<usize> = (0..p.len()).collect();
            chance.shuffle(&mut places);
            for place in places.into_iter().take(low.unwrap_or_default() as usize) {
                let bin = f64::from(low.unwrap_or_default());
                p[place] = (bin - chance.uniform()) * Q / f64::from(ROWS);
            }
            let is_any = |adjusted: Vec<f64>| u32::from(adjusted.iter().any(|p| *p <= Q));
            stepped += is_any(holm(&p));
            shared += is_any(benjamini_hochberg(&p));
        }
        let [stepped, shared] = [stepped, shared].map(|count| f64::from(count) / f64::from(TRIALS));
        // 0.05 · (1 + 1/2 + … + 1/10) = 0.146.
        assert!(stepped < 0.055, "{stepped}");
        assert!((0.13..0.16).contains(&shared), "{shared}");
    }

    #[test]
    fn one_regression_among_many_rows_needs_the_same_of_both() {
        // Rows that are fast have p-values near 1: the only slow one must reach q/10 either way.
        for (slow, is_found) in [(0.000_99, true), (0.001_01, false)] {
            let mut p = vec![0.9; 10];
            p[4] = slow;
            for adjusted in [holm(&p), benjamini_hochberg(&p)] {
                assert_eq!(adjusted[4] <= 0.01, is_found, "{adjusted:?}");
            }
        }
        // With e-values made of p-values it would have to be four thousand times less.
        let demanded = e_benjamini_hochberg(10.0, 0.01);
        assert!(demanded < 0.001 / 3999.0, "{demanded}");
    }

    #[test]
    fn the_example_of_benjamini_and_hochberg() {
        // Benjamini and Hochberg 1995, section 3.2: of 15 p-values theirs rejects the four smallest at 5 %, Holm's the three.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.000,
        ];
        let count = |adjusted: Vec<f64>| adjusted.iter().filter(|p| **p <= 0.05).count();
        assert_eq!((count(benjamini_hochberg(&p)), count(holm(&p))), (4, 3));
    }
}
