//! What a hostile upstream says, and what an honest one may say.

use super::message::Kind;
use super::reading::{self, Rest};
use super::recorder::{Script, Step};
use super::requests::{CODINGS, ENDS, LENGTHS, SIZES};
use super::verdict::AnswerCase;
use super::ways::STRICT;

const MARK: &[u8] = b"X-Mark: 1\r\n";
const EVIL: &[u8] = b"HTTP/1.1 200 OK\r\nX-Mark: 1\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil";
const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Mark: 1\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKS: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-Mark: 1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n";

/// Status lines.
#[rustfmt::skip]
const STATUS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 O K", b"HTTP/1.1 200  OK ", b"HTTP/1.1 200 \xc3\xa9", b"HTTP/1.1 200 \t", b"HTTP/1.1 404 No", b"HTTP/1.1 599 x", b"HTTP/1.1 299 x", b"HTTP/1.1 418 x", b"HTTP/1.1 500 x",
    b"HTTP/1.1  200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 0x2 OK", b"HTTP/1.1 2 0 OK", b"HTTP/1.1 000 x", b"HTTP/1.1 099 x", b"HTTP/1.1 600 x", b"HTTP/1.1 999 x", b"HTTP/1.1 abc x", b"HTTP/1.1 ", b"HTTP/1.1", b"HTTP/1.1 OK",
    b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.10 200 OK", b"HTTP/11 200 OK", b"HTTP/1,1 200 OK", b"http/1.1 200 OK", b"HTTPS/1.1 200 OK", b"ICY 200 OK", b"200 OK", b"HTTP 200 OK", b"/1.1 200 OK", b"xHTTP/1.1 200 OK", b"\x00HTTP/1.1 200 OK", b"\xef\xbb\xbfHTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK", b"\nHTTP/1.1 200 OK", b"\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\x01K", b"HTTP/1.1 200 O\x7fK", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nX: K", b"HTTP/1.1 200 \x1b[2J", b"HTTP/1.1 200\0", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 OK\r\n ", b"GET / HTTP/1.1", b"SSH-2.0-x", b"<html>", b"{}", b"",
];

/// Field lines of a whole answer.
#[rustfmt::skip]
const FIELDS: &[&[u8]] = &[
    b"X: y", b"X:", b"X:y", b"X: \t", b"X: \xff", b"X: \"a\"", b"X: a, , b", b"!#$%&'*+-.^_`|~: y", b"Date: x", b"Connection: close", b"Connection: keep-alive", b"Connection: X-Mark", b"Connection: Content-Length", b"Connection: ,,", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Trailer: X", b"Upgrade: h2c\r\nConnection: upgrade", b"TE: trailers", b"Set-Cookie: a\r\nSet-Cookie: b", b"Server: a\r\nServer: b", b"WWW-Authenticate: NTLM", b"Location: //a",
    b"X : y", b"X\t: y", b" X: y", b"\tX: y", b"X", b"X y", b": y", b":", b"X: y\r\n z", b"X: y\r\n\tz", b"X: y\r\n ", b"X: a\0b", b"X: \0", b"X\0: y", b"\0X: y", b"X: a\x01b", b"X: a\x7fb", b"X: a\x1b[2Jb", b"X: a\rb", b"X: a\nb", b"X: a\nEvil: b", b"X: a\rEvil: b", b"X: a\r\r", b"X(: y", b"X\xff: y", b"\xc3\xa9: y", b"\"X\": y", b"X@: y", b"X/: y", b"X\x0b: y", b"X: y\n", b"\n", b"\r", b"\r\n ", b"X: y\r\n\r", b"<html>",
];

/// Every case.
pub(crate) fn cases() -> Vec<AnswerCase> {
    let mut cases = Cases::default();
    cases.heads();
    cases.framing();
    cases.bodiless();
    cases.surplus();
    cases.interims();
    cases.cuts();
    cases.sweeps();
    cases.0
}

#[derive(Default)]
struct Cases(Vec<AnswerCase>);

impl Cases {
    /// Sent and then closed; where the answer is whole, also left open.
    fn add(&mut self, family: &str, what: &[u8], sent: &[u8]) {
        self.of("GET", false, (family, what), sent);
    }

    fn of(&mut self, method: &'static str, old: bool, (family, what): (&str, &[u8]), sent: &[u8]) {
        let kind = Kind::Response { head: method == "HEAD", ended: false };
        let found = reading::all(sent, &[kind], &STRICT);
        let whole = found.rest == Rest::Clean && found.messages.iter().any(|m| m.status() >= 200);
        let version = if old { " to 1.0" } else { "" };
        let name = format!("{method}{version}: {family} {}", what.escape_ascii());
        let steps = vec![Step::Send(sent.to_vec())];
        let case = AnswerCase {
            name,
            method,
            old,
            script: Script { steps, ..Script::default() },
            sent: sent.to_vec(),
            ends: false,
            gap: false,
            policy: None,
        };
        if whole {
            self.0.push(case.clone());
        }
        let mut closing = AnswerCase { ends: true, ..case };
        closing.name.push_str(", then the end");
        closing.script.steps.push(Step::Close);
        self.0.push(closing);
    }

