//! Base64 that comes in lines (RFC 4648, section 4).
//!
//! In: lines of a block. Out: its bytes, or what is wrong. There is one way to write them: as much
//! padding as is asked for, nothing after it, and no bits that say nothing. Ours and not a library's
//! because private keys come this way: no table is looked into, and each fault has its own words.

use super::flaw::Flaw;

/// A reader of lines.
#[derive(Default)]
pub(super) struct Base64 {
    bytes: Vec<u8>,
    /// Letters that make no three bytes yet, six bits each.
    pending: u32,
    letters: u8,
    padding: u8,
}

impl Base64 {
    /// For about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Takes a line, blanks in it included. Behind an error nothing more may be asked of it.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<(), Flaw> {
        for byte in line {
            match sextet(*byte) {
                Some(_) if self.padding > 0 => return Err(Flaw::Padding),
                Some(value) => self.push_letter(value),
                None if *byte == b'=' => self.padding = self.padding.saturating_add(1),
                None if matches!(byte, b' ' | b'\t') => {}
                None => return Err(Flaw::NotBase64),
            }
        }
        Ok(())
    }

    fn push_letter(&mut self, value: u8) {
        self.pending = (self.pending << 6) | u32::from(value);
        self.letters += 1;
        if self.letters == 4 {
            let [_, bytes @ ..] = self.pending.to_be_bytes();
            self.bytes.extend_from_slice(&bytes);
            (self.pending, self.letters) = (0, 0);
        }
    }

    /// What was written.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Flaw> {
        let surplus = match (self.letters, self.padding) {
            (0, 0) => 0,
            (2, 2) => 4,
            (3, 1) => 2,
            _ => return Err(Flaw::Padding),
        };
        if self.pending & ((1 << surplus) - 1) != 0 {
            return Err(Flaw::Padding);
        }
        let [_, _, high, low] = (self.pending >> surplus).to_be_bytes();
        match self.letters {
            2 => self.bytes.push(low),
            3 => self.bytes.extend_from_slice(&[high, low]),
            _ => {}
        }
        if self.bytes.is_empty() { Err(Flaw::Empty) } else { Ok(self.bytes) }
    }
}

/// The value of a letter. Without a table: which of its lines are in a cache would tell of keys.
pub(super) const fn sextet(byte: u8) -> Option<u8> {
    // One more than the value, so that nothing is zero.
    let value = (within(byte, b'A', b'Z') & byte.wrapping_sub(b'A' - 1))
        | (within(byte, b'a', b'z') & byte.wrapping_sub(b'a' - 27))
        | (within(byte, b'0', b'9') & byte.wrapping_add(53 - b'0'))
        | (within(byte, b'+', b'+') & 63)
        | (within(byte, b'/', b'/') & 64);
    if value == 0 { None } else { Some(value - 1) }
}

/// All ones if the letter is one of these, else zero.
const fn within(letter: u8, first: u8, last: u8) -> u8 {
    let is = (letter >= first) as u8 & (letter <= last) as u8;
    is.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<u8>, Flaw> {
        let mut reader = Base64::default();
        lines.iter().try_for_each(|line| reader.push(line.as_bytes()))?;
        reader.finish()
    }

    #[test]
    fn every_letter_has_its_value() {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for byte in 0..=u8::MAX {
            let value = letters.iter().position(|letter| *letter == byte);
            assert_eq!(sextet(byte).map(usize::from), value, "{byte}");
        }
    }

    #[test]
    fn there_is_one_way_to_write_bytes() {
        let good: [(&[&str], &[u8]); 6] = [
            (&["AAEC"], &[0, 1, 2]),
            (&["AAE", "C"], &[0, 1, 2]),
            (&["A A\tE C"], &[0, 1, 2]),
            (&["AAECAw=="], &[0, 1, 2, 3]),
            (&["AAECAwQ="], &[0, 1, 2, 3, 4]),
            (&["AAECAwQ", "="], &[0, 1, 2, 3, 4]),
        ];
        for (lines, bytes) in good {
            assert_eq!(read(lines).as_deref(), Ok(bytes), "{lines:?}");
        }
        let bad: [(&[&str], Flaw); 12] = [
            (&[], Flaw::Empty),
            (&["A"], Flaw::Padding),
            (&["AA"], Flaw::Padding),
            (&["AA="], Flaw::Padding),
            (&["AAA"], Flaw::Padding),
            (&["===="], Flaw::Padding),
            (&["AA==", "AA=="], Flaw::Padding),
            (&["AAEC="], Flaw::Padding),
            (&["AB=="], Flaw::Padding),
            (&["AAB="], Flaw::Padding),
            (&["AAE-"], Flaw::NotBase64),
            (&["AAE_"], Flaw::NotBase64),
        ];
        for (lines, flaw) in bad {
            assert_eq!(read(lines), Err(flaw), "{lines:?}");
        }
    }
}
