//! What is to be done: requests of one kind, on how many connections, for how long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// What to do.
#[derive(Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: SocketAddr,
    /// Over TLS, with these settings, to this name.
    pub tls: Option<TlsTarget>,
    /// What is sent.
    pub request: Request,
    /// On what kind of connections.
    pub kind: Kind,
    /// Small writes wait for the acknowledgement of what was sent before (no `TCP_NODELAY`).
    pub nagle: bool,
    /// How many connections at once.
    pub connections: usize,
    /// How many threads share them.
    pub threads: usize,
    /// When to stop.
    pub time: Duration,
    /// Requests a second, all connections together; 0 is as fast as they are answered.
    pub rate: u64,
}

/// TLS as the other side wants it.
#[derive(Clone, Debug)]
pub struct TlsTarget {
    /// Versions, authorities and our own certificate.
    pub config: Arc<ClientConfig>,
    /// The name that the server's certificate is for.
    pub server_name: ServerName<'static>,
}

/// What happens to a connection after a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It serves the next request.
    Kept,
    /// A new one takes its place, with the session settings of the plan.
    Fresh,
    /// A new one takes its place, and resumes a session.
    Resumed,
    /// It is held without a request, then asked whether it still lives.
    Idle,
}

/// A request as it is sent: a head, and a body of any length.
#[derive(Clone, Debug)]
pub struct Request {
    /// The head and the beginning of the body.
    start: Vec<u8>,
    total: u64,
    pub(super) body: u64,
}

/// The body of every upload, over and over.
const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+\n";

/// So much of a body is at hand in one piece.
const PIECE: usize = 64 * 1024;

impl Request {
    /// A GET that leaves the connection open, or has it closed.
    #[must_use]
    pub fn get(host: &str, path: &str, kind: Kind) -> Self {
        let close = match kind {
            Kind::Kept | Kind::Idle => "",
            Kind::Fresh | Kind::Resumed => "Connection: close\r\n",
        };
        Self::new(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n"), 0)
    }

    /// A POST with a body of so many bytes.
    #[must_use]
    pub fn upload(host: &str, path: &str, body: u64) -> Self {
        let length = format!("Content-Length: {body}\r\nContent-Type: text/plain\r\n");
        Self::new(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n"), body)
    }

    pub(super) fn new(head: String, body: u64) -> Self {
        let mut start = head.into_bytes();
        let total = count(start.len()) + body;
        // The pieces that follow begin where the letters begin.
        let first = usize::try_from(body).unwrap_or(PIECE).min(PIECE);
        start.extend(LETTERS.iter().cycle().take(first));
        Self { start, total, body }
    }

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Some of the bytes from this one on.
    pub(super) fn at(&self, sent: u64) -> &[u8] {
        let left = usize::try_from(self.total.saturating_sub(sent)).unwrap_or(usize::MAX);
        let from = usize::try_from(sent).unwrap_or(usize::MAX);
        let piece = match self.start.get(from..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => {
                // The last piece of the start is whole letters, and so is every one behind it.
                let behind = from.saturating_sub(self.start.len()) % LETTERS.len();
                let letters = self.start.len().saturating_sub(PIECE) + behind;
                self.start.get(letters..).unwrap_or_default()
            }
        };
        piece.get(..left.min(piece.len())).unwrap_or_default()
    }
}

/// A length or a number as 64 bits.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the socket cuts it.
    #[test]
    fn the_whole_body_is_sent() {
        for body in [0, 1, 1_000, 65_536, 65_537, 300_001] {
            let request = Request::upload("a.test", "/", body);
            let mut sent: Vec<u8> = Vec::new();
            while count(sent.len()) < request.total() {
                let piece = request.at(count(sent.len()));
                let size = piece.len().div_ceil(3).max(1);
                sent.extend(&piece[..size]);
            }
            let head = sent.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let expected: Vec<u8> =
                LETTERS.iter().copied().cycle().take(usize::try_from(body).unwrap()).collect();
            assert!(sent[head..] == expected, "{body}");
        }
    }
}
