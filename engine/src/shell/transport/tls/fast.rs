//! TLS 1.3 by our own record layer, over rented buffers.

use super::outcome::{Opened, SessionError};
use super::output::{TlsOutput, flush_pending};
use crate::shell::transport::buffers::Buffer;
use crate::tls::record::{OpenedRecord, RecordContent, RecordError, RecordLayer, SealError};

pub(super) fn open<R>(
    records: &mut RecordLayer,
    input: &mut Buffer,
    tls_output: &mut TlsOutput,
    take: impl FnOnce(&[u8]) -> R,
) -> Result<Opened<R>, SessionError> {
    if tls_output.failed {
        return Err(SessionError::Closed);
    }
    loop {
        let OpenedRecord { content, consumed } = match records.open(input.filled_mut()) {
            Ok(step) => step,
            Err(fault) => return Err(fail(records, tls_output, fault)),
        };
        let opened = match content {
            RecordContent::Data(place) => {
                let payload = input.filled().get(place).unwrap_or_default();
                Opened::Data(take(payload))
            }
            RecordContent::Handled => {
                input.consume(consumed);
                continue;
            }
            RecordContent::Incomplete => Opened::More,
            RecordContent::Closed => Opened::Closed,
        };
        input.consume(consumed);
        return Ok(opened);
    }
}

/// The peer broke the protocol: the alert that says so is all that may still be sent.
pub(super) fn fail(
    records: &mut RecordLayer,
    tls_output: &mut TlsOutput,
    fault: RecordError,
) -> SessionError {
    tls_output.failed = true;
    records.end(&mut tls_output.pending);
    SessionError::Record(fault)
}

pub(super) fn seal(
    records: &mut RecordLayer,
    plain: &[u8],
    tls_output: &mut TlsOutput,
    output: &mut Buffer,
) -> Result<(), SessionError> {
    if tls_output.failed {
        return Err(SessionError::Closed);
    }
    flush_pending(&mut tls_output.pending, output)?;
    match records.seal(plain, output.spare_mut()) {
        Ok(written) => {
            output.fill(written);
            Ok(())
        }
        Err(SealError::NoRoom) => Err(SessionError::Exhausted),
        Err(SealError::Ended) => Err(SessionError::Closed),
    }
}
