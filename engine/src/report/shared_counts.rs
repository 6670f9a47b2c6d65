//! Numbers that one core writes and anybody reads.
//!
//! One writer each: adding is a relaxed load and a relaxed store, never a read-modify-write. Readers
//! may be a moment behind.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer.
#[derive(Debug, Default)]
pub struct SharedCount(AtomicU64);

impl SharedCount {
    /// Adds to the value. Only the owning core may call this.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Sets the value. Only the owning core may call this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A row of such numbers.
#[derive(Debug)]
pub struct SharedCounts<const N: usize>([SharedCount; N]);

impl<const N: usize> Default for SharedCounts<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| SharedCount::default()))
    }
}

impl<const N: usize> SharedCounts<N> {
    /// Adds one at an index. Only the owning core may call this.
    pub fn count(&self, at: usize) {
        self.add(at, 1);
    }

    /// Adds at an index. Only the owning core may call this.
    pub fn add(&self, at: usize, amount: u64) {
        if let Some(value) = self.0.get(at) {
            value.add(amount);
        }
    }

    /// Every number, in the order of its index.
    pub fn values(&self) -> impl Iterator<Item = &SharedCount> {
        self.0.iter()
    }

    /// Adds every value to a sum.
    pub fn sum_into(&self, sums: &mut [u64; N]) {
        for (sum, value) in sums.iter_mut().zip(&self.0) {
            *sum = sum.wrapping_add(value.get());
        }
    }
}
