//! The tables of upstreams, services, routes and global rules.

use crate::defaults;
use crate::describe::balance;
use crate::describe::breaker::API_BREAKER;
use crate::describe::checks::CHECKS;
use crate::describe::header_changes::HEADERS_KEY;
use crate::describe::key::{
    Fallback, Key, Kind, Table, Words, flag, optional, required, seconds, with,
};
use crate::describe::limits::{MAX_CONNECTIONS, MAX_REQUESTS, QUEUE};
use crate::describe::refused;
use crate::describe::request_id::REQUEST_ID;
use crate::describe::request_limits::LIMITS;
use crate::describe::retry::{
    RETRIES, RETRY_BUDGET, RETRY_BUFFER, RETRY_NON_IDEMPOTENT, RETRY_ON, RETRY_TIMEOUT,
};
use crate::describe::route_client::{CLIENT, REFUSE};
use crate::describe::shaping::{CORS, REDIRECT, RESPONSE, RETURN, REWRITE};
use crate::describe::ssl_client::{CRL, CRL_DISTRIBUTION_POINTS, CRL_EXPIRED, CRL_MISSING};
use crate::describe::tables::{DESC, ID_DOC, LABELS, NAME, STATUS};
use crate::describe::versions_and_groups::{SSL_CIPHERS, SSL_ECDH_CURVE, SSL_PROTOCOLS};
use crate::model::{HttpReuse, ProxyTlv, Scheme, UpstreamVerify};
use crate::words::{HostMode, ProxyVersion, Word};

static SCHEME: Words = Words { words: Scheme::WORDS, refused: refused::SCHEMES };
static HOST_MODE: Words = Words { words: HostMode::WORDS, refused: &[] };
static PROXY_VERSION: Words = Words { words: ProxyVersion::WORDS, refused: &[] };
static PROXY_TLVS: Words = Words { words: ProxyTlv::WORDS, refused: &[] };
static HTTP_REUSE: Words = Words { words: HttpReuse::WORDS, refused: refused::HTTP_REUSE };
static UPSTREAM_VERIFY: Words = Words { words: UpstreamVerify::WORDS, refused: &[] };
static METHODS: Words = Words {
    words: &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE"],
    refused: refused::METHODS,
};

/// `[[upstreams]]`; the inline tables of services and routes are the same.
pub(super) static UPSTREAMS: Table = Table {
    name: "upstreams",
    doc: "Where requests can go. Services and routes may hold one inline.",
    keys: &[
        optional("id", Kind::Id, "made from its position", ID_DOC),
        NAME,
        DESC,
        LABELS,
        balance::TYPE,
        balance::HASH_ON,
        balance::KEY,
        balance::SLOW_START,
        with(
            "scheme",
            Kind::Word(&SCHEME),
            Fallback::Text("http"),
            "\"https\" speaks TLS to the nodes.",
        ),
        required(
            "nodes",
            Kind::Nodes(&balance::NODE),
            "`\"host:port\" = weight`, or a list of tables. A host is an address, a name \
                 (resolved again while the gateway runs, see docs/names.md) or `unix:/path`. Without \
                 a port: 80 or 443, by the scheme; a name `_SERVICE._tcp.DOMAIN` without a port is \
                 that of SRV records.",
        ),
        with(
            "pass_host",
            Kind::Word(&HOST_MODE),
            Fallback::Text("pass"),
            "Which `Host` the upstream sees: \"pass\" the client's, \"node\" the node's, \
                 \"rewrite\" that of `upstream_host`.",
        ),
        optional(
            "upstream_host",
            Kind::Text,
            "needed by `pass_host = \"rewrite\"`",
            "The `Host` of \"rewrite\".",
        ),
        MAX_CONNECTIONS,
        MAX_REQUESTS,
        QUEUE,
        RETRIES,
        RETRY_TIMEOUT,
        RETRY_ON,
        RETRY_NON_IDEMPOTENT,
        RETRY_BUDGET,
        RETRY_BUFFER,
        optional("timeout", Kind::Table(&TIMEOUT), "its defaults", "How long to wait for a node."),
        optional(
            "keepalive_pool",
            Kind::Table(&POOL),
            "its defaults",
            "Connections kept for later requests.",
        ),
        with(
            "http_reuse",
            Kind::Word(&HTTP_REUSE),
            Fallback::Text("always"),
            "Which requests may go over a kept connection. The node may be ending it at that moment, \
                 and a request that may not be sent twice is lost then. \"always\": all. \"safe\": \
                 only those that can be sent again; each of the others gets a new connection \
                 (retries.md).",
        ),
        optional("checks", Kind::Table(&CHECKS), "its defaults", "Which nodes are asked."),
        optional("tls", Kind::Table(&TLS), "needed by `scheme = \"https\"`", "TLS to the nodes."),
        optional(
            "proxy_protocol",
            Kind::Word(&PROXY_VERSION),
            "no header is sent",
            "Begin each connection with a PROXY protocol header that names the client, in front of \
                 TLS. Such a connection serves one request and is never kept.",
        ),
        optional(
            "proxy_protocol_tlvs",
            Kind::Words(&PROXY_TLVS),
            "none",
            "What a header of version \"v2\" says besides the addresses. \"cert-cn\", \
                 \"ssl-cipher\" and \"client-cert\" are parts of \"ssl\" and bring it along.",
        ),
    ],
    refused: refused::IN_UPSTREAMS,
};

