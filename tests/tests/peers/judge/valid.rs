//! Requests that are legal, odd ones above all: none of them may be refused.

use super::verdict::RequestCase;

/// Fields of a GET, whole lines.
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "", "X:", "X: ", "X:\t", "X: \t \t", "X:y", "X:\ty\t", "X: y \t", "X: a  b", "X: a\tb", "X: ,", "X: ,,a,,", "X: \"a, b\"", "X: \"\\\"\"", "X: (comment)", "X: a=b; c=\"d\"",
    "X: :", "X: ::a", "X: http://a/b", "x: 1\r\nX: 2", "X: 1\r\nY: 2\r\nX: 3", "Accept: */*", "Accept:", "Cookie: a=b; c=d\r\nCookie: e=f", "Accept-Encoding: gzip;q=1.0, identity;q=0.5, *;q=0",
    "User-Agent: a/1.0 (b; c) d/2", "Referer: http://a.test/b?c=d", "If-None-Match: \"a\", W/\"b\"", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "Range: bytes=0-4", "Range: bytes=-5, 1-2",
    "Authorization: Basic Og==", "Cache-Control: no-cache, max-age=0", "Pragma: no-cache", "Via: 1.0 a, 1.1 b", "Forwarded: for=192.0.2.1;proto=http", "X-Forwarded-For: 1.2.3.4, 5.6.7.8",
    "Connection: keep-alive", "Connection: Keep-Alive", "Connection: keep-alive, X-A\r\nX-A: 1", "Connection: ,keep-alive,", "Connection: , ,", "Connection:", "Connection: X-None", "Connection: keep-alive\r\nConnection: X-B",
    "Keep-Alive: timeout=5, max=100", "Proxy-Connection: keep-alive", "TE: trailers", "TE:", "TE: trailers, gzip;q=0.5\r\nConnection: TE", "Trailer: X", "Upgrade: h2c\r\nConnection: Upgrade", "Upgrade: websocket, foo/2",
    "Max-Forwards: 5", "Expect: 100-continue", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Length: 0", "Content-Length: 00", "Content-Type: text/plain", "Content-Encoding: gzip", "!#$%&'*+-.^_`|~: token", "a: b", "Z9: y",
    "Transfer-Encoding-X: chunked", "X-Transfer-Encoding: chunked", "X-Content-Length: 5", "Hosts: evil.test", "X-Host: evil.test", "Proxy: http://evil", "Content-Lengths: 5",
];

/// Targets of a GET.
#[rustfmt::skip]
const TARGETS: &[&str] = &[
    "/", "//", "//a", "/a//b", "/a/", "/a?", "/?", "/a?b", "/a?b=c&d=e", "/a?b?c", "/a?/../b", "/a?%00", "/a?%2e%2e", "/a?b;c", "/a;b", "/a;b=c/d", "/;", "/a:b", "/a@b", "/a!$&'()*+,;=b", "/~a", "/a-b_c.d", "/...", "/....", "/a/...b", "/.a", "/..a", "/a..", "/a.b..c",
    "/%41", "/%61%62", "/%2F", "/%2f%2F", "/%20", "/%25", "/%252e%252e", "/%C3%A9", "/%ff", "/%7e", "/%7F", "/%01", "/a%3Fb", "/a%23b", "/a%3bb", "/a%5Cb", "/a%40", "/a|b", "/a{b}", "/a^b", "/a`b", "/a\"b", "/<a>", "/[a]", "/a?[b]", "/a?{\"b\":1}", "/a?b|c",
    "http://judge.test", "http://judge.test/", "http://judge.test/a", "HTTP://judge.test/a", "https://judge.test/a?b", "http://JUDGE.TEST/a", "http://judge.test:80/a", "http://judge.test:/a", "http://judge.test./a",
];

/// Hosts (a client certificate binds to names, so these are for plain connections).
#[rustfmt::skip]
const HOSTS: &[&str] = &[
    "judge.test", "JUDGE.test", "judge.test:80", "judge.test:", "judge.test:8080", "judge.test:65535", "judge.test:0", "judge.test.", "judge.test.:80", "a", "a-b.test", "a_b.test", "1.test", "1", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80", "[2001:db8::1]", "[::ffff:1.2.3.4]", "xn--bcher-kva.test", "localhost",
];

