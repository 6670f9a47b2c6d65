//! Shapes of requests that want to be read in two ways, and what stands near them.

use super::verdict::RequestCase;

/// What is smuggled.
const EVIL: &[u8] = b"GET /evil HTTP/1.1\r\nHost: judge.test\r\n\r\n";
const HELLO: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";

/// Spellings of `Transfer-Encoding`, whole lines.
pub(crate) const CODINGS: &[&[u8]] = &[
    b"Transfer-Encoding: chunked",
    b"TRANSFER-ENCODING: CHUNKED",
    b"transfer-encoding:cHuNkEd",
    b"Transfer-Encoding:\tchunked\t ",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding\x0b: chunked",
    b"Transfer-Encoding\0: chunked",
    b"Transfer-Encoding\xa0: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked",
    b"\0Transfer-Encoding: chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: \0chunked",
    b"Transfer-Encoding: \x08chunked",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: \xc2\x85chunked",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: chunked\0",
    b"Transfer-Encoding: chunked\xff",
    b"Transfer-Encoding: chun\0ked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: chunke",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: cow",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: cow, chunked",
    b"Transfer-Encoding: chunked, cow",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: , , chunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked;",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunked chunked",
    b"Transfer-Encoding: x chunked",
    b"Transfer-Encoding: chunked\tx",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: \t",
    b"Transfer-Encoding:: chunked",
    b"Transfer-Encoding: : chunked",
    b"Transfer-Encoding; chunked",
    b"Transfer-Encoding chunked",
    b"Transfer Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer.Encoding: chunked",
    b"Transfer-Encodin: chunked",
    b"Content-Encoding: chunked",
    b"TE: chunked",
    b"X: a\nTransfer-Encoding: chunked",
    b"X: a\rTransfer-Encoding: chunked",
    b"X: a\r\n Transfer-Encoding: chunked",
    b"X: a\r\n\tTransfer-Encoding: chunked",
    b"X: a\0\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: \r\n\tchunked",
    b"Transfer-Encoding:\n chunked",
    b"Transfer-Encoding: chu\r\n nked",
    b"Transfer-Encoding: x\r\n chunked",
    b"Transfer-Encoding: chunked\r\n , cow",
    b"Transfer\r\n -Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: chunked\r\nTransfer-encoding:",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding : identity",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Connection: close, Content-Length\r\nTransfer-Encoding: chunked",
];

/// Spellings of a length of 5; `|` stands for the end of the line.
#[rustfmt::skip]
pub(crate) const LENGTHS: &[&[u8]] = &[
    b": 5", b":5", b":\t5 ", b": 05", b": 0000000000000000000000005", b": +5", b": -5", b": --5",
    b": 5,5", b": 5, 5", b": 5,6", b": 0,5", b": 5,", b": ,5", b": 5;5", b": 5.0", b": 5e0",
    b": 0x5", b": 0X5", b": 0b101", b": 5h", b": h5", b":", b": \t", b": 5 5", b": 5\t5",
    b": 5 6", b": \x0b5", b": 5\x0b", b": \x0c5", b": \x005", b": 5\0", b": 5\x006", b": \xa05",
    b": 5\xa0", b": \xd9\xa5", b": \xef\xbc\x95", b": 18446744073709551621", b": 18446744073709551616",
    b": 9223372036854775808", b": 4294967301", b": -1", b": -0", b": '5'", b": \"5\"", b": (5)",
    b": 5_0", b": five", b": NaN", b": 5#", b": 5%", b":\r\n 5", b": 5\r\n 5", b": 5\r\n\t", b": 0\r\n 5",
    b": 5\n", b": 5\rX: y", b":: 5", b" : 5", b"\t: 5", b"\x0b: 5", b"\0: 5", b"\xa0: 5", b" 5", b"=5",
    b": 5\r\nContent-Length: 5", b": 5\r\nContent-Length: 0", b": 0\r\nContent-Length: 5",
    b": 5\r\nContent-Length: 6", b": 5\r\nContent-Length:", b": 5\r\nContent-Length: x",
    b": 5\r\nContent-Length : 0", b": 5\r\ncontent-length: 0", b": 5\r\nContent_Length: 0",
    b": 5\r\n Content-Length: 0", b": 5\nContent-Length: 0", b": 5\r\nConnection: Content-Length",
];

