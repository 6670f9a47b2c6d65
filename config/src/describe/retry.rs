//! The keys of an upstream that say when another try is made.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, seconds, with};
use crate::model::RetryCause;
use crate::words::Word;

static CAUSES: Words = Words { words: RetryCause::WORDS, refused: &[] };

pub(super) const RETRIES: Key = optional(
    "retries",
    Kind::Int(0, 16),
    "other nodes, at most 2",
    "Further tries, each on a node that was not asked yet (retries.md).",
);

pub(super) const RETRY_TIMEOUT: Key = seconds(
    "retry_timeout",
    defaults::RETRY_TIMEOUT,
    "No further try begins so long after the first one.",
);

pub(super) const RETRY_ON: Key = optional(
    "retry_on",
    Kind::Words(&CAUSES),
    "[\"connect\", \"lost\", \"timeout\", \"bad_response\"]",
    "What another node is asked after. \"connect\": no connection came about. \"lost\": it \
                 ended before the first byte of a response. \"timeout\": no response in time. \
                 \"bad_response\": one that breaks the rules, or half a head. A status: a response \
                 with it, as \"503\". Once something was sent, only requests are sent again that \
                 may be, and of which all is held.",
);

pub(super) const RETRY_NON_IDEMPOTENT: Key = flag(
    "retry_non_idempotent",
    false,
    "Send `POST`, `PATCH` and methods of your own again as well, although a node may have acted \
                 on them already: they may be carried out twice.",
);

pub(super) const RETRY_BUDGET: Key = optional(
    "retry_budget",
    Kind::Table(&BUDGET),
    "its defaults",
    "How many further tries there may be of requests that have left already.",
);

pub(super) const RETRY_BUFFER: Key = with(
    "retry_buffer",
    Kind::Size(0, 1 << 20),
    Fallback::Size(defaults::RETRY_BUFFER),
    "How much of the body of a request that may be sent again is held while it is sent. A longer \
                 body is not sent again once some of it has left that did not come with the head. \
                 0 holds nothing.",
);

static BUDGET: Table = Table {
    name: "upstreams.retry_budget",
    doc: "How many further tries there may be of requests that a node may have seen. A budget keeps \
         a failing upstream from getting several times its load. Tries of which not a byte has \
         left are free.",
    keys: &[
        with(
            "percent",
            Kind::Int(0, 100),
            Fallback::Int(defaults::RETRY_PERCENT),
            "Further tries for a hundred requests.",
        ),
        with(
            "min_per_second",
            Kind::Int(0, 1_000_000),
            Fallback::Int(defaults::RETRY_MIN_PER_SECOND),
            "Further tries per second however few requests there are; of each core.",
        ),
    ],
    refused: &[],
};
