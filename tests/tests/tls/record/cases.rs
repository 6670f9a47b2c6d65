//! The rules one by one, where a random stream would meet them rarely.

use std::cell::RefCell;
use std::rc::Rc;

use ferrule_engine::tls::record::cipher::{Aead, Protection};
use ferrule_engine::tls::record::{
    CONTENT_BYTES_MAX, KEY_UPDATE_BYTES, KeySchedule, OVERHEAD_BYTES, OpenedRecord, RecordContent,
    RecordError, RecordLayer, Role, SealError,
};

/// Limit of AES-GCM (RFC 8446, section 5.5).
const GCM_RECORDS_MAX: u64 = 1 << 24;

fn keys(sequence: u64, generation: u8, aead: Aead) -> Protection {
    let key = [generation; 32];
    let key = if aead == Aead::Aes128Gcm { &key[..16] } else { &key };
    Protection::new(sequence, aead, key, &[3; 12]).expect("right lengths")
}

struct Counted(u8, Aead);

impl KeySchedule for Counted {
    fn next_read(&mut self) -> Option<Protection> {
        self.0 += 1;
        Some(keys(0, self.0, self.1))
    }

    fn next_write(&mut self) -> Option<Protection> {
        self.next_read()
    }

    fn keep_ticket(&mut self, _: &[u8]) -> Result<(), RecordError> {
        Ok(())
    }
}

/// Records that go on at these numbers, in both directions with the same keys.
fn at(sequences: (u64, u64), aead: Aead) -> RecordLayer {
    let (read, write) = sequences;
    let protections = (keys(read, 0, aead), keys(write, 0, aead));
    RecordLayer::new(Role::Client, protections.0, protections.1, Box::new(Counted(0, aead)))
}

fn sealed(records: &mut RecordLayer, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + OVERHEAD_BYTES + KEY_UPDATE_BYTES];
    let written = records.seal(plain, &mut out).expect("room");
    out.truncate(written);
    out
}

/// Section 5.5: the keys change before they are used up, with the last number they have.
#[test]
fn new_keys_come_before_the_old_ones_are_used_up() {
    for aead in [Aead::Aes128Gcm, Aead::Aes256Gcm] {
        let start = GCM_RECORDS_MAX - 3;
        let (mut ours, mut peer) = (at((0, start), aead), at((start, 0), aead));
        for number in 0..6 {
            let mut wire = sealed(&mut ours, b"x");
            let updated = wire.len() > OVERHEAD_BYTES + 1;
            assert_eq!(updated, number == 2, "record {number}");
            if updated {
                let step = peer.open(&mut wire);
                assert_eq!(
                    step,
                    Ok(OpenedRecord {
                        content: RecordContent::Handled,
                        consumed: KEY_UPDATE_BYTES
                    })
                );
                wire.drain(..KEY_UPDATE_BYTES);
            }
            let step = peer.open(&mut wire).expect("an authentic record");
            assert_eq!(step.content, RecordContent::Data(5..6), "record {number}");
        }
    }
}

/// Section 5.3: no number is used twice.
#[test]
fn a_sequence_number_never_wraps() {
    let mut reader = at((u64::MAX - 1, 0), Aead::ChaCha20Poly1305);
    let mut wire = sealed(&mut at((0, 0), Aead::ChaCha20Poly1305), b"x");
    assert_eq!(reader.open(&mut wire), Err(RecordError::NoKeys));
    let mut last = keys(u64::MAX, 0, Aead::ChaCha20Poly1305);
    assert_eq!(last.seal(23, b"x", &mut [0; 99]), Err(SealError::Ended));
}

/// Keeps what it is given.
struct Kept(Rc<RefCell<Vec<Vec<u8>>>>);

impl KeySchedule for Kept {
    fn next_read(&mut self) -> Option<Protection> {
        None
    }

