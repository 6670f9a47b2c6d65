//! A block of memory with a filled middle, and what the allocator is asked for.
//!
//! Reads append after what is filled, sends take from its front. The memory never moves while the
//! kernel has it, because giving it to the kernel is giving it away.

use std::fmt;

use monoio::buf::{IoBuf, IoBufMut};

use super::size::BufferSize;

/// A block of memory with a filled middle.
pub struct Buffer {
    memory: Box<[u8]>,
    /// First filled byte.
    start: usize,
    /// First byte after the filled ones; `start <= end <= memory.len()`.
    end: usize,
    size: BufferSize,
}

/// Lengths only: what peers sent has no place in a log.
impl fmt::Debug for Buffer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("Buffer");
        fields.field("size", &self.size).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Buffer {
    /// An empty one.
    #[must_use]
    pub(super) fn new(size: BufferSize) -> Self {
        Self { memory: vec![0; size.bytes()].into_boxed_slice(), start: 0, end: 0, size }
    }

    /// Its size class.
    #[must_use]
    pub const fn size(&self) -> BufferSize {
        self.size
    }

    /// What it holds.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    /// What it holds, to be decrypted in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Bytes it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Does it hold nothing?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.size.bytes()
    }

    /// Bytes of room after the filled ones.
    #[must_use]
    pub const fn spare(&self) -> usize {
        self.memory.len() - self.end
    }

    /// The room after the filled bytes.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes of the spare room are filled now.
    pub fn fill(&mut self, count: usize) {
        debug_assert!(count <= self.spare());
        self.end = self.memory.len().min(self.end + count);
    }

    /// The first `count` filled bytes are done with.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start = self.end.min(self.start + count);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Drops everything it holds.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Keeps the first `count` filled bytes and drops the rest.
    pub const fn truncate(&mut self, count: usize) {
        if count < self.len() {
            self.end = self.start + count;
        }
    }

    /// Moves what it holds to the front, so that all room is after it.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends as much of `bytes` as fits; tells how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.spare());
        if let (Some(room), Some(bytes)) = (self.spare_mut().get_mut(..count), bytes.get(..count)) {
            room.copy_from_slice(bytes);
        }
        self.fill(count);
        count
    }
}

// SAFETY: the pointer is into a boxed slice, which does not move while `self` does; `end <= len`
// and every byte of the slice was initialised when it was made.
#[expect(unsafe_code, reason = "the kernel reads the filled bytes")]
unsafe impl IoBuf for Buffer {
    fn read_ptr(&self) -> *const u8 {
        self.filled().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; the room sent_bytes out is `end..len`, and `set_init` never grows past it.
#[expect(unsafe_code, reason = "the kernel writes into the spare room")]
unsafe impl IoBufMut for Buffer {
    fn write_ptr(&mut self) -> *mut u8 {
        self.spare_mut().as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.spare()
    }

    unsafe fn set_init(&mut self, count: usize) {
        self.fill(count);
    }
}

/// Asks this thread's allocator to give what is free back to the system: it would do so while it
/// allocates, which a core that has calmed down does no more.
#[expect(unsafe_code, reason = "the allocator has no safe interface")]
pub fn give_memory_back() {
    // SAFETY: takes no pointers and may be called at any time on any thread.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::transport::buffers::BufferPool;

    #[test]
    fn a_buffer_shows_none_of_its_contents() {
        let mut buffer = BufferPool::default().rent(BufferSize::Small);
        buffer.append(b"secret");
        assert_eq!(format!("{buffer:?}"), "Buffer { size: Small, len: 6, .. }");
    }

    #[test]
    fn the_kernels_view_is_the_spare_room_and_the_filled_bytes() {
        let buffers = BufferPool::default();
        let mut buffer = buffers.rent(BufferSize::Small);
        buffer.append(b"abc");
        buffer.consume(1);
        assert_eq!(buffer.bytes_init(), 2);
        assert_eq!(buffer.bytes_total(), BufferSize::Small.bytes() - 3);
        let pointer = buffer.write_ptr();
        // SAFETY: the pointer is to at least one byte of spare room.
        #[expect(unsafe_code, reason = "plays the kernel")]
        unsafe {
            pointer.write(b'd');
        }
        // SAFETY: one byte was just written.
        #[expect(unsafe_code, reason = "plays the kernel")]
        unsafe {
            buffer.set_init(1);
        }
        assert_eq!(buffer.filled(), b"bcd");
    }
}
