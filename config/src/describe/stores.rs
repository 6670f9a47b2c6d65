//! The keys of `[[stores]]`: where gateways count together.

use crate::defaults;
use crate::describe::key::{Fallback, Kind, Table, Words, duration, optional, required, with};
use crate::describe::proxy::TLS;
use crate::describe::refused::SENTINEL;
use crate::model::StorePolicy;
use crate::words::Word;

static POLICIES: Words = Words { words: StorePolicy::WORDS, refused: SENTINEL };

/// `[[stores]]`
pub(super) static STORES: Table = Table {
    name: "stores",
    doc: "A Valkey or Redis in which several gateways count requests together: `store` of \
         `limits.requests` names it (request-limits.md).",
    keys: &[
        required("id", Kind::Id, "What `store` of a limit names."),
        with(
            "policy",
            Kind::Word(&POLICIES),
            Fallback::Text("redis"),
            "\"redis\": one server. \"redis-cluster\": a cluster.",
        ),
        required(
            "nodes",
            Kind::Texts,
            "The server, as \"host:port\"; of a cluster, some of its nodes, by which the others are \
                 found. Without a port it is 6379.",
        ),
        optional(
            "username",
            Kind::Text,
            "the server's default user",
            "Who logs in; needs `password`.",
        ),
        optional(
            "password",
            Kind::Secret,
            "nobody logs in",
            "With what. Take it from the environment: \"${env:NAME}\".",
        ),
        with(
            "database",
            Kind::Int(0, 65_535),
            Fallback::Int(0),
            "Which of the server's databases; a cluster has only 0.",
        ),
        duration(
            "timeout",
            defaults::STORE_TIMEOUT,
            "How long connecting may take, and each exchange as a whole: from 10ms to 1m.",
        ),
        duration(
            "sync_interval",
            defaults::STORE_SYNC_INTERVAL,
            "How often counts are exchanged: from 10ms to 1m. In between, each gateway goes by what it \
                 was told last and what it has counted since.",
        ),
        optional("tls", Kind::Table(&TLS), "no TLS", "TLS to the nodes, as that of an upstream."),
    ],
    refused: &[],
};
