//! The table of how revocation lists are fetched.

use crate::defaults;
use crate::describe::key::{Fallback, Kind, Table, duration, required, with};

/// `[crl_fetch]`
pub(super) static CRL_FETCH: Table = Table {
    name: "crl_fetch",
    doc: "How revocation lists are fetched, where `crl` names a URL or `crl_distribution_points` is set \
         (crl-fetching.md).",
    keys: &[
        required(
            "directory",
            Kind::Text,
            "Where fetched lists are kept over restarts: a directory that is there, of the process's user or of \
                 root, and that the process may write to and nobody else, as \"/var/lib/ferrule\".",
        ),
        duration(
            "refresh",
            defaults::CRL_REFRESH,
            "The longest time between two fetches of a list, from 1s to 7d. One that ends sooner is fetched \
                 again when half of what is left of it has passed.",
        ),
        duration(
            "timeout",
            defaults::CRL_TIMEOUT,
            "How long a fetch may take as a whole, with its redirects: from 100ms to 5m.",
        ),
        with(
            "max_size",
            Kind::Size(1 << 10, 128 << 20),
            Fallback::Size(defaults::CRL_SIZE_MAX),
            "A list that is larger is not taken.",
        ),
    ],
    refused: &[],
};
