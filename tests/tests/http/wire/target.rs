//! Targets, hosts and paths: bytes and verdicts (RFC 9112, section 3.2; RFC 3986, section 3).

use ferrule_engine::wire::error::WireError::{self, *};
use ferrule_engine::wire::head::{Method, RequestHead, parse_request};
use ferrule_engine::wire::span::Span;
use ferrule_engine::wire::target::{
    Form, normalise_path, parse_authority, parse_target, request_authority, request_target,
};

use super::feed::{LIMITS, show};

/// Form, authority, path, query, path and query.
type Parts<'a> = (Form, &'a str, &'a str, &'a str, &'a str);

/// Parses a target that lies somewhere inside a buffer.
fn parts(method: Method, target: &str, check: impl FnOnce(Result<Parts<'_>, WireError>)) {
    let buf = format!("GET {target} HTTP/1.1");
    let span = Span::new(4, 4 + target.len()).unwrap();
    let text = |span: Span| str::from_utf8(span.of(buf.as_bytes())).unwrap();
    check(parse_target(buf.as_bytes(), method, span).map(|target| {
        let [authority, path, query, both] =
            [target.authority, target.path, target.query, target.path_and_query].map(text);
        (target.form, authority, path, query, both)
    }));
}

#[test]
fn the_four_forms_are_taken_apart() {
    let cases: &[(Method, &str, Parts<'_>)] = &[
        (Method::Get, "/", (Form::Origin, "", "/", "", "/")),
        (Method::Get, "/a/b?c=d?e&/", (Form::Origin, "", "/a/b", "c=d?e&/", "/a/b?c=d?e&/")),
        (Method::Get, "/?", (Form::Origin, "", "/", "", "/?")),
        (Method::Get, "//a//b", (Form::Origin, "", "//a//b", "", "//a//b")),
        (Method::Options, "/x", (Form::Origin, "", "/x", "", "/x")),
        (Method::Get, "/a:b@c;d=1,2!$&'()*+~", {
            let path = "/a:b@c;d=1,2!$&'()*+~";
            (Form::Origin, "", path, "", path)
        }),
        (Method::Get, "http://a.b/c?d", (Form::Absolute, "a.b", "/c", "d", "/c?d")),
        (Method::Get, "HTTPS://A:8443/", (Form::Absolute, "A:8443", "/", "", "/")),
        (Method::Get, "http://[::1]:80/x", (Form::Absolute, "[::1]:80", "/x", "", "/x")),
        (Method::Get, "http://a.b", (Form::Absolute, "a.b", "/", "", "/")),
        (Method::Options, "http://a.b", (Form::Absolute, "a.b", "/", "", "/")),
        (Method::Options, "*", (Form::Asterisk, "", "*", "", "*")),
        (Method::Connect, "a.b:443", (Form::Authority, "a.b:443", "", "", "")),
        (Method::Connect, "[::1]:0", (Form::Authority, "[::1]:0", "", "", "")),
    ];
    for (method, target, expected) in cases {
        parts(*method, target, |found| assert_eq!(found, Ok(*expected), "{target}"));
    }
}

#[test]
fn targets_of_no_form_or_of_another_methods_form_are_refused() {
    let cases: &[(Method, &str, WireError)] = &[
        (Method::Get, "", InvalidTarget),
        (Method::Get, "a", InvalidTarget),
        (Method::Get, "?a", InvalidTarget),
        (Method::Get, "*", InvalidTarget),
        (Method::Options, "**", InvalidTarget),
        (Method::Options, "*?a", InvalidTarget),
        (Method::Get, "a.b:443", InvalidTarget),
        (Method::Get, "ftp://a/b", InvalidTarget),
        (Method::Get, "ws://a/b", InvalidTarget),
        (Method::Get, "http:/a", InvalidTarget),
        (Method::Get, "http:a", InvalidTarget),
        (Method::Get, "http", InvalidTarget),
        (Method::Get, "://a/", InvalidTarget),
        (Method::Get, "http://a?b", InvalidTarget),
        (Method::Get, "/ ", InvalidTarget),
        (Method::Get, "/\u{7f}", InvalidTarget),
        (Method::Get, "/\u{e9}", InvalidTarget),
        (Method::Get, "/a\tb", InvalidTarget),
        (Method::Get, "/a#b", FragmentInTarget),
        (Method::Get, "/?a#b", FragmentInTarget),
        (Method::Get, "http://a/#", FragmentInTarget),
        (Method::Get, "http://u@a/", UserinfoInAuthority),
        (Method::Get, "http://u:p@a/", UserinfoInAuthority),
        (Method::Get, "http://@a/", UserinfoInAuthority),
        (Method::Get, "http:///b", InvalidAuthority),
        (Method::Get, "http://", InvalidAuthority),
        (Method::Get, "http://a:b/", InvalidAuthority),
        (Method::Get, "http://a\\b/", InvalidAuthority),
        (Method::Connect, "a.b", InvalidAuthority),
        (Method::Connect, "a.b:", InvalidAuthority),
        (Method::Connect, ":443", InvalidAuthority),
        (Method::Connect, "/", InvalidAuthority),
        (Method::Connect, "http://a:443/", InvalidAuthority),
        (Method::Connect, "*", InvalidAuthority),
        (Method::Connect, "u@a:443", UserinfoInAuthority),
    ];
    for (method, target, error) in cases {
        parts(*method, target, |found| assert_eq!(found, Err(*error), "{target}"));
    }
}

#[test]
fn legal_hosts_are_split_from_their_port() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.", "a".repeat(61));
    let cases: &[(&str, &str, Option<u16>)] = &[
        ("a", "a", None),
        ("a.b.", "a.b.", None),
        ("A-b_c.9:80", "A-b_c.9", Some(80)),
        ("a:", "a", None),
        ("a:0", "a", Some(0)),
        ("a:00080", "a", Some(80)),
        ("a:65535", "a", Some(65535)),
        ("127.0.0.1:8080", "127.0.0.1", Some(8080)),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::1]:443", "[2001:DB8::1]", Some(443)),
        ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", None),
        (&longest, &longest, None),
    ];
    for (authority, host, port) in cases {
        let expected = Ok((host.as_bytes(), *port));
        assert_eq!(parse_authority(authority.as_bytes()), expected, "{authority}");
    }
}

