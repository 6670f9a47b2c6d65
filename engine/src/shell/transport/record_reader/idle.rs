//! What is found on a connection that nobody was using: silence, data that nobody asked for, or its end.

use std::cell::RefCell;

use super::{IdleCheck, RecordReader};
use crate::shell::transport::buffers::{BufferPool, BufferSize};
use crate::shell::transport::net::Peek;
use crate::shell::transport::tls::{Opened, Security};

/// How often an idle connection is received from before it is given up: TLS may send a ticket or two, but
/// no stream of them.
const RECEIVES_IDLE_MAX: u32 = 4;

impl RecordReader {
    /// Has the peer of this idle connection sent data, or left? Messages of TLS itself (tickets, key
    /// updates) are processed and answered, and count as silence.
    pub(crate) fn check_idle(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> IdleCheck {
        for _ in 0..RECEIVES_IDLE_MAX {
            if let Some(idle) = self.look(security, buffers) {
                self.send_pending(security);
                return idle;
            }
            buffers.make_room(&mut self.cipher, BufferSize::Small, 1);
            // There are bytes: nobody waits.
            let count = match &mut self.cipher {
                Some(buffer) => {
                    let count = self.descriptor.receive_now(buffer.spare_mut());
                    buffer.fill(count);
                    count
                }
                None => 0,
            };
            if count == 0 {
                return IdleCheck::Closed;
            }
        }
        IdleCheck::Closed
    }

    /// One look; `None` if bytes have arrived that may be messages of TLS itself.
    fn look(&mut self, security: &RefCell<Security>, buffers: &BufferPool) -> Option<IdleCheck> {
        match (self.check_leftover(security, buffers), self.descriptor.peek()) {
            (IdleCheck::Silent, Peek::Bytes) if security.borrow().session.is_tls() => None,
            (IdleCheck::Silent, Peek::Bytes) => Some(IdleCheck::Unsolicited),
            (IdleCheck::Silent, Peek::Ended) => Some(IdleCheck::Closed),
            (left, _) => Some(left),
        }
    }

    /// As [`RecordReader::check_idle`], but only of what was received already, after the end of a message.
    pub(crate) fn check_leftover(
        &mut self,
        security: &RefCell<Security>,
        buffers: &BufferPool,
    ) -> IdleCheck {
        let mut spoke = false;
        if !self.is_drained() {
            let take = |piece: &[u8]| {
                spoke = !piece.is_empty();
                piece.len()
            };
            match self.next_piece(security, buffers, take) {
                Ok(_) if spoke => return IdleCheck::Unsolicited,
                Ok(Opened::More) if self.is_drained() => {}
                // Half a record: nobody knows of what.
                Ok(Opened::Data(()) | Opened::More | Opened::Closed) | Err(_) => {
                    return IdleCheck::Closed;
                }
            }
        }
        if self.closed { IdleCheck::Closed } else { IdleCheck::Silent }
    }
}
