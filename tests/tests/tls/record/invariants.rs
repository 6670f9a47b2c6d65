//! What holds for any script of records: one outcome in every split, nothing behind a fault, and no
//! room taken for what is refused; and records sealed again where they lie say the same. Shared with the
//! fuzz target.

use ferrule_engine::tls::record::cipher::{Aead, Protection};
use ferrule_engine::tls::record::reseal::{PayloadPart, ResealStop, reseal};
use ferrule_engine::tls::record::{
    CONTENT_BYTES_MAX, KeySchedule, OpenedRecord, RecordContent, RecordError, RecordLayer, Role,
};

/// Keys of a generation; both sides count along.
fn keys(direction: u8, generation: u8) -> Protection {
    let (key, iv) = ([direction ^ generation; 16], [direction; 12]);
    Protection::new(0, Aead::Aes128Gcm, &key, &iv).expect("right lengths")
}

#[derive(Default)]
struct Counted {
    read: u8,
    write: u8,
}

impl KeySchedule for Counted {
    fn next_read(&mut self) -> Option<Protection> {
        self.read = self.read.wrapping_add(1);
        Some(keys(0x40, self.read))
    }

    fn next_write(&mut self) -> Option<Protection> {
        self.write = self.write.wrapping_add(1);
        Some(keys(0x80, self.write))
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordError> {
        if body.first() == Some(&0xff) { Err(RecordError::BrokenMessage) } else { Ok(()) }
    }
}

/// A script as a stream: `type length content...`, sealed; type 0 is raw bytes, type 1 the next keys.
/// Type 2 is padding: its length byte in pairs of 64 zeros, behind nothing; type 3 is data with padding
/// behind it.
fn stream(mut script: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let (mut sealer, mut generation) = (keys(0x40, 0), 0_u8);
    while let [kind, length, rest @ ..] = script {
        let (content, after) = rest.split_at(usize::from(*length).min(rest.len()));
        script = after;
        match kind {
            0 => wire.extend_from_slice(content),
            1 => {
                generation = generation.wrapping_add(1);
                sealer = keys(0x40, generation);
            }
            3 => {
                let padded = [content, &[23], &[0; 40]].concat();
                seal(&mut sealer, 0, &padded, &mut wire);
            }
            kind => {
                let long = vec![0; usize::from(*length) * 64];
                let content = if *kind == 2 { &long[..] } else { content };
                let kind = if *kind == 2 { 0 } else { *kind };
                seal(&mut sealer, kind, content, &mut wire);
            }
        }
    }
    wire
}

fn seal(sealer: &mut Protection, kind: u8, content: &[u8], wire: &mut Vec<u8>) {
    let start = wire.len();
    wire.resize(start + content.len() + 22, 0);
    let sealed = sealer.seal(kind, content, &mut wire[start..]);
    wire.truncate(start + sealed.expect("enough room"));
}

#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    plain: Vec<u8>,
    closed: bool,
    fault: Option<RecordError>,
    said: Vec<u8>,
}

fn hear(wire: &[u8], role: Role, split: usize) -> Outcome {
    let mut records =
        RecordLayer::new(role, keys(0x40, 0), keys(0x80, 0), Box::new(Counted::default()));
    let mut out = Outcome { plain: Vec::new(), closed: false, fault: None, said: Vec::new() };
    let mut input = Vec::new();
    for piece in wire.chunks(split.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match records.open(&mut input) {
                Ok(OpenedRecord { content, consumed }) => {
                    assert!(consumed <= input.len());
                    match content {
                        RecordContent::Data(place) => {
                            assert!(!place.is_empty() && place.len() <= CONTENT_BYTES_MAX);
                            out.plain.extend_from_slice(&input[place]);
                        }
                        RecordContent::Handled => assert!(consumed > 0),
                        RecordContent::Incomplete => break,
                        RecordContent::Closed => {
                            out.closed = true;
                            assert!(matches!(
                                records.open(&mut [0; 9]),
                                Ok(OpenedRecord { consumed: 0, .. })
                            ));
                            records.close(&mut out.said);
                            return out;
                        }
                    }
                    input.drain(..consumed);
                }
                Err(fault) => {
                    assert_eq!(records.open(&mut []), Err(fault), "a fault is for good");
                    assert!(records.seal(b"x", &mut [0; 99]).is_err(), "nothing behind a fault");
                    records.end(&mut out.said);
                    assert_eq!(out.said.is_empty(), fault.alert().is_none());
                    let said = out.said.len();
                    records.close(&mut out.said);
                    records.end(&mut out.said);
                    assert_eq!(out.said.len(), said, "one alert");
                    out.fault = Some(fault);
                    return out;
                }
            }
        }
        assert!(input.len() <= 5 + CONTENT_BYTES_MAX + 256, "waits for no more than a record");
    }
    records.close(&mut out.said);
    out
}