/// Chunked bodies of POST, behind the head, all of them `hello`.
#[rustfmt::skip]
const BODIES: &[&str] = &[
    "5\r\nhello\r\n0\r\n\r\n", "05\r\nhello\r\n0\r\n\r\n", "005\r\nhello\r\n00\r\n\r\n", "0005\r\nhello\r\n000\r\n\r\n", "000000000005\r\nhello\r\n0\r\n\r\n", "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
    "5;a\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n", "5;a=\"b\"\r\nhello\r\n0\r\n\r\n", "5;a=\"\"\r\nhello\r\n0\r\n\r\n", "5;a=\"b;c,d e\"\r\nhello\r\n0\r\n\r\n", "5;a=\"\\\"\\\\\"\r\nhello\r\n0\r\n\r\n", "5;a=\"\u{e9}\"\r\nhello\r\n0\r\n\r\n", "5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n", "5 ;a\r\nhello\r\n0\r\n\r\n", "5\t; a = b\r\nhello\r\n0\r\n\r\n", "5;a = \"b\" ; c\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0;a\r\n\r\n", "5\r\nhello\r\n0;a=\"b\"\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "5\r\nhello\r\n0\r\nX:\r\n\r\n", "5\r\nhello\r\n0\r\nX: a\r\nY: b\r\nX: c\r\n\r\n", "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", "5\r\nhello\r\n0\r\nX: \u{e9}\t\r\n\r\n", "5\r\nhello\r\n0\r\nContent-MD5: x==\r\n\r\n",
];

/// Every case. Those that need another host than the certificate's are for plain connections only.
pub(crate) fn cases(hosts: bool) -> Vec<RequestCase> {
    let mut cases = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| cases.push(RequestCase { name, bytes });
    let line =
        |fields: &str| if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
    for fields in FIELDS {
        for version in ["1.1", "1.0"] {
            let text = format!("GET /a HTTP/{version}\r\nHost: judge.test\r\n{}\r\n", line(fields));
            add(format!("{version} {}", fields.escape_debug()), text.into());
        }
        let text = format!("GET /a HTTP/1.1\r\n{}Host:judge.test\r\n\r\n", line(fields));
        add(format!("before Host {}", fields.escape_debug()), text.into());
    }
    for target in TARGETS {
        for method in ["GET", "POST"] {
            // An absolute target says the same host as the field.
            let host = target.split("//").nth(1).filter(|_| !target.starts_with('/'));
            let host = host.and_then(|rest| rest.split('/').next()).unwrap_or("judge.test");
            let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            add(format!("{method} {target}"), text.into());
        }
    }
    for host in HOSTS.iter().filter(|_| hosts) {
        add(format!("host {host}"), format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into());
        let text = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        add(format!("absolute {host}"), text.into());
    }
    for body in BODIES {
        for coding in ["chunked", "Chunked", "CHUNKED"] {
            let text = format!(
                "POST /a HTTP/1.1\r\nHost: judge.test\r\nTransfer-Encoding: {coding}\r\n\r\n{body}"
            );
            add(format!("{coding} {}", body.escape_debug()), text.into());
        }
    }
    methods(&mut add);
    bytes(&mut add);
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], b"\r\nGET / HTTP/1.1\r\nHost: judge.test\r\n\r\n"]
    {
        add(bytes.escape_ascii().to_string(), bytes.to_vec());
    }
    cases
}

/// Methods, with and without bodies, once and pipelined.
fn methods(add: &mut impl FnMut(String, Vec<u8>)) {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"] {
        for body in [
            "\r\n",
            "Content-Length: 0\r\n\r\n",
            "Content-Length: 5\r\n\r\nhello",
            "Content-Length: 005\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        ] {
            let text = format!("{method} /a HTTP/1.1\r\nHost: judge.test\r\n{body}");
            add(format!("{method} with {}", body.escape_debug()), text.clone().into());
            add(
                format!("twice {method} with {}", body.escape_debug()),
                format!("{text}{text}").into(),
            );
        }
        for keep in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
            let text = format!("{method} /a HTTP/1.0\r\nHost: judge.test\r\n{keep}\r\n");
            add(format!("old {method} {}", keep.trim_end()), text.into());
        }
    }
    for len in [1, 2, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 16_384, 65_536] {
        for size in ["x", "X"] {
            let digits = if size == "x" { format!("{len:x}") } else { format!("{len:X}") };
            let head = "POST /a HTTP/1.1\r\nHost: judge.test\r\nTransfer-Encoding: chunked\r\n\r\n";
            let text = format!("{head}{digits}\r\n{}\r\n0\r\n\r\n", "b".repeat(len));
            add(format!("a chunk of {digits}"), text.into());
        }
    }
}

/// Every byte that may stand in a value, in a name, in a target.
fn bytes(add: &mut impl FnMut(String, Vec<u8>)) {
    for byte in (0x20..=0x7e_u8).chain(0x80..=0xff).chain([b'\t']) {
        let head = b"GET /a HTTP/1.1\r\nHost: judge.test\r\nX-Value: a";
        add(format!("value {byte:#x}"), [&head[..], &[byte], b"b\r\n\r\n"].concat());
    }
    for byte in b"!#$%&'*+-.^_`|~09azAZ" {
        let head = b"GET /a HTTP/1.1\r\nHost: judge.test\r\nX";
        add(format!("name {byte:#x}"), [&head[..], &[*byte], b": b\r\n\r\n"].concat());
    }
}
