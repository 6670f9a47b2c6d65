//! The table of `[http]`.

use crate::defaults;
use crate::describe::key::{Fallback, Kind, Table, Words, duration, flag, optional, with};
use crate::describe::real_ip::REAL_IP;
use crate::describe::refused;
use crate::model::{Expect, ForwardedHost, HalfClose, Router, Traceparent};
use crate::words::Word;

static EXPECT: Words = Words { words: Expect::WORDS, refused: &[] };
static FORWARDED_HOST: Words = Words { words: ForwardedHost::WORDS, refused: &[] };
static ROUTER: Words = Words { words: Router::WORDS, refused: &[] };
static HALF_CLOSE: Words = Words { words: HalfClose::WORDS, refused: &[] };
static TRACEPARENT: Words = Words { words: Traceparent::WORDS, refused: &[] };

/// `[http]`
pub(super) static HTTP: Table = Table {
    name: "http",
    doc: "How HTTP is spoken, on every listener.",
    keys: &[
        with(
            "router",
            Kind::Word(&ROUTER),
            Fallback::Text("radixtree_host_uri"),
            "In which order routes are looked for, in APISIX's words (routing.md). \"radixtree_host_uri\": \
                 the most exact host, then the most exact path. \"radixtree_uri\": the most exact path, \
                 then the highest `priority`, then the most exact host. \
                 \"radixtree_uri_with_parameter\": likewise, and `:name` in a path stands for any \
                 segment, `*name` at its end for the rest.",
        ),
        with(
            "wrong_method_status",
            Kind::Int(404, 405),
            Fallback::Int(405),
            "What a request is answered with whose host and path have a route, but not for its method: 405 with \
                 `Allow` (RFC 9110), or 404 as in APISIX.",
        ),
        duration(
            "client_header_timeout",
            defaults::CLIENT_HEADER_TIMEOUT,
            "Time from the first byte of a request head to its end.",
        ),
        duration(
            "client_body_timeout",
            defaults::CLIENT_BODY_TIMEOUT,
            "Time between two reads of a request body.",
        ),
        duration("send_timeout", defaults::SEND_TIMEOUT, "Time between two writes to a client."),
        duration(
            "lingering_time",
            defaults::LINGERING_TIME,
            "How long the gateway goes on reading from a client that has its answer before its \
                 request is complete, and drops what it reads. Many clients look for an answer only \
                 when they have sent everything, and a connection that is closed before is a reset \
                 to them. Meanwhile they must send at `client_body_min_rate`.",
        ),
        duration(
            "lingering_timeout",
            defaults::LINGERING_TIMEOUT,
            "How long such a client may send nothing until its connection is closed. It is also \
                 how long an upstream may take nothing of a request that it has answered already; \
                 the rest is dropped then.",
        ),
        with(
            "client_half_close",
            Kind::Word(&HALF_CLOSE),
            Fallback::Text("abort"),
            "What it means that a client ends its sending direction while it waits for an answer. \
                 \"abort\": it has left; the request is given up and logged with 499, as in nginx. \
                 \"serve\": it still gets the answers to all requests that it has sent whole, and a \
                 400 to one that it has not; a client that has really left is noticed only when \
                 something is sent to it, so its request is carried out. A reset means in either \
                 case that it has left.",
        ),
        duration(
            "keepalive_timeout",
            defaults::KEEPALIVE_TIMEOUT,
            "How long a client connection may be idle.",
        ),
        with(
            "keepalive_requests",
            Kind::Int(1, 1_000_000_000),
            Fallback::Int(defaults::KEEPALIVE_REQUESTS),
            "Most requests on one client connection.",
        ),
        with(
            "client_max_body_size",
            Kind::Size(0, 1 << 50),
            Fallback::Size(defaults::CLIENT_MAX_BODY_SIZE),
            "Largest request body in bytes; 0 is unlimited. A larger one is answered with 413.",
        ),
        with(
            "large_client_header_buffers",
            Kind::Size(1 << 10, 64 << 10),
            Fallback::Size(defaults::HEAD_BYTES),
            "Largest request head in bytes. A larger one is answered with 431, a longer target \
                 with 414.",
        ),
        with(
            "max_headers",
            Kind::Int(8, 256),
            Fallback::Int(defaults::MAX_HEADERS),
            "Most field lines of one request head. More are answered with 431.",
        ),
        with(
            "response_header_buffer",
            Kind::Size(1 << 10, 64 << 10),
            Fallback::Size(defaults::RESPONSE_HEAD_BYTES),
            "Largest head of an upstream's response in bytes, and largest trailer section (nginx's \
                 nearest is `proxy_buffer_size`). The client gets a 502 for a larger head; a \
                 response with larger trailers is cut off.",
        ),
        with(
            "max_response_headers",
            Kind::Int(8, 2_048),
            Fallback::Int(defaults::MAX_RESPONSE_HEADERS),
            "Most field lines of the head of an upstream's response, and of its trailers. With \
                 more it is refused as with `response_header_buffer`.",
        ),
        optional(
            "ssl_session_ticket_key",
            Kind::TextsOrNone,
            "secrets of the process's own, new every hour",
            "Paths of files of 48 or 80 random bytes, for several gateways that share session \
                 tickets: the first key seals, all of them open. Read again when they change. The \
                 keys of each policy are derived from them. Put a new one in front every day; one \
                 that has sealed for more than 7 days is warned about.",
        ),
        flag(
            "underscores_in_headers",
            false,
            "Take headers whose names contain an underscore; otherwise they are dropped.",
        ),
        flag("server_tokens", false, "The gateway's own answers say `Server: ferrule`."),
        with(
            "via",
            Kind::Text,
            Fallback::Text("off"),
            "A name for this gateway, added to `Via` of requests and responses. A request that \
                 already carries it goes in a circle and is answered with 508. \"off\" adds \
                 nothing.",
        ),
        with(
            "expect",
            Kind::Word(&EXPECT),
            Fallback::Text("answer"),
            "Who answers `Expect: 100-continue`. \"answer\": the gateway, once it has a connection \
                 to the upstream. \"forward\": the upstream.",
        ),
        flag(
            "forwarded_headers",
            true,
            "Tell upstreams about the client's connection: `X-Forwarded-For` is appended to, \
                 `X-Forwarded-Proto`, `-Host`, `-Port` and `X-Real-IP` are set, `Forwarded` is \
                 dropped. With false, all of them pass as the client sent them.",
        ),
        optional(
            "trusted_addresses",
            Kind::TextsOrNone,
            "nobody",
            "Addresses or ranges (\"10.0.0.0/8\") of clients whose `X-Forwarded-Proto`, `-Host`, \
                 `-Port` and `Forwarded` are kept. The client is whoever connects, or the address \
                 in its PROXY protocol header. Where some are listed, the `X-Forwarded-For` of all others is \
                 dropped, and begins anew.",
        ),
        with(
            "forwarded_host",
            Kind::Word(&FORWARDED_HOST),
            Fallback::Text("host"),
            "What `X-Forwarded-Host` and `-Port` hold. \"host\": the name that was routed by, without a port, and the \
                 port of the listener. \"http_host\": the host as the client wrote it, with the port that it \
                 named, and that port if there is one.",
        ),
        REAL_IP,
        optional(
            "error_pages",
            Kind::Lists,
            "short answers of our own, in JSON, HTML or plain text as `Accept` asks",
            "Pages for the gateway's own error answers (answers of an upstream pass as they came). \
                 A status or a class (\"404\", \"5xx\") = a file, or several files of different \
                 types: `Accept` chooses one, and clients that accept none of them get the first. \
                 The extension tells the type: .html, .htm, .json, .txt, .xml. Files are read at \
                 load, must be UTF-8 and at most 64k. `$request_id` in them becomes the request's \
                 id; nothing else is replaced. \"495\" (bad client certificate), \"496\" (none \
                 sent) and \"497\" (plain HTTP on a TLS port) are sent as 400; \"400\" and \"4xx\" \
                 do not cover them, because the reason would be lost.",
        ),
        with(
            "traceparent",
            Kind::Word(&TRACEPARENT),
            Fallback::Text("off"),
            "W3C Trace Context. \"off\": the headers pass like any others. \"pass\": a valid \
                 `traceparent` passes unchanged with its `tracestate`; an invalid one is dropped, \
                 and its `tracestate` too. \"begin\": as \"pass\", and where there is no valid \
                 one, a trace begins here, marked as sampled. `$trace_id` and `$span_id` hold its \
                 ids.",
        ),
        with(
            "client_body_min_rate",
            Kind::Int(0, 1_000_000_000),
            Fallback::Int(defaults::MIN_RATE),
            "Average bytes a second that a request body must bring, counting only the time that \
                 the gateway waits for the client. A slower one is answered with 408. 0 lets it be \
                 as slow as `client_body_timeout` allows.",
        ),
        with(
            "send_min_rate",
            Kind::Int(0, 1_000_000_000),
            Fallback::Int(defaults::MIN_RATE),
            "Average bytes a second of a response body that a client must take, counting only the \
                 time that the gateway waits for it. A slower one is cut. 0 lets it be as slow as \
                 `send_timeout` allows.",
        ),
        duration(
            "min_rate_grace",
            defaults::MIN_RATE_GRACE,
            "How much longer than the two rates allow a client may keep the gateway waiting before \
                 it counts as too slow.",
        ),
        with(
            "connections_per_address",
            Kind::Int(0, 10_000_000),
            Fallback::Int(defaults::CONNECTIONS_PER_ADDRESS),
            "Connections that one client address (for IPv6, one /64 network) may have open, all \
                 cores together; more are closed at once. 0 is unlimited. The address is the one \
                 that connects, or the one in its PROXY protocol header. A load balancer that \
                 sends no such header counts as one client.",
        ),
    ],
    refused: refused::IN_HTTP,
};
