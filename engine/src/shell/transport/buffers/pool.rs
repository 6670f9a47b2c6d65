//! The buffers of one core: rented, given back, and kept for the next renter.
//!
//! In: a size. Out: an empty buffer of that size. What is rented is counted against a budget, and what
//! nobody has needed for a while goes back to the allocator.

use std::cell::{Cell, RefCell};

use strum::{EnumCount, VariantArray};

use super::buffer::Buffer;
use super::size::BufferSize;

/// The buffers of one core: those that are free, and the count of those that are rented.
#[derive(Debug)]
pub struct BufferPool {
    free: [RefCell<Vec<Buffer>>; BufferSize::COUNT],
    rented: [Cell<u32>; BufferSize::COUNT],
    /// The fewest free ones since the last [`BufferPool::trim`]: that many were not needed.
    spare: [Cell<usize>; BufferSize::COUNT],
    peak: [Cell<u32>; BufferSize::COUNT],
    /// Bytes of the buffers that are rented.
    bytes: Cell<usize>,
    /// Bytes that may be rented before the core has to win some back.
    budget: usize,
    /// Bytes that went to the allocator since [`BufferPool::take_released`].
    released: Cell<usize>,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl BufferPool {
    /// A pool with a budget for what is rented. The budget refuses nobody: whoever holds a buffer may need
    /// another one to finish. The core wins back what is beyond it.
    #[must_use]
    pub fn within(budget: usize) -> Self {
        Self {
            free: Default::default(),
            rented: Default::default(),
            spare: Default::default(),
            peak: Default::default(),
            bytes: Cell::new(0),
            budget,
            released: Cell::new(0),
        }
    }

    /// Rented bytes beyond the budget.
    #[must_use]
    pub const fn excess(&self) -> usize {
        self.bytes.get().saturating_sub(self.budget)
    }

    /// Is so much rented beyond the budget that no new connection should be accepted?
    #[must_use]
    pub const fn is_overdrawn(&self) -> bool {
        self.excess() > self.budget / 8
    }

    /// Counts memory beside the buffers as rented, for somebody who can do without: no more than one part in `share` of
    /// the budget may be in use then. `held` becomes `bytes`, if it was less.
    #[must_use]
    pub fn reserve(&self, held: &mut usize, bytes: usize, share: usize) -> bool {
        let more = bytes.saturating_sub(*held);
        let rented = self.bytes.get().saturating_add(more);
        if more > 0 && rented > self.budget / share.max(1) {
            return false;
        }
        self.bytes.set(rented);
        *held += more;
        true
    }

    /// Gives back what was reserved.
    pub fn unreserve(&self, held: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(held));
    }

    /// An empty buffer of this size.
    #[must_use]
    pub fn rent(&self, size: BufferSize) -> Buffer {
        self.bytes.set(self.bytes.get() + size.bytes());
        if let Some(count) = self.rented.get(size.index()) {
            count.set(count.get() + 1);
            if let Some(peak) = self.peak.get(size.index())
                && peak.get() < count.get()
            {
                peak.set(count.get());
            }
        }
        let free = self.free.get(size.index()).and_then(|list| {
            let mut list = list.borrow_mut();
            let buffer = list.pop();
            if let Some(spare) = self.spare.get(size.index()) {
                spare.set(spare.get().min(list.len()));
            }
            buffer
        });
        free.unwrap_or_else(|| Buffer::new(size))
    }

    /// Takes a buffer back.
    pub fn give_back(&self, mut buffer: Buffer) {
        let size = buffer.size();
        self.bytes.set(self.bytes.get().saturating_sub(size.bytes()));
        if let Some(count) = self.rented.get(size.index()) {
            count.set(count.get().saturating_sub(1));
        }
        buffer.clear();
        if let Some(list) = self.free.get(size.index()) {
            let mut list = list.borrow_mut();
            if list.len() < size.kept_max() {
                list.push(buffer);
            } else {
                self.released.set(self.released.get() + size.bytes());
            }
        }
    }

    /// Gives the buffers that were not needed since the last call back to the allocator.
    pub fn trim(&self) {
        let mut bytes = self.released.get();
        for (list, spare) in self.free.iter().zip(&self.spare) {
            let mut list = list.borrow_mut();
            let kept = list.len().saturating_sub(spare.get());
            bytes += list.drain(kept..).map(|buffer| buffer.capacity()).sum::<usize>();
            list.shrink_to(2 * kept);
            spare.set(kept);
        }
        self.released.set(bytes);
    }

