//! Many rows at once: of a hundred that are tested at 5 %, five are wrong.

/// The p-values adjusted by Benjamini and Hochberg (1995): if all rows of at most `q` are rejected, at most the share `q` of
/// the rejected ones is expected to be wrong; and if no row is different, all are spared with probability `1 - q`.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_paper() {
        // Benjamini and Hochberg 1995, section 3.2: of 15 p-values the four smallest are rejected at 5 %.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.000,
        ];
        let adjusted = benjamini_hochberg(&p);
        assert_eq!(adjusted.iter().filter(|p| **p <= 0.05).count(), 4);
        // 0.0095 · 15 / 4
        assert!((adjusted[3] - 0.035_625).abs() < 1e-12, "{}", adjusted[3]);
    }

    #[test]
    fn they_stay_where_they_were_and_are_never_less_than_a_smaller_ones() {
        // By hand: 0.04·3/3 = 0.04; 0.03·3/2 = 0.045, but no more than the next, 0.04; 0.01·3 = 0.03.
        let adjusted = benjamini_hochberg(&[0.04, 0.01, 0.03]);
        for (found, wanted) in adjusted.iter().zip([0.04, 0.03, 0.04]) {
            assert!((found - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(benjamini_hochberg(&[0.2]), [0.2]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
