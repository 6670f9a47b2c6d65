//! A client's word under a name that is the gateway's to send is no condition, header or log value.

use std::fmt::Write as _;

use ferrule_tests::{Authority, Setup, Upstream, echo, on_both_drivers, raw, scratch};

use crate::{PLAIN, write_ca};

/// Names that only the gateway sends with [`ours`], and what to write instead, as far as it is said.
const OURS: [(&str, &str); 12] = [
    ("client_cert", "ssl_client_verify"),
    ("client_cert_chain", "ssl_client_verify"),
    ("x_forwarded_client_cert", "ssl_client_verify"),
    ("x_forwarded_tls_client_cert", "ssl_client_verify"),
    ("x_forwarded_tls_client_cert_info", "ssl_client_verify"),
    ("x_ssl_client_verify", "ssl_client_verify"),
    ("x_ssl_client_s_dn", "ssl_client_s_dn"),
    ("x_ssl_client_serial", "ssl_client_serial"),
    ("x_ssl_client_anything", "ssl_client_verify"),
    ("x_who", "ssl_client_s_dn_cn"),
    ("x_by_route", "ssl_client_fingerprint"),
    ("x_real_ip", "remote_addr"),
];

/// What is nobody's word where no peer is trusted.
const FORWARDED: [(&str, &str); 5] = [
    ("x_forwarded_for", "remote_addr"),
    ("x_forwarded_proto", "scheme"),
    ("x_forwarded_host", "host"),
    ("x_forwarded_port", "server_port"),
    ("forwarded", "remote_addr"),
];

/// Every shape in which a condition may name a variable.
const SHAPES: [&str; 9] = [
    "['@', '==', '']",
    "['@', '~=', '']",
    "['@', '!', '~~', 'x']",
    "['@', 'in', ['SUCCESS', '']]",
    "['@', 'has', 'a']",
    "['@', '>', 1]",
    "['@', '!', 'ipmatch', ['10.0.0.0/8']]",
    "['OR', ['uri', '==', '/x'], ['@', '==', 'SUCCESS']]",
    "['!AND', ['uri', '==', '/x'], ['!OR', ['arg_a', '==', '1'], ['@', '==', 'SUCCESS']]]",
];

fn ours(http: &str, names: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[http]\n{http}\n[identity_headers]\nX-Who = '$ssl_client_s_dn_cn'\n\
         [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[upstreams]]\nid = 'up'\nnodes = {{ '127.0.0.1:9' = 1 }}\n\
         [[routes]]\nuri = '/*'\nheaders.set = {{ X-By-Route = '$ssl_client_fingerprint' }}\n\
         upstream_id = 'up'\n"
    );
    for (name, _) in names {
        for (at, shape) in SHAPES.iter().enumerate() {
            let shape = shape.replace('@', &format!("http_{name}"));
            write!(
                text,
                "[[routes]]\nid = '{name}-{at}'\nuri = '/*'\npriority = 1\nvars = [{shape}]\n\
                 upstream_id = 'up'\n"
            )
            .expect("memory");
        }
    }
    text
}

/// Is each condition on these an error of its own, which says what to write?
fn every_one_is_refused(http: &str, names: &[(&str, &str)]) {
    let scratch = scratch();
    let (code, said) =
        Setup::new(scratch.path(), ferrule_tests::Driver::Epoll, &ours(http, names)).check();
    assert_ne!(code, Some(0), "{said}");
    for (name, instead) in names {
        for at in 0..SHAPES.len() {
            let field = format!("routes.{name}-{at}.vars");
            let error = said.split("error:").find(|one| one.contains(&field));
            assert!(error.is_some(), "{field} is not refused: {said}");
            let error = error.unwrap_or_default();
            assert!(error.contains(&format!("`http_{name}`")), "{error}");
            assert!(error.contains(&format!("`{instead}`")), "{instead}: {error}");
        }
    }
}

#[test]
fn a_condition_on_what_only_the_gateway_sends_is_an_error() {
    every_one_is_refused("", &OURS);
    every_one_is_refused("underscores_in_headers = true", &OURS);
}

#[test]
fn a_condition_on_what_nobody_is_believed_in_is_an_error() {
    every_one_is_refused("", &FORWARDED);
    let trusting = "trusted_addresses = ['192.0.2.0/24']";
    let scratch = scratch();
    let text = ours(trusting, &FORWARDED);
    let (code, said) = Setup::new(scratch.path(), ferrule_tests::Driver::Epoll, &text).check();
    assert_eq!(code, Some(0), "{said}");
}

/// A header or log value of such a name is told, and empty: see below.
#[test]
fn a_template_of_what_only_the_gateway_sends_is_warned_about() {
    let scratch = scratch();
    let text = PLAIN.replace(
        "uri = \"/*\"\n",
        "uri = \"/*\"\nheaders.set = { X-Copy = '$http_client_cert', X-Fine = '$http_x_fine' }\n",
    );
    let (code, said) = Setup::new(scratch.path(), ferrule_tests::Driver::Epoll, &text)
        .set("upstream", &9)
        .log_line("access = { path = 'access.log', format = '$http_x_forwarded_proto' }")
        .check();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("`$http_client_cert`"), "{said}");
    assert!(said.contains("`$http_x_forwarded_proto`"), "{said}");
    assert!(!said.contains("`$http_x_fine`"), "{said}");
}