    /// Did more than `least` bytes go back to the allocator since this last said yes?
    #[must_use]
    pub fn take_released(&self, least: usize) -> bool {
        let enough = self.released.get() > least;
        if enough {
            self.released.set(0);
        }
        enough
    }

    /// Empties a slot and takes its buffer back.
    pub fn release(&self, slot: &mut Option<Buffer>) {
        if let Some(buffer) = slot.take() {
            self.give_back(buffer);
        }
    }

    /// Makes room in `slot` for at least `room` more bytes; an empty slot gets a buffer of `first` size.
    pub fn make_room(&self, slot: &mut Option<Buffer>, first: BufferSize, room: usize) {
        let mut buffer = slot.take().unwrap_or_else(|| self.rent(first));
        if buffer.spare() < room {
            buffer.compact();
        }
        if buffer.spare() < room {
            let size = BufferSize::holding(buffer.len() + room);
            buffer = self.grow(buffer, size);
        }
        *slot = Some(buffer);
    }

    /// Appends the rest of a payload (at most 2^14 bytes) to `slot`, whose buffer grows if it must.
    pub fn append_rest(&self, slot: &mut Option<Buffer>, rest: &[u8]) {
        if !rest.is_empty() {
            self.make_room(slot, BufferSize::Record, rest.len());
            let kept = slot.as_mut().map_or(0, |buffer| buffer.append(rest));
            debug_assert_eq!(kept, rest.len());
        }
    }

    /// Brings `slot` to this size, or to a larger one if its contents need it.
    pub fn resize(&self, slot: &mut Option<Buffer>, size: BufferSize) {
        match slot.take() {
            Some(buffer) if buffer.size() == size => *slot = Some(buffer),
            Some(buffer) if !buffer.is_empty() => {
                let lessens = buffer.capacity() > size.bytes() && buffer.len() < size.bytes();
                *slot = Some(if lessens {
                    self.move_to(buffer, size)
                } else {
                    self.grow(buffer, size)
                });
            }
            other => {
                if let Some(buffer) = other {
                    self.give_back(buffer);
                }
                *slot = Some(self.rent(size));
            }
        }
    }

    /// A buffer of at least this size with the same contents.
    #[must_use]
    pub fn grow(&self, buffer: Buffer, size: BufferSize) -> Buffer {
        if buffer.capacity() >= size.bytes() {
            return buffer;
        }
        self.move_to(buffer, size)
    }

    /// Moves the contents into a buffer of this size, which must suffice.
    fn move_to(&self, from: Buffer, size: BufferSize) -> Buffer {
        let mut to = self.rent(size);
        to.append(from.filled());
        self.give_back(from);
        to
    }

    /// Moves the contents into the smallest buffer that holds them.
    #[must_use]
    pub fn shrink(&self, buffer: Buffer) -> Buffer {
        let fits = |size: &BufferSize| size.bytes() >= buffer.len();
        let size = BufferSize::VARIANTS.iter().copied().find(fits);
        let Some(size) = size.filter(|size| size.bytes() < buffer.capacity()) else {
            return buffer;
        };
        self.move_to(buffer, size)
    }

    /// The most buffers that were ever rented at once, by size.
    #[must_use]
    pub fn peak(&self) -> [u32; BufferSize::COUNT] {
        self.peak.each_ref().map(Cell::get)
    }

    /// Free buffers, by size.
    #[must_use]
    pub fn free(&self) -> [u32; BufferSize::COUNT] {
        let count = |list: &RefCell<Vec<Buffer>>| u32::try_from(list.borrow().len());
        self.free.each_ref().map(|list| count(list).unwrap_or(u32::MAX))
    }

    /// Rented buffers, by size.
    #[must_use]
    pub fn rented(&self) -> [u32; BufferSize::COUNT] {
        self.rented.each_ref().map(Cell::get)
    }

