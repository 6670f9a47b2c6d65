//! Which timer runs in which state, and what it leads to.

use std::time::Duration;

use ferrule_config::model::{Http, Listen, UpstreamTimeout};

use super::refusal::Refusal;

/// What is being waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// The client's TLS handshake, from accept to its end.
    Handshake,
    /// The first byte on a new connection.
    FirstRequest,
    /// The rest of a head, from its first byte on.
    RequestHead,
    /// The first byte of another request.
    NextRequest,
    /// More of a request body, before any byte of a response was sent.
    RequestBody,
    /// More of a request body, while the response is already under way (or to drain it).
    RequestBodyLate,
    /// The client to take what we send.
    ClientWrite,
    /// An upstream connection, TLS included.
    UpstreamConnect,
    /// The upstream to take what we send.
    UpstreamWrite,
    /// The response head.
    ResponseHead,
    /// More of a response body, after its head was sent.
    ResponseBody,
}

/// A timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline {
    /// How long the wait may take.
    pub after: Duration,
    /// What happens then.
    pub expiry: Expiry,
}

/// What happens when a timer expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// The connection is closed without a word: there is nobody to tell, or no way to tell it.
    Close,
    /// The request is answered.
    Refuse(Refusal),
}

/// The timer of a wait.
#[must_use]
pub const fn deadline(
    wait: Wait,
    http: &Http,
    listen: &Listen,
    upstream: &UpstreamTimeout,
) -> Deadline {
    let (after, expiry) = match wait {
        Wait::Handshake => (listen.handshake_timeout, Expiry::Close),
        Wait::FirstRequest => (http.client_header_timeout, Expiry::Close),
        Wait::RequestHead => (http.client_header_timeout, Expiry::Refuse(Refusal::HeadTimeout)),
        Wait::NextRequest => (http.keepalive_timeout, Expiry::Close),
        Wait::RequestBody => (http.client_body_timeout, Expiry::Refuse(Refusal::BodyTimeout)),
        Wait::RequestBodyLate => (http.client_body_timeout, Expiry::Close),
        Wait::ClientWrite => (http.send_timeout, Expiry::Close),
        Wait::UpstreamConnect => (upstream.connect, Expiry::Refuse(Refusal::UpstreamTimeout)),
        Wait::UpstreamWrite => (upstream.send, Expiry::Refuse(Refusal::UpstreamTimeout)),
        Wait::ResponseHead => (upstream.read, Expiry::Refuse(Refusal::UpstreamTimeout)),
        Wait::ResponseBody => (upstream.read, Expiry::Close),
    };
    Deadline { after, expiry }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn every_wait_has_its_own_timer() {
        let http = Http {
            client_header_timeout: seconds(1),
            client_body_timeout: seconds(2),
            send_timeout: seconds(3),
            keepalive_timeout: seconds(4),
            keepalive_requests: 1,
            client_max_body_size: None,
            head_bytes_max: 1,
            fields_max: 1,
            underscores_in_headers: false,
        };
        let listen = Listen {
            place: ferrule_config::Place::default(),
            address: ([127, 0, 0, 1], 1).into(),
            tls: true,
            handshake_timeout: seconds(5),
            fallback_sni: None,
        };
        let upstream = UpstreamTimeout { connect: seconds(6), send: seconds(7), read: seconds(8) };
        for (wait, after, refusal) in [
            (Wait::Handshake, 5, None),
            (Wait::FirstRequest, 1, None),
            (Wait::RequestHead, 1, Some(Refusal::HeadTimeout)),
            (Wait::NextRequest, 4, None),
            (Wait::RequestBody, 2, Some(Refusal::BodyTimeout)),
            (Wait::RequestBodyLate, 2, None),
            (Wait::ClientWrite, 3, None),
            (Wait::UpstreamConnect, 6, Some(Refusal::UpstreamTimeout)),
            (Wait::UpstreamWrite, 7, Some(Refusal::UpstreamTimeout)),
            (Wait::ResponseHead, 8, Some(Refusal::UpstreamTimeout)),
            (Wait::ResponseBody, 8, None),
        ] {
            let expiry = refusal.map_or(Expiry::Close, Expiry::Refuse);
            let wanted = Deadline { after: seconds(after), expiry };
            assert_eq!(deadline(wait, &http, &listen, &upstream), wanted, "{wait:?}");
        }
    }
}