    fn next_write(&mut self) -> Option<Protection> {
        None
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordError> {
        self.0.borrow_mut().push(body.to_vec());
        Ok(())
    }
}

/// Each ticket is kept once and whole, wherever the records' borders are.
#[test]
fn tickets_are_kept_once_in_every_split() {
    let aead = Aead::Aes256Gcm;
    let messages = [&[4, 0, 0, 3, 1, 2, 3][..], &[4, 0, 0, 1, 9], &[4, 0, 0, 2, 7, 8]].concat();
    for first in 1..messages.len() {
        for second in first..messages.len() {
            let list = Rc::new(RefCell::new(Vec::new()));
            let protections = (keys(0, 0, aead), keys(0, 0, aead));
            let schedule = Box::new(Kept(Rc::clone(&list)));
            let mut ours = RecordLayer::new(Role::Client, protections.0, protections.1, schedule);
            let mut sealer = keys(0, 0, aead);
            for piece in [&messages[..first], &messages[first..second], &messages[second..]] {
                if piece.is_empty() {
                    continue;
                }
                let mut wire = vec![0; piece.len() + OVERHEAD_BYTES];
                sealer.seal(22, piece, &mut wire).expect("room");
                assert_eq!(ours.open(&mut wire).expect("good").content, RecordContent::Handled);
            }
            assert_eq!(*list.borrow(), [&[1, 2, 3][..], &[9], &[7, 8]], "{first}, {second}");
        }
    }
}

/// However often new keys are asked for before we send: one answer, and not a byte unasked.
#[test]
fn requests_for_new_keys_are_answered_once() {
    let aead = Aead::Aes128Gcm;
    let mut ours = at((0, 0), aead);
    for generation in 0..5 {
        let mut wire = [0; KEY_UPDATE_BYTES];
        keys(0, generation, aead).seal(22, &[24, 0, 0, 1, 1], &mut wire).expect("room");
        assert_eq!(ours.open(&mut wire).expect("good").content, RecordContent::Handled);
    }
    assert_eq!(sealed(&mut ours, b"x").len(), KEY_UPDATE_BYTES + OVERHEAD_BYTES + 1);
    assert_eq!(sealed(&mut ours, b"x").len(), OVERHEAD_BYTES + 1);
}

/// A record that is sealed where it lies has no room in front of it for new keys.
#[test]
fn nothing_is_sealed_in_place_before_new_keys_that_are_due() {
    let aead = Aead::Aes128Gcm;
    let mut ours = at((0, 0), aead);
    let mut record = [7; OVERHEAD_BYTES + 1];
    assert_eq!(ours.seal_in_place(&mut record), Ok(()));
    let mut wire = [0; KEY_UPDATE_BYTES];
    keys(0, 0, aead).seal(22, &[24, 0, 0, 1, 1], &mut wire).expect("room");
    assert_eq!(ours.open(&mut wire).expect("good").content, RecordContent::Handled);
    let before = record;
    assert!(!ours.seals_in_place());
    assert_eq!(ours.seal_in_place(&mut record), Err(SealError::Ended));
    assert_eq!(record, before);
    assert_eq!(sealed(&mut ours, b"x").len(), KEY_UPDATE_BYTES + OVERHEAD_BYTES + 1);
    assert!(ours.seals_in_place());
    for length in [0, OVERHEAD_BYTES, OVERHEAD_BYTES + CONTENT_BYTES_MAX + 1] {
        assert_eq!(ours.seal_in_place(&mut vec![7; length]), Err(SealError::NoRoom));
    }
    let mut nearly = at((0, GCM_RECORDS_MAX - 1), aead);
    assert!(!nearly.seals_in_place() && nearly.seal_in_place(&mut record).is_err());
}

#[test]
fn without_room_nothing_changes() {
    let mut ours = at((0, 0), Aead::Aes256Gcm);
    let mut out = vec![7; 10 + OVERHEAD_BYTES + KEY_UPDATE_BYTES - 1];
    assert_eq!(ours.seal(&[1; 10], &mut out), Err(SealError::NoRoom));
    assert!(out.iter().all(|byte| *byte == 7));
    let mut wire = sealed(&mut ours, &[1; 10]);
    assert_eq!(
        at((0, 0), Aead::Aes256Gcm).open(&mut wire).expect("good").content,
        RecordContent::Data(5..15)
    );
}

#[test]
fn the_longest_record_passes_and_nothing_is_sent_for_nothing() {
    let mut ours = at((0, 0), Aead::ChaCha20Poly1305);
    assert_eq!(ours.seal(&[], &mut []), Ok(0));
    let mut wire = sealed(&mut ours, &vec![1; CONTENT_BYTES_MAX]);
    let step = at((0, 0), Aead::ChaCha20Poly1305).open(&mut wire).expect("good");
    assert_eq!(step.content, RecordContent::Data(5..5 + CONTENT_BYTES_MAX));
}

/// Nothing follows `close_notify` (section 6.1), in either direction.
#[test]
fn a_goodbye_is_the_last_word() {
    let mut ours = at((0, 0), Aead::Aes128Gcm);
    let mut wire = Vec::new();
    ours.close(&mut wire);
    let length = wire.len();
    ours.close(&mut wire);
    assert_eq!((length, wire.len()), (OVERHEAD_BYTES + 2, length));
    assert_eq!(ours.seal(b"x", &mut [0; 99]), Err(SealError::Ended));
    let mut peer = at((0, 0), Aead::Aes128Gcm);
    assert_eq!(peer.open(&mut wire).expect("good").content, RecordContent::Closed);
    assert_eq!(
        peer.open(&mut [1, 2, 3]).expect("ignored"),
        OpenedRecord { content: RecordContent::Closed, consumed: 0 }
    );
}

/// A header is refused by its first wrong byte.
#[test]
fn a_wrong_header_is_not_waited_for() {
    for (bytes, fault) in [
        (&[22][..], RecordError::UnexpectedRecord),
        (&[20, 3, 3, 0, 1, 1], RecordError::UnexpectedRecord),
        (&[23, 2], RecordError::Forged),
        (&[23, 3, 1], RecordError::Forged),
        (&[23, 3, 3, 0x41, 1], RecordError::Oversized),
    ] {
        let mut bytes = bytes.to_vec();
        assert_eq!(at((0, 0), Aead::Aes128Gcm).open(&mut bytes), Err(fault), "{bytes:?}");
    }
    let mut longest = vec![23, 3, 3, 0x41, 0];
    let step = at((0, 0), Aead::Aes128Gcm).open(&mut longest);
    assert_eq!(step, Ok(OpenedRecord { content: RecordContent::Incomplete, consumed: 0 }));
}

/// Neither excuses the other: only content begins the counts anew.
#[test]
fn key_updates_and_empty_records_in_turn_come_to_an_end() {
    let aead = Aead::Aes128Gcm;
    for content in [&b""[..], b"x"] {
        let mut ours = at((0, 0), aead);
        let mut peer = keys(0, 0, aead);
        let mut outcome = Ok(OpenedRecord { content: RecordContent::Handled, consumed: 0 });
        for generation in 1..=100 {
            for (kind, content) in [(22, &[24, 0, 0, 1, 0][..]), (23, content)] {
                let mut wire = vec![0; content.len() + OVERHEAD_BYTES];
                peer.seal(kind, content, &mut wire).expect("room");
                if outcome.is_ok() {
                    outcome = ours.open(&mut wire);
                }
                if kind == 22 {
                    peer = keys(0, generation, aead);
                }
            }
        }
        let refused = outcome == Err(RecordError::TooManyKeyUpdates);
        assert_eq!(refused, content.is_empty(), "{outcome:?}");
        assert!(refused || outcome.is_ok(), "{outcome:?}");
    }
}
