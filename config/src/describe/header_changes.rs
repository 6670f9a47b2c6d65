//! The keys of `headers`: what happens to request headers.

use crate::describe::key::{Key, Kind, Table, optional};

pub(super) const HEADERS_KEY: Key = optional(
    "headers",
    Kind::TableOrTables(&HEADERS),
    "no changes",
    "Changes of request headers; several tables are applied one after another.",
);

static HEADERS: Table = Table {
    name: "headers",
    doc: "Changes of request headers, in the order add, set, remove. Values may hold `$variables`.",
    keys: &[
        optional(
            "add",
            Kind::Fields(true),
            "none",
            "Added after the fields that are there: name = text, or a list of texts.",
        ),
        optional(
            "set",
            Kind::Fields(true),
            "none",
            "Replaces the fields of the name, in every spelling that an application may take for \
                 it (`X_A` and `X.A` for `X-A`). With an empty value none is sent.",
        ),
        optional(
            "remove",
            Kind::Texts,
            "none",
            "Names of fields to remove, in every such \
             spelling.",
        ),
    ],
    refused: &[],
};
