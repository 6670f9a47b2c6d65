//! The keys of an upstream that say how much its nodes take.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, optional, seconds, with};

/// The most that may be written.
const CONNECTIONS_MAX: i64 = 1_000_000;

pub(super) const MAX_CONNECTIONS: Key = with(
    "max_connections",
    Kind::Int(0, CONNECTIONS_MAX),
    Fallback::Int(0),
    "Connections to each node, those of all cores and idle ones together (queue.md); 0 is no limit.",
);

pub(super) const NODE_MAX_CONNECTIONS: Key = optional(
    "max_connections",
    Kind::Int(0, CONNECTIONS_MAX),
    "that of the upstream",
    "Connections to this node; 0 is no limit.",
);

pub(super) const MAX_REQUESTS: Key = with(
    "max_requests",
    Kind::Int(0, CONNECTIONS_MAX),
    Fallback::Int(0),
    "Requests at each node at once, those of all cores together (queue.md); 0 is no limit.",
);

pub(super) const NODE_MAX_REQUESTS: Key = optional(
    "max_requests",
    Kind::Int(0, CONNECTIONS_MAX),
    "that of the upstream",
    "Requests at this node at once; 0 is no limit.",
);

pub(super) const QUEUE: Key = optional(
    "queue",
    Kind::Table(&QUEUE_TABLE),
    "its defaults",
    "Requests that wait while every node has as many connections as it takes. Needs \
                 `max_connections` or `max_requests`.",
);

static QUEUE_TABLE: Table = Table {
    name: "upstreams.queue",
    doc: "Requests that wait while every node that they could be sent to has as many connections as \
         it takes (queue.md).",
    keys: &[
        with(
            "size",
            Kind::Int(0, 1_000_000),
            Fallback::Int(defaults::QUEUE_SIZE),
            "Requests that wait at most, those of all cores together. With 0 none waits: it is \
                 refused at once.",
        ),
        seconds("timeout", defaults::QUEUE_TIMEOUT, "How long one waits at most."),
        with(
            "status",
            Kind::Int(429, 503),
            Fallback::Int(503),
            "What a request is answered with that finds the queue full, or has waited too long: \
                 503 or 429.",
        ),
    ],
    refused: &[],
};