/// First lines of a chunk of five bytes, without their CRLF.
#[rustfmt::skip]
pub(crate) const SIZES: &[&[u8]] = &[
    b"5", b"05", b"000005", b"0000000000000005", b"00000000000000005", b"00000000000000000000000000000005",
    b"0x5", b"0X5", b"x5", b"+5", b"-5", b" 5", b"\t5", b"\x0b5", b"\x005", b"5 ", b"5\t", b"5  ", b"5\x0b",
    b"5\0", b"5\x0c", b"5\xa0", b"5;", b"5; ", b"5;a", b"5;a=b", b"5;a=", b"5;=b", b"5;a=b;c=d", b"5;a=\"b\"",
    b"5;a=\"b", b"5;a=b\"", b"5;a=\"b\"c", b"5;a=\"\\\"\"", b"5;a=\"\\", b"5;a=\"b;c\"", b"5;\"a\"", b"5;a=\"\r\n\"",
    b"5;a=\"b\r\n0\r\n\r\n\"", b"5;\n", b"5;a\nb", b"5;a\rb", b"5\rX", b"5\n", b"5\r", b"5 ;a", b"5\t;\ta", b"5; a = b",
    b"5;;a", b"5;a;", b"5;a b", b"5;a\x0bb", b"5;\0", b"5;\x7f", b"5;\x80", b"5;a=\xff", b"5;a=\"\xff\"", b"5;a=\"\x01\"",
    b"5,", b"5.", b"5.0", b"5h", b"g", b"", b" ", b";a", b"5#", b"5_", b"5:", b"5/", b"5\"", b"\xef\xbc\x95", b"\xd9\xa5",
    b"10000000000000005", b"100000000000000005", b"ffffffffffffffff5", b"8000000000000005", b"fffffffffffffffb",
    b"100000005", b"ffffffff00000005", b"-ffffffb", b"5 5", b"5\r\n5", b"\r\n5", b"\n5", b"5 0", b"0 5", b"5;\r\n\r\n",
];

/// What follows five bytes of data and their size.
#[rustfmt::skip]
pub(crate) const ENDS: &[&[u8]] = &[
    b"hello\n0\r\n\r\n", b"hello0\r\n\r\n", b"hello\r0\r\n\r\n", b"hello\r\r\n0\r\n\r\n", b"hello\n\r0\r\n\r\n",
    b"helloXX0\r\n\r\n", b"hello\r\n\r\n0\r\n\r\n", b"hello \r\n0\r\n\r\n", b"hell\r\n0\r\n\r\n", b"helloo\r\n0\r\n\r\n",
    b"hello\r\n0\n\n", b"hello\r\n0\n\r\n", b"hello\r\n0\r\n\n", b"hello\r\n0\r\r\n\r\n", b"hello\r\n0\r\n\r", b"hello\r\n0\r\n\r\r\n",
    b"hello\r\n0\r\n\rX\r\n\r\n", b"hello\r\n0", b"hello\r\n0\r\n", b"hello\r\n\r\n", b"hello\r\n00\r\n\r\n",
    b"hello\r\n0000000000000000\r\n\r\n", b"hello\r\n00000000000000000\r\n\r\n", b"hello\r\n0;a\r\n\r\n", b"hello\r\n0;a=\"\r\n\r\n",
    b"hello\r\n0;\n\r\n", b"hello\r\n0;\r\n\r\n", b"hello\r\n0 \r\n\r\n", b"hello\r\n-0\r\n\r\n", b"hello\r\n+0\r\n\r\n",
    b"hello\r\n0x0\r\n\r\n", b"hello\r\n0\0\r\n\r\n", b"hello\r\n0\r\nX: y\r\n\r\n", b"hello\r\n0\r\nX:y\r\nX:\r\n\r\n",
    b"hello\r\n0\r\nX : y\r\n\r\n", b"hello\r\n0\r\n X: y\r\n\r\n", b"hello\r\n0\r\nX: y\r\n z\r\n\r\n", b"hello\r\n0\r\nX\r\n\r\n",
    b"hello\r\n0\r\n: y\r\n\r\n", b"hello\r\n0\r\nX: \0\r\n\r\n", b"hello\r\n0\r\nX: \x7f\r\n\r\n", b"hello\r\n0\r\nX: \xff\r\n\r\n",
    b"hello\r\n0\r\nX: y\n\r\n", b"hello\r\n0\r\nX: y\r\n\n", b"hello\r\n0\r\nX: y\rZ: z\r\n\r\n", b"hello\r\n0\r\nX y: z\r\n\r\n",
    b"hello\r\n0\r\n\0: z\r\n\r\n", b"hello\r\n0\r\nContent-Length: 5\r\n\r\n", b"hello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"hello\r\n0\r\nHost: evil\r\n\r\n", b"hello\r\n0\r\nConnection: close\r\n\r\n", b"hello\r\n0\r\nGET /evil HTTP/1.1\r\nHost: judge.test\r\n\r\n",
];

