//! One term of an allow or deny list, read from its text.
//!
//! In: `URI:...`, `CN=...` and so on. Out: a [`ClientTerm`], or what is wrong with it. Nothing is
//! taken that no certificate could match, because a misspelt `deny` would protect nothing.

use crate::attributes::{SUBJECT_ATTRIBUTES, is_attribute, is_dotted};
use crate::distinguished_name;
use crate::host_names;
use crate::model::{ClientTerm, HostPattern, UriMatch, UriRest, UriSegment};
use crate::values::{self, Wrong, nearest};

/// The kinds, as they are written.
const KINDS: [&str; 9] =
    ["URI", "DNS", "email", "IP", "subject", "issuer", "serial", "sha256", "spki-sha256"];

/// Reads a term.
pub(crate) fn term(text: &str) -> Result<ClientTerm, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::new(format!("{text:?} holds control characters"))
            .help("a name with one in it never matches"));
    }
    let separator = text.find([':', '=']);
    let Some((kind, rest)) = separator.and_then(|at| text.split_at_checked(at)) else {
        return Err(unknown(text));
    };
    let value = rest.get(1..).unwrap_or_default();
    if rest.starts_with('=') {
        return match kind.split_once('.') {
            Some(("issuer", name)) => {
                attribute(name, value).map(|(name, value)| ClientTerm::Issuer(name, value))
            }
            _ => attribute(kind, value).map(|(name, value)| ClientTerm::Subject(name, value)),
        };
    }
    match kind {
        "URI" => uri(value).map(ClientTerm::Uri),
        "DNS" => dns(value).map(ClientTerm::Dns),
        "email" => email(value),
        "IP" => values::address_range(value).map(ClientTerm::Ip),
        "subject" => name(value).map(ClientTerm::SubjectName),
        "issuer" => name(value).map(ClientTerm::IssuerName),
        "serial" => serial(value).map(ClientTerm::Serial),
        "sha256" => sha256(value).map(ClientTerm::Sha256),
        "spki-sha256" => {
            values::sha256_base64(value).map(ClientTerm::SpkiSha256).ok_or_else(|| {
                Wrong::new(format!("`{value}` is not a SHA-256 in base64"))
                    .help("44 characters, as `$ssl_client_spki_sha256` has them")
            })
        }
        _ => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> Wrong {
    let wrong = Wrong::new(format!("`{text}` does not say what it is"));
    let kind = text.split([':', '=']).next().unwrap_or_default();
    let near = nearest(kind, KINDS.into_iter()).filter(|_| text.contains(':'));
    wrong.help(near.map_or_else(
        || format!("`CN=value` or another attribute, or one of `{}:`", KINDS.join(":`, `")),
        |near| format!("did you mean `{near}:`?"),
    ))
}

/// OpenSSL's short name in any case, or dotted numbers; and the value as a whole.
fn attribute(name: &str, value: &str) -> Result<(String, String), Wrong> {
    let lower = name.to_ascii_lowercase();
    if !is_attribute(&lower) && !is_dotted(name) {
        let wrong = Wrong::new(format!("there is no attribute `{name}` of a subject"));
        return Err(wrong.help(match nearest(&lower, SUBJECT_ATTRIBUTES.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "OpenSSL's short names (`CN`, `O`, `OU`, ...), or dotted numbers".to_owned(),
        }));
    }
    if value.is_empty() {
        return Err(Wrong::new(format!("`{name}=` has no value")));
    }
    if value.trim() != value {
        return Err(Wrong::new(format!("`{name}={value}` has white space at its ends"))
            .help("a value with it never matches: take it out"));
    }
    if value.contains('*') {
        return Err(Wrong::new(format!("`{value}` has a `*`, and attributes have no wildcards"))
            .help("name the whole value; URIs and DNS names have wildcards"));
    }
    Ok((lower, value.to_owned()))
}

/// A whole name by RFC 2253, as our variables have it.
fn name(text: &str) -> Result<String, Wrong> {
    let normal = distinguished_name::normal(text)?;
    if normal != text {
        return Err(Wrong::new(format!("`{text}` is not how a certificate's name is spelt"))
            .help(format!("by RFC 2253, as `$ssl_client_s_dn` has it: `{normal}`")));
    }
    let country = normal.starts_with("C=");
    if country && normal.rsplit(',').next().is_some_and(|last| last.starts_with("CN=")) {
        return Err(Wrong::new(format!("`{text}` begins with the country")).help(
            "RFC 2253 begins with the last attribute; of a certificate that has them in this \
                   order, name the attributes: `[\"CN=...\", \"C=...\"]`",
        ));
    }
    Ok(normal)
}

fn uri(text: &str) -> Result<UriMatch, Wrong> {
    let not = || {
        Wrong::new(format!("`{text}` is not a URI"))
            .help("as \"URI:spiffe://example.com/ns/pay/*\"")
    };
    let (origin, rest) = split_uri(text).ok_or_else(not)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(not());
    }
    if origin.contains(['*', '@']) {
        return Err(Wrong::new(format!("`{origin}` has a `*` or `@`, and must be whole")).help(
            "wildcards are for segments of the path; name each trust domain in an entry of its own",
        ));
    }
    let origin = origin.to_ascii_lowercase();
    if !rest.contains('*') {
        return Ok(UriMatch { origin, rest: UriRest::Exact(rest.to_owned()) });
    }
    let path = rest.strip_prefix('/').ok_or_else(not)?;
    let count = path.split('/').count();
    let mut segments = Vec::new();
    for (index, segment) in path.split('/').enumerate() {
        segments.push(match segment {
            "*" => UriSegment::One,
            "**" if index + 1 == count => UriSegment::More,
            "**" => {
                return Err(Wrong::new(format!("`{text}` has a `**` that is not at its end"))
                    .help("`*` is one segment; `**` is one or more, at the end"));
            }
            _ if segment.contains('*') => {
                return Err(Wrong::new(format!("`{text}` has a `*` that is not a whole segment"))
                    .help("`*` is one segment; `**` is one or more, at the end"));
            }
            _ => UriSegment::Exact(segment.to_owned()),
        });
    }
    Ok(UriMatch { origin, rest: UriRest::Path(segments) })
}

