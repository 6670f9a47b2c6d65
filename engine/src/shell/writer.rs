//! The sending half: plaintext sealed into records, as many as are ready in one send.

use std::cell::RefCell;
use std::time::Duration;

use super::buffers::{Buffer, Buffers, PLAIN_BYTES_MAX, Size};
use super::deadlines::{Shut, Timer};
use super::net::{Descriptor, WriteHalf};
use super::session::{RECORD_OVERHEAD_MAX, flush_pending};
use super::stream::{Cut, Security};

/// The sending half.
pub struct Writer {
    half: WriteHalf,
    descriptor: Descriptor,
    timer: Timer,
    /// What is staged to be sent.
    pub output: Option<Buffer>,
}

impl Writer {
    /// Of a connection on which nothing was sent yet.
    #[must_use]
    pub const fn new(half: WriteHalf, descriptor: Descriptor, timer: Timer) -> Self {
        Self { half, descriptor, timer, output: None }
    }

    /// Forgets everything staged.
    pub fn discard(&mut self, buffers: &Buffers) {
        buffers.settle(&mut self.output);
    }

    /// Gives an empty buffer back.
    pub fn settle(&mut self, buffers: &Buffers) {
        if self.output.as_ref().is_some_and(Buffer::is_empty) {
            buffers.settle(&mut self.output);
        }
    }

    /// Ends the direction: the peer sees the end of the stream.
    pub fn end(&self) {
        self.descriptor.shut_write();
    }

    /// Is there anything to send?
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|output| !output.is_empty())
    }

    /// Is there room for a full record (and a chunk's framing)?
    pub fn has_room(&mut self, buffers: &Buffers) -> bool {
        let output = self.output.get_or_insert_with(|| buffers.rent(Size::Record));
        output.spare() >= PLAIN_BYTES_MAX + 3 * RECORD_OVERHEAD_MAX
    }

    /// Uses a large buffer from here on: a body is flowing.
    pub fn enlarge(&mut self, buffers: &Buffers) {
        let output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Body));
        self.output = Some(buffers.enlarge(output, Size::Body));
    }

    /// Appends `plain` (at most 2^14 bytes) as one record; ask [`Writer::has_room`] first.
    ///
    /// # Errors
    /// TLS cannot go on, or there was no room.
    pub fn stage(
        &mut self,
        plain: &[u8],
        security: &RefCell<Security>,
        buffers: &Buffers,
    ) -> Result<(), Cut> {
        let mut guard = security.borrow_mut();
        let Security { session, said } = &mut *guard;
        let mut output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Record));
        let needed = plain.len() + RECORD_OVERHEAD_MAX + said.pending.len();
        if output.spare() < needed {
            output.compact();
        }
        if output.spare() < needed {
            output = buffers.enlarge(output, Size::Body);
        }
        let sealed = session.seal(plain, said, &mut output);
        self.output = Some(output);
        sealed.map_err(Cut::Tls)
    }

    /// Appends what TLS has to say, with nothing of ours.
    ///
    /// # Errors
    /// There was no room.
    pub fn stage_pending(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
    ) -> Result<(), Cut> {
        let mut guard = security.borrow_mut();
        if guard.said.pending.is_empty() {
            return Ok(());
        }
        let mut output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Record));
        if output.spare() < guard.said.pending.len() {
            output = buffers.enlarge(output, Size::Body);
        }
        let moved = flush_pending(&mut guard.said.pending, &mut output);
        self.output = Some(output);
        moved.map_err(Cut::Tls)
    }

    /// Sends everything staged.
    ///
    /// # Errors
    /// The connection is cut.
    pub async fn flush(&mut self, wait: Duration) -> Result<(), Cut> {
        while self.has_output() {
            let Some(output) = self.output.take() else { return Ok(()) };
            self.timer.arm(wait, self.descriptor, Shut::Both);
            let (result, mut output) = self.half.send(output).await;
            self.timer.disarm();
            let sent = match result {
                Ok(sent) => sent,
                Err(error) => {
                    output.clear();
                    self.output = Some(output);
                    return Err(if self.timer.fired() {
                        Cut::TimedOut
                    } else {
                        Cut::Failed(error.kind())
                    });
                }
            };
            output.consume(sent);
            self.output = Some(output);
            if sent == 0 {
                return Err(Cut::Ended);
            }
        }
        Ok(())
    }
}
