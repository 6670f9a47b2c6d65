//! An answer of our own, sent at the pace that every receiver of a body has to keep.

use std::time::Duration;

use crate::exchange::outcome::byte_count;
use crate::shell::transport::buffers::PLAIN_BYTES_MAX;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::stream::StreamWriter;
use crate::shell::transport::stream_error::StreamError;

/// How far the answer is.
pub(super) struct PacedSending<'a> {
    /// How long the client may take for each piece.
    pub(super) most: Duration,
    pub(super) pace: MinRate,
    pub(super) clock: &'a CoreClock,
    /// Bytes that were staged since the last ones were sent.
    pub(super) staged: u64,
}

impl PacedSending<'_> {
    /// Sends all of it.
    ///
    /// # Errors
    /// The connection is cut; [`StreamError::TimedOut`] if the client has taken too little for too long, and then it
    /// may still be open.
    pub(super) async fn send(
        &mut self,
        sink: &mut StreamWriter<'_>,
        bytes: &[u8],
    ) -> Result<(), StreamError> {
        for piece in bytes.chunks(PLAIN_BYTES_MAX) {
            if !sink.has_room() {
                self.flush(sink).await?;
            }
            sink.stage(piece)?;
            self.staged = self.staged.saturating_add(byte_count(piece.len()));
        }
        self.flush(sink).await
    }

    async fn flush(&mut self, sink: &mut StreamWriter<'_>) -> Result<(), StreamError> {
        let wait = self.pace.next_wait(self.most).ok_or(StreamError::TimedOut)?;
        // The clock is read only where a rate is demanded.
        let started = self.pace.is_demanded().then(|| self.clock.elapsed());
        sink.flush(wait).await?;
        let sent = std::mem::take(&mut self.staged);
        if let Some(started) = started {
            self.pace.record(self.clock.elapsed().saturating_sub(started), sent);
        }
        Ok(())
    }
}
