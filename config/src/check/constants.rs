//! What a condition compares a variable with: is it a value that the variable can have?
//!
//! In: a variable and a test. Out: nothing, or why no request is ever equal to its constant. Such a
//! condition is a misspelt one: it never holds, or its opposite always does, and nobody sees it.

use std::net::IpAddr;

use crate::host_names;
use crate::model::Test;
use crate::template::Variable;
use crate::uri_pattern;
use crate::values::{self, Wrong};

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE"];

/// Can the variable be what the test compares it with?
pub(super) fn check(variable: &Variable, test: &Test) -> Result<(), Wrong> {
    match test {
        Test::Is(text) => possible(variable, text),
        Test::In(texts) => texts.iter().try_for_each(|text| possible(variable, text)),
        Test::Equals(number) if !is_numeric(variable) => {
            let name = variable.name();
            Err(Wrong::new(format!("`{name}` is no number, and never {number}")))
        }
        Test::Has(_) if is_whole_name(variable) => {
            let name = variable.name();
            Err(Wrong::new(format!(
                "`{name}` is no list: a comma within a value would end an item"
            ))
            .help("compare an attribute, as `ssl_client_s_dn_ou`, or use `client.allow`"))
        }
        Test::Has(text) if !is_one_by_one(variable) && text.contains(',') => {
            Err(Wrong::new(format!("no item of a list is `{text}`: a comma ends it")))
        }
        Test::Has(text) if text.trim() != text => {
            Err(Wrong::new(format!("no item of a list is {text:?}: white space is left out")))
        }
        _ => Ok(()),
    }
}

fn possible(variable: &Variable, text: &str) -> Result<(), Wrong> {
    let never = |help: String| {
        Err(Wrong::new(format!("`{}` is never {text:?}", variable.name())).help(help))
    };
    if let Some(words) = words(variable) {
        let help = || format!("it is one of {words:?}");
        return if words.contains(&text) { Ok(()) } else { never(help()) };
    }
    if text.is_empty() && !is_always_there(variable) {
        return Ok(());
    }
    match form(variable, text) {
        Ok(()) => Ok(()),
        Err(help) => never(help),
    }
}

/// Is the text of the form that the variable's values have? Or what that form is.
fn form(variable: &Variable, text: &str) -> Result<(), String> {
    match variable {
        Variable::Host => host(text, true),
        Variable::SslServerName => host(text, false),
        Variable::RequestMethod => method(text),
        Variable::Uri => match uri_pattern::normal_path(text, text) {
            Ok(normal) => is(&normal, text, "it is the normalised path"),
            Err(wrong) => Err(wrong.message),
        },
        Variable::SslClientVerify => {
            let known = matches!(text, "SUCCESS" | "NONE") || text.starts_with("FAILED:");
            when(known, "it is \"SUCCESS\", \"NONE\" or \"FAILED:\" and the reason")
        }
        Variable::SslClientFingerprint => hex(text),
        Variable::SslClientFingerprintSha256 => hex(text),
        Variable::SslClientSerial => {
            let bare = text.strip_prefix('-').unwrap_or(text);
            let legal = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            let whole = bare.len().is_multiple_of(2) && bare.bytes().all(legal);
            when(whole, "it is hex digits in upper case, two for each byte")
        }
        Variable::SslClientSpkiSha256 => {
            when(values::sha256_base64(text).is_some(), "it is 44 characters of base64")
        }
        Variable::SslClientX5tS256 => {
            let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            when(text.len() == 43 && text.bytes().all(digit), "it is 43 characters of base64url")
        }
        Variable::SslClientSpiffeId => {
            when(text.starts_with("spiffe://"), "it begins with \"spiffe://\"")
        }
        Variable::SslClientSanDns | Variable::SslClientSanEmail => {
            when(!text.contains(','), "names are compared one by one, and `in` takes several")
        }
        Variable::SslClientSan => {
            let typed = ["DNS:", "URI:", "IP:", "email:"].iter().any(|kind| text.starts_with(kind));
            when(typed, "each name has its kind in front: `DNS:`, `URI:`, `IP:` or `email:`")
        }
        Variable::SslClientSDnAttribute(_) | Variable::Http(_) | Variable::Cookie(_) => {
            when(text.trim() == text, "it has no white space at its ends")
        }
        variable if is_address(variable) => match text.parse::<IpAddr>() {
            Ok(address) => is(&address.to_canonical().to_string(), text, "it is written"),
            Err(_) => Err("it is an address; `ipmatch` takes networks".to_owned()),
        },
        variable if is_port(variable) => {
            let port = text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
            when(port, "it is a port")
        }
        _ => Ok(()),
    }
}

fn host(text: &str, addresses: bool) -> Result<(), String> {
    if text.contains('*') {
        return Err("it has no wildcards: `host` of the route has".to_owned());
    }
    match host_names::host_pattern(text, addresses) {
        Ok(pattern) => {
            let what = "it is in lower case, without port and final dot";
            is(&pattern.to_string(), text, what)
        }
        Err(wrong) => Err(wrong.message),
    }
}

/// Whatever a client may invent is a method, but not a known one in other letters.
fn method(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&upper.as_str()) {
        return is(&upper, text, "methods are compared byte for byte");
    }
    when(values::is_token(text), "it is a token")
}

fn hex(text: &str) -> Result<(), String> {
    let legal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    when(text.bytes().all(legal), "it is hex digits in lower case, without colons")
}

fn is(right: &str, text: &str, what: &str) -> Result<(), String> {
    if right == text { Ok(()) } else { Err(format!("{what}: {right:?}")) }
}

fn when(good: bool, what: &str) -> Result<(), String> {
    if good { Ok(()) } else { Err(what.to_owned()) }
}