#[test]
fn illegal_hosts_and_ports_are_refused() {
    let too_long = "a".repeat(255);
    let cases: &[&str] = &[
        "",
        ":",
        ":80",
        ".",
        "..",
        ".a",
        "a..b",
        "a..",
        "a b",
        " a",
        "a ",
        "a,b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a%41",
        "a%00",
        "a:80:80",
        "a:+80",
        "a:-1",
        "a:8 0",
        "a:0x50",
        "a:65536",
        "a:99999",
        "a:000080",
        "a:80a",
        "[]",
        "[",
        "]",
        "[::1",
        "::1",
        "::1]",
        "[::1]a",
        "[::1]80",
        "[:::1]",
        "[::g]",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[v1.a]",
        "[[::1]]",
        "[a]",
        "a[::1]",
        "\u{e9}.de",
        "a\0",
        "a\r\nb",
        "a*",
        "*.a",
        "\"a\"",
        "a;b",
        "a=b",
        "~a",
        &too_long,
    ];
    for authority in cases {
        let verdict = parse_authority(authority.as_bytes());
        assert_eq!(verdict, Err(InvalidAuthority), "{authority:?}");
    }
    for authority in ["u@a", "u:p@a", "@a", "a@", "@"] {
        assert_eq!(parse_authority(authority.as_bytes()), Err(UserinfoInAuthority));
    }
}

/// What some read as an address in an older spelling is neither that nor a name.
#[test]
fn numbers_alone_are_an_address_in_one_spelling_or_no_host() {
    for spelling in [
        "01.2.3.4",
        "1.2.3.04",
        "1.2.772",
        "1.66051",
        "16909060",
        "0x1.2.3.4",
        "1.2.3.0x4",
        "0X01020304",
        "1.2.3.4.5",
        "1.2.3.256",
        "256.1.1.1",
        "0x",
    ] {
        for authority in [spelling.to_owned(), format!("{spelling}:80"), format!("{spelling}.")] {
            assert_eq!(parse_authority(authority.as_bytes()), Err(InvalidAuthority), "{authority}");
        }
    }
    for name in ["1.2.3.4", "1.2.3.4.", "1a.2b", "1.2.3.4x", "0xg", "a.0x7f", "a.1", "1.2.3.x4"] {
        assert!(parse_authority(name.as_bytes()).is_ok(), "{name}");
    }
}

/// The authority in force for `GET target HTTP/1.x` with these field lines.
fn authority(target: &str, version: &str, fields: &str) -> Result<Option<String>, WireError> {
    let text = format!("GET {target} {version}\r\n{fields}\r\n");
    let buf = text.as_bytes();
    let mut head = RequestHead::default();
    parse_request(buf, buf.len(), LIMITS, &mut head)?;
    let target = request_target(head.view(buf))?;
    let authority = request_authority(head.view(buf), &target)?;
    Ok(authority.map(|span| String::from_utf8(span.of(buf).to_vec()).unwrap()))
}

#[test]
fn a_request_is_for_one_host() {
    let some = |text: &str| Ok(Some(text.to_owned()));
    let cases = [
        ("/", "HTTP/1.1", "Host: a.b:80\r\n", some("a.b:80")),
        ("/", "HTTP/1.0", "host: a\r\n", some("a")),
        ("/", "HTTP/1.0", "", Ok(None)),
        ("/", "HTTP/1.1", "", Err(MissingHost)),
        ("/", "HTTP/1.1", "Host: a\r\nHost: a\r\n", Err(SeveralHosts)),
        ("/", "HTTP/1.0", "Host: a\r\nHost: b\r\n", Err(SeveralHosts)),
        ("/", "HTTP/1.1", "Host:\r\n", Err(InvalidHost)),
        ("/", "HTTP/1.0", "Host:\r\n", Err(InvalidHost)),
        ("/", "HTTP/1.1", "Host: a, b\r\n", Err(InvalidHost)),
        ("/", "HTTP/1.1", "Host: a b\r\n", Err(InvalidHost)),
        ("/", "HTTP/1.1", "Host: http://a\r\n", Err(InvalidHost)),
        ("/", "HTTP/1.1", "Host: u@a\r\n", Err(UserinfoInAuthority)),
        // The target's authority replaces Host, which has to be there and sound all the same.
        ("http://c:1/", "HTTP/1.1", "Host: a\r\n", some("c:1")),
        ("http://c", "HTTP/1.0", "", some("c")),
        ("http://c/", "HTTP/1.1", "", Err(MissingHost)),
        ("http://c/", "HTTP/1.1", "Host: a\r\nHost: c\r\n", Err(SeveralHosts)),
        ("http://c/", "HTTP/1.1", "Host: a b\r\n", Err(InvalidHost)),
    ];
    for (target, version, fields, expected) in cases {
        assert_eq!(authority(target, version, fields), expected, "{target} {version} {fields}");
    }
}

