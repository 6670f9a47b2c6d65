//! The receiving half of a connection: bytes off the wire, records opened, plaintext handed on.
//!
//! In: what the kernel has received. Out: plaintext, piece by piece; or a [`StreamError`]. Bytes that the
//! caller does not consume are kept for the next read.

mod flowing;
mod idle;
mod listen;
mod unread;
mod unsent;

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::time::Duration;

use self::unsent::{drive_beside, send_unsent};
use super::buffers::{Buffer, BufferPool, BufferSize, PLAIN_BYTES_MAX};
use super::deadlines::{Deadlines, Shut, ShutTarget, Timer, TimerHandle};
use super::net::{Descriptor, ReadHalf};
use super::stream_error::StreamError;
use super::tls::reseal::{self, PayloadUse, ResealError};
use super::tls::{Opened, Security, SessionError};
use super::work_budget::WorkBudget;
use crate::tls::record::reseal::PayloadPart;

/// The state of a connection that nobody was using.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IdleCheck {
    /// It is open, and nothing has arrived.
    Silent,
    /// Data has arrived that nobody asked for.
    Unsolicited,
    /// It cannot be used any more.
    Closed,
}

/// The receiving half.
pub(crate) struct RecordReader {
    half: ReadHalf,
    descriptor: Descriptor,
    timer: Timer,
    /// Ciphertext as it came; unused by plaintext connections.
    cipher: Option<Buffer>,
    /// Plaintext that nobody has consumed yet.
    pub(crate) plain: Option<Buffer>,
    /// The peer said that nothing follows.
    closed: bool,
    /// The connection's end was read.
    ended: bool,
    /// The most that the next receive should bring: while a body flows, the room that its receiver has.
    room: Option<usize>,
    /// The work that its peer may still cause before other tasks have their turn.
    pub(crate) budget: WorkBudget,
}

/// How long to wait, and what is shut when that was too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The longest time to wait.
    pub(crate) time: Duration,
    /// What is shut when that time has passed.
    pub(crate) shut: Shut,
    /// No message has begun: a small buffer will do, and the connection counts as idle.
    pub(crate) idle: bool,
}

impl RecordReader {
    /// The receiving half of a new connection.
    #[must_use]
    pub(crate) const fn new(half: ReadHalf, descriptor: Descriptor, timer: Timer) -> Self {
        Self {
            half,
            descriptor,
            timer,
            cipher: None,
            plain: None,
            closed: false,
            ended: false,
            room: None,
            budget: WorkBudget::new(),
        }
    }

    /// Is it a TCP connection?
    #[must_use]
    pub(crate) const fn is_tcp(&self) -> bool {
        self.half.is_tcp()
    }

    /// Its descriptor, for as long as the connection lives.
    #[must_use]
    pub(crate) const fn descriptor(&self) -> Descriptor {
        self.descriptor
    }

    /// Was the connection's end read?
    #[must_use]
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The connection, for others to shut down.
    #[must_use]
    pub(crate) const fn shut_target(&self) -> ShutTarget {
        self.timer.shut_target(self.descriptor)
    }

    /// The handle by which others change the deadline of this half.
    #[must_use]
    pub(crate) fn timer_handle(&self) -> TimerHandle {
        self.timer.timer_handle()
    }

    /// A further deadline of the same connection, disarmed. It holds no memory that ending it would free.
    #[must_use]
    pub(crate) fn companion(&self, deadlines: &Deadlines) -> Timer {
        let timer = deadlines.companion(&self.timer);
        timer.set_held_bytes(0);
        timer
    }

    /// As [`Security::send_pending`]: what TLS has queued leaves before anybody waits for more, and an alert
    /// leaves before anybody can shut the connection down.
    pub(crate) fn send_pending(&self, security: &RefCell<Security>) {
        security.borrow_mut().send_pending(self.descriptor);
    }

    /// Drops everything received and not consumed.
    pub(crate) fn discard(&mut self, buffers: &BufferPool) {
        for slot in [&mut self.cipher, &mut self.plain] {
            buffers.release(slot);
        }
    }

    /// Was everything that was received consumed?
    #[must_use]
    pub(crate) fn is_drained(&self) -> bool {
        let drained = |slot: &Option<Buffer>| slot.as_ref().is_none_or(Buffer::is_empty);
        drained(&self.plain) && drained(&self.cipher)
    }

    /// Gives empty buffers back, and moves the contents of others into the smallest buffers that hold
    /// them: a byte of the next message must not keep the memory that the last body needed.
    pub(crate) fn release_memory(&mut self, buffers: &BufferPool) {
        self.timer.note_progress();
        self.room = None;
        self.shrink(buffers);
    }

    fn shrink(&mut self, buffers: &BufferPool) {
        for slot in [&mut self.cipher, &mut self.plain] {
            if let Some(buffer) = slot.take_if(|buffer| !buffer.is_empty()) {
                *slot = Some(buffers.shrink(buffer));
            } else {
                buffers.release(slot);
            }
        }
    }

