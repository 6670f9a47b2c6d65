//! Just enough HTTP/1.1 to talk to a gateway and to stand behind one. Nothing is repaired: what the
//! other side sent is kept byte for byte.

use std::io::{self, Read, Write};

/// A message head as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Every byte up to and with the empty line.
    pub raw: String,
}

/// A whole message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its head.
    pub head: Head,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
    /// Field lines behind the last chunk.
    pub trailers: String,
}

/// One side of a connection.
#[derive(Debug)]
pub struct Conversation<S> {
    /// The connection.
    pub stream: S,
    ahead: Vec<u8>,
}

impl Head {
    /// The request line or status line.
    #[must_use]
    pub fn start(&self) -> &str {
        self.raw.split("\r\n").next().unwrap_or_default()
    }

    /// The status of a response; 0 if there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.start().split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> &str {
        self.start().split(' ').next().unwrap_or_default()
    }

    /// The target of a request.
    #[must_use]
    pub fn target(&self) -> &str {
        self.start().split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of this field, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.raw.split("\r\n").skip(1);
        lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_matches([' ', '\t']))
            .collect()
    }

    /// The first value of this field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Does its body come in chunks?
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// The length of its body, if it says one.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        self.get("content-length").and_then(|value| value.parse().ok())
    }
}

impl Message {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status()
    }
}

fn ended(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("ended inside {what}"))
}

impl<S: Read + Write> Conversation<S> {
    /// Starts with a fresh connection.
    pub const fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// If the connection does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// One request with its body; `None` if the connection ended before one began.
    ///
    /// # Errors
    /// If the connection fails or ends inside the request.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let (body, trailers) = if head.is_chunked() {
            self.chunked()?
        } else {
            (self.exactly(head.length().unwrap_or(0))?, String::new())
        };
        Ok(Some(Message { head, body, trailers }))
    }

    /// One final response to a request with this method; interim ones are passed over.
    ///
    /// # Errors
    /// If the connection fails or ends inside the response.
    pub fn response(&mut self, method: &str) -> io::Result<Message> {
        loop {
            let head = self.head()?.ok_or_else(|| ended("the wait for a response"))?;
            if !(100..200).contains(&head.status()) || head.status() == 101 {
                let (body, trailers) = self.response_body(&head, method)?;
                return Ok(Message { head, body, trailers });
            }
        }
    }

    fn response_body(&mut self, head: &Head, method: &str) -> io::Result<(Vec<u8>, String)> {
        if method == "HEAD" || matches!(head.status(), 101 | 204 | 304) {
            return Ok((Vec::new(), String::new()));
        }
        if head.is_chunked() {
            return self.chunked();
        }
        let body = match head.length() {
            Some(length) => self.exactly(length)?,
            None => self.rest()?,
        };
        Ok((body, String::new()))
    }

    /// One head, interim or final; `None` if the connection ended before one began.
    ///
    /// # Errors
    /// If the connection fails or ends inside the head.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        let mut searched = 0;
        loop {
            let from = usize::saturating_sub(searched, 3);
            let tail = self.ahead.get(from..).unwrap_or_default();
            if let Some(at) = tail.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let raw: Vec<u8> = self.ahead.drain(..from + at + 4).collect();
                return Ok(Some(Head { raw: String::from_utf8_lossy(&raw).into_owned() }));
            }
            searched = self.ahead.len();
            if self.more()? == 0 {
                return if self.ahead.is_empty() { Ok(None) } else { Err(ended("a head")) };
            }
        }
    }

    /// A body in chunks, and its trailers.
    ///
    /// # Errors
    /// If the connection fails or ends inside it.
    pub fn chunked(&mut self) -> io::Result<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(io::Error::other("a chunk that does not end where it said"));
            }
        }
        let mut trailers = String::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.push_str(&line);
            trailers.push_str("\r\n");
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|bytes| bytes == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.more()? == 0 {
                return Err(ended("a line"));
            }
        }
    }

    /// Exactly this many bytes.
    ///
    /// # Errors
    /// If the connection fails or ends before.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if self.more()? == 0 {
                return Err(ended("a body"));
            }
        }
        let rest = self.ahead.split_off(length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Everything up to the end of the connection, which must be clean.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Did the other side end the connection, cleanly or not, without another byte?
    pub fn is_closed(&mut self) -> bool {
        if !self.ahead.is_empty() {
            return false;
        }
        match self.more() {
            Ok(count) => count == 0,
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut piece = vec![0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ahead.extend(piece.iter().take(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    struct Canned(Cursor<Vec<u8>>);

    impl Read for Canned {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let one = out.first_mut().map_or(0, |_| 1);
            self.0.read(&mut out[..one])
        }
    }

    impl Write for Canned {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn from(text: &str) -> Conversation<Canned> {
        Conversation::new(Canned(Cursor::new(text.as_bytes().to_vec())))
    }

    /// Byte by byte, so that every split is met.
    #[test]
    fn messages_are_read_in_every_framing() {
        let mut side = from(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 \
             OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 200 \
             OK\r\n\r\nrest",
        );
        assert_eq!(side.response("GET").unwrap().text(), "ok");
        let chunked = side.response("GET").unwrap();
        assert_eq!((chunked.text().as_str(), chunked.trailers.as_str()), ("abc", "T: 1\r\n"));
        assert_eq!(side.response("GET").unwrap().text(), "rest");
        assert!(side.is_closed());
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let mut side = from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
        assert!(side.response("GET").is_err());
    }
}
