//! The keys of `global_rules.request_id`, in APISIX's words.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, with};
use crate::model::IdAlgorithm;
use crate::words::Word;

static ALGORITHM: Words = Words { words: IdAlgorithm::WORDS, refused: &[] };

pub(super) const REQUEST_ID: Key = optional(
    "request_id",
    Kind::Short(&REQUEST_ID_TABLE, "header_name"),
    "requests have no id",
    "The id of every request, also of those that no route takes: the name of its header, as \"X-Request-Id\", or \
         a table. A client's own id is kept if it is one field of 1 to 128 letters, digits and `-._~:=+/@`; \
         otherwise a new one takes its place. It is sent upstream and back to the client, and it appears in the \
         gateway's own error answers and in `$request_id`. One rule only.",
);

static REQUEST_ID_TABLE: Table = Table {
    name: "request_id",
    doc: "The id of every request, as APISIX's plugin `request-id`.",
    keys: &[
        with(
            "header_name",
            Kind::Text,
            Fallback::Text(defaults::REQUEST_ID_HEADER),
            "The header that holds it.",
        ),
        flag(
            "include_in_response",
            true,
            "Tell the client, in the same header and in error answers of the gateway.",
        ),
        with(
            "algorithm",
            Kind::Word(&ALGORITHM),
            Fallback::Text("uuid"),
            "\"uuid\" (version 4), \"nanoid\" (21 characters), \"ksuid\" (27 characters that sort by time) or \
                 \"range_id\".",
        ),
        optional(
            "range_id",
            Kind::Table(&RANGE_ID),
            "its defaults",
            "What ids of \"range_id\" are.",
        ),
    ],
    refused: &[],
};

static RANGE_ID: Table = Table {
    name: "request_id.range_id",
    doc: "Ids of random characters, for `algorithm = \"range_id\"`.",
    keys: &[
        with("length", Kind::Int(6, 128), Fallback::Int(16), "Characters of an id."),
        with(
            "char_set",
            Kind::Text,
            Fallback::Text(defaults::RANGE_ID_CHARS),
            "What they are chosen from: at least six different letters, digits and `-._~:=+/@`.",
        ),
    ],
    refused: &[],
};