    /// One receive into the buffer that takes bytes off the wire.
    ///
    /// # Errors
    /// As [`StreamError`] says.
    pub(crate) async fn receive(
        &mut self,
        security: &RefCell<Security>,
        tls: bool,
        buffers: &BufferPool,
        wait: Wait,
    ) -> Result<usize, StreamError> {
        self.arm(wait);
        if let Some(room) = self.room.take() {
            self.await_bytes(security, tls, buffers, room).await;
        } else {
            let slot = if tls { &mut self.cipher } else { &mut self.plain };
            let first = if wait.idle { BufferSize::Small } else { BufferSize::Record };
            buffers.make_room(slot, first, 1);
        }
        let received = self.receive_armed(security, tls).await;
        self.timer.disarm();
        received
    }

    fn arm(&self, wait: Wait) {
        if wait.idle {
            self.timer.arm_idle(wait.time, self.descriptor, wait.shut);
        } else {
            self.timer.arm(wait.time, self.descriptor, wait.shut);
        }
    }

    /// One receive; the timer is armed already and the buffer has room.
    async fn receive_armed(
        &mut self,
        security: &RefCell<Security>,
        tls: bool,
    ) -> Result<usize, StreamError> {
        self.budget.yield_if_spent().await;
        let plain = self.plain.as_ref().map_or(0, Buffer::capacity);
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        let Some(buffer) = slot.take() else { return Err(StreamError::Ended) };
        self.timer.set_held_bytes(buffer.capacity() + if tls { plain } else { 0 });
        if buffer.spare() == 0 {
            *slot = Some(buffer);
            return Err(StreamError::Failed(io::ErrorKind::OutOfMemory));
        }
        let unsent = send_unsent(&self.half, self.descriptor, security);
        let receiving = pin!(self.half.receive(buffer));
        let receiving = pin!(drive_beside(unsent, receiving));
        let (result, buffer) = self.budget.drive(receiving).await;
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        *slot = Some(buffer);
        match result {
            Ok(0) if self.timer.fired() => Err(StreamError::TimedOut),
            // The peer may have had more to say.
            Ok(0) if self.timer.was_shut() => {
                Err(StreamError::Failed(io::ErrorKind::ConnectionAborted))
            }
            Ok(0) => {
                self.ended = true;
                Err(StreamError::Ended)
            }
            Ok(count) => {
                self.budget.charge_receive(count);
                self.timer.note_bytes(count);
                Ok(count)
            }
            Err(_) if self.timer.fired() => Err(StreamError::TimedOut),
            Err(error) => Err(StreamError::Failed(error.kind())),
        }
    }

    /// The ciphertext buffer, for the handshake.
    pub(crate) fn cipher(&mut self, buffers: &BufferPool) -> &mut Buffer {
        self.cipher.get_or_insert_with(|| buffers.rent(BufferSize::Record))
    }