/// The spellings by which a client may hope to be read.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned(), name.to_lowercase(), name.to_uppercase()];
    all.extend(["_", ".", "~", "!"].map(|sign| name.replace('-', sign)));
    all.push(name.replacen('-', "_", 1));
    all
}

on_both_drivers! {
    /// As condition, header and log value, from a peer that is believed and from one that is not.
    fn a_strangers_word_on_where_it_comes_from_is_not_read(driver) {
        for (trusted, underscores) in [(false, false), (false, true), (true, false), (true, true)] {
            let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
            let peer = if trusted { "127.0.0.1" } else { "192.0.2.1" };
            let mut text = format!(
                "[http]\nunderscores_in_headers = {underscores}\ntrusted_addresses = ['{peer}']\n\
                 keepalive_requests = 10000\n[[listen]]\naddress = \"127.0.0.1:@front@\"\n\
                 [[upstreams]]\nid = 'up'\nnodes = {{ '127.0.0.1:@upstream@' = 1 }}\n\
                 [[routes]]\nuri = '/*'\nupstream_id = 'up'\n"
            );
            let mut format = String::new();
            for (at, (name, _)) in FORWARDED.iter().enumerate() {
                write!(format, "$http_{name} ").expect("memory");
                write!(text, "[[routes]]\nuri = '/*'\npriority = {}\nvars = [['http_{name}', '~=', '']]\n\
                     headers.set = {{ X-Taken = '{name}', X-Copy = '$http_{name}' }}\nupstream_id = 'up'\n",
                    at + 1).expect("memory");
            }
            let gateway = Setup::new(scratch.path(), driver, &text)
                .log_line(&format!("access = {{ path = 'access.log', format = '{format}' }}"))
                .set("upstream", &upstream.port)
                .start();
            let mut kept = raw::plain(gateway.port("front"));
            for (name, _) in FORWARDED {
                let proper = name.replace('_', "-");
                for spelt in spellings(&proper) {
                    for lines in [1, 2] {
                        let fields = format!("{spelt}: 5p00f\r\n").repeat(lines);
                        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
                        kept.send(request.as_bytes()).expect("a connection");
                        let answer = kept.response("GET").expect("an answer");
                        assert_eq!(answer.status(), 200, "{request}");
                        let believed = trusted && spelt.eq_ignore_ascii_case(&proper);
                        let head = ferrule_tests::Head { raw: answer.text() };
                        let taken = if believed { vec![name] } else { Vec::new() };
                        assert_eq!(head.all("x-taken"), taken, "{request}{}", head.raw);
                        let copy = if lines == 2 { "5p00f, 5p00f" } else { "5p00f" };
                        let copy = if believed { vec![copy] } else { Vec::new() };
                        assert_eq!(head.all("x-copy"), copy, "{request}{}", head.raw);
                    }
                }
            }
            drop(kept);
            let mut gateway = gateway;
            gateway.stop();
            let log = std::fs::read_to_string(scratch.path().join("access.log")).expect("a log");
            assert_eq!(log.contains("5p00f"), trusted, "{log}");
        }
    }

    /// What never passes is no value of a header or of the log either, in any spelling.
    fn a_name_of_ours_has_no_value(driver) {
        for underscores in [false, true] {
            let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
            let authority = Authority::new("Root");
            write_ca(scratch.path(), "ca", &authority);
            let mut copies = String::new();
            let mut format = String::new();
            for (at, (name, _)) in OURS.iter().enumerate() {
                write!(copies, "X-Copy-{at} = '$http_{name}', ").expect("memory");
                write!(format, "$http_{name} ").expect("memory");
            }
            let text = format!(
                "[http]\nunderscores_in_headers = {underscores}\nkeepalive_requests = 10000\n\
                 [identity_headers]\nX-Who = '$ssl_client_s_dn_cn'\n\
                 [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
                 [[routes]]\nuri = '/*'\n\
                 headers.set = {{ {copies} X-By-Route = '$ssl_client_fingerprint' }}\n\
                 upstream.nodes = {{ '127.0.0.1:@upstream@' = 1 }}\n"
            );
            let mut gateway = Setup::new(scratch.path(), driver, &text)
                .log_line(&format!("access = {{ path = 'access.log', format = '{format}' }}"))
                .set("upstream", &upstream.port)
                .start();
            let mut kept = raw::plain(gateway.port("front"));
            for (name, _) in OURS {
                for spelt in spellings(&name.replace('_', "-")) {
                    let request =
                        format!("GET / HTTP/1.1\r\nHost: h\r\n{spelt}: 5p00f\r\n{spelt}: 5p00f\r\n\r\n");
                    kept.send(request.as_bytes()).expect("a connection");
                    let answer = kept.response("GET").expect("an answer");
                    assert_eq!(answer.status(), 200, "{request}");
                    assert!(!answer.text().contains("5p00f"), "{request}{}", answer.text());
                }
            }
            drop(kept);
            gateway.stop();
            let log = std::fs::read_to_string(scratch.path().join("access.log")).expect("a log");
            assert!(!log.is_empty() && !log.contains("5p00f"), "{log}");
        }
    }
}
