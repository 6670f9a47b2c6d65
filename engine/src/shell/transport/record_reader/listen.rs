//! Listening to a peer while nobody reads its data: messages of TLS itself are answered, and its leaving
//! is noticed.
//!
//! Most waits are short, and cost nothing here. In a longer one the runtime tells us when bytes arrive;
//! they are received without giving a buffer to the kernel, so that the wait can end at any moment.
//! Short records of data are kept for the next reader as far as they fit the smallest buffer; after a
//! longer one, listening ends.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::RecordReader;
use super::unsent::{drive_beside, send_unsent};
use crate::shell::transport::buffers::{Buffer, BufferPool, BufferSize};
use crate::shell::transport::deadlines::{ShutTarget, TICK};
use crate::shell::transport::net::Peek;
use crate::shell::transport::tls::Security;

/// Listening begins only when a wait has lasted this long.
const PATIENCE: Duration = TICK;

/// Data that is kept must fit the smallest buffer: TLS messages are short, and memory is scarce.
const KEPT_BYTES_MAX: usize = BufferSize::Small.bytes();

impl RecordReader {
    /// Listens to the peer; true if it is lost, and then `watched` was shut down. It is also shut down if
    /// the peer leaves later (see [`RecordReader::end_watch`]). May be dropped at any time.
    pub(crate) async fn listen(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
        watched: Option<ShutTarget>,
    ) -> bool {
        let tls = security.borrow().session.is_tls();
        if !tls && watched.is_none() {
            return false;
        }
        self.wait_patiently(watched, || false).await;
        let lost = tls && self.listen_to_records(security, buffers).await;
        if lost && let Some(line) = watched {
            self.timer.shut_other(line);
        }
        lost
    }

    /// Waits until `is_over`, but no longer than most waits take; from then on it is as
    /// [`RecordReader::listen`] says of `watched`.
    pub(crate) async fn wait_patiently(
        &self,
        watched: Option<ShutTarget>,
        is_over: impl Fn() -> bool,
    ) {
        let mut armed = false;
        poll_fn(|context| {
            if is_over() {
                return Poll::Ready(());
            }
            if armed {
                return self.timer.poll_woken();
            }
            armed = true;
            self.timer.wake_after(context, PATIENCE, self.descriptor, watched);
            Poll::Pending
        })
        .await;
    }

    /// Ends the watch that listening began; did the peer leave during it?
    #[must_use]
    pub(crate) fn end_watch(&self) -> bool {
        self.timer.disarm();
        self.timer.fired()
    }

    /// True if the connection cannot be used any more; false if listening ends for another reason.
    async fn listen_to_records(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> bool {
        loop {
            let mut opened = Ok(true);
            while self.has_room_for_next() && opened == Ok(true) {
                self.budget.yield_if_spent().await;
                opened = self.open_into_plain(security, buffers);
            }
            if opened.is_err() {
                self.end_after_alert(security);
                return true;
            }
            self.send_pending(security);
            self.shrink(buffers);
            if !self.has_room_for_next() {
                return false;
            }
            self.budget.yield_if_spent().await;
            let unsent = send_unsent(&self.half, self.descriptor, security);
            let readable = pin!(self.half.readable());
            let readable = pin!(drive_beside(unsent, readable));
            if self.budget.drive(readable).await.is_err() {
                return true;
            }
            buffers.make_room(&mut self.cipher, BufferSize::Small, 1);
            let Some(cipher) = &mut self.cipher else { return false };
            let count = self.descriptor.receive_now(cipher.spare_mut());
            cipher.fill(count);
            self.budget.charge_receive(count);
            if count == 0 && self.descriptor.peek() == Peek::Ended {
                // Who has only ended its own direction may still wait for its answer.
                return self.descriptor.is_over();
            }
        }
    }

    /// A peer that was sent an alert gets the end of our direction now: what we wait for may take long.
    fn end_after_alert(&self, security: &RefCell<Security>) {
        let security = security.borrow();
        if security.tls_output.has_failed()
            && security.tls_output.pending.is_empty()
            && !security.sending
        {
            self.descriptor.shut_write();
        }
    }

    /// Puts `first` in front of the plaintext that is kept.
    pub(crate) fn prepend(&mut self, first: Buffer, buffers: &BufferPool) {
        if first.is_empty() && self.plain.is_some() {
            return buffers.give_back(first);
        }
        if let Some(later) = self.plain.replace(first) {
            buffers.append_rest(&mut self.plain, later.filled());
            buffers.give_back(later);
        }
    }

    fn has_room_for_next(&self) -> bool {
        let header = self.cipher.as_ref().and_then(|cipher| cipher.filled().first_chunk::<5>());
        let next =
            header.map_or(0, |[.., high, low]| 5 + usize::from(u16::from_be_bytes([*high, *low])));
        !self.closed && self.plain.as_ref().map_or(0, Buffer::len) + next <= KEPT_BYTES_MAX
    }
}