/// Scheme and authority, and what follows them.
fn split_uri(text: &str) -> Option<(&str, &str)> {
    let colon = text.find(':')?;
    let scheme = text.get(..colon)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(legal)
    {
        return None;
    }
    let end = match text.get(colon + 1..)?.strip_prefix("//") {
        Some(behind) => {
            let authority = behind.find(['/', '?', '#']).unwrap_or(behind.len());
            colon + 3 + authority
        }
        None => colon + 1,
    };
    let (origin, rest) = text.split_at_checked(end)?;
    (!origin.ends_with("://")).then_some((origin, rest))
}

fn dns(text: &str) -> Result<HostPattern, Wrong> {
    match host_names::host_pattern(text, false)? {
        HostPattern::Any => Err(Wrong::new("`*` alone is every name")
            .help("name a domain: \"DNS:*.example.com\" is one label in front of it")),
        pattern => Ok(pattern),
    }
}

fn email(text: &str) -> Result<ClientTerm, Wrong> {
    let not = || {
        Wrong::new(format!("`{text}` is not an e-mail address")).help("as \"email:a@example.com\"")
    };
    let (local, domain) = text.rsplit_once('@').ok_or_else(not)?;
    let domain = host_names::dns_name(domain).map_err(|_| not())?;
    let plain = local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    if local.is_empty() || !plain {
        return Err(not());
    }
    Ok(ClientTerm::Email { local: local.to_owned(), domain })
}

/// As `$ssl_client_serial` has it; colons and leading zeros are dropped. Some CAs made negative ones.
fn serial(text: &str) -> Result<String, Wrong> {
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let digits: String = number.chars().filter(|letter| *letter != ':').collect();
    let legal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !legal {
        return Err(Wrong::new(format!("`{text}` is not a serial number"))
            .help("hex digits, as `$ssl_client_serial` has them"));
    }
    let bare = digits.trim_start_matches('0').to_ascii_uppercase();
    Ok(match bare.len() {
        0 => "00".to_owned(),
        len if len.is_multiple_of(2) => format!("{sign}{bare}"),
        _ => format!("{sign}0{bare}"),
    })
}

