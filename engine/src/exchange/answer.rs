//! The body of an answer of our own: the operator's page for its status, else a short text in the
//! form that the client likes best.
//!
//! In: what went wrong, in words that are all ours, and an id of harmless bytes. Out: pieces that are
//! appended as they are; nothing a client wrote is ever among them. The HTML refers to nothing and
//! holds neither style nor script, so it works under the strictest policy.

use ferrule_config::model::{BreakResponse, PageMedia};

use super::negotiate::Accepted;
use super::response_block::ResponseBlock;
use crate::plan::error_pages::{ErrorPages, Page};
use crate::plan::request_ids::RequestIdField;
use crate::wire::head::{Method, Version};
use crate::wire::write;

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFormat<'a> {
    /// What the client asked for.
    pub accepted: Accepted,
    /// The operator's pages.
    pub pages: Option<&'a ErrorPages>,
    /// The field that holds the request's id.
    pub request_id: Option<RequestIdField<'a>>,
    /// What the operator wants to be said of a broken circuit.
    pub broken: Option<&'a BreakResponse>,
    /// What the operator wants to be said of a limit that is reached: JSON.
    pub limited: Option<&'a [u8]>,
    /// What the request's policy changes in the head of its answer.
    pub block: Option<&'a ResponseBlock>,
}

/// What an answer depends on beside its reason.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTo<'a> {
    /// The request's method; HEAD gets no body.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// May the connection live on, as far as the client and we are concerned? What
    /// [`Refusal::closes`](super::Refusal::closes) says comes on top.
    pub keep_alive: bool,
    /// More members for the JSON object, each with a comma in front; may be empty.
    pub details: &'a str,
    /// For the `Date` field.
    pub http_date: &'a str,
    /// Does it say `Server: ferrule`?
    pub server_tokens: bool,
    /// In which form it is given.
    pub format: ResponseFormat<'a>,
}

/// Ends a head of our own, which begins at `start`.
pub(super) fn end_head(start: usize, to: &AnswerTo<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(write::CRLF);
    if let Some(block) = to.format.block {
        block.apply(start, out);
    }
}

/// What is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorText<'a> {
    /// The status that pages go by.
    pub(super) page_status: u16,
    /// The digits of the status that is sent.
    pub(super) digits: &'a [u8; 3],
    /// What follows the status.
    pub(super) title: &'a str,
    /// More about it.
    pub(super) reason: Option<&'a str>,
    /// Why a certificate was refused: members of the JSON object, from the first comma on.
    pub(super) details: &'a str,
}

/// A body, not written yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum ErrorBody<'a> {
    /// The operator's.
    Page(&'a Page, &'a [u8]),
    /// The operator's, for this reason: JSON.
    Given(&'a [u8]),
    /// Ours.
    Own(PageMedia, [&'a [u8]; PIECES]),
}

const PIECES: usize = 12;

impl<'a> ErrorBody<'a> {
    /// Chooses it.
    pub(super) fn choose(text: &ErrorText<'a>, format: &ResponseFormat<'a>) -> Self {
        let id = format.request_id.map_or(&b""[..], |field| field.id);
        // An explanation has one form, and whoever switched it on wants it to be read.
        if !text.details.is_empty() {
            return Self::Own(PageMedia::Json, pieces(PageMedia::Json, text, id));
        }
        let pages = format.pages.map_or(&[][..], |pages| pages.of(text.page_status));
        if let Some(first) = pages.first() {
            let has = |media| pages.iter().any(|page| page.media == media);
            let best = format.accepted.best(has);
            let page = pages.iter().find(|page| Some(page.media) == best).unwrap_or(first);
            return Self::Page(page, id);
        }
        let best = format.accepted.best(|media| media != PageMedia::Xml);
        let media = best.unwrap_or(PageMedia::Json);
        Self::Own(media, pieces(media, text, id))
    }

    /// What it holds.
    pub(super) const fn content_type(&self) -> &'static [u8] {
        let media = match self {
            Self::Page(page, _) => page.media,
            Self::Given(_) => PageMedia::Json,
            Self::Own(media, _) => *media,
        };
        match media {
            PageMedia::Html => b"text/html; charset=utf-8",
            PageMedia::Json => b"application/json",
            PageMedia::Plain => b"text/plain; charset=utf-8",
            PageMedia::Xml => b"application/xml; charset=utf-8",
        }
    }

    /// Is it HTML of ours?
    pub(super) const fn is_own_html(&self) -> bool {
        matches!(self, Self::Own(PageMedia::Html, _))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Page(page, id) => page.len(id.len()),
            Self::Given(body) => body.len(),
            Self::Own(_, pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        }
    }

    pub(super) fn render(&self, out: &mut Vec<u8>) {
        match self {
            Self::Page(page, id) => page.render(id, out),
            Self::Given(body) => out.extend_from_slice(body),
            Self::Own(_, pieces) => {
                for piece in pieces {
                    out.extend_from_slice(piece);
                }
            }
        }
    }
}

fn pieces<'a>(media: PageMedia, text: &ErrorText<'a>, id: &'a [u8]) -> [&'a [u8]; PIECES] {
    let digits = text.digits;
    let title = text.title.as_bytes();
    let reason = text.reason.unwrap_or_default().as_bytes();
    // A part that is not there takes the words around it with it.
    let around = |part: &[u8], text: &'static [u8]| if part.is_empty() { &b""[..] } else { text };
    match media {
        PageMedia::Json | PageMedia::Xml => [
            b"{\"error_msg\":\"",
            digits,
            b" ",
            title,
            b"\"",
            around(reason, b",\"reason\":\""),
            reason,
            around(reason, b"\""),
            text.details.as_bytes(),
            around(id, b",\"request_id\":\""),
            id,
            if id.is_empty() { b"}" } else { b"\"}" },
        ],
        PageMedia::Plain => [
            digits,
            b" ",
            title,
            b"\n",
            around(reason, b"Reason: "),
            reason,
            around(reason, b"\n"),
            around(id, b"Request id: "),
            id,
            around(id, b"\n"),
            b"",
            b"",
        ],
        PageMedia::Html => [
            b"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Error</title>\n<h1>",
            digits,
            b" ",
            title,
            b"</h1>\n",
            around(reason, b"<p>Reason: "),
            reason,
            around(reason, b"</p>\n"),
            around(id, b"<p>Request id: <code>"),
            id,
            around(id, b"</code></p>\n"),
            b"",
        ],
    }
}

/// The three digits of a status.
pub(super) fn digits(status: u16) -> [u8; 3] {
    const DIGITS: &[u8; 10] = b"0123456789";
    let digit = |unit: u16| DIGITS[(status / unit % 10) as usize];
    [digit(100), digit(10), digit(1)]
}
