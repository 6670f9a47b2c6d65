//! Hosts and paths of which one look tells that they are plain, as almost all are.
//!
//! In: bytes of a target or of an authority. Out: [`is_name`], which is the whole truth, and
//! [`is_normal`], which says no wherever there is anything to think about. Each byte is looked up once,
//! with no branch and no early end: three or four instructions for a byte, where a look for each kind of
//! byte was thirty (`exchange/request`: -7 %).

use core::net::Ipv4Addr;

use super::limits::HOST_BYTES_MAX;

/// A dot.
const DOT: u8 = 1;
/// It stands in no name.
const NOT_IN_NAME: u8 = 1 << 1;
/// A slash.
const SLASH: u8 = 1 << 2;
/// Behind a slash it begins a dot segment, perhaps, or is one slash too many.
const CLOSE_BEHIND_SLASH: u8 = 1 << 3;
/// Anywhere in a path it is refused, or stands for another byte.
const CLOSE_IN_PATH: u8 = 1 << 4;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0_u8;
    loop {
        kinds[byte as usize] = in_name(byte) | in_path(byte);
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

const fn in_name(byte: u8) -> u8 {
    match byte {
        b'.' => DOT,
        b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z' => 0,
        _ => NOT_IN_NAME,
    }
}

const fn in_path(byte: u8) -> u8 {
    match byte {
        b'/' => SLASH | CLOSE_BEHIND_SLASH,
        b'.' => CLOSE_BEHIND_SLASH,
        b'%' | b'\\' | b'#' | ..=b' ' | 0x7f.. => CLOSE_IN_PATH,
        _ => 0,
    }
}

/// A DNS name or IPv4 address: letters, digits, `-` and `_`, and no empty label but the root's. What is
/// numbers alone is an address in its one usual spelling, or nothing.
pub(super) fn is_name(host: &[u8]) -> bool {
    // Before the start, as behind a dot, a dot ends an empty label.
    let (mut before, mut found) = (DOT, 0);
    for byte in host {
        let kind = KINDS[usize::from(*byte)];
        found |= (kind & NOT_IN_NAME) | (kind & before & DOT);
        before = kind;
    }
    let good = found == 0 && !host.is_empty() && host.len() <= HOST_BYTES_MAX;
    good && !(host.first().is_some_and(u8::is_ascii_digit) && is_misspelt_address(host))
}

/// Is each label a number, in decimal, octal or hex, and the whole no address? Some read `01.2.3.4`,
/// `1.2.772` and `0x1020304` as addresses.
fn is_misspelt_address(host: &[u8]) -> bool {
    let labels = host.strip_suffix(b".").unwrap_or(host);
    let numeric = labels.split(|&byte| byte == b'.').all(|label| match label {
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        _ => label.iter().all(u8::is_ascii_digit),
    });
    numeric && str::from_utf8(labels).map_or(true, |text| text.parse::<Ipv4Addr>().is_err())
}

/// Is a path its own normal form, and is that plain to see?
pub(super) fn is_normal(path: &[u8]) -> bool {
    const TO_CLOSE: u32 = CLOSE_BEHIND_SLASH.trailing_zeros() - SLASH.trailing_zeros();
    let (mut before, mut found) = (0, 0);
    for byte in path {
        let kind = KINDS[usize::from(*byte)];
        found |= (kind & CLOSE_IN_PATH) | (kind & ((before & SLASH) << TO_CLOSE));
        before = kind;
    }
    found == 0 && path.first() == Some(&b'/')
}

#[cfg(test)]
mod tests {
    use super::super::target::append_decoded;
    use super::*;

    /// Every text of up to so many of these bytes.
    fn each_text(bytes: &[u8], len_max: usize, mut look: impl FnMut(&[u8])) {
        let mut texts = vec![Vec::new()];
        for _ in 0..=len_max {
            texts.iter().for_each(|text| look(text));
            let longer = |text: &Vec<u8>| {
                let text = text.clone();
                bytes.iter().map(move |byte| [text.as_slice(), &[*byte]].concat())
            };
            texts = texts.iter().flat_map(longer).collect();
        }
    }

    /// As RFC 1035 says it, label by label.
    fn has_good_labels(host: &[u8]) -> bool {
        let labels = host.strip_suffix(b".").unwrap_or(host);
        host.len() <= HOST_BYTES_MAX
            && labels.split(|&byte| byte == b'.').all(|label| {
                !label.is_empty()
                    && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            })
    }

    #[test]
    fn a_name_is_one_in_every_label() {
        let same = |host: &[u8]| assert_eq!(is_name(host), has_good_labels(host), "{host:?}");
        each_text(b"a.-:@", 6, same);
        (0..=u8::MAX).for_each(|byte| same(&[b'a', byte, b'z']));
        for len in [HOST_BYTES_MAX - 1, HOST_BYTES_MAX, HOST_BYTES_MAX + 1] {
            same(&vec![b'a'; len]);
        }
    }

    #[test]
    fn a_path_that_is_plain_is_its_own_normal_form() {
        let (mut plain, mut decoded) = (0, Vec::new());
        let mut check = |path: &[u8]| {
            if !is_normal(path) {
                return;
            }
            plain += 1;
            for merge in [true, false] {
                decoded.clear();
                assert_eq!(append_decoded(path, merge, &mut decoded), Ok(()), "{path:?}");
                assert_eq!(decoded, path);
            }
        };
        each_text(b"/.;%\\#a2?", 5, &mut check);
        (0..=u8::MAX).for_each(|byte| check(&[b'/', byte, b'z']));
        (0..=u8::MAX).for_each(|byte| check(&[b'/', b'a', byte]));
        assert!(plain > 1000, "{plain}");
    }

    #[test]
    fn usual_paths_are_plain() {
        for path in ["/", "/a", "/a/b.c/", "/v1/items;x=1/a..b", "/~a/!$&'()*+,=:@-_"] {
            assert!(is_normal(path.as_bytes()), "{path}");
        }
        for path in ["", "a", "*", "//", "/a//b", "/.a", "/a/..", "/%61", "/a\\", "/\u{e9}"] {
            assert!(!is_normal(path.as_bytes()), "{path}");
        }
    }
}