fn sha256(text: &str) -> Result<[u8; 32], Wrong> {
    values::sha256_hex(text).ok_or_else(|| {
        Wrong::new(format!("`{text}` is not a SHA-256 in hex"))
            .help("64 digits, with or without colons, as `$ssl_client_fingerprint_sha256` has them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_read_back() {
        let digest = "df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a";
        for (text, shown) in [
            ("URI:spiffe://Example.com/ns/pay/*", "URI:spiffe://example.com/ns/pay/*"),
            ("URI:spiffe://example.com/**", "URI:spiffe://example.com/**"),
            ("URI:URN:uuid:A-b", "URI:urn:uuid:A-b"),
            ("URI:https://a.test/x?y", "URI:https://a.test/x?y"),
            ("DNS:*.Partner.com.", "DNS:*.partner.com"),
            ("email:Me@Example.com", "email:Me@example.com"),
            ("IP:10.0.0.0/8", "IP:10.0.0.0/8"),
            ("CN=Acme, Inc.", "cn=Acme, Inc."),
            ("emailAddress=a@b", "emailaddress=a@b"),
            ("1.2.840.113549.1.9.1=x", "1.2.840.113549.1.9.1=x"),
            ("issuer.O=Acme", "issuer.o=Acme"),
            ("issuer:CN=Root\\, One,O=Acme", "issuer:CN=Root\\, One,O=Acme"),
            ("serial:0a:1f", "serial:0A1F"),
            ("serial:00001", "serial:01"),
            ("serial:-01:f", "serial:-1F"),
            ("serial:-0", "serial:00"),
        ] {
            let read = term(text).unwrap().to_string();
            assert_eq!(read, shown);
            assert_eq!(term(&read).unwrap().to_string(), shown);
        }
        let spki = format!("spki-sha256:{}", values::sha256_base64_text(&[9; 32]));
        assert_eq!(term(&spki).unwrap().to_string(), spki);
        let colons: Vec<String> =
            digest.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).into()).collect();
        let colons = colons.join(":").to_uppercase();
        assert_eq!(term(&format!("sha256:{colons}")), term(&format!("sha256:{digest}")));
    }

    #[test]
    fn what_no_certificate_can_match_is_refused() {
        for text in [
            "",
            "ops",
            "CN",
            "CN=",
            "CN=*",
            "CN=a*",
            "cnn=a",
            "1.2.=a",
            "3.1=a",
            "1.40=a",
            "dns:a.test",
            "DNS:",
            "DNS:*",
            "DNS:a*.test",
            "DNS:10.0.0.1",
            "URI:",
            "URI:a",
            "URI:spiffe://*/a",
            "URI:spiffe://*.example.com/a",
            "URI:spiffe://a/b*",
            "URI:spiffe://a/**/b",
            "URI:spiffe:///a",
            "URI:a b:c",
            "URI:urn:*",
            "email:a",
            "email:@b.test",
            "email:*@b.test",
            "IP:10.0.0.1/8",
            "IP:a",
            "issuer:Root",
            "issuer:CN=a, O=b",
            "issuer:CN=a\\00b",
            "issuer:CN=\u{e4}",
            "issuer:CN = Other",
            "subject:CN = mallory",
            "subject:/C=DE/O=Acme/CN=mallory",
            "subject:cn=mallory",
            "subject:C=DE,O=Acme,CN=mallory",
            "subject:FOO=bar",
            "subject:==",
            "subject:CN=a,b",
            "subject:CN=a;O=b",
            "subject:CN=a,",
            "subject:CN=a\\ ",
            "subject:CN=a\\2C",
            "subject: CN=a",
            "CN= mallory",
            "CN=mallory ",
            "CN=\u{a0}mallory",
            "issuer.CN=x\t",
            "CN =a",
            "issuer.x=a",
            "serial:",
            "serial:xy",
            "serial:--1",
            "serial:1-",
            "sha256:00",
            "spki-sha256:00",
            "CN=a\0b",
            "other:CN=a",
        ] {
            assert!(term(text).is_err(), "{text}");
        }
    }
}
