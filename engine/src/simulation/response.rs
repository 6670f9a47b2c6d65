//! What a node answers: well in one of many ways, or wrongly in one of many others.

use std::fmt::{self, Write};

use super::journal::PlannedRequest;
use super::message::{BodyFraming, BodyOwner, body};
use super::setting::{Mode, Setting};
use crate::simulation::network::world::{below, chance};

/// An answer that nobody asked for: whoever gets it got another's.
pub(super) const EVIL: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-Id: bad\r\nX-Len: 4\r\nContent-Length: 4\r\n\r\nevil";

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ResponseFlaw {
    /// The connection ends before the answer does.
    Ends,
    /// It is reset before that.
    Resets,
    /// Nothing more comes, and the connection stays.
    Mute,
    /// It is malformed.
    Malformed,
    /// Another one follows that nobody asked for.
    Surplus,
    /// Interim ones follow each other without an end.
    Interims,
}

/// Where an answer is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FlawPlace {
    Anywhere,
    Head,
    Body,
}

/// An answer to be given.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct SimulatedResponse {
    pub(super) bytes: Vec<u8>,
    /// So much of it is given.
    pub(super) end: usize,
    pub(super) wrong: Option<ResponseFlaw>,
    /// It is given before the request's body was read.
    pub(super) early: bool,
    /// The node ends the connection after it.
    pub(super) leaves: bool,
    /// So much of it is given first, and the rest only when that has arrived.
    pub(super) first: Option<usize>,
    /// It says that no other request may follow.
    last: bool,
    line: &'static str,
    framing: BodyFraming,
    /// The request has a body that may not have been read by then.
    unread: bool,
}

impl fmt::Display for SimulatedResponse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { framing, early, leaves, last, end, bytes, .. } = self;
        let len = bytes.len();
        write!(out, "{framing:?}, {end} of {len}, early {early}, leaves {leaves}, last {last}")
    }
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content";
const NOT_MODIFIED: &str = "HTTP/1.1 304 Not Modified";

/// Malformed heads: what replaces the status line, and a field.
const MALFORMED: [(&str, &str); 9] = [
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    ("HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n"),
    ("HTTP/1.1 200 OK", "X-Bad: a\0b\r\n"),
    ("HTTP/1.1 200 OK", "X-Bad : a\r\n"),
    ("HTTP/1.1 200 OK", "X-Bad: a\n"),
    ("HTTP/2.0 200 OK", ""),
    ("HTTP/1.1 20 OK", ""),
    ("HTTP/1.1 101 Switching Protocols", "Upgrade: none\r\nConnection: upgrade\r\n"),
    ("ICY 200 OK", ""),
];

impl SimulatedResponse {
    /// Draws an answer to `ask`.
    pub(super) fn draw(ask: &PlannedRequest, setting: &Setting, request: BodyFraming) -> Self {
        let flaw = chance(setting.node_trouble).then(|| {
            [
                ResponseFlaw::Ends,
                ResponseFlaw::Resets,
                ResponseFlaw::Mute,
                ResponseFlaw::Malformed,
                ResponseFlaw::Surplus,
            ][below(5)]
        });
        Self::flawed(ask, setting, request, flaw, FlawPlace::Anywhere)
    }

    /// Draws an answer to `ask` which is wrong there, if it has anything there.
    pub(super) fn flawed(
        ask: &PlannedRequest,
        setting: &Setting,
        request: BodyFraming,
        flaw: Option<ResponseFlaw>,
        place: FlawPlace,
    ) -> Self {
        let in_body = place == FlawPlace::Body;
        let wrong = flaw.filter(|_| !in_body || ask.method != "HEAD");
        let sizes = if setting.large { [0, 200, 40_000, 300_000] } else { [0, 40, 800, 9_000] };
        let most = if wrong == Some(ResponseFlaw::Surplus) { 200 } else { sizes[below(4)] };
        let len = below(most + 1) + usize::from(in_body);
        // In plaintext, the end of a node's process is the end of a body without framing.
        let framed = in_body || (setting.has_outages() && setting.mode == Mode::Plain);
        let framing = match below(5) {
            _ if in_body && wrong == Some(ResponseFlaw::Malformed) => BodyFraming::Chunked,
            2 if framed => BodyFraming::Length(len as u64),
            0 | 1 => BodyFraming::Chunked,
            2 if wrong != Some(ResponseFlaw::Surplus) => BodyFraming::Missing,
            _ => BodyFraming::Length(len as u64),
        };
        let has_body = !matches!(request, BodyFraming::Missing | BodyFraming::Length(0));
        let old = framing != BodyFraming::Chunked && chance(8);
        let line = match below(20) {
            _ if old => "HTTP/1.0 200 OK",
            0 if wrong.is_none() => NO_CONTENT,
            1 if wrong.is_none() => NOT_MODIFIED,
            _ => "HTTP/1.1 200 OK",
        };
        let bare = ask.method == "HEAD" || matches!(line, NO_CONTENT | NOT_MODIFIED);
        let says_last = chance(10);
        let mut answer = Self {
            bytes: Vec::new(),
            end: 0,
            wrong,
            early: has_body && chance(if setting.large { 40 } else { 15 }),
            leaves: false,
            first: None,
            last: says_last || old || (framing == BodyFraming::Missing && !bare),
            line,
            framing,
            unread: has_body,
        };
        // Whoever has said so need not do it: then it is for the other side to leave.
        let ends_body = framing == BodyFraming::Missing && !bare;
        answer.leaves = wrong.is_none() && answer.last && (ends_body || chance(50));
        let malformed = (wrong == Some(ResponseFlaw::Malformed)).then(|| match place {
            FlawPlace::Anywhere => below(MALFORMED.len() + 1),
            FlawPlace::Head => below(MALFORMED.len()),
            FlawPlace::Body => MALFORMED.len(),
        });
        answer.head(ask.id, len, says_last, malformed);
        let head_end = answer.bytes.len();
        if !bare {
            let chunk = 1 + below(2_000);
            answer.bytes.extend(body(ask.id, BodyOwner::Response, framing, len, chunk));
        }
        if wrong.is_none() && setting.clients_behave() && chance(20) {
            answer.first = Some(head_end);
        }
        answer.spoil(setting, head_end, malformed);
        answer.move_end(place, head_end);
        answer
    }

