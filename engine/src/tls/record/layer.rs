//! One connection's records, in both directions: opened and sealed in place.
//!
//! In: bytes of one connection, in order. Out: application data where it arrived, or one [`RecordError`] that
//! ends the connection; and records for what we have to say.

use std::ops::Range;

use super::cipher::{OVERHEAD_BYTES, Protection};
use super::error::{RecordError, SealError};
use super::header::{
    self, ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CONTENT_BYTES_MAX, HANDSHAKE, HEADER_BYTES,
};
use super::key_schedule::KeySchedule;
use super::messages::{self, Role};

/// A whole `KeyUpdate` record, which may have to go before the next record of ours.
pub const KEY_UPDATE_BYTES: usize = OVERHEAD_BYTES + 5;

/// Records without content between two with some, whatever else is between them. They cost us work and
/// bring nothing (section 5.4 allows them, to hide traffic).
const EMPTY_RECORDS_MAX: u8 = 32;
/// `user_canceled` alerts in the life of a connection.
const WARNINGS_MAX: u8 = 4;
/// Key updates between two records of application data with content; each costs a key derivation.
const KEY_UPDATES_MAX: u8 = 32;

const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// What the front of the input was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordContent {
    /// Application data, never empty, at this place in the input.
    Data(Range<usize>),
    /// A record that is done with; look again.
    Handled,
    /// Not a whole record.
    Incomplete,
    /// The peer has said that nothing follows (`close_notify`).
    Closed,
}

/// One step through the input: what was found, and how many bytes at the front are done with then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenedRecord {
    /// What it was.
    pub content: RecordContent,
    /// Bytes to drop from the front.
    pub consumed: usize,
}

/// One connection's protection, in both directions.
pub struct RecordLayer {
    role: Role,
    read: Protection,
    write: Protection,
    schedule: Box<dyn KeySchedule>,
    /// The beginning of a handshake message whose rest is in records to come; bounded by
    /// [`messages::MESSAGE_BYTES_MAX`], and without memory while there is none.
    fragment: Vec<u8>,
    /// The peer asked for new keys of ours: before the next record (section 4.6.3).
    update_due: bool,
    peer: PeerState,
    /// We have sent `close_notify` or a fatal alert (section 6.1): nothing may follow it.
    ended: bool,
    empty_records: u8,
    warnings: u8,
    key_updates: u8,
}

/// How far the peer has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PeerState {
    Sending,
    /// `close_notify`: what follows is ignored (section 6.1).
    Closed,
    /// A fault: nothing is looked at any more.
    Fault(RecordError),
}

impl std::fmt::Debug for RecordLayer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Records").field("role", &self.role).finish_non_exhaustive()
    }
}

impl RecordLayer {
    /// The connection whose handshake has just ended; the protections go on where it left off.
    #[must_use]
    pub fn new(
        role: Role,
        read: Protection,
        write: Protection,
        schedule: Box<dyn KeySchedule>,
    ) -> Self {
        Self {
            role,
            read,
            write,
            schedule,
            fragment: Vec::new(),
            update_due: false,
            peer: PeerState::Sending,
            ended: false,
            empty_records: 0,
            warnings: 0,
            key_updates: 0,
        }
    }

    /// Opens the record at the front of `input`, in place.
    ///
    /// # Errors
    /// The peer broke the protocol, or has ended the session; say [`RecordLayer::end`]. Asked again, it
    /// is the same fault.
    pub fn open(&mut self, input: &mut [u8]) -> Result<OpenedRecord, RecordError> {
        match self.peer {
            PeerState::Sending => {}
            PeerState::Closed => {
                return Ok(OpenedRecord { content: RecordContent::Closed, consumed: 0 });
            }
            PeerState::Fault(fault) => return Err(fault),
        }
        let step = self.open_record(input);
        if let Err(fault) = &step {
            self.peer = PeerState::Fault(*fault);
        }
        step
    }

