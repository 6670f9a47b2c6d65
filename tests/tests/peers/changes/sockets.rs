//! WebSockets through the proxy: a message now and then, and its echo.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ferrule_tests::{Dial, Raw, Script, poll};

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const GRANT: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A text of eight letters, as a client sends it: its mask is of zeros.
const MESSAGE: &[u8] = b"\x81\x88\0\0\0\0hello!!\n";
/// The same from a server.
const ECHO: &[u8] = b"\x81\x08hello!!\n";
/// A close frame's first byte.
const CLOSE: u8 = 0x88;
/// From one message to the next.
const PACE: Duration = Duration::from_millis(500);

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) echoes: u64,
    /// Ended by the proxy, a close frame first.
    pub(super) told: u64,
    /// Ended by the proxy behind an echo or a message, without a word.
    pub(super) ended: u64,
    /// Reset, or not opened, by reason.
    pub(super) failed: BTreeMap<String, u64>,
}

/// Grants and answers each message.
pub(super) fn echo() -> Script {
    Arc::new(|client| {
        if client.request().is_none() || !client.send(GRANT) {
            return;
        }
        while client.talk.exactly(MESSAGE.len()).is_ok() && client.send(ECHO) {}
    })
}

/// So many of them, each replaced when it ends.
pub(super) fn run(dial: &Dial, port: u16, count: usize, over: &AtomicBool) -> Sockets {
    let all = Mutex::new(Sockets::default());
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut echoes = 0;
                    let end = visit(dial, port, over, &mut echoes);
                    let mut all = all.lock().expect("no panic");
                    all.echoes += echoes;
                    match end {
                        Ok(End::Told) => all.told += 1,
                        Ok(End::Ended) => all.ended += 1,
                        Ok(End::Ours) => {}
                        Err(error) => *all.failed.entry(error.to_string()).or_default() += 1,
                    }
                }
            });
        }
    });
    all.into_inner().expect("no panic")
}

enum End {
    Ours,
    Told,
    Ended,
}

fn visit(dial: &Dial, port: u16, over: &AtomicBool, echoes: &mut u64) -> io::Result<End> {
    let mut raw = dial.connect(port)?;
    raw.send(ASK)?;
    let head = raw.head()?.ok_or(ErrorKind::UnexpectedEof)?;
    if head.status() != 101 {
        return Err(io::Error::other(format!("status {}", head.status())));
    }
    while !over.load(Ordering::Relaxed) {
        raw.send(MESSAGE)?;
        match answer(&mut raw) {
            Ok(true) => *echoes += 1,
            Ok(false) => return Ok(End::Told),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(End::Ended),
            Err(error) => return Err(error),
        }
        let _: Option<()> = poll(PACE, || over.load(Ordering::Relaxed).then_some(()));
    }
    Ok(End::Ours)
}

/// Did the echo come, and no close frame?
fn answer(raw: &mut Raw) -> io::Result<bool> {
    let first = raw.exactly(2)?;
    if first[0] == CLOSE {
        return Ok(false);
    }
    let rest = raw.exactly(ECHO.len() - 2)?;
    if first == ECHO[..2] && rest == ECHO[2..] {
        Ok(true)
    } else {
        Err(io::Error::other("not the echo"))
    }
}
