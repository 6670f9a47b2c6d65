//! A TLS handshake, driven to its end over a stream: as a client's server, and as an upstream's client.
//!
//! In: a stream whose session has just begun. Out: a session that may carry data; or why there is none,
//! and the peer has been told by an alert.

use std::rc::Rc;
use std::time::Duration;

use rustls::HandshakeKind;

use super::buffers::BufferPool;
use super::clock::CoreClock;
use super::record_reader::Wait;
use super::stream::Stream;
use super::stream_error::StreamError;
use super::tls::{HandshakeProgress, Security, Session, SessionError};
use crate::tls::HandshakeNotes;
use crate::tls::handshake::hidden_name::SecondHello;

/// How long a peer that is refused may take to receive the alert, or the answer, that tells it so.
pub(crate) const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// A handshake's notes, and the wall clock that tickets and certificates are judged by.
pub(crate) struct TimedNotes<'a> {
    /// The notes.
    pub(crate) notes: &'a mut HandshakeNotes,
    /// Unix seconds.
    pub(crate) now: i64,
}

/// Drives a TLS handshake to its end within `wait.time`, sending each flight as one.
///
/// A client's last flight leaves with its first message, which saves a send. A server's last flight
/// (tickets) leaves at once: a client that gathers small writes (Nagle) sends its request only when its
/// own last flight was acknowledged, which the kernel puts off for 40 ms if we are silent. One send for
/// each handshake; where there is nothing to send, the acknowledgement alone.
///
/// # Errors
/// The handshake failed; the peer has been told by an alert.
pub(crate) async fn drive(
    clock: &CoreClock,
    buffers: &Rc<BufferPool>,
    stream: &mut Stream,
    wait: Wait,
    mut noted: Option<TimedNotes<'_>>,
) -> Result<(), StreamError> {
    let started = clock.elapsed();
    loop {
        let progress = step(buffers, stream, &mut noted);
        let left = wait.time.saturating_sub(clock.elapsed().saturating_sub(started));
        match progress {
            Ok(HandshakeProgress::Done) => {
                if stream.session().is_server() {
                    answer_flight(stream, left).await?;
                }
                return Ok(());
            }
            Ok(HandshakeProgress::NeedsRead) => {
                answer_flight(stream, left).await?;
                let wait = Wait { time: left, ..wait };
                match &mut noted {
                    Some(noted) if noted.notes.hides() && asks_again(stream) => {
                        read_second_hello(clock, buffers, stream, wait, noted.notes).await?;
                    }
                    _ => {
                        stream.source().receive(wait).await?;
                    }
                }
            }
            Err(error) => {
                let _ = stream.sink().flush(left.min(REFUSAL_TIME)).await;
                return Err(StreamError::Tls(error));
            }
        }
    }
}

/// Has rustls sent a `HelloRetryRequest`, and nothing heard of its answer?
fn asks_again(stream: &Stream) -> bool {
    let security = stream.security.borrow();
    let Session::Server(connection) = &security.session else { return false };
    security.tls_output.held == 0
        && connection.negotiated_key_exchange_group().is_none()
        && connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest)
}

/// Reads until rustls may be shown the second hello: its name, too, is none.
async fn read_second_hello(
    clock: &CoreClock,
    buffers: &Rc<BufferPool>,
    stream: &mut Stream,
    wait: Wait,
    notes: &mut HandshakeNotes,
) -> Result<(), StreamError> {
    let started = clock.elapsed();
    let mut second = SecondHello::default();
    loop {
        let spent = clock.elapsed().saturating_sub(started);
        let wait = Wait { time: wait.time.saturating_sub(spent), ..wait };
        stream.reader.receive(&stream.security, true, buffers, wait).await?;
        let received = stream.reader.cipher(buffers).filled_mut();
        match notes.hide_again(&mut second, received) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // `notes` know why. Nothing is protected yet: the alert leaves like that for a first hello.
            Err(_) => {
                stream.security.get_mut().session = Session::Plain;
                return Err(StreamError::Tls(SessionError::Closed));
            }
        }
    }
}

/// Sends our flight; an acknowledgement of the peer's if we have none.
async fn answer_flight(stream: &mut Stream, wait: Duration) -> Result<(), StreamError> {
    if stream.security.get_mut().tls_output.pending.is_empty() {
        stream.descriptor().acknowledge();
        return Ok(());
    }
    let mut sink = stream.sink();
    sink.flush(wait).await?;
    // Nothing is held for an answer that may never come.
    sink.rest();
    Ok(())
}

fn step(
    buffers: &Rc<BufferPool>,
    stream: &mut Stream,
    noted: &mut Option<TimedNotes<'_>>,
) -> Result<HandshakeProgress, SessionError> {
    let Stream { reader, security, .. } = stream;
    let mut guard = security.borrow_mut();
    let Security { session, tls_output, .. } = &mut *guard;
    let cipher = reader.cipher(buffers);
    match noted {
        Some(TimedNotes { notes, now }) => {
            notes.during(*now, || session.handshake(cipher, tls_output))
        }
        None => session.handshake(cipher, tls_output),
    }
}