    fn open_record(&mut self, input: &mut [u8]) -> Result<OpenedRecord, RecordError> {
        let body_bytes = header::read(input)?;
        let Some((header, rest)) = input.split_first_chunk_mut::<HEADER_BYTES>() else {
            return Ok(OpenedRecord { content: RecordContent::Incomplete, consumed: 0 });
        };
        let Some(body) = body_bytes.and_then(|bytes| rest.get_mut(..bytes)) else {
            return Ok(OpenedRecord { content: RecordContent::Incomplete, consumed: 0 });
        };
        let consumed = HEADER_BYTES + body.len();
        let inner = self.read.open(*header, body)?;
        let (content_type, content) = unpad(inner)?;
        // Section 5.1: a handshake message in pieces has nothing else between them.
        if !self.fragment.is_empty() && content_type != HANDSHAKE {
            return Err(RecordError::Interleaved);
        }
        let opened = match content_type {
            APPLICATION_DATA => {
                if content.is_empty() {
                    self.count_empty()?;
                    RecordContent::Handled
                } else {
                    self.empty_records = 0;
                    self.key_updates = 0;
                    RecordContent::Data(HEADER_BYTES..HEADER_BYTES + content.len())
                }
            }
            HANDSHAKE => {
                self.handle_handshake(content)?;
                RecordContent::Handled
            }
            ALERT => self.handle_alert(content)?,
            // Section 5: inside of a protected record it has no business at any time.
            CHANGE_CIPHER_SPEC => return Err(RecordError::UnexpectedRecord),
            _ => return Err(RecordError::UnexpectedRecord),
        };
        Ok(OpenedRecord { content: opened, consumed })
    }

    const fn count_empty(&mut self) -> Result<(), RecordError> {
        if self.empty_records == EMPTY_RECORDS_MAX {
            return Err(RecordError::TooManyEmptyRecords);
        }
        self.empty_records += 1;
        Ok(())
    }

    /// Section 6. The level says nothing any more, but one that does not exist is refused.
    fn handle_alert(&mut self, content: &[u8]) -> Result<RecordContent, RecordError> {
        let (level, description) = match *content {
            [] => return Err(RecordError::EmptyFragment),
            [level, description] => (level, description),
            _ => return Err(RecordError::BrokenAlert),
        };
        match (level, description) {
            (WARNING | FATAL, CLOSE_NOTIFY) => {
                self.peer = PeerState::Closed;
                Ok(RecordContent::Closed)
            }
            (WARNING, _) if self.warnings == WARNINGS_MAX => Err(RecordError::TooManyWarnings),
            (WARNING, USER_CANCELED) => {
                self.warnings += 1;
                Ok(RecordContent::Handled)
            }
            (WARNING, _) => Err(RecordError::Warning),
            (FATAL, description) => Err(RecordError::PeerAlert(description)),
            _ => Err(RecordError::AlertLevel),
        }
    }

    fn handle_handshake(&mut self, content: &[u8]) -> Result<(), RecordError> {
        // Section 5.4: such a record must be refused.
        if content.is_empty() {
            return Err(RecordError::EmptyFragment);
        }
        if self.fragment.is_empty() {
            let left = self.handle_messages(content)?;
            self.fragment.extend_from_slice(left);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.fragment);
        joined.extend_from_slice(content);
        let left = self.handle_messages(&joined)?.len();
        if left > 0 {
            joined.drain(..joined.len() - left);
            self.fragment = joined;
        }
        Ok(())
    }

