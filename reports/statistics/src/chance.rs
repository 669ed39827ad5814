//! Chance that can be had again.

/// SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014): the same numbers for the same
/// seed, and no seed is a bad one.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one, whose numbers are not those that this one will give.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        // The upper half of the product is below `limit`; for lists that fit into memory its bias is below 2^-30.
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A number between 0 and 1, and neither of them.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// A number of the normal distribution (Box and Muller 1958).
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        mean + deviation * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Shuffles (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first outputs of Vigna's splitmix64.c for the seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| chance.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_shuffle_keeps_what_it_moves() {
        let mut items: Vec<usize> = (0..50).collect();
        Chance::new(7).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn every_order_of_three_is_as_frequent() {
        let mut chance = Chance::new(3);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            chance.shuffle(&mut items);
            *seen.entry(items).or_insert(0u32) += 1;
        }
        // 1000 each are expected, with a standard deviation of 29.
        assert!(
            seen.len() == 6 && seen.values().all(|n| (880..1120).contains(n)),
            "{seen:?}"
        );
    }

    #[test]
    fn normal_numbers_have_the_mean_and_the_deviation_that_were_asked_for() {
        let mut chance = Chance::new(4);
        let values: Vec<f64> = (0..20_000).map(|_| chance.normal(3.0, 2.0)).collect();
        let (mean, deviation) = crate::mean::moments(&values);
        assert!(
            (mean - 3.0).abs() < 0.06 && (deviation - 2.0).abs() < 0.05,
            "{mean} {deviation}"
        );
    }
}
