//! The keys of `http.real_ip`, in APISIX's words.

use crate::describe::key::{Key, Kind, Table, flag, optional, required};

pub(super) const REAL_IP: Key = optional(
    "real_ip",
    Kind::Table(&REAL_IP_TABLE),
    "the address is the one that connects, or that of a PROXY protocol header",
    "Where a request's client address is read that came by a trusted proxy. Conditions, lists, limits and logs see it \
         (addresses.md).",
);

static REAL_IP_TABLE: Table = Table {
    name: "http.real_ip",
    doc: "The client's address behind a proxy, as nginx's `set_real_ip_from` and APISIX's plugin `real-ip` \
         (addresses.md).",
    keys: &[
        required(
            "source",
            Kind::Text,
            "\"http_x_forwarded_for\", the header of another name (\"http_x_real_ip\") or a query parameter \
                 (\"arg_realip\"). What is no address there changes nothing.",
        ),
        required(
            "trusted_addresses",
            Kind::Texts,
            "Addresses or ranges of the proxies whose word is taken. Of anybody else it is not.",
        ),
        flag(
            "recursive",
            false,
            "Of `X-Forwarded-For`, pass over trusted addresses at its end. Without it, the last address is taken.",
        ),
    ],
    refused: &[],
};
