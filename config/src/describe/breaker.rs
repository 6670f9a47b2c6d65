//! The keys of `api_breaker`, in APISIX's words.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, optional, required, with};

/// Most failures or successes that are counted.
const COUNT_MAX: i64 = 1_000;

pub(super) const API_BREAKER: Key = optional(
    "api_breaker",
    Kind::Table(&BREAKER),
    "none",
    "A circuit breaker: an upstream that fails is left alone for a while (circuit-breaker.md). The \
                 route's table replaces its service's; each route counts by itself.",
);

static BREAKER: Table = Table {
    name: "api_breaker",
    doc: "A circuit breaker, as APISIX's plugin `api-breaker`: after so many failures, requests are \
         answered by the gateway for 2 s, then for 4 s, and so on (circuit-breaker.md).",
    keys: &[
        required(
            "break_response_code",
            Kind::Int(200, 599),
            "The status that requests are answered with meanwhile.",
        ),
        optional(
            "break_response_body",
            Kind::Text,
            "an error text of Ferrule's",
            "The body of that answer.",
        ),
        optional(
            "break_response_headers",
            Kind::Fields(false),
            "none",
            "Its header fields, without variables. `Content-Type` is `text/plain` unless it stands here.",
        ),
        with(
            "max_breaker_sec",
            Kind::Int(3, 86_400),
            Fallback::Int(defaults::MAX_BREAKER_SEC),
            "The longest time for which nothing is asked, in seconds.",
        ),
        optional("unhealthy", Kind::Table(&UNHEALTHY), "its defaults", "What a failure is."),
        optional("healthy", Kind::Table(&HEALTHY), "its defaults", "What a success is."),
    ],
    refused: &[],
};

static UNHEALTHY: Table = Table {
    name: "api_breaker.unhealthy",
    doc: "What a failure is.",
    keys: &[
        optional(
            "http_statuses",
            Kind::Ints(500, 599),
            "[500]",
            "Statuses of an upstream that are failures.",
        ),
        with(
            "failures",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::BREAKER_COUNT),
            "So many break the circuit.",
        ),
    ],
    refused: &[],
};

static HEALTHY: Table = Table {
    name: "api_breaker.healthy",
    doc: "What a success is.",
    keys: &[
        optional(
            "http_statuses",
            Kind::Ints(200, 499),
            "[200]",
            "Statuses of an upstream that are successes.",
        ),
        with(
            "successes",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::BREAKER_COUNT),
            "After so many, with no failure between them, all failures are forgotten.",
        ),
    ],
    refused: &[],
};