fn normal(path: &str) -> Result<String, WireError> {
    let mut out = b"kept".to_vec();
    let verdict = normalise_path(path.as_bytes(), &mut out);
    let appended = out.strip_prefix(b"kept").unwrap().to_vec();
    assert!(verdict.is_ok() || appended.is_empty(), "an error leaves nothing behind");
    verdict.map(|()| String::from_utf8(appended).unwrap())
}

#[test]
fn routing_sees_one_spelling_of_a_path() {
    let cases: &[(&str, &str)] = &[
        ("/", "/"),
        ("*", "*"),
        ("//", "/"),
        ("///a//b//", "/a/b/"),
        ("/a/b.c", "/a/b.c"),
        ("/%61%2Db%7e", "/a-b~"),
        ("/%41dmin", "/Admin"),
        ("/a%20b", "/a b"),
        ("/%c3%A9", "/\u{e9}"),
        ("/%2a%3a%40%21", "/*:@!"),
        // What would change the structure of the path, or of what it is pasted into.
        ("/a%2fb", "/a%2Fb"),
        ("/a%2F%2fb", "/a%2F%2Fb"),
        ("/a/%2f/b", "/a/%2F/b"),
        ("/a%5cb", "/a%5Cb"),
        ("/a%3bb;c", "/a%3Bb;c"),
        ("/a%3fb%23c", "/a%3Fb%23c"),
        ("/%01%1f%7f%09", "/%01%1F%7F%09"),
        // Decoded once.
        ("/%2561", "/%2561"),
        ("/%25", "/%25"),
        ("/%252e%252e/", "/%252e%252e/"),
        // Dots that are names.
        ("/...", "/..."),
        ("/.../a", "/.../a"),
        ("/.a/..b/c./d../.e.", "/.a/..b/c./d../.e."),
        ("/%2ehidden", "/.hidden"),
        ("/a;/b;..", "/a;/b;.."),
        ("/;a", "/;a"),
    ];
    for (path, expected) in cases {
        assert_eq!(normal(path).as_deref(), Ok(*expected), "{path}");
        assert_eq!(normal(expected).as_deref(), Ok(*expected), "twice: {path}");
    }
}

#[test]
fn paths_that_could_mean_something_else_to_the_next_hop_are_refused() {
    let cases: &[(&str, WireError)] = &[
        ("", InvalidTarget),
        ("a", InvalidTarget),
        ("%2fa", InvalidTarget),
        ("**", InvalidTarget),
        ("/.", DotSegment),
        ("/..", DotSegment),
        ("/./a", DotSegment),
        ("/../a", DotSegment),
        ("/a/..", DotSegment),
        ("/a/../b", DotSegment),
        ("//../a", DotSegment),
        ("/a/%2e%2e/b", DotSegment),
        ("/a/.%2E/b", DotSegment),
        ("/a/%2e", DotSegment),
        ("/a/..%2fb", DotSegment),
        ("/a%2f..%2fb", DotSegment),
        ("/a%2F..", DotSegment),
        ("/a/..%5cb", DotSegment),
        ("/a%5c..", DotSegment),
        ("/a/..;/b", DotSegment),
        ("/a/..;x=y", DotSegment),
        ("/a/.;/b", DotSegment),
        ("/a/..%3b/b", DotSegment),
        ("/a/%2e%2e%3Bx/b", DotSegment),
        ("/a\\b", BackslashInPath),
        ("/a#b", FragmentInTarget),
        ("/%", BrokenEscape),
        ("/%4", BrokenEscape),
        ("/%4g", BrokenEscape),
        ("/%g4", BrokenEscape),
        ("/%%41", BrokenEscape),
        ("/%u0041", BrokenEscape),
        ("/%+1", BrokenEscape),
        ("/%00", ForbiddenEscape),
        ("/a%00.png", ForbiddenEscape),
        ("/%0d", ForbiddenEscape),
        ("/%0D", ForbiddenEscape),
        ("/%0a", ForbiddenEscape),
        ("/%0Ab", ForbiddenEscape),
    ];
    for (path, error) in cases {
        assert_eq!(normal(path), Err(*error), "{}", show(path.as_bytes()));
    }
}
