//! What a peer sends that nobody reads any more: it is dropped in the kernel, so that it costs neither memory nor
//! decryption.

use std::pin::pin;

use super::{RecordReader, Wait};
use crate::shell::transport::buffers::BufferPool;
use crate::shell::transport::net::Peek;
use crate::shell::transport::stream_error::StreamError;

impl RecordReader {
    /// Waits for bytes and drops them, with all that was received before; how many there were. Nothing can be
    /// read after that, for nobody knows where a record or message begins. Whoever drops this loses nothing
    /// more.
    ///
    /// # Errors
    /// [`StreamError::Ended`] at the connection's end, and as [`StreamError`] says.
    pub(crate) async fn drop_next(
        &mut self,
        buffers: &BufferPool,
        wait: Wait,
    ) -> Result<usize, StreamError> {
        self.discard(buffers);
        self.timer.set_held_bytes(0);
        self.arm(wait);
        self.budget.yield_if_spent().await;
        let readable = pin!(self.half.readable());
        let ready = self.budget.drive(readable).await;
        self.timer.disarm();
        if self.timer.fired() {
            return Err(StreamError::TimedOut);
        }
        ready.map_err(|error| StreamError::Failed(error.kind()))?;
        let count = self.descriptor.drop_now();
        if count == 0 && self.descriptor.peek() == Peek::Ended {
            self.ended = true;
            return Err(StreamError::Ended);
        }
        self.budget.charge_receive(count);
        self.timer.note_bytes(count);
        Ok(count)
    }
}
