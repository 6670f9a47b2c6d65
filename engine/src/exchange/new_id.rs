//! Ids for requests that bring none.
//!
//! In: the rule, random bits as they are asked for, and the second. Out: an id, written in place. Ours, as every
//! request may have one: the bits come from the core's own source, and nothing is allocated.

use ferrule_config::model::{IdAlgorithm, IdRange, RequestIdRule};

use crate::plan::request_ids::{ID_BYTES_MAX, RequestIds};
use crate::wire::hex;

/// Where seconds begin in a KSUID: 13 May 2014.
const KSUID_EPOCH: i64 = 1_400_000_000;
const KSUID_BYTES: usize = 27;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const NANOID_BYTES: usize = 21;
const NANOID_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Sets a new id.
pub(super) fn make(
    rule: &RequestIdRule,
    unix_seconds: i64,
    random: &mut dyn FnMut() -> [u8; 16],
    request_ids: &mut RequestIds,
) {
    match rule.algorithm {
        IdAlgorithm::Uuid => request_ids.set_id(&uuid(random())),
        IdAlgorithm::Nanoid => request_ids.set_id(&nanoid(random())),
        IdAlgorithm::Ksuid => request_ids.set_id(&ksuid(unix_seconds, random())),
        IdAlgorithm::RangeId => {
            let mut room = [0; ID_BYTES_MAX];
            request_ids.set_id(of_range(&rule.range, random, &mut room));
        }
    }
}

/// A version 4 UUID (RFC 9562, section 5.4) as text.
fn uuid(mut bits: [u8; 16]) -> [u8; 36] {
    bits[6] = bits[6] & 0x0f | 0x40;
    bits[8] = bits[8] & 0x3f | 0x80;
    let digits: [u8; 32] = lower_hex(bits);
    let mut text = [b'-'; 36];
    let places = (0..36).filter(|at| !matches!(at, 8 | 13 | 18 | 23));
    for (at, digit) in places.zip(digits) {
        text[at] = digit;
    }
    text
}

/// Lower-case digits; `TEXT` is twice `BYTES`.
pub(super) fn lower_hex<const BYTES: usize, const TEXT: usize>(bytes: [u8; BYTES]) -> [u8; TEXT] {
    const { assert!(TEXT == 2 * BYTES) };
    let mut text = [b'0'; TEXT];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&hex::pair(byte, hex::LOWER));
    }
    text
}

/// 126 of the bits, six for each character.
fn nanoid(bits: [u8; 16]) -> [u8; NANOID_BYTES] {
    let mut bits = u128::from_le_bytes(bits);
    let mut text = [0; NANOID_BYTES];
    for byte in &mut text {
        *byte = NANOID_CHARS[(bits & 63) as usize];
        bits >>= 6;
    }
    text
}

/// Seconds and bits as one number of 160 bits, in base 62.
fn ksuid(unix_seconds: i64, bits: [u8; 16]) -> [u8; KSUID_BYTES] {
    let seconds = u32::try_from(unix_seconds.saturating_sub(KSUID_EPOCH)).unwrap_or(0);
    let mut parts = [0_u32; 5];
    parts[0] = seconds;
    for (part, bytes) in parts[1..].iter_mut().zip(bits.chunks_exact(4)) {
        *part = bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    }
    let mut text = [BASE62[0]; KSUID_BYTES];
    for byte in text.iter_mut().rev() {
        let mut rest = 0_u64;
        for part in &mut parts {
            let number = rest << 32 | u64::from(*part);
            *part = u32::try_from(number / 62).unwrap_or_default();
            rest = number % 62;
        }
        *byte = BASE62[usize::try_from(rest).unwrap_or_default()];
    }
    text
}

/// Each character as likely as any other: bytes that would favour the first ones are left out. More than half of all
/// bytes count, so that a source which is not broken never needs as many draws as there are.
fn of_range<'a>(
    range: &IdRange,
    random: &mut dyn FnMut() -> [u8; 16],
    room: &'a mut [u8; ID_BYTES_MAX],
) -> &'a [u8] {
    const DRAWS_MAX: usize = 64;
    let chars = range.char_set.as_bytes();
    let length = usize::from(range.length).min(ID_BYTES_MAX);
    let fair = 256 - 256 % chars.len().max(1);
    let mut made = 0;
    for _ in 0..DRAWS_MAX {
        if made == length {
            break;
        }
        for number in random().map(usize::from) {
            let letter = chars.get(number % chars.len().max(1)).filter(|_| number < fair);
            if let (Some(letter), Some(place)) = (letter, room[..length].get_mut(made)) {
                *place = *letter;
                made += 1;
            }
        }
    }
    &room[..made]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ids_have_the_form_of_their_algorithm() {
        assert_eq!(text(&uuid([0xff; 16])), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(text(&nanoid([0; 16])), "A".repeat(21));
        assert_eq!(text(&nanoid([0xff; 16])), "-".repeat(21));
        // The ends of segmentio's implementation, and one between them.
        assert_eq!(text(&ksuid(KSUID_EPOCH, [0; 16])), "0".repeat(27));
        let last = KSUID_EPOCH + i64::from(u32::MAX);
        assert_eq!(text(&ksuid(last, [0xff; 16])), "aWgEPTl1tmebfsQzFP4bxwgy80V");
        let bits = 0xb5a1_cd34_b5f9_9d11_54fb_6853_345c_9735_u128.to_be_bytes();
        assert_eq!(text(&ksuid(KSUID_EPOCH + 107_608_047, bits)), "0ujtsYcgvSTl8PAuAdqWYSMnLOv");
        // A clock before that day, and one far behind it.
        assert_eq!(text(&ksuid(0, [0; 16])), "0".repeat(27));
        assert!(text(&ksuid(i64::MAX, [0; 16])).bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_range_is_used_evenly_and_to_its_length() {
        let mut state = 1_u128;
        let mut half = || {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(7);
            state >> 64
        };
        // The upper half of each state: its lower bits repeat soon.
        let mut random = || (half() << 64 | half()).to_le_bytes();
        let range = IdRange { length: 128, char_set: "abcdef-".to_owned() };
        let mut counts = [0_u32; 256];
        for _ in 0..200 {
            let mut room = [0; ID_BYTES_MAX];
            let id = of_range(&range, &mut random, &mut room);
            assert_eq!(id.len(), 128);
            id.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        }
        let wanted = 200 * 128 / 7;
        for byte in range.char_set.bytes() {
            let count = counts[usize::from(byte)];
            assert!(count > wanted / 2 && count < wanted * 2, "{byte}: {count}");
        }
        assert_eq!(counts.iter().sum::<u32>(), 200 * 128);
    }
}
