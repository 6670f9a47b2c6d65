//! The tables of `upstreams.checks.active`.

use crate::defaults;
use crate::describe::key::{Fallback, Kind, Table, Words, flag, optional, seconds, with};
use crate::model::CheckKind;
use crate::words::Word;

/// As APISIX bounds its counts.
pub(super) const COUNT_MAX: i64 = 254;

pub(super) const STATUSES: Kind = Kind::Ints(100, 599);

static KIND: Words = Words { words: CheckKind::WORDS, refused: &[] };

/// `[upstreams.checks.active]`
pub(super) static ACTIVE: Table = Table {
    name: "upstreams.checks.active",
    doc: "Ask every node regularly whether it works, whether or not there are requests for it \
         (health-checks.md). TLS is as in the upstream's `tls`: its certificate, authorities, pins and \
         revocation lists. A node counts as working until its first checks have failed.",
    keys: &[
        optional(
            "type",
            Kind::Word(&KIND),
            "the upstream's `scheme`",
            "\"http\" and \"https\" send a request, \"tcp\" connects only.",
        ),
        seconds("timeout", defaults::CHECK_TIMEOUT, "How long a check may take, all of it."),
        with(
            "concurrency",
            Kind::Int(1, 1_000),
            Fallback::Int(defaults::CHECK_CONCURRENCY),
            "Nodes of the upstream that are checked at a time.",
        ),
        with(
            "http_path",
            Kind::Text,
            Fallback::Text("/"),
            "What is asked for: a path, and perhaps a query.",
        ),
        optional(
            "host",
            Kind::Text,
            "`upstream_host` with `pass_host = \"rewrite\"`, else the node's host",
            "The `Host` of the request. Without `tls.server_name` it is also the name that is sent as \
                 SNI and checked.",
        ),
        optional(
            "port",
            Kind::Int(1, 65_535),
            "the node's",
            "Another port to ask. No PROXY protocol header is sent there.",
        ),
        optional(
            "req_headers",
            Kind::Texts,
            "none",
            "Further header fields of the request, each as `Name: value`.",
        ),
        flag(
            "https_verify_certificate",
            true,
            "APISIX's switch. The node's certificate is checked as the upstream's `tls.verify` says; \
                 `false` is taken only with `tls.verify = \"off\"`.",
        ),
        optional("healthy", Kind::Table(&HEALTHY), "its defaults", "What says that a node works."),
        optional(
            "unhealthy",
            Kind::Table(&UNHEALTHY),
            "its defaults",
            "What says that a node does not work.",
        ),
    ],
    refused: &[],
};

static HEALTHY: Table = Table {
    name: "upstreams.checks.active.healthy",
    doc: "What says that a node works.",
    keys: &[
        seconds(
            "interval",
            defaults::CHECK_INTERVAL,
            "Time between two checks of a node that works, 100 ms or more.",
        ),
        optional("http_statuses", STATUSES, "200 and 302", "Statuses that pass."),
        with(
            "successes",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::CHECK_SUCCESSES),
            "So many checks in a row that passed bring a node back.",
        ),
    ],
    refused: &[],
};

static UNHEALTHY: Table = Table {
    name: "upstreams.checks.active.unhealthy",
    doc: "What says that a node does not work: checks in a row that failed. Each that passes ends the \
         row.",
    keys: &[
        seconds(
            "interval",
            defaults::CHECK_INTERVAL,
            "Time between two checks of a node that does not work, 100 ms or more.",
        ),
        optional(
            "http_statuses",
            STATUSES,
            "400 to 599",
            "Statuses that fail. One that is in neither list says nothing.",
        ),
        with(
            "http_failures",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::CHECK_HTTP_FAILURES),
            "So many answers in a row with such a status.",
        ),
        with(
            "tcp_failures",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::CHECK_TCP_FAILURES),
            "So many checks in a row without a connection, TLS, or an answer that is HTTP.",
        ),
        with(
            "timeouts",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::CHECK_TIMEOUTS),
            "So many checks in a row that took longer than `timeout`.",
        ),
    ],
    refused: &[],
};
