//! How much of the allowed error each look at growing samples may use.
//!
//! An interval that is looked at again and again misses far more often than its confidence says. The error is therefore
//! spent by the function of Lan and DeMets (1983) that resembles Pocock's boundary, `α·ln(1 + (e − 1)·t)` at the share `t`
//! of all samples, and each look uses what was spent since the one before. The shares add up to `α`, so that by the
//! union bound the looks together err no more often than one look would, however much they depend on each other.

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Samples at that time.
    pub n: usize,
    /// Probability with which it may err.
    pub error: f64,
}

/// The looks from `count` samples to `most`, each at half as many samples again as the one before: a look costs error, and
/// so fewer decide sooner than many.
pub fn looks(count: u64, most: u64, error: f64) -> Vec<Look> {
    let first = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(first);
    let mut all = Vec::new();
    let (mut n, mut spent) = (first, 0.0);
    loop {
        let share = n as f64 / most as f64;
        let until = error * ((std::f64::consts::E - 1.0) * share).ln_1p();
        all.push(Look {
            n,
            error: until - spent,
        });
        if n == most {
            return all;
        }
        spent = until;
        n = n.saturating_add(n.div_ceil(2)).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_looks_spend_the_error_and_no_more() {
        for (count, most) in [(4, 24), (20, 60), (2, 1000), (1, 1)] {
            let looks = looks(count, most, 0.05);
            let spent: f64 = looks.iter().map(|look| look.error).sum();
            assert!((spent - 0.05).abs() < 1e-12, "{count} {most}: {spent}");
            assert!(looks.iter().all(|look| look.error > 0.0), "{looks:?}");
            assert_eq!(looks.first().map(|l| l.n as u64), Some(count));
            assert_eq!(looks.last().map(|l| l.n as u64), Some(most));
        }
    }

    #[test]
    fn one_look_has_all_of_it() {
        assert_eq!(looks(5, 5, 0.05), [Look { n: 5, error: 0.05 }]);
        assert_eq!(looks(5, 3, 0.05).len(), 1);
    }

    #[test]
    fn looks_are_few() {
        let n: Vec<usize> = looks(4, 24, 0.05).iter().map(|look| look.n).collect();
        assert_eq!(n, [4, 6, 9, 14, 21, 24]);
    }
}
