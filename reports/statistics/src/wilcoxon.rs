//! The signed-rank test (Wilcoxon 1945): do differences lie about 0?
//!
//! If the order within each pair was thrown by a fair coin and the two programs are the same, each difference is as likely as
//! its negative *whatever the other pairs were*, because the two times are the same in either order. The test counts just
//! these signs, so that random order makes it exact: neighbouring pairs may depend on each other, the machine may be slow
//! for a while, and the errors need no distribution (Fisher's randomisation test with ranks as scores).

use statrs::distribution::{ContinuousCDF as _, Normal};

/// Up to so many differences the distribution is counted out; beyond, it is as good as normal.
const EXACT: usize = 50;

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Differences that are not 0. Those that are say nothing about a direction and are left out, as Wilcoxon did.
    pub n: usize,
    /// Sum of the ranks of positive differences; differences of one size share their mean rank.
    pub positive: f64,
    /// How often the sum is at least so large where differences lie about 0.
    pub greater: f64,
    /// How often it is at most so large.
    pub less: f64,
}

impl SignedRank {
    /// How often the sum is so far from what is expected, in either direction.
    #[must_use]
    pub fn two_sided(&self) -> f64 {
        (2.0 * self.greater.min(self.less)).min(1.0)
    }
}

/// Tests whether differences lie about `centre`.
#[must_use]
pub fn signed_rank(differences: &[f64], centre: f64) -> SignedRank {
    let mut signed: Vec<f64> = differences
        .iter()
        .map(|difference| difference - centre)
        .filter(|difference| *difference != 0.0 && !difference.is_nan())
        .collect();
    signed.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = signed.len();
    let (mut doubled, mut ties) = (Vec::with_capacity(n), 0.0);
    for same in signed.chunk_by(|a, b| a.abs() == b.abs()) {
        let (first, many) = (doubled.len() + 1, same.len());
        // Twice the mean rank, so that it is whole.
        doubled.extend(std::iter::repeat_n(2 * first + many - 1, many));
        ties += (many as f64).powi(3) - many as f64;
    }
    let sum: usize = signed
        .iter()
        .zip(&doubled)
        .filter(|(d, _)| **d > 0.0)
        .map(|(_, r)| r)
        .sum();
    let positive = sum as f64 / 2.0;
    let (greater, less) = if n <= EXACT {
        counted(&doubled, sum)
    } else {
        approximated(n as f64, ties, positive)
    };
    SignedRank {
        n,
        positive,
        greater,
        less,
    }
}

/// Both tails over all ways to give the ranks signs.
fn counted(doubled: &[usize], sum: usize) -> (f64, f64) {
    let mut share = vec![0.0; doubled.iter().sum::<usize>() + 1];
    share[0] = 1.0;
    let mut most = 0;
    for rank in doubled {
        most += rank;
        for total in (0..=most).rev() {
            let with = total.checked_sub(*rank).map_or(0.0, |without| share[without]);
            share[total] = (share[total] + with) / 2.0;
        }
    }
    let tail = |of: &[f64]| of.iter().sum::<f64>().min(1.0);
    (tail(&share[sum..]), tail(&share[..=sum]))
}

