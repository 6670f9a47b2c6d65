//! The last bytes on a client connection, and that they arrive.
//!
//! Closing with unread bytes resets a connection, and a reset overtakes what was sent before it (RFC
//! 9112, section 9.6): so what a client that was answered still sends is read for a while, up to a bound.

use std::rc::Rc;
use std::time::Duration;

use super::audit;
use super::connection::Client;
use super::handshake_error::{HandshakeCause, HandshakeError};
use crate::exchange::answer::{AnswerTo, ResponseFormat};
use crate::exchange::refusal::Refusal;
use crate::exchange::refusal_response::answer;
use crate::report::Counter;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::REFUSAL_TIME;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::Stream;
use crate::tls::handshake::hello::{HelloError, UNRECOGNIZED_NAME, fatal_alert};
use crate::wire::head::{Method, Version};

/// How long a closing connection may be silent before it is cut.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);

/// How long all of that may take, however lively it is.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes a closing connection may still send.
const LINGER_BYTES: usize = 1 << 20;

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
    linger(&core, &mut client.stream).await;
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

/// Reads and discards what the peer still sends, until it has received our last bytes and closes.
pub(crate) async fn linger(core: &Core, stream: &mut Stream) {
    let started = core.clock.elapsed();
    let mut source = stream.source();
    let mut read = 0;
    while read < LINGER_BYTES {
        source.discard();
        let spent = core.clock.elapsed().saturating_sub(started);
        let time = LINGER_TIME.min(LINGER_TIME_MAX.saturating_sub(spent));
        match source.receive(Wait { time, shut: Shut::Both, idle: true }).await {
            Ok(count) => read += count,
            Err(_) => return,
        }
    }
}
