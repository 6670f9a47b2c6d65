//! [`record::reseal`](crate::tls::record::reseal) between two connections of ours.

use std::ops::Range;

use super::fast::fail;
use super::outcome::{Opened, SessionError};
use super::security::Security;
use super::session::Session;
use crate::shell::transport::buffers::{Buffer, BufferSize};
use crate::tls::record::SealError;
use crate::tls::record::reseal::{PayloadPart, ResealStop, reseal};

/// Why resealing cannot go on, and on whose side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ResealError {
    /// The sender broke the protocol; the alert is pending.
    Sender(SessionError),
    /// The receiver's connection may not send any more.
    Receiver(SessionError),
}

/// What the caller does with one record's payload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PayloadUse {
    /// Bytes of the payload that are done with; the rest is kept for the next reader.
    pub(crate) consumed: usize,
    /// The part of those that goes out to the receiver; may be empty.
    pub(crate) forwarded: Range<usize>,
    /// Nothing after it is wanted.
    pub(crate) done: bool,
}

/// What became of a buffer of records.
pub(crate) struct ResealOutcome {
    /// Bytes at its front that are records for the receiver.
    pub(crate) ready: usize,
    /// Bytes at its front that are done with, those records included.
    pub(crate) read: usize,
    /// Why it ended there; [`Opened::Data`] if it may be asked again.
    pub(crate) outcome: Result<Opened<()>, ResealError>,
}

/// Opens the whole records of `input` and seals them again in place under the keys of `to`, as long as
/// `take` wants more; `None` if the payload has to be copied instead.
pub(crate) fn reseal_buffer(
    from: &mut Security,
    to: &mut Security,
    input: &mut Buffer,
    take: impl FnMut(&[u8]) -> PayloadPart,
) -> Option<ResealOutcome> {
    let silent = !from.tls_output.has_failed()
        && !to.tls_output.has_failed()
        && to.tls_output.pending.is_empty();
    let (Session::Fast(opener), Session::Fast(sealer)) = (&mut from.session, &mut to.session)
    else {
        return None;
    };
    // A small buffer would not take the next message to send.
    if !silent || !sealer.seals_in_place() || input.size() == BufferSize::Small {
        return None;
    }
    let done = reseal(opener, sealer, input.filled_mut(), take);
    let outcome = match done.stop {
        ResealStop::Enough => Ok(Opened::Data(())),
        ResealStop::Incomplete => Ok(Opened::More),
        ResealStop::Closed => Ok(Opened::Closed),
        ResealStop::Fault(fault) => {
            Err(ResealError::Sender(fail(opener, &mut from.tls_output, fault)))
        }
        ResealStop::Seal(SealError::NoRoom) => Err(ResealError::Receiver(SessionError::Exhausted)),
        ResealStop::Seal(SealError::Ended) => Err(ResealError::Receiver(SessionError::Closed)),
    };
    Some(ResealOutcome { ready: done.ready, read: done.read, outcome })
}