    /// Hands the next piece of plaintext (at most 2^14 bytes) to `take`, which says how much of it
    /// it consumed; the rest is kept.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub(crate) fn next_piece(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<Opened<()>, StreamError> {
        if let Some(plain) = self.plain.as_mut().filter(|plain| !plain.is_empty()) {
            let filled = plain.filled();
            let piece = filled.get(..filled.len().min(PLAIN_BYTES_MAX)).unwrap_or_default();
            let used = take(piece);
            plain.consume(used);
            return Ok(Opened::Data(()));
        }
        if self.closed {
            return Ok(Opened::Closed);
        }
        let mut guard = security.borrow_mut();
        let Security { session, tls_output, .. } = &mut *guard;
        if !session.is_tls() {
            return Ok(Opened::More);
        }
        let cipher = self.cipher.get_or_insert_with(|| buffers.rent(BufferSize::Record));
        let kept = &mut self.plain;
        let (before, mut data) = (cipher.len(), 0);
        let opened = session.open_next(cipher, tls_output, |payload| {
            data = payload.len();
            let used = take(payload);
            buffers.append_rest(kept, payload.get(used..).unwrap_or_default());
        });
        self.budget.charge_framing(before.saturating_sub(cipher.len() + data));
        if opened.is_err() {
            guard.send_pending(self.descriptor);
        }
        self.note_closed(opened)
    }

    /// As [`RecordReader::next_piece`] for every whole record that has been received: each is opened, and
    /// sealed again in place under the keys of `to`. `take` tells what becomes of its payload. The records
    /// go to `output`, which must be empty. `None` if that cannot be done now.
    pub(crate) fn reseal(
        &mut self,
        security: &RefCell<Security>,
        to: &RefCell<Security>,
        output: &mut Option<Buffer>,
        buffers: &BufferPool,
        mut take: impl FnMut(&[u8]) -> PayloadUse,
    ) -> Option<Result<Opened<()>, ResealError>> {
        debug_assert!(output.as_ref().is_none_or(Buffer::is_empty));
        if self.closed || self.plain.as_ref().is_some_and(|plain| !plain.is_empty()) {
            return None;
        }
        let (mut from, mut to) = (security.borrow_mut(), to.borrow_mut());
        let mut input = self.cipher.take()?;
        let kept = &mut self.plain;
        let mut data = 0;
        let passed = reseal::reseal_buffer(&mut from, &mut to, &mut input, |payload| {
            data += payload.len();
            let used = take(payload);
            let rest = payload.get(used.consumed..).unwrap_or_default();
            buffers.append_rest(kept, rest);
            PayloadPart { data: used.forwarded, more: !used.done && rest.is_empty() }
        });
        let Some(done) = passed else {
            self.cipher = Some(input);
            return None;
        };
        self.budget.charge_framing(done.read.saturating_sub(data));
        if done.ready == 0 {
            input.consume(done.read);
            self.cipher = Some(input);
        } else {
            // The records go out in the buffer they came in; what is behind them moves to the other's.
            let next = output.take().unwrap_or_else(|| buffers.rent(input.size()));
            let mut next = buffers.grow(next, input.size());
            next.append(input.filled().get(done.read..).unwrap_or_default());
            self.cipher = Some(next);
            input.truncate(done.ready);
            *output = Some(input);
        }
        if matches!(done.outcome, Err(ResealError::Sender(_))) {
            from.send_pending(self.descriptor);
        }
        self.closed |= done.outcome == Ok(Opened::Closed);
        Some(done.outcome)
    }

    fn note_closed<R>(
        &mut self,
        opened: Result<Opened<R>, SessionError>,
    ) -> Result<Opened<R>, StreamError> {
        match opened {
            Ok(Opened::Closed) => {
                self.closed = true;
                Ok(Opened::Closed)
            }
            Ok(opened) => Ok(opened),
            Err(error) => Err(StreamError::Tls(error)),
        }
    }

    /// Reads until `plain` holds more than before; returns how much it holds.
    ///
    /// # Errors
    /// The connection is cut; [`StreamError::Ended`] at its end.
    pub(crate) async fn read_plain(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
        wait: Wait,
    ) -> Result<usize, StreamError> {
        let tls = security.borrow().session.is_tls();
        if !tls {
            self.receive(security, false, buffers, wait).await?;
            return Ok(self.plain.as_ref().map_or(0, Buffer::len));
        }
        // One timer for all of it: bytes that make no record, and records that hold nothing, must
        // not buy anybody time.
        self.arm(wait);
        let read = self.read_records(security, buffers, wait.idle).await;
        self.timer.disarm();
        read
    }

    async fn read_records(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
        idle: bool,
    ) -> Result<usize, StreamError> {
        let before = self.plain.as_ref().map_or(0, Buffer::len);
        let first = if idle { BufferSize::Small } else { BufferSize::Record };
        loop {
            self.budget.yield_if_spent().await;
            while self.open_into_plain(security, buffers)? {
                let now = self.plain.as_ref().map_or(0, Buffer::len);
                if now > before {
                    return Ok(now);
                }
            }
            if self.closed {
                return Err(StreamError::Ended);
            }
            buffers.make_room(&mut self.cipher, first, 1);
            self.send_pending(security);
            self.receive_armed(security, true).await?;
        }
    }

    /// Opens one record and appends its payload to `plain`; `false` if there is no whole record.
    fn open_into_plain(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> Result<bool, StreamError> {
        let mut guard = security.borrow_mut();
        let Security { session, tls_output, .. } = &mut *guard;
        // Without ciphertext, too: a record may have been opened at the end of the handshake.
        let cipher = self.cipher.get_or_insert_with(|| buffers.rent(BufferSize::Small));
        let plain = &mut self.plain;
        let mut fits = true;
        let (before, mut data) = (cipher.len(), 0);
        let opened = session.open_next(cipher, tls_output, |payload| {
            data = payload.len();
            // Most heads fit a small one, and it is held until the answer has gone.
            let first = BufferSize::Record.min(BufferSize::from_small(payload.len()));
            buffers.make_room(plain, first, payload.len());
            fits = plain.as_mut().is_some_and(|plain| plain.append(payload) == payload.len());
        });
        self.budget.charge_framing(before.saturating_sub(cipher.len() + data));
        if opened.is_err() {
            guard.send_pending(self.descriptor);
        }
        if !fits {
            // Heads are bounded far below a body buffer; only a caller's bug gets here.
            return Err(StreamError::Failed(io::ErrorKind::OutOfMemory));
        }
        Ok(matches!(self.note_closed(opened)?, Opened::Data(())))
    }

    /// Gives empty buffers back; with `small`, rents a small one for the next receive.
    pub(crate) fn rest(&mut self, tls: bool, buffers: &BufferPool, small: bool) {
        self.shrink(buffers);
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        if small && slot.is_none() {
            *slot = Some(buffers.rent(BufferSize::Small));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An earlier message may have left no more than a small buffer.
    #[test]
    fn what_is_not_taken_is_kept_whole() {
        let buffers = BufferPool::default();
        for size in [None, Some(BufferSize::Small), Some(BufferSize::Record)] {
            let mut plain = size.map(|size| buffers.rent(size));
            let rest = vec![7; PLAIN_BYTES_MAX];
            buffers.append_rest(&mut plain, &rest);
            assert!(plain.is_some_and(|plain| plain.filled() == rest), "{size:?}");
        }
    }
}
