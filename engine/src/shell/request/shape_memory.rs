//! The memory in which a response is worked out whose head or body a route's policy changes.

use crate::exchange::response_block::ResponseBlock;

/// Reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub(super) struct ShapeMemory {
    /// What changes in the head.
    pub(super) block: ResponseBlock,
    /// A value that is looked at.
    pub(super) value: Vec<u8>,
    /// A body of our own, rendered.
    pub(super) body: Vec<u8>,
    /// The rules, by number, whose filters the upstream's body is for.
    pub(super) filters: Vec<usize>,
}

impl ShapeMemory {
    /// Gives back what grew beyond this many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.block.shrink_to(bytes);
        for grown in [&mut self.value, &mut self.body] {
            grown.clear();
            if grown.capacity() > bytes {
                grown.shrink_to(bytes);
            }
        }
    }
}
