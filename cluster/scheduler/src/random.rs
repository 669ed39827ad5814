//! Random numbers from a seed.

/// SplitMix64: one addition and a mix, enough to break ties.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.draw()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_same_seed_draws_the_same_numbers_and_all_of_them_are_reached() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        let drawn: Vec<usize> = (0..1000).map(|_| one.below(5)).collect();
        assert_eq!(drawn, (0..1000).map(|_| other.below(5)).collect::<Vec<_>>());
        assert!((0..5).all(|number| drawn.contains(&number)));
        assert_eq!(one.below(0), 0);
    }
}
