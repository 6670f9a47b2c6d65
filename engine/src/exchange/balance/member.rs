//! A node that may be asked.

use super::load::as_f32;
use crate::plan::NodeIndex;

/// One of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) node: NodeIndex,
    /// Of it, or tenths of it while some node of the upstream begins slowly; more than 0.
    pub(super) weight: u64,
}

impl Member {
    /// What one more request weighs beside so many open ones, for each unit of weight.
    pub(super) fn load(&self, open: u32) -> f32 {
        as_f32(open.saturating_add(1)) / self.divisor()
    }

    /// The weight, for what is compared.
    pub(super) fn divisor(&self) -> f32 {
        as_f32(u32::try_from(self.weight).unwrap_or(u32::MAX))
    }
}