/// First lines.
#[rustfmt::skip]
const STARTS: &[&[u8]] = &[
    b"GET  /a HTTP/1.1", b"GET /a  HTTP/1.1", b"GET /a HTTP/1.1 ", b"GET\t/a HTTP/1.1", b"GET /a\tHTTP/1.1", b" GET /a HTTP/1.1",
    b"GET\x0b/a HTTP/1.1", b"GET /a\x0cHTTP/1.1", b"GET /a", b"GET", b"GET ", b"GET /a ", b"/a HTTP/1.1", b"GET HTTP/1.1", b"GET  HTTP/1.1",
    b"GET /a HTTP/1.1 HTTP/1.1", b"GET /a /evil HTTP/1.1", b"GET /a HTTP/1.1 /evil", b"GET /a\x85HTTP/1.1", b"GET /a\0 HTTP/1.1",
    b"GET /a\xa0HTTP/1.1", b"GET /a HTTP/1.1\0", b"get /a HTTP/1.1", b"Get /a HTTP/1.1", b"GET: /a HTTP/1.1", b"G@T /a HTTP/1.1",
    b"GET,POST /a HTTP/1.1", b"\"GET\" /a HTTP/1.1", b"G\0T /a HTTP/1.1", b"\xc3\x89 /a HTTP/1.1", b"PRI * HTTP/2.0", b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"OPTIONS *a HTTP/1.1", b"CONNECT judge.test:443 HTTP/1.1", b"CONNECT /a HTTP/1.1", b"CONNECT judge.test HTTP/1.1",
    b"TRACE /a HTTP/1.1", b"GET judge.test:443 HTTP/1.1", b"GET a HTTP/1.1", b"GET ?a HTTP/1.1", b"GET //a HTTP/1.1", b"GET /a?b?c HTTP/1.1",
    b"GET /a#b HTTP/1.1", b"GET #/a HTTP/1.1", b"GET /a?b#c HTTP/1.1", b"GET \\a HTTP/1.1", b"GET /a\\b HTTP/1.1", b"GET /\\judge.test/a HTTP/1.1",
    b"GET /a/../evil HTTP/1.1", b"GET /a/./b HTTP/1.1", b"GET /.. HTTP/1.1", b"GET /a/%2e%2e/evil HTTP/1.1", b"GET /a/.%2E/evil HTTP/1.1",
    b"GET /a/..;/evil HTTP/1.1", b"GET /a/%2e%2e%2fevil HTTP/1.1", b"GET /a/..%5cevil HTTP/1.1", b"GET /a;b/c HTTP/1.1", b"GET /a%00b HTTP/1.1",
    b"GET /a%0d%0aX:y HTTP/1.1", b"GET /a%0ab HTTP/1.1", b"GET /a% HTTP/1.1", b"GET /a%zz HTTP/1.1", b"GET /a%1 HTTP/1.1", b"GET /a%u0041 HTTP/1.1",
    b"GET /a%20HTTP/1.1 HTTP/1.1", b"GET /a?%00 HTTP/1.1", b"GET /a?% HTTP/1.1", b"GET /a?%0d%0a HTTP/1.1", b"GET /a\xff HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1",
    b"GET /a\x7f HTTP/1.1", b"GET /a\x01 HTTP/1.1", b"GET /a\rb HTTP/1.1", b"GET /a\nb HTTP/1.1", b"GET /a HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\n\r",
    b"GET http://judge.test/a HTTP/1.1", b"GET HTTP://judge.test/a HTTP/1.1", b"GET https://judge.test/a HTTP/1.1", b"GET http:/judge.test/a HTTP/1.1",
    b"GET http:///a HTTP/1.1", b"GET http://judge.test HTTP/1.1", b"GET http://judge.test?a HTTP/1.1", b"GET http://user@judge.test/a HTTP/1.1",
    b"GET http://judge.test:80/a HTTP/1.1", b"GET http://judge.test:/a HTTP/1.1", b"GET http://judge.test:x/a HTTP/1.1", b"GET http://judge.test:99999/a HTTP/1.1",
    b"GET http://judge.test\\@evil.test/a HTTP/1.1", b"GET http://judge.test#@evil.test/a HTTP/1.1", b"GET http://[::1/a HTTP/1.1", b"GET http://[::1]x/a HTTP/1.1",
    b"GET ftp://judge.test/a HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1", b"GET ws://judge.test/a HTTP/1.1", b"GET javascript:a HTTP/1.1", b"GET mailto:a@b HTTP/1.1",
];

