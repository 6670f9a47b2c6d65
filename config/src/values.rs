//! Small values as text: durations, sizes, addresses, digests.
//!
//! Each reader says what is wrong in one sentence; each writer gives text that reads back. Durations and
//! sizes are nginx's: libraries for them take more units, in more spellings.

use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ipnet::IpNet;

/// Bytes of a field name that a configuration acts on: no longer name is in use, and whoever looks names
/// up may hold them on the stack.
pub const FIELD_NAME_BYTES_MAX: usize = 256;

/// What is wrong, and what would be right.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The units of a duration, the longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `30s`, `1m 30s`, `250ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` is not a duration"))
            .help("write numbers with a unit, as \"30s\", \"1m 30s\" or \"250ms\"")
    };
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at_checked(letters).ok_or_else(wrong)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = behind.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// A duration as [`duration`] reads it, in its largest whole unit up to minutes.
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1_000) {
        format!("{}s", millis / 1_000)
    } else {
        format!("{millis}ms")
    }
}

/// `512`, `32k`, `1m`, `2g`; powers of 1024, as nginx has them.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` is not a size"))
            .help("write a number of bytes, or \"32k\", \"1m\", \"2g\"")
    };
    let lower = text.trim().to_ascii_lowercase();
    let (number, factor) = match lower.as_bytes().last() {
        Some(b'k') => (lower.strip_suffix('k'), 1 << 10),
        Some(b'm') => (lower.strip_suffix('m'), 1 << 20),
        Some(b'g') => (lower.strip_suffix('g'), 1 << 30),
        _ => (Some(lower.as_str()), 1_u64),
    };
    let number = number.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.and_then(|digits| digits.parse::<u64>().ok());
    number.and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// A size as [`size`] reads it.
