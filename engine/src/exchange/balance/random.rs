//! Numbers that spread choices: xorshift64* (Vigna, 2016). Nobody is kept out by them, so they need not be secret.

/// The state of one balancer.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Different seeds give different numbers.
    pub(super) const fn new(seed: u64) -> Self {
        // Mixed, so that neighbours differ (splitmix64), and never 0, from which nothing comes.
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 27)) | 1)
    }

    pub(super) const fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One below `bound`; 0 if that is 0.
    #[cfg(test)]
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }
}
