//! A request's body, held while it goes up so that another try can send it again.
//!
//! In: what is read of the body behind the part that came with the head, as it came. Out: the same bytes, for
//! as long as all of them are held. Bounded by `retry_buffer`, and by the memory of the core: where more than
//! a quarter of its budget is in use, nothing is held, and the request is as one of which a part is gone.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::shell::transport::buffers::{Buffer, BufferPool, BufferSize, PLAIN_BYTES_MAX};

/// Bodies are held only while no more than one part in so many of the core's buffer memory is in use: the rest is
/// for those who have no choice.
pub(super) const SHARE: usize = 4;

/// What is held of one request's body; empty between requests.
#[derive(Debug, Default)]
pub(crate) struct HeldBody {
    /// Where the memory comes from; none while nothing is held.
    buffers: Option<Rc<BufferPool>>,
    pieces: RefCell<Vec<Buffer>>,
    bytes: Cell<usize>,
    bytes_max: usize,
    /// Something of it was not kept, or is not needed any more.
    gone: Cell<bool>,
    /// The client was told to send its body.
    welcomed: Cell<bool>,
}

impl HeldBody {
    /// Holds up to `bytes_max` from now on, if it is not doing so already.
    pub(super) fn begin(&mut self, buffers: &Rc<BufferPool>, bytes_max: usize) {
        if self.buffers.is_none() {
            self.buffers = Some(Rc::clone(buffers));
            self.bytes_max = bytes_max;
        }
    }

    /// Does it hold what is read of a body?
    pub(super) const fn has_begun(&self) -> bool {
        self.buffers.is_some()
    }

    /// Forgets everything, and gives the memory back.
    pub(super) fn clear(&mut self) {
        if self.buffers.is_none() {
            return;
        }
        self.release();
        self.buffers = None;
        self.gone.set(false);
        self.welcomed.set(false);
    }

    /// The next bytes that were read. What does not fit makes all of it useless.
    pub(super) fn keep(&self, bytes: &[u8]) {
        if bytes.is_empty() || self.gone.get() {
            return;
        }
        if bytes.len() > self.bytes_max.saturating_sub(self.bytes.get()) || !self.append(bytes) {
            self.give_up();
        }
    }

    /// False if the core has no memory to spare.
    fn append(&self, mut bytes: &[u8]) -> bool {
        let Some(buffers) = &self.buffers else { return false };
        let mut pieces = self.pieces.borrow_mut();
        self.bytes.set(self.bytes.get() + bytes.len());
        loop {
            let kept = pieces.last_mut().map_or(0, |piece| piece.append(bytes));
            bytes = bytes.get(kept..).unwrap_or_default();
            if bytes.is_empty() {
                return true;
            }
            // As much again as there is, so that few pieces hold much and little is held for a little.
            let size = BufferSize::holding(self.bytes.get());
            if buffers.rented_bytes().saturating_add(size.bytes()) > buffers.budget() / SHARE {
                return false;
            }
            pieces.push(buffers.rent(size));
        }
    }

    /// It is not to be sent again: the memory goes back now.
    pub(super) fn give_up(&self) {
        self.gone.set(true);
        self.release();
    }

    fn release(&self) {
        self.bytes.set(0);
        if let Some(buffers) = &self.buffers {
            self.pieces.borrow_mut().drain(..).for_each(|piece| buffers.give_back(piece));
        }
    }

    /// Is everything held that was read of the body?
    pub(super) const fn is_whole(&self) -> bool {
        !self.gone.get()
    }

    /// Was any of it read?
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    /// Hands out the bytes from `at` on, as many as one record takes; none at the end.
    pub(super) fn with_slice<T>(&self, at: usize, take: impl FnOnce(&[u8]) -> T) -> T {
        let pieces = self.pieces.borrow();
        let mut before = 0;
        for piece in pieces.iter() {
            let filled = piece.filled();
            if let Some(rest) =
                filled.get(at.saturating_sub(before)..).filter(|rest| !rest.is_empty())
            {
                return take(rest.get(..PLAIN_BYTES_MAX).unwrap_or(rest));
            }
            before += filled.len();
        }
        take(&[])
    }

    /// The client was told to send its body: it is not told again.
    pub(super) fn note_welcome(&self) {
        self.welcomed.set(true);
    }

