//! The file as a whole.

use crate::describe::crl_fetch::CRL_FETCH;
use crate::describe::http::HTTP;
use crate::describe::key::{Kind, Table, optional, required};
use crate::describe::log::LOG;
use crate::describe::observe::{ADMIN, METRICS};
use crate::describe::proxy::{GLOBAL_RULES, ROUTES, SERVICES, UPSTREAMS};
use crate::describe::refused;
use crate::describe::ssl_defaults::SSL_DEFAULTS;
use crate::describe::stores::STORES;
use crate::describe::tables::{IDENTITY_HEADERS, LISTEN, RUNTIME, SSLS};

/// The whole file.
pub(crate) static ROOT: Table = Table {
    name: "",
    doc: "The file is TOML. Relative paths start at its directory.",
    keys: &[
        optional(
            "include",
            Kind::Texts,
            "none",
            "More files of this configuration: paths, or patterns for the names in a directory \
                 (`conf.d/*.toml`). They are read in this order, those of a pattern by name, as if all \
                 were one file: lists such as `[[routes]]` go on from file to file, and any other key \
                 stands in one of them alone. Relative paths start at the directory of the main file.",
        ),
        optional(
            "runtime",
            Kind::Table(&RUNTIME),
            "its defaults",
            "Threads, rings and limits of the process.",
        ),
        optional("log", Kind::Table(&LOG), "its defaults", "Where logs go."),
        optional(
            "http",
            Kind::Table(&HTTP),
            "its defaults",
            "How HTTP is spoken, on every listener.",
        ),
        optional("metrics", Kind::Table(&METRICS), "no metrics", "Metrics for Prometheus."),
        optional("admin", Kind::Table(&ADMIN), "no socket", "The socket of `ferrule ctl`."),
        optional(
            "crl_fetch",
            Kind::Table(&CRL_FETCH),
            "no list is fetched",
            "How revocation lists are fetched.",
        ),
        required("listen", Kind::Tables(&LISTEN), "Where to listen."),
        optional("ssls", Kind::Tables(&SSLS), "none", "Certificates, and the clients they trust."),
        optional("ssl_defaults", Kind::Table(&SSL_DEFAULTS), "none", "What all `[[ssls]]` share."),
        optional(
            "identity_headers",
            Kind::Identity(&IDENTITY_HEADERS),
            "none",
            "Headers that only the gateway may set: name = template. They are removed from every \
                 request on every listener, in every spelling (any case; `_`, `.` and the like for \
                 `-`), and then set from the connection. A header with an empty value is not sent.",
        ),
        optional("upstreams", Kind::Tables(&UPSTREAMS), "none", "Where requests can go."),
        optional(
            "stores",
            Kind::Tables(&STORES),
            "none",
            "Where gateways count requests together (request-limits.md).",
        ),
        optional(
            "services",
            Kind::Tables(&SERVICES),
            "none",
            "Settings that several routes share.",
        ),
        optional("routes", Kind::Tables(&ROUTES), "none", "Which requests go where."),
        optional(
            "global_rules",
            Kind::Tables(&GLOBAL_RULES),
            "none",
            "Rules that hold for every route.",
        ),
    ],
    refused: refused::IN_ROOT,
};

/// Every table once.
pub(crate) fn every_table() -> Vec<&'static Table> {
    let mut tables = vec![&ROOT];
    let mut next = 0;
    while let Some(table) = tables.get(next).copied() {
        next += 1;
        for key in table.keys {
            if let Kind::Table(inner)
            | Kind::Identity(inner)
            | Kind::Short(inner, _)
            | Kind::Tables(inner)
            | Kind::TableOrTables(inner)
            | Kind::Nodes(inner) = key.kind
                && !tables.iter().any(|known| known.name == inner.name)
            {
                tables.push(inner);
            }
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        for table in every_table() {
            let taken = table.keys.iter().map(|key| key.name);
            let refused = table.refused.iter().map(|refused| refused.name);
            let mut names: Vec<_> = taken.chain(refused).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "in {}", table.name);
        }
    }
}
