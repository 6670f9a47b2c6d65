//! The keys of `limits`: how many requests of one key go on.

use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, required, with};
use crate::describe::refused::{IN_LOCAL_LIMITS, IN_REQUESTS};
use crate::model::WindowType;
use crate::words::Word;

/// The most that is counted.
const COUNT_MAX: i64 = 1_000_000_000;
const CONNECTIONS_MAX: i64 = 1_000_000;

pub(super) const LIMITS: Key = optional(
    "limits",
    Kind::Table(&REQUEST_LIMITS),
    "none",
    "Limits of requests (request-limits.md). The route's table replaces its service's; those of \
                 global rules hold besides.",
);

static REQUEST_LIMITS: Table = Table {
    name: "limits",
    doc: "How many requests with the same key go on; the others are refused (request-limits.md). Each \
         entry counts by itself, and all must let a request pass.",
    keys: &[
        optional(
            "requests",
            Kind::TableOrTables(&REQUESTS),
            "none",
            "Requests within a window of time, as APISIX's `limit-count`.",
        ),
        optional(
            "rate",
            Kind::TableOrTables(&RATE),
            "none",
            "Requests per second, as APISIX's `limit-req` and nginx's `limit_req`.",
        ),
        optional(
            "connections",
            Kind::TableOrTables(&CONNECTIONS),
            "none",
            "Requests at one time, as APISIX's `limit-conn` and nginx's `limit_conn`.",
        ),
    ],
    refused: &[],
};

const KEY: Key = required(
    "key",
    Kind::Template,
    "What tells requests apart, as \"$remote_addr\" or \"$ssl_client_spki_sha256 $host\". If no \
                 variable in it has a value, it is the client's address.",
);

const STATUS: Key = with(
    "status",
    Kind::Int(400, 599),
    Fallback::Int(503),
    "What a request is answered with that is refused; 429 is what RFC 6585 has for it.",
);

const MESSAGE: Key = optional(
    "message",
    Kind::Text,
    "an error text of Ferrule's",
    "The `error_msg` of that answer, which is JSON then.",
);

const GROUP: Key = optional(
    "group",
    Kind::Text,
    "none: each route, service or rule counts for itself",
    "Entries of one kind with the same group count together. They must say the same.",
);

/// A number that requests say.
const fn from(name: &'static str, doc: &'static str) -> Key {
    optional(name, Kind::Template, "the number of the file", doc)
}

const COUNT_FROM: Key = from(
    "count_from",
    "What says `count` for a request, as \"$http_x_count\" (request-limits.md).",
);
const WINDOW_FROM: Key =
    from("window_from", "What says the seconds of `window` for a request, as \"$http_x_window\".");
const RATE_FROM: Key = from("rate_from", "What says `rate` for a request, as \"$http_x_rate\".");
const BURST_FROM: Key =
    from("burst_from", "What says `burst` for a request, as \"$http_x_burst\".");
const CONNECTIONS_FROM: Key =
    from("connections_from", "What says `connections` for a request, as \"$http_x_connections\".");

static WINDOW_TYPES: Words = Words { words: WindowType::WORDS, refused: &[] };

static REQUESTS: Table = Table {
    name: "limits.requests",
    doc: "So many requests within a window of time.",
    keys: &[
        required("count", Kind::Int(1, COUNT_MAX), "How many."),
        COUNT_FROM,
        required("window", Kind::Seconds, "How long the window is."),
        WINDOW_FROM,
        with(
            "window_type",
            Kind::Word(&WINDOW_TYPES),
            Fallback::Text("fixed"),
            "\"fixed\": a window begins with the first request, and when it is over, all are \
                 forgotten. \"sliding\": those of the window before count for the part of it that one \
                 window back from now reaches.",
        ),
        KEY,
        STATUS,
        MESSAGE,
        flag(
            "show_headers",
            true,
            "Answers have `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, \
                 and those that refuse `Retry-After`.",
        ),
        GROUP,
        optional(
            "store",
            Kind::Id,
            "each gateway counts for itself",
            "The id of a `[[stores]]`: all gateways count together what has the same `group`, which \
                 must be given.",
        ),
        flag(
            "allow_degradation",
            false,
            "Without its store the gateway goes on counting by itself. Otherwise it answers 503.",
        ),
    ],
    refused: IN_REQUESTS,
};

static RATE: Table = Table {
    name: "limits.rate",
    doc: "A leaky bucket: so many requests per second.",
    keys: &[
        required(
            "rate",
            Kind::Decimal(1, 1_000_000_000_000),
            "Requests per second; 0.1 is 6 per minute.",
        ),
        RATE_FROM,
        with(
            "burst",
            Kind::Decimal(0, 1_000_000_000_000),
            Fallback::Int(0),
            "So many may come ahead of their time. They are held back until it is there.",
        ),
        BURST_FROM,
        flag("nodelay", false, "Those ahead of their time are sent on at once."),
        KEY,
        STATUS,
        MESSAGE,
        GROUP,
    ],
    refused: IN_LOCAL_LIMITS,
};

static CONNECTIONS: Table = Table {
    name: "limits.connections",
    doc: "So many requests at one time, upgraded connections among them.",
    keys: &[
        required("connections", Kind::Int(1, CONNECTIONS_MAX), "How many."),
        CONNECTIONS_FROM,
        with(
            "burst",
            Kind::Int(0, CONNECTIONS_MAX),
            Fallback::Int(0),
            "So many more are held back for `delay`, and then sent on.",
        ),
        BURST_FROM,
        optional(
            "delay",
            Kind::Seconds,
            "needed with `burst`",
            "How long, for each `connections` under way: APISIX's `default_conn_delay`.",
        ),
        flag(
            "only_use_default_delay",
            false,
            "Always `delay`. Otherwise it follows how long requests have taken lately.",
        ),
        KEY,
        STATUS,
        MESSAGE,
        GROUP,
    ],
    refused: IN_LOCAL_LIMITS,
};
