//! Host names and addresses, as they are written in a file and compared with those of requests.
//!
//! In: text. Out: a pattern in the one form that is compared, or what is wrong with it.

use std::fmt;
use std::net::Ipv6Addr;

use crate::model::HostPattern;
use crate::values::Wrong;

/// `name`, `*.name` or `*`. Addresses are hosts, but never server names.
pub(crate) fn host_pattern(text: &str, addresses: bool) -> Result<HostPattern, Wrong> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if is_address(text) {
        return if !addresses {
            Err(Wrong::new(format!("`{text}` is an address, and clients never send one as a name"))
                .help("name it \"*\", or set `fallback_sni` of the listener"))
        } else if text.contains(':') && !text.starts_with('[') {
            Err(Wrong::new("an IPv6 address in a host stands in brackets")
                .help(format!("write \"[{text}]\"")))
        } else {
            Ok(HostPattern::Exact(host_address(text)))
        };
    }
    if let Some(suffix) = text.strip_prefix("*.") {
        return host_name(suffix).map(HostPattern::Wildcard);
    }
    if text.contains('*') {
        return Err(Wrong::new(format!("`{text}` has a `*` that is not its whole first label"))
            .help("write \"*.example.com\" for one label in front, or \"*\" for every name"));
    }
    host_name(text).map(HostPattern::Exact)
}

/// A name that a request may be for.
fn host_name(text: &str) -> Result<String, Wrong> {
    let name = dns_name(text)?;
    if is_numeric(&name) {
        return Err(Wrong::new(format!("`{text}` is numbers alone, and no address"))
            .help("write an IPv4 address as four decimal numbers without leading zeros"));
    }
    Ok(name)
}

/// An IPv6 address in the one spelling that hosts are compared in: that of RFC 5952 in brackets; an
/// IPv4 address in IPv6 spelling is that IPv4 address.
#[derive(Clone, Copy, Debug)]
pub struct HostAddress(Ipv6Addr);

impl HostAddress {
    /// Of what stands between brackets.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_ipv4_mapped() {
            Some(address) => write!(out, "{address}"),
            None => write!(out, "[{}]", self.0),
        }
    }
}

fn host_address(text: &str) -> String {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.and_then(HostAddress::read);
    address.map_or_else(|| text.to_ascii_lowercase(), |address| address.to_string())
}

/// Does a pattern match this name? A wildcard stands for exactly one label.
pub(crate) fn host_matches(pattern: &HostPattern, name: &str) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(exact) => exact == name,
        HostPattern::Wildcard(suffix) => {
            name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix)
        }
    }
}

/// A DNS name, lower case and without its trailing dot.
pub(crate) fn dns_name(text: &str) -> Result<String, Wrong> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !name.is_ascii() {
        return Err(Wrong::new(format!("`{text}` holds characters beyond ASCII"))
            .help("write internationalised names as they are sent: `xn--...`"));
    }
    if name.contains(':') {
        return Err(Wrong::new(format!("`{text}` has a port, or is not a name"))
            .help("write the name alone"));
    }
    let is_label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(legal)
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Wrong::new(format!("`{text}` is not a host name")));
    }
    Ok(name)
}

/// Is each label a number? No name is; some read it as an IPv4 address in an older spelling.
fn is_numeric(name: &str) -> bool {
    name.split('.').all(|label| match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    })
}

/// Does it look like an IPv4 or IPv6 address?
pub(crate) fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let pattern = |text| host_pattern(text, true).ok();
        assert_eq!(pattern("*"), Some(HostPattern::Any));
        assert_eq!(pattern("A.Example."), Some(HostPattern::Exact("a.example".to_owned())));
        assert_eq!(pattern("*.Example"), Some(HostPattern::Wildcard("example".to_owned())));
        assert_eq!(pattern("[::1]"), Some(HostPattern::Exact("[::1]".to_owned())));
        assert_eq!(pattern("[0:0::FFFF:1.2.3.4]"), Some(HostPattern::Exact("1.2.3.4".to_owned())));
        for bad in [
            "",
            ".",
            "a..b",
            "a*",
            "*a.b",
            "a.*.b",
            "a:80",
            "::1",
            "a b",
            "\u{e4}.de",
            "01.2.3.4",
            "1.2.772",
            "*.2.3.4",
            "0x7f.1",
            "0x",
        ] {
            assert_eq!(pattern(bad), None, "{bad}");
        }
        assert!(host_pattern("10.0.0.1", false).is_err());
        let wildcard = HostPattern::Wildcard("a.b".to_owned());
        assert!(host_matches(&wildcard, "x.a.b"));
        assert!(!host_matches(&wildcard, "a.b") && !host_matches(&wildcard, "y.x.a.b"));
    }
}
