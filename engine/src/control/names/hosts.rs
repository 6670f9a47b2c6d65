//! `/etc/hosts` (hosts(5)): addresses and the names that they go by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of a name (lower case) in the text of a hosts file, in the order of the file.
///
/// Lines that are not of this form are passed over, as the C library does; so are addresses with a zone.
/// `localhost` and the names below it are loopback even where the file does not say so (RFC 6761,
/// section 6.3).
#[must_use]
pub fn find(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        let is_it = |word: &str| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name);
        if words.any(is_it) && !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_any_of_their_spellings() {
        let text = "127.0.0.1 localhost\n# 10.0.0.9 app\n10.0.0.1\tApp.Internal app # here\n\
                    ::1 localhost ip6-localhost\n10.0.0.2 app\nnonsense app\n10.0.0.1 app\nfe80::1%eth0 app\n";
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(find(text, "app"), [ip("10.0.0.1"), ip("10.0.0.2")]);
        assert_eq!(find(text, "app.internal"), [ip("10.0.0.1")]);
        assert_eq!(find(text, "localhost"), [ip("127.0.0.1"), ip("::1")]);
        assert_eq!(find("", "a.localhost"), [ip("127.0.0.1"), ip("::1")]);
        assert!(find(text, "pp").is_empty() && find(text, "here").is_empty());
    }
}
