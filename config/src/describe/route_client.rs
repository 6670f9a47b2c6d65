//! What routes, services and global rules demand of clients: `client` and `refuse`.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, required, with};
use crate::describe::refused;
use crate::describe::ssl_client::{
    ALLOW, CLOCK_SKEW, CRL, CRL_DISTRIBUTION_POINTS, CRL_EXPIRED, CRL_MISSING, DENY, EKU,
};
use crate::model::Satisfy;
use crate::words::Word;

static SATISFY: Words = Words { words: Satisfy::WORDS, refused: &[] };

pub(super) const CLIENT: Key = optional(
    "client",
    Kind::TableOrTables(&ROUTE_CLIENT),
    "whoever the server name lets in",
    "Which clients are served; with several tables, a client must pass each of them.",
);

static ROUTE_VERIFY: Words = Words { words: &["on"], refused: refused::ROUTE_VERIFY };

static ROUTE_CLIENT: Table = Table {
    name: "client",
    doc: "Which of the clients that the server name lets in are served here. A client must pass \
         the tables of the route, its service and the global rules; each of them only narrows. A \
         refused client gets 403 with a reason.",
    keys: &[
        optional(
            "verify",
            Kind::Word(&ROUTE_VERIFY),
            "as the server name says; \"on\" beside `allow` or `ca`",
            "\"on\": a verified certificate is required, even where the server name does without \
                 one.",
        ),
        ALLOW,
        DENY,
        optional(
            "ca",
            Kind::Texts,
            "the server name\'s",
            "Authorities to verify against instead of the server name\'s, PEM; with several \
                 tables, the last one counts. The server name must let unknown certificates \
                 through to the routes: `verify = \"optional_no_ca\"`.",
        ),
        with(
            "depth",
            Kind::Int(0, 10),
            Fallback::Int(defaults::DEPTH),
            "Intermediate certificates allowed. Needs `ca`.",
        ),
        flag(
            "allow_v1",
            true,
            "Accept X.509 v1 certificates issued directly by a listed authority. Needs `ca`.",
        ),
        EKU,
        CLOCK_SKEW,
        CRL,
        CRL_DISTRIBUTION_POINTS,
        CRL_EXPIRED,
        CRL_MISSING,
        optional(
            "allow_addrs",
            Kind::Texts,
            "every address",
            "Addresses and ranges of clients that are served; any other is refused (addresses.md).",
        ),
        optional(
            "deny_addrs",
            Kind::Texts,
            "no address",
            "Addresses and ranges of clients that are refused. Not beside `allow_addrs`.",
        ),
        with(
            "addrs_status",
            Kind::Int(403, 404),
            Fallback::Int(403),
            "What a refused address is answered with: 403 or 404.",
        ),
        with(
            "addrs_message",
            Kind::Text,
            Fallback::Text(defaults::ADDRS_MESSAGE),
            "The `message` of that answer, which is JSON.",
        ),
        with(
            "satisfy",
            Kind::Word(&SATISFY),
            Fallback::Text("all"),
            "\"any\": an address of `allow_addrs` or a verified certificate is enough (conditions.md).",
        ),
        optional(
            "cnf_header",
            Kind::Text,
            "no token is asked about",
            "The header in which a service that checks tokens says to which certificate one is bound (`x5t#S256` of \
                 its `cnf`, RFC 8705). It must be `$ssl_client_x5t_s256`, and the certificate a verified one. \
                 Whoever can write this header passes (conditions.md).",
        ),
    ],
    refused: refused::IN_ROUTE_CLIENT,
};

pub(super) const REFUSE: Key = optional(
    "refuse",
    Kind::TableOrTables(&REFUSE_TABLE),
    "nothing is",
    "Conditions under which a request is refused. Those of the global rules, the service and the route all hold \
         (conditions.md).",
);

static REFUSE_TABLE: Table = Table {
    name: "refuse",
    doc: "A condition under which a request is refused, as nginx's `if (...) { return 403; }`. In doubt it is: a \
         condition that asks for a certificate holds where there is no TLS.",
    keys: &[
        required("vars", Kind::Conditions, "The condition, as `vars` of a route has it."),
        with(
            "status",
            Kind::Int(400, 599),
            Fallback::Int(403),
            "What the request is answered with.",
        ),
        optional(
            "body",
            Kind::Text,
            "an error text of Ferrule's",
            "The body of that answer, as plain text.",
        ),
    ],
    refused: &[],
};