static TIMEOUT: Table = Table {
    name: "upstreams.timeout",
    doc: "How long to wait for a node: seconds, or text as \"1m 30s\".",
    keys: &[
        seconds("connect", defaults::CONNECT_TIMEOUT, "Time to connect, TLS included."),
        seconds("send", defaults::UPSTREAM_TIMEOUT, "Time between two writes."),
        seconds("read", defaults::UPSTREAM_TIMEOUT, "Time between two reads."),
        optional(
            "total",
            Kind::Seconds,
            "no limit",
            "Time for the whole exchange: from the head of the request to the last byte of the \
                 response, all tries included. A tunnel has as long as it wants (retries.md).",
        ),
    ],
    refused: &[],
};

static POOL: Table = Table {
    name: "upstreams.keepalive_pool",
    doc: "Connections kept for later requests. They are shared only where address, TLS and \
         identity are all the same.",
    keys: &[
        with(
            "size",
            Kind::Int(0, 100_000),
            Fallback::Int(defaults::POOL_SIZE),
            "Idle connections kept by each core; 0 keeps none.",
        ),
        seconds("idle_timeout", defaults::POOL_IDLE_TIMEOUT, "How long one may be idle."),
        with(
            "requests",
            Kind::Int(1, 1_000_000_000),
            Fallback::Int(defaults::POOL_REQUESTS),
            "Most requests on one connection.",
        ),
        seconds(
            "max_age",
            defaults::POOL_MAX_AGE,
            "How old one may get: it is closed behind the request that it serves then. Up to a tenth \
                 less, by chance, so that not all end at once.",
        ),
        with(
            "min_idle",
            Kind::Int(0, 1_000),
            Fallback::Int(defaults::POOL_MIN_IDLE),
            "Idle connections that each core opens at its start to each node, and keeps: one that is \
                 used or ends is replaced. A node that cannot be reached is tried again after 1 s to 60 s.",
        ),
    ],
    refused: &[],
};