    /// Bytes of the buffers that are rented now.
    #[must_use]
    pub const fn rented_bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Bytes that may be rented before the core has to win some back.
    #[must_use]
    pub const fn budget(&self) -> usize {
        self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_append_and_sends_take_from_the_front() {
        let buffers = BufferPool::default();
        let mut buffer = buffers.rent(BufferSize::Small);
        assert_eq!(buffer.append(b"hello world"), 11);
        buffer.consume(6);
        assert_eq!(buffer.filled(), b"world");
        buffer.compact();
        assert_eq!(buffer.filled(), b"world");
        assert_eq!(buffer.spare(), BufferSize::Small.bytes() - 5);
        buffer.consume(5);
        assert_eq!(buffer.spare(), BufferSize::Small.bytes());
    }

    #[test]
    fn a_full_buffer_takes_no_more() {
        let buffers = BufferPool::default();
        let mut buffer = buffers.rent(BufferSize::Small);
        assert_eq!(buffer.append(&[7; 5_000]), BufferSize::Small.bytes());
        assert_eq!(buffer.spare(), 0);
        assert_eq!(buffer.append(b"x"), 0);
        let buffer = buffers.grow(buffer, BufferSize::Record);
        assert_eq!(buffer.filled(), &[7; 1_024]);
        assert_eq!(buffers.rented(), [0, 1, 0, 0, 0]);
        assert_eq!((buffers.free(), buffers.peak()), ([1, 0, 0, 0, 0], [1, 1, 0, 0, 0]));
        assert_eq!(buffers.rented_bytes(), BufferSize::Record.bytes());
        buffers.give_back(buffer);
        assert_eq!(buffers.rented_bytes(), 0);
    }

    #[test]
    fn what_is_left_moves_into_the_smallest_buffer_that_will_do() {
        let buffers = BufferPool::default();
        for (length, wanted) in [
            (1, BufferSize::Small),
            (1_024, BufferSize::Small),
            (1_025, BufferSize::Record),
            (20 * 1_024, BufferSize::Record),
            (20 * 1_024 + 1, BufferSize::Double),
            (36 * 1_024 + 1, BufferSize::Quad),
            (68 * 1_024 + 1, BufferSize::Body),
        ] {
            assert!(
                wanted == BufferSize::Small || BufferSize::holding(length) == wanted,
                "{length}"
            );
            for size in BufferSize::VARIANTS.iter().copied() {
                let mut buffer = buffers.rent(size);
                let before = buffer.append(&vec![7; length + 1].as_slice()[..length]);
                if before < length {
                    buffers.give_back(buffer);
                    continue;
                }
                // From the middle as well.
                buffer.consume(1);
                buffer.append(b"x");
                let contents = buffer.filled().to_vec();
                let buffer = buffers.shrink(buffer);
                assert_eq!(buffer.filled(), contents);
                assert!(buffer.size() == wanted || contents.len() < length, "{length} {size:?}");
                buffers.give_back(buffer);
            }
        }
        assert_eq!(buffers.rented(), [0; BufferSize::COUNT]);
    }

    #[test]
    fn a_budget_is_told_and_stops_nobody() {
        let budget = 8 * BufferSize::Record.bytes();
        let buffers = BufferPool::within(budget);
        let mut out: Vec<_> = (0..8).map(|_| buffers.rent(BufferSize::Record)).collect();
        assert_eq!((buffers.excess(), buffers.is_overdrawn()), (0, false));
        out.push(buffers.rent(BufferSize::Record));
        assert_eq!((buffers.excess(), buffers.is_overdrawn()), (BufferSize::Record.bytes(), false));
        out.push(buffers.rent(BufferSize::Small));
        assert!(buffers.is_overdrawn());
        out.into_iter().for_each(|buffer| buffers.give_back(buffer));
        assert_eq!((buffers.excess(), buffers.rented_bytes()), (0, 0));
    }

    #[test]
    fn what_nobody_needs_for_a_while_is_given_back() {
        let buffers = BufferPool::default();
        let crowd: Vec<_> = (0..10).map(|_| buffers.rent(BufferSize::Record)).collect();
        crowd.into_iter().for_each(|buffer| buffers.give_back(buffer));
        let trimmed = || {
            buffers.trim();
            buffers.released.take()
        };
        assert_eq!(trimmed(), 0, "all ten were in use");
        let pair = [buffers.rent(BufferSize::Record), buffers.rent(BufferSize::Record)];
        pair.into_iter().for_each(|buffer| buffers.give_back(buffer));
        assert_eq!(trimmed(), 8 * BufferSize::Record.bytes());
        assert_eq!(trimmed(), 2 * BufferSize::Record.bytes());
        assert_eq!(trimmed(), 0);
    }

    #[test]
    fn what_finds_no_room_in_the_list_counts_as_released() {
        let buffers = BufferPool::default();
        let most = BufferSize::Body.kept_max();
        let crowd: Vec<_> = (0..most + 3).map(|_| buffers.rent(BufferSize::Body)).collect();
        crowd.into_iter().for_each(|buffer| buffers.give_back(buffer));
        let released = 3 * BufferSize::Body.bytes();
        assert!(!buffers.take_released(released));
        assert!(buffers.take_released(released - 1));
        assert!(!buffers.take_released(0), "it was taken");
    }
}