pub(crate) fn size_text(bytes: u64) -> String {
    for (unit, factor) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1_u64 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// A decimal number in thousandths: at most three digits behind its point, and no sign.
pub(crate) fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || !digits(whole) || !digits(part) {
        return None;
    }
    let part = format!("{part:0<3}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part)
}

/// A number as [`thousandths`] reads it.
pub(crate) fn thousandths_text(number: u64) -> String {
    let text = format!("{}.{:03}", number / 1_000, number % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number as Lua reads most of them: decimal, with a point and an exponent if need be.
#[must_use]
pub fn number(text: &[u8]) -> Option<f64> {
    let legal =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let text =
        str::from_utf8(text.trim_ascii()).ok().filter(|text| text.bytes().all(|b| legal(&b)))?;
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`. A range says no more than its prefix does: `10.1.2.3/8` may
/// be meant as either, and is refused.
pub(crate) fn address_range(text: &str) -> Result<IpNet, Wrong> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| {
        Wrong::new(format!("`{text}` is neither an address nor a range of addresses"))
            .help("write \"10.1.2.3\", \"10.0.0.0/8\" or \"fd00::/8\"")
    })?;
    let trunc = net.trunc();
    if trunc == net {
        Ok(net)
    } else {
        let wrong = Wrong::new(format!("`{text}` has bits behind its prefix"));
        Err(wrong.help(format!("write \"{trunc}\", or the address alone")))
    }
}

/// A range of addresses as clients have them: an IPv4 address in IPv6 spelling is that IPv4 address, as it
/// is where a connection is accepted.
pub(crate) fn client_range(text: &str) -> Result<IpNet, Wrong> {
    let net = address_range(text)?;
    let IpNet::V6(six) = net else { return Ok(net) };
    let Some(four) = six.addr().to_ipv4_mapped() else { return Ok(net) };
    let bits = six.prefix_len().checked_sub(96).ok_or_else(|| {
        Wrong::new(format!("`{text}` is more than the IPv4 addresses in IPv6 spelling"))
            .help("write \"0.0.0.0/0\" for every IPv4 address")
    })?;
    Ok(ipnet::Ipv4Net::new(four, bits).map_or(net, IpNet::V4))
}

/// Is it a field name (RFC 9110, section 5.1)?
pub(crate) fn is_token(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(legal)
}

/// A field name as a naive reader may see it: without case, and `-` and `_` the same.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The nearest of these names, if one is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let scored = names
        .map(|other| (strsim::damerau_levenshtein(&lower, &other.to_ascii_lowercase()), other));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() / 3).clamp(1, 4)).then_some(best)
}

/// Thirty-two bytes in base64 with its padding, in the only spelling they have.
pub(crate) fn sha256_base64(text: &str) -> Option<[u8; 32]> {
    // Without its padding there is no second group that could be padded.
    let bytes = BASE64_NOPAD.decode(text.strip_suffix('=')?.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// A digest as [`sha256_base64`] reads it.
pub(crate) fn sha256_base64_text(digest: &[u8; 32]) -> String {
    BASE64.encode(digest)
}

/// Thirty-two bytes in hex, in either case, all with colons between them or none.
pub(crate) fn sha256_hex(text: &str) -> Option<[u8; 32]> {
    let plain = if text.contains(':') {
        let parts: Vec<&str> = text.split(':').collect();
        (parts.len() == 32 && parts.iter().all(|part| part.len() == 2)).then(|| parts.concat())?
    } else {
        text.to_owned()
    };
    HEXLOWER_PERMISSIVE.decode(plain.as_bytes()).ok()?.try_into().ok()
}

/// A digest as [`sha256_hex`] reads it.
pub(crate) fn sha256_hex_text(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text| duration(text).map(|duration| duration.as_millis()).ok();
        assert_eq!(ms("30s"), Some(30_000));
        assert_eq!(ms("1m 30s"), Some(90_000));
        assert_eq!(ms("1h2m3s4ms"), Some(3_723_004));
        for bad in
            ["", " ", "30", "s", "1.5s", "-1s", "1x", "1s,", "99999999999999999999s", "\u{e4}"]
        {
            assert_eq!(ms(bad), None, "{bad}");
        }
        for text in ["0s", "90s", "1500ms"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("32k"), Ok(32_768));
        assert_eq!(size("1M"), Ok(1_048_576));
        for bad in ["", "k", "-1", "1.5m", "1kb", "99999999999g"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for text in ["0", "1000", "32k", "1m", "3g"] {
            assert_eq!(size_text(size(text).unwrap()), text);
        }
    }

    #[test]
    fn decimals() {
        for (text, number) in [
            ("0", 0),
            ("0.1", 100),
            ("1.5", 1_500),
            ("10", 10_000),
            ("0.001", 1),
            ("20.05", 20_050),
        ] {
            assert_eq!(thousandths(text), Some(number), "{text}");
            assert_eq!(thousandths_text(number), text);
        }
        for bad in
            ["", ".", ".5", "-1", "+1", "1e3", "0.0001", "1.5.0", "inf", "99999999999999999999"]
        {
            assert_eq!(thousandths(bad), None, "{bad}");
        }
    }

    #[test]
    fn near_names() {
        let near = |name| nearest(name, ["client", "cert", "key"].into_iter());
        assert_eq!(near("cleint"), Some("client"));
        assert_eq!(near("Cert"), Some("cert"));
        assert_eq!(near("something"), None);
    }

    #[test]
    fn digests_have_one_spelling() {
        let text = "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=";
        let bytes = sha256_base64(text).unwrap();
        assert_eq!((bytes[0], bytes[31]), (0x36, 0xd0));
        assert_eq!(sha256_base64_text(&bytes), text);
        // The last digit's surplus bits, the padding, the length and the alphabet.
        for wrong in [
            "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9B=",
            "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A",
            "vqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=",
            "NvqYIYSbgK2vCJpQhObf77vv-bQWtc5ek5RIOwPiC9A=",
            "",
        ] {
            assert_eq!(sha256_base64(wrong), None, "{wrong}");
        }
        let plain = "0f".repeat(32);
        let colons = vec!["0F"; 32].join(":");
        assert_eq!(sha256_hex(&plain), Some([0x0f; 32]));
        assert_eq!(sha256_hex(&colons), Some([0x0f; 32]));
        for wrong in ["0f".repeat(31), vec!["0F"; 31].join(":"), format!("{plain}0"), String::new()]
        {
            assert_eq!(sha256_hex(&wrong), None, "{wrong}");
        }
        assert_eq!(sha256_hex(&"+f".repeat(32)), None);
    }
}
