//! The last bytes on a client connection, and that they arrive.
//!
//! Closing with unread bytes resets a connection, and a reset overtakes what was sent before it (RFC
//! 9112, section 9.6). Many clients look for an answer only when they have sent everything. So what a client
//! that was answered still sends is dropped for a while: bounded by time and a least rate, not by a number of
//! bytes. It costs no memory, and no decryption: behind our goodbye nothing is answered any more.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::audit;
use super::connection::Client;
use super::handshake_error::{HandshakeCause, HandshakeError};
use crate::exchange::answer::{AnswerTo, ResponseFormat};
use crate::exchange::refusal::Refusal;
use crate::exchange::refusal_response::answer;
use crate::report::Counter;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::REFUSAL_TIME;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::StreamReader;
use crate::shell::transport::stream::listen::run_beside;
use crate::tls::handshake::hello::{HelloError, UNRECOGNIZED_NAME, fatal_alert};
use crate::wire::head::{Method, Version};

/// How long a closing connection may be silent whose client has nothing to say that was asked for.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// Tells a client why its handshake has failed, and logs it.
pub(crate) async fn refuse(client: &mut Client, error: &HandshakeError) {
    let core = Rc::clone(&client.core);
    core.count(Counter::HandshakesFailed);
    audit::log_handshake_failure(client, error);
    let words = last_words(client, &error.cause);
    let mut sink = client.stream.sink();
    if sink.write(&words, REFUSAL_TIME).await.is_err() || sink.flush(REFUSAL_TIME).await.is_err() {
        return;
    }
    client.stream.descriptor().shut_write();
    // Its request may follow its last flight without a pause.
    let mut lingering = Lingering::new(client, true);
    lingering.run(&core.clock, &mut client.stream.source()).await;
}

/// Ends the connection in order: says goodbye, and drops what the client still sends until it has heard that.
/// With `unread`, the client was answered before its request was whole.
pub(crate) async fn close(client: &mut Client, unread: bool) {
    let core = Rc::clone(&client.core);
    let mut lingering = Lingering::new(client, unread);
    let stream = &mut client.stream;
    if stream.is_aborted() {
        return;
    }
    if !stream.finish_now() {
        let (mut source, mut sink) = stream.split();
        // A client that does not read before it has sent everything makes room only then.
        let finishing = pin!(sink.finish(lingering.time));
        let dropping = pin!(lingering.run(&core.clock, &mut source));
        if run_beside(dropping, finishing).await.is_err() {
            return;
        }
    }
    if !client.stream.reader.has_ended() {
        lingering.run(&core.clock, &mut client.stream.source()).await;
    }
}

/// What the client is sent in the clear: an alert, or an answer where it speaks plain HTTP.
fn last_words(client: &Client, cause: &HandshakeCause) -> Vec<u8> {
    let mut words = Vec::new();
    match cause {
        HandshakeCause::Hello(HelloError::PlainHttp) => {
            client.core.events().refused(Refusal::PlainHttpOnTls);
            client.core.clock.with_now(|now| {
                let to = AnswerTo {
                    details: "",
                    method: Method::Get,
                    version: Version::Http11,
                    keep_alive: false,
                    http_date: now.http_date,
                    server_tokens: client.live.generation.plan.http.server_tokens,
                    format: ResponseFormat {
                        pages: Some(&client.live.generation.plan.error_pages),
                        ..ResponseFormat::default()
                    },
                };
                answer(Refusal::PlainHttpOnTls, &to, &mut words);
            });
        }
        HandshakeCause::Hello(error) => {
            if let Some(alert) = error.alert() {
                words.extend_from_slice(&fatal_alert(alert));
            }
        }
        HandshakeCause::UnknownName => words.extend_from_slice(&fatal_alert(UNRECOGNIZED_NAME)),
        // The session has sent its own alert.
        HandshakeCause::Certificate { .. }
        | HandshakeCause::Forbidden { .. }
        | HandshakeCause::NameDiffers
        | HandshakeCause::Stream(_) => {}
    }
    words
}

/// What is dropped of a client's bytes, and for how long: nginx's `lingering_time` and `lingering_timeout`.
#[derive(Clone, Copy, Debug)]
struct Lingering {
    started: Duration,
    /// For all of it.
    time: Duration,
    /// For the next bytes.
    timeout: Duration,
    pace: MinRate,
}

impl Lingering {
    /// Begins now; `unread`: the client may be in the middle of a request.
    fn new(client: &Client, unread: bool) -> Self {
        let http = &client.live.generation.plan.http;
        let timeout = http.lingering_timeout;
        Self {
            started: client.core.clock.elapsed(),
            time: http.lingering_time,
            timeout: if unread { timeout } else { timeout.min(QUIET_TIME) },
            pace: MinRate::new(http.pacing.body_min_rate, timeout),
        }
    }

    /// Drops what the client sends, until it closes or its time is up. May be abandoned, and begun again.
    async fn run(&mut self, clock: &CoreClock, source: &mut StreamReader<'_>) {
        loop {
            let now = clock.elapsed();
            let left = self.time.saturating_sub(now.saturating_sub(self.started));
            let Some(time) = self.pace.next_wait(self.timeout.min(left)) else { return };
            if time.is_zero() {
                return;
            }
            let wait = Wait { time, shut: Shut::Read, idle: true };
            let Ok(count) = source.drop_next(wait).await else { return };
            let waited = clock.elapsed().saturating_sub(now);
            self.pace.record(waited, u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}
