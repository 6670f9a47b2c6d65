//! The least of a response that tells where it ends: status, framing, and whether the connection
//! lives on. Takes the bytes in any pieces and copies none but a head or line that came in two.

/// Longer heads and lines are refused.
const LONGEST: usize = 64 * 1024;

/// Reads one response after the other.
#[derive(Debug, Default)]
pub(super) struct Response {
    state: State,
    /// A head or a line that is not whole yet.
    partial: Vec<u8>,
    answer: Answer,
}

/// What is known of a response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of its body, without framing.
    pub(super) body: u64,
    /// Will the server end the connection after it?
    pub(super) closes: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilEnd,
    Whole,
}

impl Response {
    /// Expects the next response.
    pub(super) fn begin(&mut self) {
        self.state = State::Head;
        self.partial.clear();
        self.answer = Answer::default();
    }

    /// The response, once it is whole.
    pub(super) fn whole(&self) -> Option<Answer> {
        (self.state == State::Whole).then_some(self.answer)
    }

    /// Takes bytes; what is behind the response is an error, as nothing is pipelined.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.head(bytes)?,
                State::Body(left) => self.body(bytes, left, State::Body, State::Whole),
                State::Chunk(left) => self.body(bytes, left, State::Chunk, State::ChunkEnd),
                State::UntilEnd => {
                    self.answer.body += count(bytes);
                    &[]
                }
                State::ChunkSize | State::ChunkEnd | State::Trailers => self.line(bytes)?,
                State::Whole => return Err("bytes behind the response"),
            };
        }
        Ok(())
    }

    /// The connection ended.
    pub(super) fn end(&mut self) -> Result<Answer, &'static str> {
        match self.state {
            State::UntilEnd | State::Whole => {
                self.state = State::Whole;
                Ok(self.answer)
            }
            State::Head if self.partial.is_empty() => Err("closed before the response"),
            _ => Err("closed inside the response"),
        }
    }

    fn body<'a>(
        &mut self,
        bytes: &'a [u8],
        left: u64,
        more: impl Fn(u64) -> State,
        then: State,
    ) -> &'a [u8] {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (now, rest) = bytes.split_at(size);
        self.answer.body += count(now);
        let left = left - count(now);
        self.state = if left == 0 { then } else { more(left) };
        rest
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        if self.partial.is_empty() {
            if let Some(end) = head_end(bytes, 0) {
                let (head, rest) = bytes.split_at(end);
                self.read_head(head)?;
                return Ok(rest);
            }
            self.keep(bytes)?;
            return Ok(&[]);
        }
        let before = self.partial.len();
        self.keep(bytes)?;
        let Some(end) = head_end(&self.partial, before.saturating_sub(3)) else { return Ok(&[]) };
        let mut head = std::mem::take(&mut self.partial);
        head.truncate(end);
        self.read_head(&head)?;
        Ok(bytes.get(end - before..).unwrap_or_default())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST { Err("a head or line without end") } else { Ok(()) }
    }

    fn read_head(&mut self, head: &[u8]) -> Result<(), &'static str> {
        const STRANGE: &str = "not an HTTP/1 response";
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let start = lines.next().unwrap_or_default();
        let status = start.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let mut answer = Answer {
            status: status.ok_or(STRANGE)?,
            body: 0,
            closes: start.starts_with(b"HTTP/1.0"),
        };
        let (mut length, mut chunked) = (None, false);
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    answer.closes = value.eq_ignore_ascii_case(b"close");
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    let value = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    length = Some(value.ok_or("a Content-Length that is no number")?);
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    chunked = value.eq_ignore_ascii_case(b"chunked");
                }
                _ => {}
            }
        }
        self.state = match (answer.status, length) {
            (101, _) => return Err("an upgrade that nobody asked for"),
            (100..200, _) => return Ok(()),
            (204 | 304, _) => State::Whole,
            _ if chunked => State::ChunkSize,
            (_, Some(0)) => State::Whole,
            (_, Some(length)) => State::Body(length),
            (_, None) => State::UntilEnd,
        };
        answer.closes |= self.state == State::UntilEnd;
        self.answer = answer;
        Ok(())
    }

    /// A line of the chunked framing.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.keep(bytes)?;
            return Ok(&[]);
        };
        let (line, rest) = bytes.split_at(at + 1);
        self.keep(line)?;
        let line = self.partial.trim_ascii_end();
        self.state = match self.state {
            State::ChunkSize => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let digits = std::str::from_utf8(digits.trim_ascii()).ok();
                let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                match size.ok_or("a chunk size that is no number")? {
                    0 => State::Trailers,
                    size => State::Chunk(size),
                }
            }
            State::Trailers if line.is_empty() => State::Whole,
            State::Trailers => State::Trailers,
            _ if line.is_empty() => State::ChunkSize,
            _ => return Err("a chunk that does not end where it said"),
        };
        self.partial.clear();
        Ok(rest)
    }
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Where the head ends, if its end is behind `from`.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    tail.windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same answer in one piece, byte by byte, and in two pieces cut anywhere.
    fn read(text: &str) -> Answer {
        let bytes = text.as_bytes();
        let answers = (0..=bytes.len()).map(|cut| {
            let mut response = Response::default();
            response.begin();
            let (one, other) = bytes.split_at(cut);
            response.take(one).unwrap();
            response.take(other).unwrap();
            response.whole().unwrap()
        });
        let answers: Vec<Answer> = answers.collect();
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{text}: {answers:?}");
        let mut response = Response::default();
        bytes.chunks(1).for_each(|byte| response.take(byte).unwrap());
        assert_eq!(response.whole(), Some(answers[0]));
        answers[0]
    }

    #[test]
    fn every_framing_is_read() {
        let answer = |status, body, closes| Answer { status, body, closes };
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", answer(200, 2, false)),
            ("HTTP/1.1 204 No Content\r\n\r\n", answer(204, 0, false)),
            (
                "HTTP/1.1 503 \r\ncontent-length:0\r\nconnection: Close\r\n\r\n",
                answer(503, 0, true),
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", answer(200, 1, true)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
                answer(200, 13, false),
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_body_without_framing_ends_with_the_connection() {
        let mut response = Response::default();
        response.take(b"HTTP/1.1 200 OK\r\n\r\nrest").unwrap();
        assert_eq!(response.whole(), None);
        assert_eq!(response.end(), Ok(Answer { status: 200, body: 4, closes: true }));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            assert!(Response::default().take(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"] {
            let mut response = Response::default();
            response.take(text.as_bytes()).unwrap();
            assert!(response.end().is_err(), "{text}");
        }
    }
}