    fn last(&mut self) -> &mut AnswerCase {
        self.0.last_mut().expect("just added")
    }

    fn heads(&mut self) {
        for status in STATUS {
            let rest = [&b"\r\n"[..], MARK, b"Content-Length: 5\r\n\r\nhello"].concat();
            self.add("status line", status, &[status, &rest[..]].concat());
            self.add(
                "status line until the end",
                status,
                &[*status, b"\r\n", MARK, b"\r\nhello"].concat(),
            );
        }
        for field in FIELDS {
            let ok = [b"HTTP/1.1 200 OK\r\n", MARK].concat();
            let length = b"\r\nContent-Length: 5\r\n\r\nhello";
            self.add("field", field, &[&ok, *field, length].concat());
            let chunks = b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
            self.add("field with chunks", field, &[&ok, *field, chunks].concat());
            self.of(
                "HEAD",
                false,
                ("field", field),
                &[&ok, *field, b"\r\nContent-Length: 5\r\n\r\n"].concat(),
            );
        }
        for end in [&b"\n"[..], b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b"\r\n ", b"\x0b\r\n"] {
            for changed in 0..4 {
                let lines = [&b"HTTP/1.1 200 OK"[..], b"X-Mark: 1", b"Content-Length: 5", b""];
                let pieces = lines.iter().enumerate().map(|(at, line)| {
                    [*line, if at == changed { end } else { &b"\r\n"[..] }].concat()
                });
                let sent = [pieces.collect::<Vec<_>>().concat(), b"hello".to_vec()].concat();
                self.add(&format!("line end {changed}"), end, &sent);
            }
        }
    }

    fn framing(&mut self) {
        let ok = [b"HTTP/1.1 200 OK\r\n", MARK].concat();
        let chunks: &[u8] = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        for coding in CODINGS {
            self.add("te alone,", coding, &[&ok, *coding, chunks].concat());
            let length: &[u8] = b"\r\nContent-Length: 4";
            self.add("te then cl,", coding, &[&ok, *coding, length, chunks].concat());
            self.add(
                "cl then te,",
                coding,
                &[&ok, &length[2..], b"\r\n", *coding, chunks].concat(),
            );
            let old = [b"HTTP/1.0 200 OK\r\n", MARK].concat();
            self.add("te in 1.0,", coding, &[&old, *coding, chunks].concat());
        }
        for length in LENGTHS {
            let head = [&ok, &b"Content-Length"[..], length].concat();
            self.add("length", length, &[&head, &b"\r\n\r\nhello"[..]].concat());
            self.of("HEAD", false, ("length", length), &[&head, &b"\r\n\r\n"[..]].concat());
        }
        let head = [&ok, &b"Transfer-Encoding: chunked\r\n\r\n"[..]].concat();
        for old in [false, true] {
            for size in SIZES {
                let sent = [&head, *size, b"\r\nhello\r\n0\r\n\r\n"].concat();
                self.of("GET", old, ("chunk size", size), &sent);
                let sent = [&head, &b"3\r\nabc\r\n"[..], *size, b"\r\nhello\r\n0\r\n\r\n"].concat();
                self.of("GET", old, ("later chunk size", size), &sent);
            }
            for end in ENDS {
                self.of("GET", old, ("chunk end", end), &[&head, &b"5\r\n"[..], *end].concat());
            }
        }
    }

    /// Answers that may have no body, with one.
    fn bodiless(&mut self) {
        for status in ["204 No", "304 Not", "205 Reset", "200 OK", "404 No"] {
            for fields in [
                "",
                "Content-Length: 0\r\n",
                "Content-Length: 5\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: x\r\n",
            ] {
                for body in [
                    "",
                    "hello",
                    "5\r\nhello\r\n0\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nX-Mark: 1\r\nX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
                ] {
                    for method in ["GET", "HEAD", "POST"] {
                        let sent = format!("HTTP/1.1 {status}\r\nX-Mark: 1\r\n{fields}\r\n{body}");
                        let what =
                            format!("{status} {} {}", fields.escape_debug(), body.escape_debug());
                        self.of(method, false, ("bodiless", what.as_bytes()), sent.as_bytes());
                        self.last().policy = Some("bytes behind the answer");
                    }
                }
            }
        }
    }

