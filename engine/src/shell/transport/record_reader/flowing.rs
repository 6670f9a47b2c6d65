//! How a flowing body is received: no memory is held for bytes that have not arrived.
//!
//! The kernel tells first that there are bytes, then how many; the buffer is made for these, and for no
//! more than the receiver takes. A buffer of the right size is filled at once, where a small one would
//! need two receives, and a large one would be held by every sender that has stopped.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use super::unsent::{drive_beside, send_unsent};
use super::{RecordReader, Wait};
use crate::shell::transport::buffers::{Buffer, BufferPool, BufferSize};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Security;

impl RecordReader {
    /// A body is flowing: the next receive gets memory for what has arrived by then, and for no more than
    /// the `room` that its receiver has.
    pub(crate) const fn size_next_receive(&mut self, room: usize) {
        self.room = Some(room);
    }

    /// Waits until bytes have arrived, and holds no memory for them meanwhile; then makes room for them,
    /// and for no more than the receiver takes. If the connection has ended, the next receive tells so.
    pub(super) async fn await_bytes(
        &mut self,
        security: &RefCell<Security>,
        tls: bool,
        buffers: &BufferPool,
        room: usize,
    ) {
        let mut available = self.descriptor.available();
        if available == 0 {
            self.rest(tls, buffers, false);
            let held = |slot: &Option<Buffer>| slot.as_ref().map_or(0, Buffer::capacity);
            self.timer.set_held_bytes(held(&self.cipher) + held(&self.plain));
            let unsent = send_unsent(&self.half, self.descriptor, security);
            let readable = pin!(self.half.readable());
            let readable = pin!(drive_beside(unsent, readable));
            let _: io::Result<()> = self.budget.drive(readable).await;
            available = self.descriptor.available();
        }
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        let held = slot.as_ref().map_or(0, Buffer::len);
        let wanted = BufferSize::holding(held + available);
        buffers.resize(slot, wanted.min(BufferSize::within(held + room)));
        buffers.make_room(slot, BufferSize::Record, 1);
    }

    /// Waits until bytes have arrived, or the end; true then, and false as soon as `is_over`, which is asked
    /// whenever the task is woken. Either way nothing is lost, and the wait holds no memory.
    ///
    /// # Errors
    /// [`StreamError::TimedOut`].
    pub(crate) async fn await_unless(
        &mut self,
        security: &RefCell<Security>,
        tls: bool,
        buffers: &BufferPool,
        wait: Wait,
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StreamError> {
        self.arm(wait);
        self.rest(tls, buffers, false);
        let held = |slot: &Option<Buffer>| slot.as_ref().map_or(0, Buffer::capacity);
        self.timer.set_held_bytes(held(&self.cipher) + held(&self.plain));
        let unsent = send_unsent(&self.half, self.descriptor, security);
        let readable = pin!(self.half.readable());
        let mut readable = pin!(drive_beside(unsent, readable));
        let arrived = pin!(poll_fn(|context| {
            if is_over() {
                return Poll::Ready(false);
            }
            readable.as_mut().poll(context).map(|_| true)
        }));
        let arrived = self.budget.drive(arrived).await;
        self.timer.disarm();
        if arrived && self.timer.fired() { Err(StreamError::TimedOut) } else { Ok(arrived) }
    }

    /// The size of the buffer that what was received needs when it is passed on.
    #[must_use]
    pub(crate) fn received_size(&self) -> BufferSize {
        let held = |slot: &Option<Buffer>| slot.as_ref().map_or(0, Buffer::len);
        BufferSize::holding(held(&self.cipher).max(held(&self.plain)))
    }
}
