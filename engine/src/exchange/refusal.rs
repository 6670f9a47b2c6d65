//! Every reason to answer a request ourselves: its status, its log word, and the whole answer.

use crate::identity::chain::VerifyFailure;
use crate::plan::MethodSet;
use crate::wire::error::WireError;
use crate::wire::head::Method;

/// Why we answer a request ourselves, in the order of a request's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The client did not send its head in time.
    HeadTimeout,
    /// The bytes are wrong; the connection is closed after the answer.
    Malformed(WireError),
    /// Plain HTTP on a TLS listener.
    PlainHttpOnTls,
    /// HTTP/1.1 without a `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A client certificate is required, and none was sent.
    NoCertificate,
    /// The client's certificate does not verify.
    BadCertificate(VerifyFailure),
    /// The `Host` is not one that this connection's server name may ask for.
    MisdirectedRequest,
    /// Nothing here has this host and path.
    RouteNotFound,
    /// Host and path are known, but with these methods only.
    MethodNotAllowed(MethodSet),
    /// An `Expect` that we do not know.
    ExpectationFailed,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The head outgrew its bound by what was added to it.
    HeadOverflow,
    /// The process or this core has no room for another exchange.
    Overloaded,
    /// No node of the upstream may be asked.
    NoLiveNode,
    /// No connection to the upstream.
    UpstreamConnect,
    /// The TLS handshake with the upstream failed.
    UpstreamTls,
    /// The upstream connection ended before a response head arrived.
    UpstreamLost,
    /// The upstream's answer is not one.
    BadResponse,
    /// The upstream did not connect, take or answer in time.
    UpstreamTimeout,
    /// The client did not send its body in time.
    BodyTimeout,
    /// A fault of our own.
    Internal,
}

/// What an answer depends on beside its reason.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTo<'a> {
    /// The request's method; HEAD gets no body.
    pub method: Method,
    /// May the connection live on, as far as the client and we are concerned?
    pub keep_alive: bool,
    /// For the `Date` field.
    pub http_date: &'a str,
}

impl Refusal {
    /// The status the client sees.
    #[must_use]
    pub const fn status(self) -> u16 {
        unimplemented!()
    }

    /// One word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        unimplemented!()
    }

    /// Must the client connection end after the answer? Wherever we cannot be sure where the next
    /// request starts, or whether the client may ask at all.
    #[must_use]
    pub const fn closes(self) -> bool {
        unimplemented!()
    }
}

/// Appends the whole answer. Returns its body's bytes (0 for HEAD).
pub fn answer(refusal: Refusal, to: &AnswerTo<'_>, out: &mut Vec<u8>) -> usize {
    let _ = (refusal, to, out);
    unimplemented!()
}