    /// Whole answers, and then more than that.
    fn surplus(&mut self) {
        let old: &[u8] = b"HTTP/1.0 200 OK\r\nX-Mark: 1\r\nContent-Length: 5\r\n\r\nhello";
        let empty: &[u8] = b"HTTP/1.1 200 OK\r\nX-Mark: 1\r\nContent-Length: 0\r\n\r\n";
        let none: &[u8] = b"HTTP/1.1 204 No\r\nX-Mark: 1\r\n\r\n";
        let more: [&[u8]; 9] = [
            EVIL,
            b"\r\n",
            b"\n",
            b"x",
            b"\0",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 408 Timeout\r\nConnection: close\r\n\r\n",
            b"0\r\n\r\n",
            b"HTTP",
        ];
        for whole in [WHOLE, CHUNKS, old, empty, none] {
            for extra in more {
                for late in [false, true] {
                    for close in [false, true] {
                        let sent = if late { whole.to_vec() } else { [whole, extra].concat() };
                        let mut steps = vec![Step::Send(sent)];
                        if late {
                            steps.extend([Step::Pause(15), Step::Send(extra.to_vec())]);
                        }
                        steps.extend(close.then_some(Step::Close));
                        self.0.push(AnswerCase {
                            name: format!(
                                "surplus, late {late}, close {close}: {}",
                                extra.escape_ascii()
                            ),
                            method: "GET",
                            old: false,
                            script: Script { steps, ..Script::default() },
                            sent: [whole, extra].concat(),
                            ends: close,
                            gap: late,
                            policy: Some("bytes behind the answer"),
                        });
                    }
                }
            }
        }
        for greeting in
            [&b"\r\n"[..], b"\n", b"x", b"\0", b"220 smtp\r\n", b"SSH-2.0-x\r\n", b"HTTP"]
        {
            self.add("before the answer", greeting, &[greeting, WHOLE].concat());
        }
    }

    fn interims(&mut self) {
        for status in
            ["100 Continue", "102 Processing", "103 Early Hints", "199 x", "101 Switching"]
        {
            for count in [1, 2, 3, 7, 8, 9, 20, 200] {
                for fields in [
                    "",
                    "Link: </a>\r\n",
                    "Content-Length: 0\r\n",
                    "Content-Length: 5\r\n",
                    "Transfer-Encoding: chunked\r\n",
                    "Connection: close\r\n",
                    "X : y\r\n",
                ] {
                    let interim = format!("HTTP/1.1 {status}\r\n{fields}\r\n").repeat(count);
                    let what = format!("{count} of {status} {}", fields.trim_end());
                    let sent = [interim.as_bytes(), WHOLE].concat();
                    for old in [false, true] {
                        self.of("GET", old, ("interim", what.as_bytes()), &sent);
                        let named = status.starts_with("101");
                        let policy = if named {
                            "an upgrade nobody asked for"
                        } else {
                            "many interim answers"
                        };
                        if named || count > 8 {
                            let both = self.0.len().saturating_sub(2);
                            self.0
                                .iter_mut()
                                .skip(both)
                                .for_each(|case| case.policy = Some(policy));
                        }
                    }
                }
            }
            let alone = format!("HTTP/1.1 {status}\r\n\r\n");
            self.add("interim alone", status.as_bytes(), alone.as_bytes());
        }
    }

    /// Cut at every byte.
    fn cuts(&mut self) {
        for whole in [WHOLE, CHUNKS] {
            for len in 0..whole.len() {
                for old in [false, true] {
                    let cut = whole.get(..len).unwrap_or_default();
                    self.of("GET", old, ("cut", format!("{len}").as_bytes()), cut);
                }
            }
        }
    }

    /// Every byte at every place that matters.
    fn sweeps(&mut self) {
        let head = "HTTP/1.1 200 OK\r\nX-Mark: 1\r\n";
        let end = "Content-Length: 5\r\n\r\nhello";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        let places = [
            ("before the version", format!("~{head}{end}")),
            ("behind the version", format!("HTTP/1.1~200 OK\r\nX-Mark: 1\r\n{end}")),
            ("behind the status", format!("HTTP/1.1 200~OK\r\nX-Mark: 1\r\n{end}")),
            ("in the reason", format!("HTTP/1.1 200 O~K\r\nX-Mark: 1\r\n{end}")),
            ("before a name", format!("{head}~X: y\r\n{end}")),
            ("in a name", format!("{head}X~Y: y\r\n{end}")),
            ("before a colon", format!("{head}X~: y\r\n{end}")),
            ("in a value", format!("{head}X: y~z\r\n{end}")),
            ("behind a value", format!("{head}X: y~\r\n{end}")),
            ("before the length", format!("{head}Content-Length: ~5\r\n\r\nhello")),
            ("behind the length", format!("{head}Content-Length: 5~\r\n\r\nhello")),
            (
                "behind the coding",
                format!("{head}Transfer-Encoding: chunked~\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            ),
            ("behind a chunk size", format!("{chunked}5~\r\nhello\r\n0\r\n\r\n")),
            ("behind a chunk", format!("{chunked}5\r\nhello~\r\n0\r\n\r\n")),
            ("in a trailer", format!("{chunked}5\r\nhello\r\n0\r\nX: y~z\r\n\r\n")),
        ];
        for (place, text) in &places {
            let (before, behind) = text.split_once('~').expect("a place");
            for byte in 0..=255_u8 {
                let sent = [before.as_bytes(), &[byte], behind.as_bytes()].concat();
                self.add(place, &[byte], &sent);
            }
        }
    }
}
