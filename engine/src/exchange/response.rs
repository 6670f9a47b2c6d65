//! From an upstream's response head to the head the client gets.

use super::flow::Framing;
use super::refusal::Refusal;
use crate::wire::framing::BodyLength;
use crate::wire::head::{Method, ResponseHead, Version};

/// The request that is being answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// May the client connection live on, as far as the client and we are concerned?
    pub keep_alive: bool,
    /// Have we answered `Expect: 100-continue` ourselves?
    pub continue_sent: bool,
    /// Interim responses to this request so far, this one not included.
    pub interims: u32,
    /// For the `Date` field.
    pub http_date: &'a str,
}

/// What to do with a response head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseStep {
    /// An interim response; the final one is still to come.
    Interim {
        /// Does the client get it ([`interim_head`])?
        forward: bool,
    },
    /// The response.
    Final(Delivery),
}

/// How a response is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Its status.
    pub status: u16,
    /// Where its body ends on the upstream connection.
    pub body: BodyLength,
    /// How its body is framed to the client.
    pub to_client: Framing,
    /// May the upstream connection be used again, as far as the head tells?
    pub upstream_reusable: bool,
    /// May the client connection live on after it?
    pub client_keep_alive: bool,
}

/// Decides about a response head.
///
/// # Errors
/// [`Refusal::BadResponse`]: ambiguous framing, an unasked 101, too many interim responses.
pub fn admit_response(
    buf: &[u8],
    head: &ResponseHead,
    asked: &Asked<'_>,
) -> Result<ResponseStep, Refusal> {
    let _ = (buf, head, asked);
    unimplemented!()
}

/// Appends the response head for the client.
pub fn client_head(
    buf: &[u8],
    head: &ResponseHead,
    delivery: &Delivery,
    asked: &Asked<'_>,
    out: &mut Vec<u8>,
) {
    let _ = (buf, head, delivery, asked, out);
    unimplemented!()
}

/// Appends an interim response head for the client.
pub fn interim_head(buf: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
    let _ = (buf, head, out);
    unimplemented!()
}
