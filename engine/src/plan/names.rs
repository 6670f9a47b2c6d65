//! Field names compared without case: folded copies on the stack, and sets of them.

use ferrule_config::FIELD_NAME_BYTES_MAX;
use hashbrown::HashSet;

/// No name of ours is longer: a configuration takes no longer field names.
const NAME_BYTES_MAX: usize = FIELD_NAME_BYTES_MAX;

/// A short name, folded ([`fold`]), on the stack.
pub(crate) struct Folded {
    bytes: [u8; NAME_BYTES_MAX],
    len: usize,
}

impl Folded {
    /// `None` if the name is longer than any name we hold.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES_MAX];
        for (to, from) in bytes.get_mut(..name.len())?.iter_mut().zip(name) {
            *to = fold(*from);
        }
        Some(Self { bytes, len: name.len() })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Lower case, and `-` for all that is no letter or digit: CGI reads `-` and `_` as one, and some of
/// its heirs (PHP, WSGI servers, servlet bridges) any other byte of a token as well.
pub(crate) const fn fold(byte: u8) -> u8 {
    FOLDED[byte as usize]
}

const FOLDED: [u8; 256] = {
    let mut table = [b'-'; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Lower case, and `-` for `_`: how a variable names a field. Nothing else may be taken for that field.
pub(crate) const fn dashed(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// Does it hold a byte that may be read as `-`, and is none?
pub(crate) fn is_respelt(name: &[u8]) -> bool {
    // Asked of every field, so without an early end (`rewrite/0 identity headers`: -6 %).
    name.iter().fold(false, |found, byte| found | STANDS_FOR_DASH[usize::from(*byte)])
}

/// What is folded to `-` beside `-` itself.
const STANDS_FOR_DASH: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = FOLDED[byte] == b'-' && byte != b'-' as usize;
        byte += 1;
    }
    table
};

/// Field names in every case and spelling, whatever stands for `-`.
#[derive(Clone, Debug, Default)]
pub struct StripSet {
    names: HashSet<Box<[u8]>, foldhash::fast::FixedState>,
    /// Bits of [`start_bit`]: some name begins so.
    name_starts: u64,
    /// Names that start so, folded.
    prefixes: Vec<Box<[u8]>>,
    /// Bits of [`start_bit`]: some prefix begins so.
    starts: u64,
    /// Bit n: some name has n bytes; the last bit stands for all longer ones.
    lengths: u64,
}

impl StripSet {
    /// Adds a name.
    pub fn insert(&mut self, name: &str) {
        let folded: Box<[u8]> = name.bytes().map(fold).collect();
        self.lengths |= length_bit(folded.len());
        self.name_starts |= start_bit(&folded);
        self.names.insert(folded);
    }

    /// Adds every name that starts so.
    pub fn insert_prefix(&mut self, prefix: &str) {
        let folded: Box<[u8]> = prefix.bytes().map(fold).collect();
        self.starts |= start_bit(&folded);
        self.prefixes.push(folded);
    }

    /// Is this name in the set, in any case and spelling?
    #[must_use]
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        // Most fields of most requests are told apart by their length and their first bytes alone, and
        // most sets are empty.
        let start = start_bit(name);
        let by_name = self.lengths & length_bit(name.len()) != 0 && self.name_starts & start != 0;
        let by_start = self.starts & start != 0;
        (by_name || by_start) && self.look_up(name, by_name, by_start)
    }

    fn look_up(&self, name: &[u8], by_name: bool, by_start: bool) -> bool {
        let has_prefix = |prefix: &[u8]| {
            name.len() >= prefix.len() && prefix.iter().zip(name).all(|(a, b)| *a == fold(*b))
        };
        (by_start && self.prefixes.iter().any(|prefix| has_prefix(prefix)))
            || (by_name
                && Folded::of(name).is_some_and(|name| self.names.contains(name.as_bytes())))
    }
}

/// A bit for the first three bytes of a name, folded; all of them for a shorter one.
const fn start_bit(name: &[u8]) -> u64 {
    match name {
        [first, second, third, ..] => {
            let mixed = fold(*first) ^ fold(*second).rotate_left(2) ^ fold(*third).rotate_left(4);
            1 << (mixed & 63)
        }
        _ => u64::MAX,
    }
}

const fn length_bit(len: usize) -> u64 {
    1 << if len < 63 { len } else { 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_and_every_case_are_one_name() {
        let mut set = StripSet::default();
        set.insert("X-Client_Verify");
        set.insert_prefix("X-SSL-Client-");
        for name in ["X-Client-Verify", "x_client_verify", "X-CLIENT_verify"] {
            assert!(set.matches(name.as_bytes()), "{name}");
        }
        for name in ["x-ssl-client-s-dn", "X_SSL_Client_Verify", "X-Ssl-Client-"] {
            assert!(set.matches(name.as_bytes()), "{name}");
        }
        for sign in "!#$%&'*+-.^_`|~".bytes() {
            for name in ["X-Client-Verify", "X-SSL-Client-S-DN"] {
                let respelt = name.replace('-', &char::from(sign).to_string());
                assert!(set.matches(respelt.as_bytes()), "{respelt}");
                assert_eq!(is_respelt(respelt.as_bytes()), sign != b'-');
            }
        }
        for name in ["X-Client-Verif", "X-Client-Verify2", "X-Ssl-Client", "X.Other", "XClient", ""]
        {
            assert!(!set.matches(name.as_bytes()), "{name}");
        }
    }

    /// What the quick looks let pass, and what they do not, against the plain meaning of a set.
    #[test]
    fn no_name_slips_past_the_quick_looks() {
        let signs: Vec<u8> = (0..=u8::MAX).collect();
        let (names, prefixes) = (["X-A", "b", "-c"], ["X-S-", "Ab", "9-", "-"]);
        for (names, prefixes) in [
            (&names[..], &prefixes[..3]),
            (&[], &prefixes),
            (&names, &[]),
            (&[], &[""]),
            (&[], &[]),
        ] {
            let mut set = StripSet::default();
            names.iter().for_each(|name| set.insert(name));
            prefixes.iter().for_each(|prefix| set.insert_prefix(prefix));
            let folded = |text: &[u8]| text.iter().copied().map(fold).collect::<Vec<u8>>();
            let means = |name: &[u8]| {
                let name = folded(name);
                names.iter().any(|known| folded(known.as_bytes()) == name)
                    || prefixes.iter().any(|prefix| name.starts_with(&folded(prefix.as_bytes())))
            };
            for text in ["", "x-a", "B", "-C", "x-s-", "X-S-t", "aB-", "9-9", "-", "x-sa", "a"] {
                assert_eq!(set.matches(text.as_bytes()), means(text.as_bytes()), "{text}");
                for (at, sign) in (0..text.len()).flat_map(|at| signs.iter().map(move |s| (at, s)))
                {
                    let mut name = text.as_bytes().to_vec();
                    name[at] = *sign;
                    assert_eq!(set.matches(&name), means(&name), "{}", name.escape_ascii());
                }
            }
        }
        for byte in signs {
            let plain = byte.is_ascii_alphanumeric() || byte == b'-';
            assert_eq!(is_respelt(&[b'a', byte, b'z']), !plain, "{byte}");
            let wanted = if plain { byte.to_ascii_lowercase() } else { b'-' };
            assert_eq!(fold(byte), wanted, "{byte}");
        }
        assert!(!is_respelt(b""));
    }

    #[test]
    fn names_of_every_length_that_a_configuration_takes_are_found() {
        for len in [1, 62, 63, 64, 200, FIELD_NAME_BYTES_MAX] {
            let mut set = StripSet::default();
            set.insert(&"x".repeat(len));
            assert!(set.matches(&vec![b'X'; len]), "{len}");
            assert!(!set.matches(&vec![b'X'; len + 1]) && !set.matches(&[b'X'; 4000]), "{len}");
        }
    }
}
