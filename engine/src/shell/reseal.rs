//! Records of one connection made those of another, where they lie: opened, sealed again, never copied.
//!
//! A record of TLS 1.3 is as long under one connection's keys as under another's, so a body that passes
//! as it is needs no second buffer. Padding, and what is not of the body, leaves a gap; what follows
//! moves up to it. A record that fails to authenticate is the last that is looked at.

use std::ops::Range;

use super::buffers::{Buffer, Size};
use super::session::{Opened, Session, SessionError, fail};
use super::stream::Security;
use crate::tls::record::{CONTENT_START, Found, OVERHEAD_BYTES, SealError, Step};

/// What the body's owner wants of one record's payload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// The part of the payload that goes out; may be empty.
    pub data: Range<usize>,
    /// Is more wanted after it?
    pub more: bool,
}

/// Whose fault it is that nothing goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Broken {
    /// The sender broke the protocol; the alert is pending.
    From(SessionError),
    /// The receiver's connection may not send any more.
    To(SessionError),
}

/// What became of a buffer of records.
#[derive(Debug, PartialEq)]
pub struct Resealed {
    /// Bytes at its front that are records for the receiver.
    pub ready: usize,
    /// Bytes at its front, those included, that are done with; what is behind them was not looked at.
    pub read: usize,
    /// Why it ended there; [`Opened::Data`] if it may be asked again.
    pub outcome: Result<Opened<()>, Broken>,
}

/// Can records of `from`, in this buffer, become records of `to` where they lie?
#[must_use]
pub fn is_possible(from: &Security, to: &Security, input: &Buffer) -> bool {
    let (Session::Fast(_), Session::Fast(sealer)) = (&from.session, &to.session) else {
        return false;
    };
    let silent = !from.said.has_failed() && !to.said.has_failed() && to.said.pending.is_empty();
    // A small buffer would not take the next message to send.
    silent && sealer.seals_in_place() && input.size() != Size::Small
}

/// Makes the whole records of `input` records of `to`, as far as `take` wants more; ask
/// [`is_possible`] first. `take` sees each payload before anything of it is overwritten.
pub fn reseal(
    from: &mut Security,
    to: &mut Security,
    input: &mut Buffer,
    mut take: impl FnMut(&[u8]) -> Wanted,
) -> Resealed {
    let mut done = Resealed { ready: 0, read: 0, outcome: Ok(Opened::Data(())) };
    let (Session::Fast(opener), Session::Fast(sealer)) = (&mut from.session, &mut to.session)
    else {
        return done;
    };
    let bytes = input.filled_mut();
    while sealer.seals_in_place() {
        let rest = bytes.get_mut(done.read..).unwrap_or_default();
        let Step { found, consumed } = match opener.open(rest) {
            Ok(step) => step,
            Err(fault) => {
                done.outcome = Err(Broken::From(fail(opener, &mut from.said, fault)));
                break;
            }
        };
        let place = match found {
            Found::Data(place) => place,
            Found::Nothing => {
                done.read += consumed;
                continue;
            }
            Found::More => {
                done.outcome = Ok(Opened::More);
                break;
            }
            Found::Closed => {
                done.read += consumed;
                done.outcome = Ok(Opened::Closed);
                break;
            }
        };
        let Wanted { data, more } = take(rest.get(place.clone()).unwrap_or_default());
        let start = done.read + place.start + data.start;
        done.read += consumed;
        if !data.is_empty() {
            // Not longer than what was opened, and not behind it.
            let end = done.ready + OVERHEAD_BYTES + data.len();
            bytes.copy_within(start..start + data.len(), done.ready + CONTENT_START);
            let record = bytes.get_mut(done.ready..end).unwrap_or_default();
            if let Err(error) = sealer.seal_in_place(record) {
                done.outcome = Err(Broken::To(match error {
                    SealError::NoRoom => SessionError::Exhausted,
                    SealError::Ended => SessionError::Closed,
                }));
                break;
            }
            done.ready = end;
        }
        if !more {
            break;
        }
    }
    done
}