/// What of a payload goes on: from here, so much.
type Pick = fn(usize) -> (usize, usize);

const PICKS: [Pick; 4] =
    [|len| (0, len), |len| (0, len / 2), |len| (len / 3, len - len / 3), |_| (0, 0)];

/// The same stream, made another connection's where it lies; what was picked of its payloads, as it
/// came out at the other end of that connection.
fn hear_resealed(wire: &[u8], role: Role, split: usize, pick: Pick) -> (Outcome, Vec<u8>) {
    let records = |role, keys: (Protection, Protection)| {
        RecordLayer::new(role, keys.0, keys.1, Box::new(Counted::default()))
    };
    let mut from = records(role, (keys(0x40, 0), keys(0x80, 0)));
    let mut to = records(Role::Client, (keys(0x20, 0), keys(0x60, 0)));
    let mut far = records(Role::Server, (keys(0x60, 0), keys(0x20, 0)));
    let mut out = Outcome { plain: Vec::new(), closed: false, fault: None, said: Vec::new() };
    let (mut input, mut sent, mut picked) = (Vec::new(), Vec::new(), Vec::new());
    let mut pieces = wire.chunks(split.max(1));
    loop {
        let done = reseal(&mut from, &mut to, &mut input, |payload| {
            out.plain.extend_from_slice(payload);
            let (start, count) = pick(payload.len());
            picked.extend_from_slice(&payload[start..start + count]);
            // Now and then it is asked again.
            PayloadPart { data: start..start + count, more: !payload.len().is_multiple_of(3) }
        });
        assert!(done.ready <= done.read && done.read <= input.len());
        sent.extend_from_slice(&input[..done.ready]);
        input.drain(..done.read);
        match done.stop {
            ResealStop::Enough => {}
            ResealStop::Incomplete => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break,
            },
            ResealStop::Closed => {
                out.closed = true;
                break;
            }
            ResealStop::Fault(fault) => {
                out.fault = Some(fault);
                break;
            }
            ResealStop::Seal(error) => panic!("{error:?}"),
        }
    }
    from.end(&mut out.said);
    from.close(&mut out.said);
    let mut received = Vec::new();
    let mut rest = &mut sent[..];
    while let Ok(OpenedRecord { content: RecordContent::Data(place), consumed }) = far.open(rest) {
        received.extend_from_slice(&rest[place]);
        rest = &mut rest[consumed..];
    }
    assert!(rest.is_empty(), "records that the other end does not open");
    assert_eq!(received, picked);
    (out, received)
}

/// The invariant.
///
/// # Panics
/// If it does not hold.
pub(crate) fn record(script: &[u8]) {
    let wire = stream(script);
    for role in [Role::Server, Role::Client] {
        let whole = hear(&wire, role, wire.len());
        for split in [1, 7, 1_000] {
            assert_eq!(hear(&wire, role, split), whole, "{role:?} in pieces of {split}");
        }
        for (split, pick) in [7, 1_000, 65_536].iter().flat_map(|split| PICKS.map(|p| (split, p))) {
            let (resealed, received) = hear_resealed(&wire, role, *split, pick);
            assert_eq!(resealed, whole, "{role:?} sealed again, in pieces of {split}");
            assert!(pick(9) != (0, 9) || received == whole.plain);
        }
    }
}
