//! TLS 1.3 by our own record layer, over rented buffers.

use super::outcome::{Opened, SessionError};
use super::output::{TlsOutput, flush_pending};
use crate::shell::transport::buffers::Buffer;
use crate::tls::record::{Fault, Found, Records, SealError, Step};

pub(super) fn open<R>(
    records: &mut Records,
    input: &mut Buffer,
    tls_output: &mut TlsOutput,
    take: impl FnOnce(&[u8]) -> R,
) -> Result<Opened<R>, SessionError> {
    if tls_output.failed {
        return Err(SessionError::Closed);
    }
    loop {
        let Step { found, consumed } = match records.open(input.filled_mut()) {
            Ok(step) => step,
            Err(fault) => return Err(fail(records, tls_output, fault)),
        };
        let opened = match found {
            Found::Data(place) => {
                let payload = input.filled().get(place).unwrap_or_default();
                Opened::Data(take(payload))
            }
            Found::Nothing => {
                input.consume(consumed);
                continue;
            }
            Found::More => Opened::More,
            Found::Closed => Opened::Closed,
        };
        input.consume(consumed);
        return Ok(opened);
    }
}

/// The peer broke the protocol: the alert that says so is all that may still be sent.
pub(super) fn fail(
    records: &mut Records,
    tls_output: &mut TlsOutput,
    fault: Fault,
) -> SessionError {
    tls_output.failed = true;
    records.end(&mut tls_output.pending);
    SessionError::Record(fault)
}

pub(super) fn seal(
    records: &mut Records,
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
