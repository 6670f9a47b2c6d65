//! The keys of choosing a node, and those of a node.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, required, with};
use crate::describe::limits::{NODE_MAX_CONNECTIONS, NODE_MAX_REQUESTS};
use crate::describe::refused;
use crate::model::{BalanceMethod, HashOn};
use crate::words::Word;

static BALANCER: Words = Words { words: BalanceMethod::WORDS, refused: refused::BALANCERS };
static HASH_INPUTS: Words = Words { words: HashOn::WORDS, refused: refused::HASH_ON };

pub(super) const TYPE: Key = with(
    "type",
    Kind::Word(&BALANCER),
    Fallback::Text("roundrobin"),
    "How a node is chosen (balancing.md). \"roundrobin\": in turn, by weight. \"least_conn\": the \
                 one with the fewest open requests for its weight. \"ewma\": of two drawn by weight, \
                 the one that answers sooner. \"random\": of two drawn by weight, the one with \
                 fewer open requests. \"chash\": equal keys go to equal nodes. What is open and how \
                 soon a node answers, each core knows of its own requests.",
);

pub(super) const HASH_ON: Key = with(
    "hash_on",
    Kind::Word(&HASH_INPUTS),
    Fallback::Text("vars"),
    "What `key` of \"chash\" names: \"vars\" a variable, \"header\" a request header, \
                 \"cookie\" a cookie; \"vars_combinations\": it is text with variables in it.",
);

pub(super) const KEY: Key = optional(
    "key",
    Kind::Text,
    "needed by `type = \"chash\"`",
    "What is hashed: `remote_addr`, or with \"vars_combinations\" `$host$uri`. A request \
                 without it is placed by `$remote_addr`.",
);

pub(super) const SLOW_START: Key = optional(
    "slow_start",
    Kind::Seconds,
    "at once",
    "How long a node that came back, or is new after a reload, takes to its full weight: it \
                 begins with a tenth of it. Not with \"chash\".",
);

pub(super) static NODE: Table = Table {
    name: "upstreams.nodes",
    doc: "One node, where `nodes` is a list.",
    keys: &[
        required("host", Kind::Text, "An address, a name or `unix:/path`."),
        optional("port", Kind::Int(1, 65_535), "80 or 443, by the scheme", "Its port."),
        with(
            "weight",
            Kind::Int(0, 1_000_000),
            Fallback::Int(defaults::WEIGHT),
            "Its share of the requests; 0 gets none.",
        ),
        with(
            "priority",
            Kind::Int(-1_000_000, 1_000_000),
            Fallback::Int(0),
            "Nodes of a lower priority are asked only if none of a higher one is left.",
        ),
        flag(
            "backup",
            false,
            "Asked only if no other is left: a priority below all that are written.",
        ),
        NODE_MAX_CONNECTIONS,
        NODE_MAX_REQUESTS,
    ],
    refused: refused::IN_NODES,
};