/// Versions behind `GET /a `.
#[rustfmt::skip]
const VERSIONS: &[&str] = &[
    "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/2", "HTTP/3", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/1.01", "HTTP/01.1",
    "HTTP/11.1", "HTTP/1.1.1", "HTTP/1,1", "HTTP/1 1", "HTTP /1.1", "HTTP/ 1.1", "HTTP/1.1x", "http/1.1", "Http/1.1", "HTTPS/1.1", "HTTP1.1", "HTTP-1.1", "HTP/1.1",
    "ICY/1.1", "1.1", "HTTP/+1.1", "HTTP/-1.1", "HTTP/1.-1", "HTTP/0x1.1", "HTTP/A.B", "HTTP/1.1;", "XHTTP/1.1",
];

/// Host lines.
#[rustfmt::skip]
const HOSTS: &[&[u8]] = &[
    b"", b"Host:\r\n", b"Host: \r\n", b"Host\r\n", b"Host judge.test\r\n", b"Host : judge.test\r\n", b"Host\t: judge.test\r\n", b" Host: judge.test\r\n",
    b"Host: judge.test\r\nHost: judge.test\r\n", b"Host: judge.test\r\nHost: evil.test\r\n", b"Host: judge.test\r\nhost: evil.test\r\n",
    b"Host: judge.test\r\nHost : evil.test\r\n", b"Host: judge.test\r\n Host: evil.test\r\n", b"Host:\r\nHost: judge.test\r\n", b"Host:\r\n judge.test\r\n",
    b"Host: judge.test\r\n .evil.test\r\n", b"Host: judge.test, evil.test\r\n", b"Host: judge.test evil.test\r\n", b"Host: judge.test\tevil.test\r\n",
    b"Host: evil@judge.test\r\n", b"Host: judge.test@evil.test\r\n", b"Host: judge.test/evil\r\n", b"Host: judge.test?evil\r\n", b"Host: judge.test#evil\r\n",
    b"Host: judge.test\\evil\r\n", b"Host: http://judge.test\r\n", b"Host: //judge.test\r\n", b"Host: judge.test:\r\n", b"Host: judge.test:80\r\n",
    b"Host: judge.test:080\r\n", b"Host: judge.test:+80\r\n", b"Host: judge.test:-1\r\n", b"Host: judge.test:65536\r\n", b"Host: judge.test:x\r\n", b"Host: judge.test:8 0\r\n",
    b"Host: judge.test:80:80\r\n", b"Host: :80\r\n", b"Host: .\r\n", b"Host: ..\r\n", b"Host: .judge.test\r\n", b"Host: judge..test\r\n", b"Host: judge.test.\r\n",
    b"Host: JUDGE.TEST\r\n", b"Host: judge.test\0\r\n", b"Host: judge\0.test\r\n", b"Host: judge.test\x0b\r\n", b"Host: \x0bjudge.test\r\n", b"Host: judge.test\x7f\r\n",
    b"Host: judge.test\xff\r\n", b"Host: j\xc3\xbcdge.test\r\n", b"Host: judge%2etest\r\n", b"Host: judge.test%00\r\n", b"Host: judge.test%0d%0a\r\n", b"Host: <judge.test>\r\n",
    b"Host: \"judge.test\"\r\n", b"Host: [::1]\r\n", b"Host: [::1]:80\r\n", b"Host: [::1\r\n", b"Host: ::1\r\n", b"Host: []\r\n", b"Host: [::1]x\r\n", b"Host: [::1%25eth0]\r\n",
    b"Host: [v1.a]\r\n", b"Host: [judge.test]\r\n", b"Host: 127.0.0.1\r\n", b"Host: 0x7f.1\r\n", b"Host: judge_test\r\n", b"Host: judge!test\r\n", b"Host: judge.test;evil\r\n",
    b"Host: judge.test\nX: y\r\n", b"Host: judge.test\rX: y\r\n", b"Host: judge.test\r\r\n", b"Xost: a\r\n", b"Host:: judge.test\r\n", b"Host:judge.test\r\n",
];

