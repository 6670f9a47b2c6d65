//! The table of `[http]`.

use crate::defaults;
use crate::describe::{Fallback, Kind, Table, Words, refused};
use crate::describe::{duration, flag, optional, with};
use crate::model::{Expect, Traceparent};
use crate::words::Word;

static EXPECT: Words = Words { words: Expect::WORDS, refused: &[] };
static TRACEPARENT: Words = Words { words: Traceparent::WORDS, refused: &[] };

/// `[http]`
pub(super) static HTTP: Table = Table {
    name: "http",
    doc: "How HTTP is spoken, on every listener.",
    keys: &[
        duration(
            "client_header_timeout",
            defaults::CLIENT_HEADER_TIMEOUT,
            "From the first byte of a request head to its end.",
        ),
        duration(
            "client_body_timeout",
            defaults::CLIENT_BODY_TIMEOUT,
            "Between two reads of a request body.",
        ),
        duration("send_timeout", defaults::SEND_TIMEOUT, "Between two writes to a client."),
        duration(
            "keepalive_timeout",
            defaults::KEEPALIVE_TIMEOUT,
            "How long a client connection may be idle.",
        ),
        with(
            "keepalive_requests",
            Kind::Int(1, 1_000_000_000),
            Fallback::Int(defaults::KEEPALIVE_REQUESTS),
            "Requests on one client connection.",
        ),
        with(
            "client_max_body_size",
            Kind::Size(0, 1 << 50),
            Fallback::Size(defaults::CLIENT_MAX_BODY_SIZE),
            "Bytes of a request body; 0 is unlimited. More is answered with 413.",
        ),
        with(
            "large_client_header_buffers",
            Kind::Size(1 << 10, 64 << 10),
            Fallback::Size(defaults::HEAD_BYTES),
            "Bytes of one request head. More is answered with 431, a longer target with 414.",
        ),
        with(
            "max_headers",
            Kind::Int(8, 256),
            Fallback::Int(defaults::MAX_HEADERS),
            "Field lines of one request head. More is answered with 431.",
        ),
        optional(
            "ssl_session_ticket_key",
            Kind::TextsOrNone,
            "secrets of the process's own, new every hour",
            "Paths of files of 48 or 80 random bytes, for a fleet that shares its session tickets: the \
                 first seals, all of them open. Read again when they change. The keys of each policy \
                 are derived from them. Put a new one in front every day; one that has sealed for \
                 more than 7 days is warned of.",
        ),
        flag(
            "underscores_in_headers",
            false,
            "Take headers whose names have an underscore; they are dropped otherwise.",
        ),
        flag("server_tokens", false, "Answers of the gateway itself say `Server: ferrule`."),
        with(
            "via",
            Kind::Text,
            Fallback::Text("off"),
            "A name for this gateway, added to `Via` of requests and responses. A request that \
             bears it already goes in a circle, and is answered with 508. \"off\" adds nothing.",
        ),
        with(
            "expect",
            Kind::Word(&EXPECT),
            Fallback::Text("answer"),
            "Who answers `Expect: 100-continue`: \"answer\" has the gateway do it, once there is \
             a connection to the upstream, \"forward\" leaves it to the upstream.",
        ),
        flag(
            "forwarded_headers",
            true,
            "Tell upstreams of the client's connection: `X-Forwarded-For` is appended to, \
             `X-Forwarded-Proto`, `-Host`, `-Port` and `X-Real-IP` are set, `Forwarded` is \
             dropped. Otherwise all of them pass as the client sent them.",
        ),
        optional(
            "trusted_addresses",
            Kind::TextsOrNone,
            "nobody",
            "Clients (peers, or who a PROXY protocol header names), as addresses or ranges \
             (\"10.0.0.0/8\"), whose `X-Forwarded-Proto`, \
             `-Host`, `-Port` and `Forwarded` are kept.",
        ),
        optional(
            "error_pages",
            Kind::Lists,
            "short answers of our own, in JSON, HTML or plain text as `Accept` asks",
            "Pages for the gateway's own error answers (what an upstream answers passes as it \
                 came): a status or a class (\"404\", \"5xx\") = a file, or several of different \
                 types of which `Accept` chooses; the first is for clients that accept none. The \
                 type is told by the extension: .html, .htm, .json, .txt, .xml. Files are read at \
                 load, UTF-8, at most 64k; `$request_id` in them becomes the request's id, and \
                 nothing else is replaced. \"495\" (bad client certificate), \"496\" (none sent) \
                 and \"497\" (plain HTTP on a TLS port) are sent as 400; \"400\" and \"4xx\" do \
                 not stand for them, because the reason would be lost.",
        ),
        with(
            "traceparent",
            Kind::Word(&TRACEPARENT),
            Fallback::Text("off"),
            "W3C Trace Context. \"off\": the headers pass like any others. \"pass\": a valid \
                 `traceparent` passes unchanged with its `tracestate`, an invalid one is dropped \
                 with it. \"begin\": and where there is no valid one, a trace begins here, marked \
                 as sampled. `$trace_id` and `$span_id` hold its ids.",
        ),
        with(
            "client_body_min_rate",
            Kind::Int(0, 1_000_000_000),
            Fallback::Int(defaults::MIN_RATE),
            "Bytes a second that a request body must bring on average, counting only the time we \
                 wait for the client; slower is answered with 408. 0 lets it be as slow as \
                 `client_body_timeout` allows.",
        ),
        with(
            "send_min_rate",
            Kind::Int(0, 1_000_000_000),
            Fallback::Int(defaults::MIN_RATE),
            "Bytes a second of a response body that a client must take on average, counting only \
                 the time we wait for it; slower is cut. 0 lets it be as slow as `send_timeout` \
                 allows.",
        ),
        duration(
            "min_rate_grace",
            defaults::MIN_RATE_GRACE,
            "How much longer than the two rates allow a client may keep us waiting for or with a \
                 body, before it is too slow.",
        ),
        with(
            "connections_per_address",
            Kind::Int(0, 10_000_000),
            Fallback::Int(defaults::CONNECTIONS_PER_ADDRESS),
            "Connections that one client address (of IPv6, one /64 network) may have open, all \
                 cores together; more are closed at once. 0 is unlimited. What counts is the \
                 address that connects, or that of its PROXY protocol header; behind a load balancer \
                 without one that is the balancer's.",
        ),
    ],
    refused: refused::IN_HTTP,
};