pub(super) static TLS: Table = Table {
    name: "upstreams.tls",
    doc: "TLS to the nodes.",
    keys: &[
        optional(
            "client_cert",
            Kind::Text,
            "no certificate is shown",
            "Our certificate and its chain, PEM: a path, or the text itself.",
        ),
        optional("client_key", Kind::Secret, "needed by `client_cert`", "Its private key."),
        optional(
            "password_file",
            Kind::Text,
            "the key is not encrypted",
            "A file of pass phrases for `client_key`, one a line.",
        ),
        optional(
            "client_cert_id",
            Kind::Id,
            "see `client_cert`",
            "The id of an `[[ssls]]` of type \"client\", instead of `client_cert` and \
                 `client_key`.",
        ),
        optional(
            "ca",
            Kind::Texts,
            "needed by `verify = \"full\"` and \"ca\"",
            "Trusted certificate authorities, PEM; \"system\" is the operating system's store.",
        ),
        with(
            "verify",
            Kind::Word(&UPSTREAM_VERIFY),
            Fallback::Text("full"),
            "\"full\": chain and name. \"ca\": the chain alone. \"off\": nothing; warned \
                 about at every load.",
        ),
        CRL,
        CRL_DISTRIBUTION_POINTS,
        CRL_EXPIRED,
        CRL_MISSING,
        optional(
            "pins",
            Kind::Texts,
            "any certificate that `verify` takes",
            "The node's own certificate must be one of these, on top of `verify`: \"spki-sha256:\" \
                 and the base64 of its public key's SHA-256, or \"sha256:\" and the hex of its \
                 own.",
        ),
        optional(
            "server_name",
            Kind::Text,
            "the `Host` sent upstream, else the node's host",
            "The name that is sent as SNI, and that `verify = \"full\"` checks.",
        ),
        SSL_PROTOCOLS,
        SSL_ECDH_CURVE,
        SSL_CIPHERS,
    ],
    refused: &[],
};

const HOST: Key = optional(
    "host",
    Kind::Text,
    "see `hosts`",
    "A host: `name`, `*.name` (one label or more in front) or `*`.",
);
const UPSTREAM: Key = optional(
    "upstream",
    Kind::Table(&UPSTREAMS),
    "see `upstream_id`",
    "An upstream of its own, as in `[[upstreams]]`.",
);
const UPSTREAM_ID: Key =
    optional("upstream_id", Kind::Id, "see `upstream`", "The id of an `[[upstreams]]`.");
const TRAFFIC_SPLIT: Key = optional(
    "traffic_split",
    Kind::TableOrTables(&SPLIT),
    "every request goes to the upstream of the route",
    "Sends some requests to other upstreams, by their conditions and by weight (routing.md). The \
                 first rule whose `vars` hold decides; where none does, the upstream of the route does. The \
                 route's rules replace its service's.",
);

static SPLIT: Table = Table {
    name: "traffic_split",
    doc: "A rule of a traffic split, as those of APISIX's plugin `traffic-split`.",
    keys: &[
        optional(
            "vars",
            Kind::Conditions,
            "every request",
            "Conditions, as `vars` of a route. They may read what the route has found: `$uri_param_NAME` and \
                 `$capture_NAME`.",
        ),
        optional(
            "weighted_upstreams",
            Kind::Tables(&WEIGHTED),
            "the upstream of the route",
            "Where these requests go.",
        ),
    ],
    refused: &[],
};

static WEIGHTED: Table = Table {
    name: "traffic_split.weighted_upstreams",
    doc: "An upstream and its part of the requests. Without `upstream` and `upstream_id` it is that of \
         the route.",
    keys: &[
        UPSTREAM,
        UPSTREAM_ID,
        with(
            "weight",
            Kind::Int(0, 1_000_000),
            Fallback::Int(defaults::SPLIT_WEIGHT),
            "How many requests it gets of as many as all weights of the rule make together; 0 is none.",
        ),
    ],
    refused: &[],
};

const WEBSOCKET: Key = flag(
    "enable_websocket",
    false,
    "Forward upgrades to WebSocket (the route's setting wins over its service's). The tunnel that \
         a 101 opens ends when no byte has come in either direction for `timeout.read`. Without \
         it, a request for an upgrade is handled as an ordinary one.",
);

const BODY_SIZE: Key = optional(
    "client_max_body_size",
    Kind::Size(0, 1 << 50),
    "the service's, else that of `[http]`",
    "Largest request body in bytes; 0 is unlimited. A larger one is answered with 413.",
);