/// Fields that speak of the connection.
#[rustfmt::skip]
const CONNECTIONS: &[&str] = &[
    "Connection: close", "Connection: keep-alive", "Connection: keep-alive, close", "Connection: Host", "Connection: host, content-length", "Connection: Transfer-Encoding",
    "Connection: X-Real-IP, X-Forwarded-For", "Connection: Authorization, Cookie", "Connection: connection", "Connection: ,,,", "Connection:", "Connection: \"close\"",
    "Connection: close;q=1", "Connection: @", "Connection: close\r\nConnection: keep-alive", "Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Upgrade: websocket", "Upgrade: TLS/1.0\r\nConnection: Upgrade", "Upgrade: HTTP/2.0\r\nConnection: upgrade",
    "Proxy-Connection: close", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: trailers", "TE: gzip\r\nConnection: TE", "TE: trailers, deflate;q=0.5\r\nConnection: TE", "Trailer: X", "Trailer: Content-Length",
    "Expect: 100-continue", "Expect: 100-Continue", "Expect: 100-continue, x", "Expect: x", "Expect:", "Expect: 100-continue\r\nExpect: 100-continue", "Expect : 100-continue", "Max-Forwards: 0", "Max-Forwards: x", "Via: 1.1 x",
];

/// Every case.
pub(crate) fn cases() -> Vec<RequestCase> {
    let mut cases = Cases::default();
    cases.codings();
    cases.lengths();
    cases.chunks();
    cases.lines();
    cases.heads();
    cases.pipelines();
    cases.sweeps();
    cases.0
}

#[derive(Default)]
struct Cases(Vec<RequestCase>);

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

impl Cases {
    fn add(&mut self, family: &str, what: &[u8], bytes: Vec<u8>) {
        let name = format!("{family} {}", what.escape_ascii());
        self.0.push(RequestCase { name, bytes });
    }

    fn codings(&mut self) {
        let host: &[u8] = b"Host: judge.test\r\n";
        for coding in CODINGS {
            for (kind, version, before, after, body) in [
                ("te alone,", "1.1", "", "", HELLO),
                ("te in 1.0,", "1.0", "Connection: keep-alive\r\n", "", HELLO),
                ("te then cl,", "1.1", "", "Content-Length: 4\r\n", HELLO),
                ("cl then te,", "1.1", "Content-Length: 15\r\n", "", HELLO),
                ("cl 0 and te,", "1.1", "Content-Length: 0\r\n", "", b"0\r\n\r\n"),
            ] {
                let start = format!("POST /a HTTP/{version}\r\n");
                let head = [start.as_bytes(), host, before.as_bytes(), coding, b"\r\n"];
                let rest = [after.as_bytes(), b"\r\n", body, EVIL];
                self.add(kind, coding, [join(&head), join(&rest)].concat());
            }
        }
    }

    fn lengths(&mut self) {
        for length in LENGTHS {
            for method in ["POST", "GET"] {
                let start = format!("{method} /a HTTP/1.1\r\nHost: judge.test\r\nContent-Length");
                let bytes = join(&[start.as_bytes(), length, b"\r\n\r\nhello"]);
                self.add(&format!("{method} of length"), length, bytes);
            }
        }
    }

