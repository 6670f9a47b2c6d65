//! What holds for any script of records: one outcome in every split, nothing behind a fault, and no
//! room taken for what is refused. Shared with the fuzz target.

use ferrule_engine::tls::record::cipher::{Aead, Protection};
use ferrule_engine::tls::record::{CONTENT_BYTES_MAX, Fault, Found, Records, Role, Schedule, Step};

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

impl Schedule for Counted {
    fn next_read(&mut self) -> Option<Protection> {
        self.read = self.read.wrapping_add(1);
        Some(keys(0x40, self.read))
    }

    fn next_write(&mut self) -> Option<Protection> {
        self.write = self.write.wrapping_add(1);
        Some(keys(0x80, self.write))
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), Fault> {
        if body.first() == Some(&0xff) { Err(Fault::BrokenMessage) } else { Ok(()) }
    }
}

/// A script as a stream: `type length content...`, sealed; type 0 is raw bytes, type 1 the next keys.
/// Type 2 is padding: its length byte in pairs of 64 zeros, behind nothing.
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
            kind => {
                let long = vec![0; usize::from(*length) * 64];
                let content = if *kind == 2 { &long[..] } else { content };
                let kind = if *kind == 2 { 0 } else { *kind };
                let start = wire.len();
                wire.resize(start + content.len() + 22, 0);
                let sealed = sealer.seal(kind, content, &mut wire[start..]);
                wire.truncate(start + sealed.expect("enough room"));
            }
        }
    }
    wire
}

#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    plain: Vec<u8>,
    closed: bool,
    fault: Option<Fault>,
    said: Vec<u8>,
}

fn hear(wire: &[u8], role: Role, split: usize) -> Outcome {
    let mut records =
        Records::new(role, (keys(0x40, 0), keys(0x80, 0)), Box::new(Counted::default()));
    let mut out = Outcome { plain: Vec::new(), closed: false, fault: None, said: Vec::new() };
    let mut input = Vec::new();
    for piece in wire.chunks(split.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match records.open(&mut input) {
                Ok(Step { found, consumed }) => {
                    assert!(consumed <= input.len());
                    match found {
                        Found::Data(place) => {
                            assert!(!place.is_empty() && place.len() <= CONTENT_BYTES_MAX);
                            out.plain.extend_from_slice(&input[place]);
                        }
                        Found::Nothing => assert!(consumed > 0),
                        Found::More => break,
                        Found::Closed => {
                            out.closed = true;
                            assert!(matches!(
                                records.open(&mut [0; 9]),
                                Ok(Step { consumed: 0, .. })
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
    }
}
