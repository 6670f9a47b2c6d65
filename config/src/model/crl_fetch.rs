//! Revocation lists that are fetched: how, and from where.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::place::Place;

/// The port of `http`.
const PORT: u16 = 80;
/// Far more than anybody writes; a redirect may be long.
const URL_BYTES_MAX: usize = 2_048;

/// `[crl_fetch]`
#[derive(Clone, Debug)]
pub struct CrlFetch {
    /// Where in the file.
    pub place: Place,
    /// Where fetched lists are kept, absolute.
    pub directory: PathBuf,
    /// The longest time between two fetches of a list.
    pub refresh: Duration,
    /// How long a fetch may take, with its redirects.
    pub timeout: Duration,
    /// Bytes of an answer's body.
    pub size_max: u64,
}

/// Where a revocation list is fetched from: an absolute `http` URL without user and fragment.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CrlUrl {
    whole: String,
    /// The same without its query.
    text: String,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    /// Where the path begins.
    target: usize,
}

impl CrlUrl {
    /// Reads one.
    ///
    /// # Errors
    /// Words that follow the URL: why it is not fetched.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if text.len() > URL_BYTES_MAX || !text.bytes().all(legal) {
            return Err("is no URL: it has bytes that belong into none, or too many");
        }
        let scheme_end = text.find("://").ok_or("is no URL")?;
        let rest_at = scheme_end + 3;
        let (scheme, rest) = (text.get(..scheme_end), text.get(rest_at..).unwrap_or_default());
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "is not fetched: a list is signed by its CA, and TLS would need one for \
                            its own certificates first (RFC 5280, section 8)",
                );
            }
            _ => return Err("is not fetched: lists come over `http`"),
        }
        if rest.contains('#') {
            return Err("has a fragment, which no server sees");
        }
        let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let authority = rest.get(..authority_len).unwrap_or_default();
        if authority.contains('@') {
            return Err("has a user, which would be a secret in messages");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| digits && *port > 0);
                (host, port.ok_or("has no port from 1 to 65535")?)
            }
            _ => (authority, PORT),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name),
        };
        if !is_host {
            return Err("has no host that can be asked");
        }
        let shown = match text.split_once('?') {
            Some((before, _)) => format!("{before}?..."),
            None => text.to_owned(),
        };
        Ok(Self {
            whole: text.to_owned(),
            text: shown,
            host: host.to_owned(),
            port,
            target: rest_at + authority_len,
        })
    }

    /// As it was written. Its query may be a secret: see [`CrlUrl::text`].
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// As it is shown in logs, metrics and answers: without its query, which may hold a token.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where the host listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What is asked for there, in origin form: it begins with `/`.
    #[must_use]
    pub fn target(&self) -> String {
        match self.whole.get(self.target..).unwrap_or_default() {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        }
    }

    /// The same server with another path.
    ///
    /// # Errors
    /// As for [`CrlUrl::parse`].
    pub fn with_target(&self, target: &str) -> Result<Self, &'static str> {
        Self::parse(&format!("{}{target}", self.whole.get(..self.target).unwrap_or_default()))
    }
}

/// Likewise without its query.
impl fmt::Display for CrlUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for CrlUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CrlUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_host_port_and_target() {
        for (text, host, port, target) in [
            ("http://pki.test/ca.crl", "pki.test", 80, "/ca.crl"),
            ("HTTP://pki.test:8080", "pki.test", 8080, "/"),
            ("http://[::1]:81?a=b", "::1", 81, "/?a=b"),
            ("http://[::1]/", "::1", 80, "/"),
            ("http://10.0.0.1/A%20CA(1).crl", "10.0.0.1", 80, "/A%20CA(1).crl"),
        ] {
            let url = CrlUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port(), &*url.target()), (host, port, target), "{text}");
            assert_eq!(url.with_target("/x").unwrap().target(), "/x");
        }
    }

    #[test]
    fn a_query_is_asked_for_and_not_shown() {
        let url = CrlUrl::parse("http://pki.test/ca?token=hush").unwrap();
        assert_eq!((&*url.target(), url.text()), ("/ca?token=hush", "http://pki.test/ca?..."));
        assert_eq!(url.whole(), "http://pki.test/ca?token=hush");
        assert!(!format!("{url} {url:?}").contains("hush"));
    }

    #[test]
    fn what_is_not_fetched_says_why() {
        for (text, why) in [
            ("https://pki.test/ca.crl", "is signed by its CA"),
            ("ldap://pki.test/cn=x", "over `http`"),
            ("file:///etc/passwd", "over `http`"),
            ("http://me:secret@pki.test/", "a user"),
            ("http://pki.test/#x", "fragment"),
            ("http:///x", "no host"),
            ("http://pki.test:0/", "no port"),
            ("http://pki.test:+1/", "no port"),
            ("http://[::1/", "no host"),
            ("http://pki.test/a b", "is no URL"),
            ("http://pki.test/\r\nHost: x", "is no URL"),
            ("pki.test/x", "is no URL"),
        ] {
            let wrong = CrlUrl::parse(text).unwrap_err();
            assert!(wrong.contains(why), "{text}: {wrong}");
        }
    }
}
