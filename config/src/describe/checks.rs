//! The tables of `upstreams.checks`.

use crate::defaults;
use crate::describe::active_checks::{ACTIVE, COUNT_MAX, STATUSES};
use crate::describe::key::{Fallback, Kind, Table, optional, seconds, with};

/// `[upstreams.checks]`
pub(super) static CHECKS: Table = Table {
    name: "upstreams.checks",
    doc: "Which nodes are asked, by how they have answered (health.md).",
    keys: &[
        with(
            "panic_threshold",
            Kind::Int(0, 100),
            Fallback::Int(defaults::PANIC_THRESHOLD),
            "Percent of the nodes that must be healthy. Below it, all nodes are asked again, \
                 whatever their health: few nodes cannot take what is meant for all. 0: health is \
                 always minded, even if no node is left.",
        ),
        optional(
            "passive",
            Kind::Table(&PASSIVE),
            "its defaults",
            "Health from the answers to requests. To switch it off, set `http_failures`, \
                 `tcp_failures` and `timeouts` to 0.",
        ),
        optional(
            "active",
            Kind::Table(&ACTIVE),
            "no checks are sent",
            "Health from requests of the gateway's own.",
        ),
    ],
    refused: &[],
};

static PASSIVE: Table = Table {
    name: "upstreams.checks.passive",
    doc: "A node that fails several requests in a row is set aside for a while. When that is over, \
         one request is sent to it, which brings it back or sets it aside for twice as long. The \
         only node of an upstream is never set aside.",
    keys: &[
        optional("unhealthy", Kind::Table(&UNHEALTHY), "its defaults", "What sets a node aside."),
        optional("healthy", Kind::Table(&HEALTHY), "its defaults", "What brings it back."),
        optional(
            "outliers",
            Kind::Table(&OUTLIERS),
            "nodes are not compared",
            "What sets a node aside that does worse than the others. `{}` takes the defaults.",
        ),
        seconds(
            "max_ejection_time",
            defaults::MAX_EJECTION_TIME,
            "The longest time that a node is set aside for.",
        ),
    ],
    refused: &[],
};

static UNHEALTHY: Table = Table {
    name: "upstreams.checks.passive.unhealthy",
    doc: "What sets a node aside: failures in a row. Each good answer ends the row. What a client \
         causes does not count.",
    keys: &[
        optional(
            "http_statuses",
            STATUSES,
            "502, 503 and 504",
            "Statuses that say that the node fails. With 500 among them, a client that knows a \
                 request that fails can set nodes aside.",
        ),
        with(
            "http_failures",
            Kind::Int(0, COUNT_MAX),
            Fallback::Int(defaults::HTTP_FAILURES),
            "So many answers with one of `http_statuses`; 0: they do not count.",
        ),
        with(
            "tcp_failures",
            Kind::Int(0, COUNT_MAX),
            Fallback::Int(defaults::TCP_FAILURES),
            "So many connections that failed, TLS included, or broke before the answer was whole, \
                 and answers that are not HTTP; 0: they do not count.",
        ),
        with(
            "timeouts",
            Kind::Int(0, COUNT_MAX),
            Fallback::Int(defaults::TIMEOUTS),
            "So many requests that took longer than `timeout`; 0: they do not count.",
        ),
        seconds(
            "fail_timeout",
            defaults::FAIL_TIMEOUT,
            "How soon after one failure another one must begin to count with it, and how long a node \
                 is set aside at first. A node that was back for less than it had been set aside \
                 for is set aside for twice as long.",
        ),
    ],
    refused: &[],
};

static OUTLIERS: Table = Table {
    name: "upstreams.checks.passive.outliers",
    doc: "Compare nodes with each other, as Envoy's outlier detection does. What fails is what \
         `unhealthy` counts, whatever its counts are.",
    keys: &[
        seconds(
            "interval",
            defaults::OUTLIER_INTERVAL,
            "How often nodes are compared, by what they have done since the last time, 1 s or more.",
        ),
        with(
            "min_nodes",
            Kind::Int(3, 10_000),
            Fallback::Int(defaults::OUTLIER_MIN_NODES),
            "So many nodes must have had `min_requests`; with fewer, nothing is compared.",
        ),
        with(
            "min_requests",
            Kind::Int(1, 1_000_000),
            Fallback::Int(defaults::OUTLIER_MIN_REQUESTS),
            "A node with fewer requests in an interval, on all cores, is not compared.",
        ),
        with(
            "success_rate_stdev_factor",
            Kind::Int(0, 10_000),
            Fallback::Int(defaults::SUCCESS_RATE_STDEV_FACTOR),
            "Thousandths of a standard deviation. A node whose success rate is so far below the mean \
                 of the nodes, and 5 percentage points at least, is set aside; 0: it does not count.",
        ),
        with(
            "failure_percentage",
            Kind::Int(0, 100),
            Fallback::Int(defaults::FAILURE_PERCENTAGE),
            "A node of whose requests so many percent fail is set aside, whatever the others do; 0: it \
                 does not count.",
        ),
        with(
            "latency_factor",
            Kind::Int(0, 1_000),
            Fallback::Int(defaults::LATENCY_FACTOR),
            "A node whose median time to the head of a response is above so many times the median of \
                 the nodes is slow, and set aside after `latency_intervals`; 0: it does not count. 1 \
                 is refused.",
        ),
        with(
            "latency_intervals",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::LATENCY_INTERVALS),
            "A node must be slow in so many intervals in a row.",
        ),
        seconds(
            "latency_min",
            defaults::LATENCY_MIN,
            "A node whose median is not above this is not slow.",
        ),
    ],
    refused: &[],
};

static HEALTHY: Table = Table {
    name: "upstreams.checks.passive.healthy",
    doc: "What brings a node back.",
    keys: &[
        optional(
            "http_statuses",
            STATUSES,
            "all that `unhealthy.http_statuses` does not name",
            "Statuses that say that the node works.",
        ),
        with(
            "successes",
            Kind::Int(1, COUNT_MAX),
            Fallback::Int(defaults::SUCCESSES),
            "So many good answers in a row, one request at a time.",
        ),
    ],
    refused: &[],
};