    /// Was the client told to send its body?
    pub(super) const fn is_welcomed(&self) -> bool {
        self.welcomed.get()
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::flow::{Flow, Framing};
    use crate::wire::framing::BodyLength;

    fn held(pool: &Rc<BufferPool>, bytes_max: usize) -> HeldBody {
        let mut held = HeldBody::default();
        held.begin(pool, bytes_max);
        held
    }

    fn all(held: &HeldBody) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let at = all.len();
            held.with_slice(at, |slice| {
                assert!(slice.len() <= PLAIN_BYTES_MAX);
                all.extend_from_slice(slice);
            });
            if all.len() == at {
                return all;
            }
        }
    }

    #[test]
    fn what_was_kept_comes_out_again_however_it_came() {
        let pool = Rc::new(BufferPool::default());
        let body: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        for step in [1_000, 16_384, 20_480, 65_537, 200_000] {
            let mut held = held(&pool, body.len());
            assert!(held.is_empty() && held.is_whole());
            body.chunks(step).for_each(|bytes| held.keep(bytes));
            assert!(held.is_whole() && all(&held) == body, "{step}");
            assert!(pool.rented_bytes() < 3 * body.len(), "{step}: {}", pool.rented_bytes());
            // The bound is exact.
            held.keep(b"x");
            assert!(!held.is_whole() && all(&held).is_empty() && pool.rented_bytes() == 0);
            held.keep(b"y");
            assert!(all(&held).is_empty());
            held.clear();
            held.begin(&pool, 1);
            held.keep(b"z");
            assert!(held.is_whole() && all(&held) == b"z");
            drop(held);
            assert_eq!(pool.rented_bytes(), 0);
        }
    }

    #[test]
    fn nothing_is_held_where_memory_is_short() {
        let pool = Rc::new(BufferPool::within(4 * SHARE * BufferSize::Record.bytes()));
        let mut all: Vec<_> = (0..6).map(|_| held(&pool, 1 << 20)).collect();
        all.iter().for_each(|held| held.keep(b"abc"));
        let whole: Vec<_> = all.iter().map(HeldBody::is_whole).collect();
        assert_eq!(whole, [true, true, true, true, false, false]);
        // One of these grows, and loses what it has.
        let more = vec![7; 40_000];
        all[0].keep(&more);
        assert!(!all[0].is_whole());
        assert_eq!(pool.rented_bytes(), 3 * BufferSize::Record.bytes());
        all.clear();
        assert_eq!(pool.rented_bytes(), 0);
    }

    #[test]
    fn a_welcome_is_remembered_until_the_request_is_over() {
        let pool = Rc::new(BufferPool::default());
        let mut held = held(&pool, 9);
        assert!(!held.is_welcomed());
        held.note_welcome();
        held.give_up();
        assert!(held.is_welcomed());
        held.clear();
        assert!(!held.is_welcomed() && held.is_whole());
    }

    /// Wherever the first try has failed, the second one stands there as well, and both have sent the same.
    #[test]
    fn a_second_try_goes_on_where_the_first_one_was() {
        let chunks: &[u8] = b"3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: v\r\n\r\n";
        for (length, framing, input) in [
            (BodyLength::Chunked, Framing::Chunked, chunks),
            (BodyLength::Length(19), Framing::Length(19), b"abc0123456789abcdef"),
        ] {
            for (with_head, read) in
                (0..=input.len()).flat_map(|at| (at..=input.len()).map(move |read| (at, read)))
            {
                let pool = Rc::new(BufferPool::default());
                let held = held(&pool, input.len());
                let begin = || {
                    let mut flow = Flow::new(length, framing, None);
                    let mut sent = Vec::new();
                    assert_eq!(
                        flow.copy(&input[..with_head], &mut sent).unwrap().consumed,
                        with_head
                    );
                    (flow, sent)
                };
                let (mut first, mut sent_first) = begin();
                let rest = &input[with_head..read];
                let used = first.copy(rest, &mut sent_first).unwrap().consumed;
                held.keep(&rest[..used]);
                let (mut second, mut sent_second) = begin();
                let mut at = 0;
                loop {
                    let copied = held.with_slice(at, |slice| second.copy(slice, &mut sent_second));
                    let consumed = copied.unwrap().consumed;
                    if consumed == 0 {
                        break;
                    }
                    at += consumed;
                }
                assert_eq!((at, second.bytes_in()), (used, first.bytes_in()));
                assert_eq!(second.is_done(), first.is_done());
                for (flow, sent) in [(&mut first, &mut sent_first), (&mut second, &mut sent_second)]
                {
                    flow.copy(&input[with_head + used..], sent).unwrap();
                    assert!(flow.is_done(), "{length:?} {with_head} {read}");
                    let mut reader = Flow::new(length, Framing::Raw, None);
                    let mut data = Vec::new();
                    reader.copy(sent, &mut data).unwrap();
                    assert!(reader.is_done() && data == b"abc0123456789abcdef");
                }
            }
        }
    }
}