/// Both tails of the normal distribution, corrected for ties and for that sums go by steps.
fn approximated(n: f64, ties: f64, positive: f64) -> (f64, f64) {
    let mean = n * (n + 1.0) / 4.0;
    let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
    let normal = Normal::standard();
    (
        normal.sf((positive - mean - 0.5) / deviation),
        normal.cdf((positive - mean + 0.5) / deviation),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    #[expect(clippy::approx_constant, reason = "a depression factor of 3.14 is not pi")]
    fn the_example_of_rs_manual() {
        // ?wilcox.test: wilcox.test(x, y, paired = TRUE, alternative = "greater") prints V = 40, p-value = 0.01953.
        let x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
        let found = signed_rank(&differences, 0.0);
        assert_eq!((found.n, found.positive), (9, 40.0));
        assert!((found.greater - 0.01953).abs() < 5e-6, "{found:?}");
    }

    /// Differences 1, -2, 3, … of which those in `positive` are not negative.
    fn ranks(n: usize, positive: &[usize]) -> Vec<f64> {
        let sign = |rank: usize| if positive.contains(&rank) { 1.0 } else { -1.0 };
        (1..=n).map(|rank| sign(rank) * rank as f64).collect()
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        // Of 2^5 ways one has no positive rank.
        assert_eq!(signed_rank(&ranks(5, &[]), 0.0).less, 1.0 / 32.0);
        // n = 10, sum at most 8: 25 of 1024 ways, which tables have as 0.0244; at most 10: 0.0420 (43 ways).
        assert_eq!(signed_rank(&ranks(10, &[8]), 0.0).less, 25.0 / 1024.0);
        assert_eq!(signed_rank(&ranks(10, &[10]), 0.0).less, 43.0 / 1024.0);
        // n = 20: 52 is the critical value of 2.5 % of one side.
        assert!(signed_rank(&ranks(20, &[20, 19, 13]), 0.0).less <= 0.025);
        assert!(signed_rank(&ranks(20, &[20, 19, 14]), 0.0).less > 0.025);
    }

    #[test]
    fn ties_and_zeros_by_hand() {
        // 0 is left out; |1|, |1|, |2| have the ranks 1.5, 1.5, 3. Of the 8 sums (0, 1.5 twice, 3 twice, 4.5 twice, 6) five
        // are at least 3, and five at most 3.
        let found = signed_rank(&[0.0, 1.0, 1.0, -2.0], 0.0);
        assert_eq!((found.n, found.positive), (3, 3.0));
        assert_eq!((found.greater, found.less), (5.0 / 8.0, 5.0 / 8.0));
        assert_eq!(found.two_sided(), 1.0);
        let nothing = signed_rank(&[0.0, 0.0], 0.0);
        assert_eq!((nothing.n, nothing.greater, nothing.less), (0, 1.0, 1.0));
    }

    #[test]
    fn a_centre_is_taken_off() {
        let moved: Vec<f64> = ranks(10, &[8]).iter().map(|difference| difference + 3.0).collect();
        assert_eq!(signed_rank(&moved, 3.0), signed_rank(&ranks(10, &[8]), 0.0));
    }

    #[test]
    fn beyond_fifty_it_goes_on_as_it_was() {
        let mut chance = Chance::new(1);
        for n in [51, 60, 80] {
            for shift in [0.0, 0.15, -0.3] {
                let differences: Vec<f64> = (0..n)
                    .map(|_| (chance.normal(shift, 1.0) * 20.0).round() / 20.0)
                    .collect();
                let found = signed_rank(&differences, 0.0);
                let mut sizes: Vec<f64> = differences.iter().map(|d| d.abs()).filter(|d| *d > 0.0).collect();
                sizes.sort_by(f64::total_cmp);
                let mean_rank = |size: f64| {
                    let below = sizes.iter().filter(|other| **other < size).count();
                    let same = sizes.iter().filter(|other| **other == size).count();
                    2 * below + same + 1
                };
                let doubled: Vec<usize> = sizes.iter().map(|size| mean_rank(*size)).collect();
                let (greater, less) = counted(&doubled, (found.positive * 2.0) as usize);
                assert!((found.greater - greater).abs() < 0.003, "{found:?} {greater}");
                assert!((found.less - less).abs() < 0.003, "{found:?} {less}");
            }
        }
    }

    #[test]
    fn random_order_makes_it_exact_where_neighbours_depend_on_each_other() {
        // Two identical programs on a machine that is slow for whole minutes and quick in between. In random order the test
        // rejects 5 % of the time; with one program always first, which is slower, nearly always.
        let mut chance = Chance::new(2);
        let (trials, pairs) = (1500, 60);
        let mut rejected = [0, 0];
        for _ in 0..trials {
            let mut weather = 0.0;
            let (mut random, mut fixed) = (Vec::new(), Vec::new());
            for _ in 0..pairs {
                weather = 0.98 * weather + chance.normal(0.0, 0.2);
                let first = 0.05 + weather * 0.5 + chance.normal(0.0, 0.05);
                let second = weather * 0.4 + chance.normal(0.0, 0.05);
                fixed.push(first - second);
                random.push(if chance.below(2) == 0 {
                    first - second
                } else {
                    second - first
                });
            }
            for (count, differences) in rejected.iter_mut().zip([random, fixed]) {
                *count += usize::from(signed_rank(&differences, 0.0).two_sided() <= 0.05);
            }
        }
        let [random, fixed] = rejected.map(|count| count as f64 / trials as f64);
        assert!((0.035..=0.065).contains(&random), "{random}");
        assert!(fixed > 0.5, "{fixed}");
    }
}
