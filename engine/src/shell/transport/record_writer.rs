//! The sending half of a connection: plaintext sealed into records, as many as are ready in one send.
//!
//! Staged bytes wait in one buffer until they are flushed; what TLS has queued leaves with them.

use std::cell::RefCell;
use std::time::Duration;

use super::buffers::{Buffer, BufferPool, BufferSize, PLAIN_BYTES_MAX};
use super::deadlines::{Shut, Timer, TimerHandle};
use super::net::{Descriptor, WriteHalf};
use super::stream_error::StreamError;
use super::tls::{RECORD_OVERHEAD_MAX, Security, flush_pending};

/// The sending half.
pub(crate) struct RecordWriter {
    half: WriteHalf,
    descriptor: Descriptor,
    timer: Timer,
    /// Sealed records that wait to be sent.
    pub(crate) output: Option<Buffer>,
    /// Bytes of memory that wait to be staged.
    beside: usize,
}

impl RecordWriter {
    /// The sending half of a new connection.
    #[must_use]
    pub(crate) const fn new(half: WriteHalf, descriptor: Descriptor, timer: Timer) -> Self {
        Self { half, descriptor, timer, output: None, beside: 0 }
    }

    /// The handle by which others change the deadline of this half.
    #[must_use]
    pub(crate) fn timer_handle(&self) -> TimerHandle {
        self.timer.timer_handle()
    }

    /// Drops everything staged.
    pub(crate) fn discard(&mut self, buffers: &BufferPool) {
        buffers.release(&mut self.output);
    }

    /// Gives an empty buffer back.
    pub(crate) fn release_memory(&mut self, buffers: &BufferPool) {
        if self.output.as_ref().is_some_and(Buffer::is_empty) {
            buffers.release(&mut self.output);
        }
    }

    /// So many bytes of memory wait until they are staged: the connection holds them while it sends.
    pub(crate) const fn hold_beside(&mut self, bytes: usize) {
        self.beside = bytes;
    }

    /// Ends the direction: the peer sees the end of the stream.
    pub(crate) fn end(&self) {
        self.descriptor.shut_write();
    }

    /// Is there anything to send?
    #[must_use]
    pub(crate) fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|output| !output.is_empty())
    }

    /// Is there room for a full record (and a chunk's framing)?
    pub(crate) fn has_room(&mut self, buffers: &BufferPool) -> bool {
        let output = self.output.get_or_insert_with(|| buffers.rent(BufferSize::Record));
        output.spare() >= PLAIN_BYTES_MAX + 3 * RECORD_OVERHEAD_MAX
    }

    /// Brings the buffer to the size of what is about to be staged; what is staged already stays.
    pub(crate) fn fit(&mut self, buffers: &BufferPool, size: BufferSize) {
        buffers.resize(&mut self.output, size);
    }

    /// Bytes that the kernel takes at once, beside those that are staged.
    #[must_use]
    pub(crate) fn room(&self) -> usize {
        self.descriptor.room().saturating_sub(self.output.as_ref().map_or(0, Buffer::len))
    }

    /// Appends `plain` (at most 2^14 bytes) as one record; ask [`RecordWriter::has_room`] first.
    ///
    /// # Errors
    /// TLS cannot go on, or there was no room.
    pub(crate) fn stage(
        &mut self,
        plain: &[u8],
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> Result<(), StreamError> {
        let mut guard = security.borrow_mut();
        let Security { session, tls_output, sending, .. } = &mut *guard;
        let mut output = self.output.take().unwrap_or_else(|| buffers.rent(BufferSize::Record));
        let needed = plain.len() + RECORD_OVERHEAD_MAX + tls_output.pending.len();
        if output.spare() < needed {
            output.compact();
        }
        if output.spare() < needed {
            let size = BufferSize::holding(output.len() + needed);
            output = buffers.grow(output, size);
        }
        let sealed = session.seal(plain, tls_output, &mut output);
        *sending = !output.is_empty();
        self.output = Some(output);
        sealed.map_err(StreamError::Tls)
    }

    /// Others have filled `output` with records.
    pub(crate) fn note_staged(&self, security: &RefCell<Security>) {
        if self.has_output() {
            security.borrow_mut().sending = true;
        }
    }

    /// Appends what TLS has queued; if there is no room beside what is staged, that is sent first. True if
    /// there is anything to send.
    fn stage_pending(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> Result<bool, StreamError> {
        let mut guard = security.borrow_mut();
        let pending = &mut guard.tls_output.pending;
        let mut staged = Ok(());
        if !pending.is_empty() {
            let mut output = self.output.take().unwrap_or_else(|| buffers.rent(BufferSize::Record));
            if output.spare() < pending.len() {
                output.compact();
            }
            if output.spare() < pending.len() && output.is_empty() {
                output = buffers.grow(output, BufferSize::holding(pending.len()));
            }
            if output.is_empty() || output.spare() >= pending.len() {
                staged = flush_pending(pending, &mut output).map_err(StreamError::Tls);
            }
            self.output = Some(output);
        }
        guard.sending = self.has_output();
        staged.map(|()| guard.sending)
    }

    /// Sends everything staged or queued, and what TLS queues meanwhile.
    ///
    /// # Errors
    /// The connection is cut.
    pub(crate) async fn flush(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
        wait: Duration,
    ) -> Result<(), StreamError> {
        while self.stage_pending(security, buffers)? {
            let Some(output) = self.output.take() else { return Ok(()) };
            let staged = output.len();
            security.borrow_mut().sent_bytes.add(staged);
            self.timer.set_held_bytes(output.capacity().saturating_add(self.beside));
            self.timer.arm(wait, self.descriptor, Shut::Both);
            let (result, mut output) = self.half.send(output).await;
            self.timer.disarm();
            let sent = match result {
                Ok(sent) => sent,
                Err(error) => {
                    output.clear();
                    self.output = Some(output);
                    return Err(if self.timer.fired() {
                        StreamError::TimedOut
                    } else {
                        StreamError::Failed(error.kind())
                    });
                }
            };
            output.consume(sent);
            self.timer.note_bytes(sent);
            if !output.is_empty() {
                // The receiver is full: what is left waits in as little memory as will do.
                output = buffers.shrink(output);
            }
            security.borrow_mut().sent_bytes.subtract(staged.saturating_sub(sent));
            self.output = Some(output);
            if sent == 0 {
                return Err(StreamError::Ended);
            }
        }
        Ok(())
    }
}