    fn chunks(&mut self) {
        let head: &[u8] =
            b"POST /a HTTP/1.1\r\nHost: judge.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        for size in SIZES {
            let tail = b"\r\nhello\r\n0\r\n\r\n";
            self.add("chunk size", size, join(&[head, size, tail]));
            self.add("later chunk size", size, join(&[head, b"3\r\nabc\r\n", size, tail]));
            self.add("chunk size before evil", size, join(&[head, size, tail, EVIL]));
        }
        for end in ENDS {
            self.add("chunk end", end, join(&[head, b"5\r\n", end]));
            self.add("chunk end before evil", end, join(&[head, b"5\r\n", end, EVIL]));
        }
    }

    /// Every line end of a request, changed.
    fn lines(&mut self) {
        let lines: [&[u8]; 5] =
            [b"POST /a HTTP/1.1", b"Host: judge.test", b"X: y", b"Content-Length: 5", b""];
        let ends: [&[u8]; 14] = [
            b"\n",
            b"\r",
            b"\r\r\n",
            b"\n\r",
            b"\n\n",
            b"\r\n ",
            b"\r\n\t",
            b"\0\r\n",
            b"\x0b\r\n",
            b"\x0c\r\n",
            b"\r\0\n",
            b"\r \n",
            b"\xe2\x80\xa8",
            b"\\r\\n",
        ];
        for end in ends {
            for changed in 0..lines.len() {
                let pieces = lines.iter().enumerate().map(|(at, line)| {
                    [*line, if at == changed { end } else { &b"\r\n"[..] }].concat()
                });
                let bytes = [pieces.collect::<Vec<_>>().concat(), b"hello".to_vec()].concat();
                self.add(&format!("line end {changed}"), end, bytes);
            }
            let all: Vec<u8> = lines.iter().flat_map(|line| [line, end].concat()).collect();
            self.add("all line ends", end, [all, b"hello".to_vec()].concat());
            let before = [end, b"GET /a HTTP/1.1\r\nHost: judge.test\r\n\r\n"].concat();
            self.add("before the first line", end, before);
        }
    }

    fn heads(&mut self) {
        let rest: &[u8] = b"\r\nHost: judge.test\r\n\r\n";
        for start in STARTS {
            self.add("first line", start, join(&[start, rest]));
            let body = b"\r\nHost: judge.test\r\nContent-Length: 5\r\n\r\nhello";
            self.add("first line with a body", start, join(&[start, body]));
        }
        for version in VERSIONS {
            let line = format!("GET /a {version}");
            self.add("version", version.as_bytes(), join(&[line.as_bytes(), rest]));
            let close = b"\r\nHost: judge.test\r\nConnection: keep-alive\r\n\r\n";
            self.add("version kept", version.as_bytes(), join(&[line.as_bytes(), close]));
        }
        for host in HOSTS {
            for start in [
                "GET /a HTTP/1.1\r\n",
                "GET http://judge.test/a HTTP/1.1\r\n",
                "GET http://other.test:81/a HTTP/1.1\r\n",
                "GET /a HTTP/1.0\r\n",
            ] {
                self.add(
                    &format!("host of {}", start.trim_end()),
                    host,
                    join(&[start.as_bytes(), host, b"\r\n"]),
                );
            }
        }
        for fields in CONNECTIONS {
            let head = format!("\r\nHost: judge.test\r\n{fields}\r\n");
            for (start, body) in [
                ("GET /a HTTP/1.1", ""),
                ("POST /a HTTP/1.1", "Content-Length: 5\r\n\r\nhello"),
                ("POST /a HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
                ("GET /a HTTP/1.0", ""),
            ] {
                let body = if body.is_empty() { "\r\n" } else { body };
                let bytes = join(&[start.as_bytes(), head.as_bytes(), body.as_bytes(), EVIL]);
                self.add(&format!("connection of {start}"), fields.as_bytes(), bytes);
            }
        }
    }

    /// Several requests in one go, and bodies that end too early or too late.
    fn pipelines(&mut self) {
        let get: &[u8] = b"GET /a HTTP/1.1\r\nHost: judge.test\r\n\r\n";
        let bodies: [(&str, &[u8]); 14] = [
            ("nothing", b""),
            ("five", b"Content-Length: 5\r\n\r\nhello"),
            ("none", b"Content-Length: 0\r\n\r\n"),
            ("short", b"Content-Length: 9\r\n\r\nhello"),
            ("endless", b"Content-Length: 100000\r\n\r\nhello"),
            ("chunks", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            ("no chunks", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("a cut chunk", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
            ("no last chunk", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            ("half a last chunk", b"Transfer-Encoding: chunked\r\n\r\n0\r\n"),
            (
                "a body like a request",
                b"Content-Length: 41\r\n\r\nGET /evil HTTP/1.1\r\nHost: judge.test\r\n\r\n\r\n",
            ),
            ("waiting", b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
            ("closing", b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
            ("old", b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
        ];
        for (name, body) in bodies {
            for method in ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"] {
                let version = if name == "old" { "1.0" } else { "1.1" };
                let start = format!("{method} /b HTTP/{version}\r\nHost: judge.test\r\n");
                let end: &[u8] = if body.is_empty() { b"\r\n" } else { b"" };
                let one = join(&[start.as_bytes(), body, end]);
                self.add(&format!("{method} with"), name.as_bytes(), one.clone());
                self.add(
                    &format!("{method} between, with"),
                    name.as_bytes(),
                    join(&[get, &one, get]),
                );
                self.add(&format!("two {method} with"), name.as_bytes(), join(&[&one, &one]));
            }
        }
    }

    /// Every byte at every place that matters.
    fn sweeps(&mut self) {
        let end = "\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = "POST /a HTTP/1.1\r\nHost: judge.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let with = |text: &str| format!("POST /a HTTP/1.1\r\nHost: judge.test\r\n{text}{end}");
        let places = [
            ("before the method", format!("~POST /a HTTP/1.1\r\nHost: judge.test{end}")),
            ("in the method", format!("PO~ST /a HTTP/1.1\r\nHost: judge.test{end}")),
            ("behind the method", format!("POST~/a HTTP/1.1\r\nHost: judge.test{end}")),
            ("in the target", format!("POST /a~b HTTP/1.1\r\nHost: judge.test{end}")),
            ("behind the target", format!("POST /a~HTTP/1.1\r\nHost: judge.test{end}")),
            ("behind the version", format!("POST /a HTTP/1.1~\r\nHost: judge.test{end}")),
            ("in the host", format!("POST /a HTTP/1.1\r\nHost: judge~.test{end}")),
            ("before a name", with("~X-Name: value")),
            ("in a name", with("X-Na~me: value")),
            ("before the colon", with("X-Name~: value")),
            ("before a value", with("X-Name: ~value")),
            ("in a value", with("X-Name: val~ue")),
            ("behind a value", with("X-Name: value~")),
            (
                "before the length",
                "POST /a HTTP/1.1\r\nHost: judge.test\r\nContent-Length: ~5\r\n\r\nhello"
                    .to_owned(),
            ),
            (
                "behind the length",
                "POST /a HTTP/1.1\r\nHost: judge.test\r\nContent-Length: 5~\r\n\r\nhello"
                    .to_owned(),
            ),
            (
                "before the name of the length",
                "POST /a HTTP/1.1\r\nHost: judge.test\r\n~Content-Length: 5\r\n\r\nhello"
                    .to_owned(),
            ),
            (
                "before the coding",
                chunked.replace(": chunked", ": ~chunked") + "5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "behind the coding",
                chunked.replace("chunked", "chunked~") + "5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "before the name of the coding",
                chunked.replace("Transfer", "~Transfer") + "5\r\nhello\r\n0\r\n\r\n",
            ),
            ("before a chunk size", format!("{chunked}~5\r\nhello\r\n0\r\n\r\n")),
            ("behind a chunk size", format!("{chunked}5~\r\nhello\r\n0\r\n\r\n")),
            ("in a chunk extension", format!("{chunked}5;a~b\r\nhello\r\n0\r\n\r\n")),
            ("in a quoted extension", format!("{chunked}5;a=\"~\"\r\nhello\r\n0\r\n\r\n")),
            ("behind a chunk", format!("{chunked}5\r\nhello~\r\n0\r\n\r\n")),
            ("behind the last chunk size", format!("{chunked}5\r\nhello\r\n0~\r\n\r\n")),
            ("in a trailer name", format!("{chunked}5\r\nhello\r\n0\r\nX~: y\r\n\r\n")),
            ("in a trailer value", format!("{chunked}5\r\nhello\r\n0\r\nX: a~b\r\n\r\n")),
            ("behind the trailers", format!("{chunked}5\r\nhello\r\n0\r\n~\r\n")),
        ];
        for (place, text) in &places {
            let (before, behind) = text.split_once('~').expect("a place");
            for byte in 0..=255_u8 {
                let bytes = join(&[before.as_bytes(), &[byte], behind.as_bytes()]);
                self.add(place, &[byte], bytes);
            }
        }
    }
}