    fn head(&mut self, id: u64, len: usize, says_last: bool, bad: Option<usize>) {
        let mut head = String::new();
        for _ in 0..[0, 0, 0, 1, 2][below(5)] {
            let _ = write!(head, "HTTP/1.1 103 Early Hints\r\nX-Id: {id:016x}\r\n\r\n");
        }
        let good = (self.line, "");
        let (line, field) = bad.and_then(|bad| MALFORMED.get(bad)).unwrap_or(&good);
        let _ = write!(head, "{line}\r\nX-Id: {id:016x}\r\nX-Len: {len}\r\n{field}");
        match self.framing {
            // Without a body there is nothing to be framed.
            _ if matches!(good.0, NO_CONTENT | NOT_MODIFIED) => {}
            BodyFraming::Length(length) => {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
            BodyFraming::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            BodyFraming::Missing => {}
        }
        if says_last {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        self.bytes = head.into_bytes();
    }

    /// Cuts it where it is to be cut.
    fn spoil(&mut self, setting: &Setting, head_end: usize, malformed: Option<usize>) {
        let len = self.bytes.len();
        self.end = if self.wrong == Some(ResponseFlaw::Interims) { 0 } else { len };
        match self.wrong {
            Some(ResponseFlaw::Ends) => {
                // In plaintext, the end of the connection is the end of a body without framing.
                let blind = self.framing == BodyFraming::Missing && setting.mode == Mode::Plain;
                self.end = below(if blind { head_end } else { len });
            }
            Some(ResponseFlaw::Resets | ResponseFlaw::Mute) => self.end = below(len),
            Some(ResponseFlaw::Malformed) if malformed == Some(MALFORMED.len()) => {
                if self.framing == BodyFraming::Chunked && len > head_end {
                    self.bytes[head_end] = b'g';
                } else {
                    self.bytes.splice(..0, *b"\r\n");
                    self.end = self.bytes.len();
                }
            }
            Some(ResponseFlaw::Malformed | ResponseFlaw::Surplus | ResponseFlaw::Interims)
            | None => {}
        }
        if matches!(
            self.wrong,
            Some(ResponseFlaw::Ends | ResponseFlaw::Resets | ResponseFlaw::Mute)
        ) && chance(40)
        {
            self.end = 0;
        }
    }

    /// Cuts it in its head, or in its body.
    fn move_end(&mut self, place: FlawPlace, head_end: usize) {
        let cut = matches!(
            self.wrong,
            Some(ResponseFlaw::Ends | ResponseFlaw::Resets | ResponseFlaw::Mute)
        );
        match place {
            FlawPlace::Head if cut => self.end = below(head_end),
            FlawPlace::Body if cut => {
                self.end = head_end + below(self.bytes.len().saturating_sub(head_end));
            }
            FlawPlace::Anywhere | FlawPlace::Head | FlawPlace::Body => {}
        }
    }

    /// Is anything of it given?
    pub(super) const fn is_begun(&self) -> bool {
        self.end > 0
    }

    /// What the journal says about it: a word, and whether nobody may take it for an answer.
    pub(super) fn fault(&self) -> Option<(&'static str, bool)> {
        match self.wrong {
            Some(ResponseFlaw::Ends) => Some(("ended early", false)),
            Some(ResponseFlaw::Resets) => Some(("reset", false)),
            Some(ResponseFlaw::Mute) => Some(("fell silent", false)),
            Some(ResponseFlaw::Malformed) => Some(("malformed", true)),
            Some(ResponseFlaw::Interims) => Some(("never came to its answer", true)),
            Some(ResponseFlaw::Surplus) => None,
            None if self.leaves && self.early && self.unread => Some(("left unread", false)),
            None => None,
        }
    }

    /// Why no other request may follow on its connection.
    pub(super) fn spoils(&self) -> Option<&'static str> {
        match self.wrong {
            Some(ResponseFlaw::Ends | ResponseFlaw::Resets | ResponseFlaw::Mute) => {
                Some("an answer was not finished")
            }
            Some(ResponseFlaw::Malformed) => Some("an answer was malformed"),
            Some(ResponseFlaw::Interims) => Some("there was no answer"),
            Some(ResponseFlaw::Surplus) => Some("something followed an answer"),
            None if self.last => Some("it was said to be the last answer"),
            None => None,
        }
    }
}
