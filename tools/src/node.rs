//! A node of an upstream that can be made to fail, as a process of its own: it can be killed and stopped.
//!
//! It appends a line for each request below `/r/` to a file before it answers, so that nothing it has seen is
//! lost with it. `/-/well`, `/-/garbage` and `/-/slow` say how it answers from then on; other targets are
//! answered like that, and not noted.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{PATIENCE, now};
use crate::http::Conversation;

/// How long a slow one takes for each answer.
pub const SLOW: Duration = Duration::from_millis(400);

const WELL: u8 = 0;
const GARBAGE: u8 = 1;
const SLOWLY: u8 = 2;

/// Serves this address until the process ends.
///
/// # Errors
/// If it cannot listen there, or the file cannot be opened.
pub fn serve(address: SocketAddr, seen: &Path) -> io::Result<()> {
    let seen = Arc::new(File::options().append(true).create(true).open(seen)?);
    let listener = TcpListener::bind(address)?;
    let mode = Arc::new(AtomicU8::new(WELL));
    loop {
        let (stream, _) = listener.accept()?;
        let (seen, mode) = (Arc::clone(&seen), Arc::clone(&mode));
        // A connection that breaks is of no interest.
        thread::spawn(move || drop(talk(stream, &seen, &mode)));
    }
}

fn talk(stream: TcpStream, mut seen: &File, mode: &AtomicU8) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Longer than any proxy keeps it.
    stream.set_read_timeout(Some(60 * PATIENCE))?;
    let mut talk = Conversation::new(stream);
    while let Some(message) = talk.request()? {
        let (method, target) = (message.head.method(), message.head.target());
        match target {
            "/-/well" => mode.store(WELL, Ordering::SeqCst),
            "/-/garbage" => mode.store(GARBAGE, Ordering::SeqCst),
            "/-/slow" => mode.store(SLOWLY, Ordering::SeqCst),
            _ if target.starts_with("/r/") => {
                // In one write, so that lines of several connections do not mix.
                seen.write_all(format!("{method} {target}\n").as_bytes())?;
            }
            _ => {}
        }
        let orders = target.starts_with("/-/") && target != "/-/check";
        match mode.load(Ordering::SeqCst) {
            GARBAGE if !orders => return talk.send(b"\x16\x03\x01 nonsense\r\n\r\n"),
            SLOWLY if !orders => {
                let end = now() + SLOW;
                while now() < end {
                    thread::park_timeout(end.saturating_duration_since(now()));
                }
            }
            _ => {}
        }
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")?;
    }
    Ok(())
}