/// `[[services]]`
pub(super) static SERVICES: Table = Table {
    name: "services",
    doc: "Settings that several routes share. A route's own setting wins; header changes of both \
         are applied, the service's first.",
    keys: &[
        required("id", Kind::Id, ID_DOC),
        NAME,
        DESC,
        LABELS,
        HOST,
        optional("hosts", Kind::Texts, "every host", "Several of them."),
        optional(
            "path_prefix",
            Kind::Text,
            "none",
            "Stands in front of the `uri` of each route, as \"/v1\".",
        ),
        flag(
            "strip_path_prefix",
            false,
            "Take `path_prefix` off the path before it is sent upstream.",
        ),
        UPSTREAM,
        UPSTREAM_ID,
        optional(
            "timeout",
            Kind::Table(&TIMEOUT),
            "the upstream's",
            "How long to wait for a node. What it leaves out is as the upstream has it.",
        ),
        WEBSOCKET,
        BODY_SIZE,
        TRAFFIC_SPLIT,
        API_BREAKER,
        CORS,
        LIMITS,
        REDIRECT,
        RESPONSE,
        RETURN,
        REWRITE,
        CLIENT,
        REFUSE,
        HEADERS_KEY,
    ],
    refused: refused::IN_SERVICES,
};

/// `[[routes]]`
pub(super) static ROUTES: Table = Table {
    name: "routes",
    doc: "Which requests go where. An exact host beats a wildcard, and a wildcard beats no host. \
         An exact path beats a prefix, and a longer prefix a shorter one. Then the higher priority \
         wins, then the earlier route.",
    keys: &[
        optional("id", Kind::Id, "made from its position", ID_DOC),
        NAME,
        DESC,
        LABELS,
        STATUS,
        optional(
            "uri",
            Kind::Text,
            "see `uris`",
            "A path, compared after normalisation; with `*` at its end, every path that starts \
                 like it.",
        ),
        optional(
            "uris",
            Kind::Texts,
            "see `uri`",
            "Several of them. One of `uri` and `uris` is needed.",
        ),
        HOST,
        optional("hosts", Kind::Texts, "the service's, else every host", "Several of them."),
        optional("methods", Kind::Words(&METHODS), "every method", "Methods."),
        with(
            "priority",
            Kind::Int(-1_000_000, 1_000_000),
            Fallback::Int(0),
            "Of routes with the same host and path, the one with the higher number is tried first.",
        ),
        optional("service_id", Kind::Id, "none", "The id of a `[[services]]`."),
        UPSTREAM,
        UPSTREAM_ID,
        optional(
            "timeout",
            Kind::Table(&TIMEOUT),
            "the service's, else the upstream's",
            "How long to wait for a node. What it leaves out is as the service has it, else the \
                 upstream.",
        ),
        WEBSOCKET,
        BODY_SIZE,
        TRAFFIC_SPLIT,
        API_BREAKER,
        CORS,
        LIMITS,
        REDIRECT,
        RESPONSE,
        RETURN,
        REWRITE,
        optional("remote_addr", Kind::Text, "see `remote_addrs`", "An address or a network."),
        optional(
            "remote_addrs",
            Kind::Texts,
            "every client",
            "Several of them; a request from elsewhere takes the next route that fits.",
        ),
        optional(
            "vars",
            Kind::Conditions,
            "every request",
            "Conditions, by lua-resty-expr: `[\"name\", \"==\", \"value\"]` with `==`, `~=`, `>`, `>=`, \
                 `<`, `<=`, `~~` and `~*` (regular expressions), `in`, `has`, `ipmatch`; `\"!\"` \
                 in front of the operator is `not`; `[\"OR\", ...]`, `\"AND\"`, `\"!OR\"` and \
                 `\"!AND\"` join several. If they do not hold, the next route that fits is taken.",
        ),
        CLIENT,
        REFUSE,
        HEADERS_KEY,
    ],
    refused: refused::IN_ROUTES,
};

/// `[[global_rules]]`
pub(super) static GLOBAL_RULES: Table = Table {
    name: "global_rules",
    doc: "Rules that hold for every route. Their header changes come before those of the service \
         and the route.",
    keys: &[
        optional("id", Kind::Id, "made from its position", ID_DOC),
        NAME,
        DESC,
        LABELS,
        LIMITS,
        CLIENT,
        REFUSE,
        CORS,
        RESPONSE,
        REQUEST_ID,
        HEADERS_KEY,
    ],
    refused: refused::IN_GLOBAL_RULES,
};