/// The only values of a variable that has few.
const fn words(variable: &Variable) -> Option<&'static [&'static str]> {
    Some(match variable {
        Variable::Scheme => &["http", "https"],
        Variable::ServerProtocol => &["HTTP/1.1", "HTTP/1.0"],
        Variable::SslProtocol => &["TLSv1.2", "TLSv1.3", ""],
        Variable::SslSessionReused => &["r", ".", ""],
        Variable::SslAlpnProtocol => &["http/1.1", ""],
        Variable::SslEarlyData => &[""],
        _ => return None,
    })
}

const fn is_always_there(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::RemoteAddr
            | Variable::RequestMethod
            | Variable::RequestUri
            | Variable::SslClientVerify
            | Variable::Uri
    )
}

const fn is_address(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::RemoteAddr
            | Variable::ServerAddr
            | Variable::RealipRemoteAddr
            | Variable::ProxyProtocolAddr
            | Variable::ProxyProtocolServerAddr
            | Variable::SslClientSanIp
    )
}

const fn is_port(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::RemotePort
            | Variable::ServerPort
            | Variable::RealipRemotePort
            | Variable::ProxyProtocolPort
            | Variable::ProxyProtocolServerPort
    )
}

/// Has a certificate several of these, of which a condition tests each?
pub(super) const fn is_one_by_one(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::SslClientSan
            | Variable::SslClientSanDns
            | Variable::SslClientSanEmail
            | Variable::SslClientSanIp
            | Variable::SslClientSanUri
            | Variable::SslClientSDnAttribute(_)
    )
}

/// Several values in one text, with commas between them and within them.
const fn is_whole_name(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::SslClientIDn
            | Variable::SslClientIDnLegacy
            | Variable::SslClientInfoTraefik
            | Variable::SslClientSDn
            | Variable::SslClientSDnLegacy
            | Variable::SslClientXfcc
    )
}

/// May it be a number? What the client writes may be anything.
fn is_numeric(variable: &Variable) -> bool {
    let text = matches!(variable, Variable::Uri | Variable::RequestUri | Variable::SslClientVerify);
    words(variable).is_none() && !is_address(variable) && !text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_a_value_that_can_be() {
        let sha1 = "0123456789012345678901234567890123456789";
        let table: [(&str, &[&str], &[&str]); 20] = [
            (
                "host",
                &["admin.example", "[::1]", "10.0.0.1", ""],
                &["Admin.Example", "a:80", "a.", "[0::1]", "*.a"],
            ),
            ("scheme", &["https"], &["HTTPS", "wss", ""]),
            ("request_method", &["DELETE", "purge2"], &["delete", "Get", "A B", ""]),
            ("ssl_client_verify", &["SUCCESS", "NONE", "FAILED:x"], &["FAILED", "success", ""]),
            ("ssl_protocol", &["TLSv1.3"], &["TLS1.3", "tlsv1.3"]),
            ("server_protocol", &["HTTP/1.1"], &["HTTP/2", "http/1.1"]),
            ("uri", &["/a b", "/a"], &["a", "/a%20b", "/a//b", "/a?b", ""]),
            (
                "remote_addr",
                &["10.0.0.1", "::1"],
                &["0:0:0:0:0:0:0:1", "::ffff:10.0.0.1", "10.0.0.0/8"],
            ),
            ("remote_port", &["80"], &["080", "http", "70000"]),
            ("ssl_client_serial", &["0A", "-01"], &["0a", "A", "0x0A"]),
            ("ssl_client_fingerprint", &[sha1], &["01:23", "0A"]),
            ("ssl_client_spiffe_id", &["spiffe://a/b", ""], &["URI:spiffe://a/b"]),
            ("ssl_client_s_dn_cn", &["a", "A b", ""], &[" a", "a "]),
            ("ssl_client_san", &["DNS:a", "URI:x:y,z", ""], &["a", "dns:a"]),
            ("ssl_client_san_dns", &["a.example", ""], &["a.example,b.example"]),
            (
                "ssl_client_san_ip",
                &["10.0.0.1", ""],
                &["10.0.0.1,10.0.0.2", "10.0.0.0/8", "010.0.0.1"],
            ),
            ("ssl_client_san_uri", &["x:y,z", ""], &[]),
            ("http_x_role", &["Any Thing", ""], &["a "]),
            ("ssl_server_name", &["a.example", ""], &["A.example", "10.0.0.1"]),
            ("arg_x", &[" a "], &[]),
        ];
        for (name, good, bad) in table {
            let variable = Variable::parse(name).unwrap();
            for text in good {
                let test = Test::Is((*text).to_owned());
                assert_eq!(check(&variable, &test), Ok(()), "{name} {text}");
            }
            for text in bad {
                let test = Test::In(vec![(*text).to_owned()]);
                assert!(check(&variable, &test).is_err(), "{name} {text}");
            }
        }
        let list = Variable::parse("http_accept").unwrap();
        assert!(check(&list, &Test::Has("a,b".to_owned())).is_err());
        assert!(check(&list, &Test::Has("a ".to_owned())).is_err());
        for (name, good) in [
            ("ssl_client_s_dn", false),
            ("ssl_client_i_dn_legacy", false),
            ("ssl_client_xfcc", false),
            ("ssl_client_s_dn_ou", true),
            ("ssl_client_san_uri", true),
        ] {
            let variable = Variable::parse(name).unwrap();
            let has = |text: &str| check(&variable, &Test::Has(text.to_owned())).is_ok();
            assert_eq!((has("OU=ops"), has("x:y,z")), (good, good), "{name}");
        }
    }
}
