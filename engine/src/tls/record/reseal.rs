//! Records of one connection made those of another, where they lie: opened, sealed again, never copied.
//!
//! A record is as long under one connection's keys as under another's, so a body that passes as it is
//! needs no second buffer. Padding, and what is not of the body, leaves a gap; what follows moves up to
//! it. A record that fails to authenticate is the last that is looked at.

use std::ops::Range;

use super::cipher::OVERHEAD_BYTES;
use super::error::{RecordError, SealError};
use super::header::HEADER_BYTES;
use super::layer::{OpenedRecord, RecordContent, RecordLayer};

/// Records that one call looks at, whatever is in them: others wait meanwhile.
const RECORDS_MAX: u32 = 128;

/// What the body's owner wants of one record's payload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PayloadPart {
    /// The part of the payload that goes out; may be empty.
    pub data: Range<usize>,
    /// Is more wanted after it?
    pub more: bool,
}

/// Why nothing more was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResealStop {
    /// Nothing more was wanted, enough was looked at, or the receiver needs new keys first.
    Enough,
    /// Not a whole record is left.
    Incomplete,
    /// The sender has said that nothing follows.
    Closed,
    /// The sender broke the protocol: say [`RecordLayer::end`] to it.
    Fault(RecordError),
    /// The receiver's connection may not send any more.
    Seal(SealError),
}

/// What became of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resealed {
    /// Bytes at their front that are records for the receiver.
    pub ready: usize,
    /// Bytes at their front, those included, that are done with; what is behind them was not looked at.
    pub read: usize,
    /// Why it ended there.
    pub stop: ResealStop,
}

/// Makes the whole records in `bytes` records of `to`, as far as `take` wants more. `take` sees each
/// payload before anything of it is overwritten.
pub fn reseal(
    from: &mut RecordLayer,
    to: &mut RecordLayer,
    bytes: &mut [u8],
    mut take: impl FnMut(&[u8]) -> PayloadPart,
) -> Resealed {
    let mut done = Resealed { ready: 0, read: 0, stop: ResealStop::Enough };
    let mut seen = 0;
    while seen < RECORDS_MAX && to.seals_in_place() {
        seen += 1;
        let rest = bytes.get_mut(done.read..).unwrap_or_default();
        let OpenedRecord { content, consumed } = match from.open(rest) {
            Ok(step) => step,
            Err(fault) => return Resealed { stop: ResealStop::Fault(fault), ..done },
        };
        let place = match content {
            RecordContent::Data(place) => place,
            RecordContent::Handled => {
                done.read += consumed;
                continue;
            }
            RecordContent::Incomplete => return Resealed { stop: ResealStop::Incomplete, ..done },
            RecordContent::Closed => {
                done.read += consumed;
                return Resealed { stop: ResealStop::Closed, ..done };
            }
        };
        let PayloadPart { data, more } = take(rest.get(place.clone()).unwrap_or_default());
        let start = done.read + place.start + data.start;
        done.read += consumed;
        if !data.is_empty() {
            // Not longer than what was opened, and not behind it.
            let end = done.ready + OVERHEAD_BYTES + data.len();
            bytes.copy_within(start..start + data.len(), done.ready + HEADER_BYTES);
            let record = bytes.get_mut(done.ready..end).unwrap_or_default();
            if let Err(error) = to.seal_in_place(record) {
                return Resealed { stop: ResealStop::Seal(error), ..done };
            }
            done.ready = end;
        }
        if !more {
            break;
        }
    }
    done
}
