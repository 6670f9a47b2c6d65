//! The keys of what is searched and replaced in bodies of responses.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, optional, required, with};
use crate::model::{FilterOversize, FilterScope};
use crate::words::Word as _;

/// Bytes of a body that is held as a whole: a core searches them while others wait.
const BODY_BYTES_MAX: u64 = 16 << 20;

pub(super) const FILTERS: Key = optional(
    "filters",
    Kind::Tables(&FILTER),
    "bodies pass as they are",
    "What is searched and replaced in the upstream's body, one after another; not beside a body of its own. The body \
         is held until it is whole.",
);

pub(super) const FILTER_TYPES: Key = optional(
    "filter_types",
    Kind::Texts,
    "every type",
    "Media types that `filters` are for, as \"text/html\"; other bodies pass as they come.",
);

pub(super) const FILTER_MAX_BODY_SIZE: Key = with(
    "filter_max_body_size",
    Kind::Size(1, BODY_BYTES_MAX),
    Fallback::Size(defaults::FILTER_BODY_BYTES),
    "Bytes of a body that `filters` are for, before and after them.",
);

pub(super) const FILTER_OVERSIZE: Key = with(
    "filter_oversize",
    Kind::Word(&OVERSIZES),
    Fallback::Text("refuse"),
    "What becomes of a body that is larger: \"refuse\" answers with 502; \"cut\" leaves out what is beyond, and no client \
         can tell.",
);

static OVERSIZES: Words = Words { words: FilterOversize::WORDS, refused: &[] };

static SCOPES: Words = Words { words: FilterScope::WORDS, refused: &[] };

static FILTER: Table = Table {
    name: "response.filters",
    doc: "Search and replace in a body, as `filters` of APISIX's `response-rewrite`.",
    keys: &[
        required(
            "regex",
            Kind::Text,
            "The expression: linear time, over bytes. `(?i)` in front of it ignores case.",
        ),
        required(
            "replace",
            Kind::Text,
            "What stands in the place of a match: `$1` or `$name` for its groups, `$$` for a dollar sign.",
        ),
        with(
            "scope",
            Kind::Word(&SCOPES),
            Fallback::Text("once"),
            "\"once\": the first match. \"global\": every match.",
        ),
    ],
    refused: &[],
};