    /// Handles every whole message; what is left of the last one.
    fn handle_messages<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], RecordError> {
        while let Some((message, rest)) = messages::first(bytes, self.role)? {
            bytes = rest;
            match message {
                messages::Message::KeyUpdate(request) => {
                    self.handle_key_update(request, rest.is_empty())?;
                }
                messages::Message::Ticket(body) => self.schedule.keep_ticket(body)?,
            }
        }
        Ok(bytes)
    }

    /// Section 4.6.3.
    fn handle_key_update(&mut self, request: u8, ends_record: bool) -> Result<(), RecordError> {
        // Section 5.1: what follows in this record would have been protected with the old keys.
        if !ends_record {
            return Err(RecordError::KeyUpdateNotLast);
        }
        if self.key_updates == KEY_UPDATES_MAX {
            return Err(RecordError::TooManyKeyUpdates);
        }
        self.key_updates += 1;
        match request {
            0 => {}
            // However often it asks before we send: one answer.
            1 => self.update_due = true,
            _ => return Err(RecordError::IllegalKeyUpdate),
        }
        self.read = self.schedule.next_read().ok_or(RecordError::NoKeys)?;
        Ok(())
    }

    /// Seals `plain` (at most [`CONTENT_BYTES_MAX`]) as one record at the front of `output`, behind a
    /// `KeyUpdate` if one is due; how many bytes that took. Nothing at all for no content.
    ///
    /// # Errors
    /// Without [`OVERHEAD_BYTES`] and [`KEY_UPDATE_BYTES`] of room beyond the content; or the
    /// connection has ended.
    pub fn seal(&mut self, plain: &[u8], output: &mut [u8]) -> Result<usize, SealError> {
        debug_assert!(plain.len() <= CONTENT_BYTES_MAX);
        if self.ended || matches!(self.peer, PeerState::Fault(_)) {
            return Err(SealError::Ended);
        }
        if plain.is_empty() {
            return Ok(0);
        }
        let needed = plain.len().saturating_add(OVERHEAD_BYTES + KEY_UPDATE_BYTES);
        if plain.len() > CONTENT_BYTES_MAX || output.len() < needed {
            return Err(SealError::NoRoom);
        }
        let updated = self.update_if_due(output)?;
        let room = output.get_mut(updated..).unwrap_or_default();
        Ok(updated + self.write.seal(APPLICATION_DATA, plain, room)?)
    }

    /// May the next record be sealed by [`RecordLayer::seal_in_place`]? Not if the connection has ended, and
    /// not if a `KeyUpdate` has to go before it.
    #[must_use]
    pub const fn seals_in_place(&self) -> bool {
        !self.ended
            && !matches!(self.peer, PeerState::Fault(_))
            && !self.update_due
            && !self.write.is_nearly_used_up()
    }

    /// Seals the whole of `record`: [`OVERHEAD_BYTES`] more than its content (1 to
    /// [`CONTENT_BYTES_MAX`] bytes), which lies behind room for a header.
    ///
    /// # Errors
    /// [`RecordLayer::seals_in_place`] is false, or `record` is of no such length.
    pub fn seal_in_place(&mut self, record: &mut [u8]) -> Result<(), SealError> {
        if !self.seals_in_place() {
            return Err(SealError::Ended);
        }
        if !(OVERHEAD_BYTES + 1..=OVERHEAD_BYTES + CONTENT_BYTES_MAX).contains(&record.len()) {
            return Err(SealError::NoRoom);
        }
        self.write.seal_in_place(APPLICATION_DATA, record)
    }

    /// New keys of ours: if the peer asked for them, and before the old ones are used up
    /// (section 5.5). The message itself goes under the old ones.
    fn update_if_due(&mut self, output: &mut [u8]) -> Result<usize, SealError> {
        if !self.update_due && !self.write.is_nearly_used_up() {
            return Ok(0);
        }
        let written = self.write.seal(HANDSHAKE, &messages::KEY_UPDATE, output)?;
        let Some(next) = self.schedule.next_write() else {
            self.ended = true;
            return Err(SealError::Ended);
        };
        self.write = next;
        self.update_due = false;
        Ok(written)
    }

    /// Appends the `KeyUpdate` that the peer has asked for, if it was not answered yet: also without
    /// data to send.
    pub fn write_pending_key_update(&mut self, out: &mut Vec<u8>) {
        if !self.update_due || self.ended || matches!(self.peer, PeerState::Fault(_)) {
            return;
        }
        let mut record = [0; KEY_UPDATE_BYTES];
        if let Ok(written) = self.update_if_due(&mut record) {
            out.extend_from_slice(record.get(..written).unwrap_or_default());
        }
    }

    /// Appends `close_notify`, once; nothing of ours may follow it (section 6.1).
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.peer, PeerState::Fault(_)) {
            self.write_last_alert([WARNING, CLOSE_NOTIFY], out);
        }
    }

    /// Appends the alert that goes with the fault that [`RecordLayer::open`] told, once and as our last word.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let PeerState::Fault(fault) = self.peer {
            match fault.alert() {
                Some(description) => self.write_last_alert([FATAL, description], out),
                None => self.ended = true,
            }
        }
    }

    fn write_last_alert(&mut self, alert: [u8; 2], out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        let mut record = [0; OVERHEAD_BYTES + 2];
        // A `KeyUpdate` that is still due is not sent: no record under the new keys would follow it.
        if let Ok(written) = self.write.seal(ALERT, &alert, &mut record) {
            out.extend_from_slice(record.get(..written).unwrap_or_default());
        }
    }
}

/// Content type and content of an inner plaintext, without its padding (sections 5.2 and 5.4).
fn unpad(inner: &[u8]) -> Result<(u8, &[u8]), RecordError> {
    if inner.len() > CONTENT_BYTES_MAX + 1 {
        return Err(RecordError::Oversized);
    }
    let end = inner.iter().rposition(|byte| *byte != 0).ok_or(RecordError::OnlyPadding)?;
    let (content, rest) = inner.split_at_checked(end).ok_or(RecordError::OnlyPadding)?;
    let content_type = rest.first().copied().ok_or(RecordError::OnlyPadding)?;
    Ok((content_type, content))
}
