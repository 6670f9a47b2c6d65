//! Keys and words that are known, and refused: what later versions bring, and what never comes.
//!
//! They are never taken and ignored: a file that says `limits = ...` would look protected and not be.

/// A key or word that is refused, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The key or word.
    pub(crate) name: &'static str,
    /// Why.
    pub(crate) why: Why,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// It will come.
    NotYet,
    /// It will not; the text says what to do instead.
    Never(&'static str),
    /// It would do harm: why, and what to do instead.
    Unsafe(&'static str, &'static str),
}

const fn later(name: &'static str) -> Refused {
    Refused { name, why: Why::NotYet }
}

const fn never(name: &'static str, instead: &'static str) -> Refused {
    Refused { name, why: Why::Never(instead) }
}

const OF_ROUTES: &str = "it belongs to a route or service, which says where its requests go";
const PLUGINS: &str = "there are no plugins; each feature has a key of its own";
const DISCOVERY: &str = "there is no service discovery; name the nodes, and a DNS name is resolved \
                         again while the gateway runs";
const HTTP1: &str = "only HTTP/1.1 is spoken, on both sides";
const AUTH: &str = "clients are authenticated by their certificates alone";
const ACME: &str = "certificates are read from files; let an ACME client write them";
const CODE: &str = "the gateway runs no scripts";

const PINS: &str = "write them into `allow`: `sha256:` and `spki-sha256:`";
const REAL_IP: &str = "set it in [http]: routes, lists and logs then know the same address";
const REQUEST_ID: &str = "set it in [[global_rules]]: a request that no route takes has an id too";

pub(crate) const IN_ROOT: &[Refused] = &[
    never("acme", ACME),
    never("consumers", AUTH),
    never("plugin_configs", PLUGINS),
    never("plugins", PLUGINS),
    never("protos", HTTP1),
    never("secrets", "use `${env:NAME}` for values, and files for keys"),
    never("stream_routes", "only HTTP is proxied"),
];

/// Of `policy` of a store.
pub(super) const SENTINEL: &[Refused] =
    &[never("redis-sentinel", "name the server that writes, and change it by a reload")];

const NOT_SHARED: &str = "only `limits.requests` can be counted in a store: gateways exchange counts every \
                          `sync_interval`, and what this limit counts changes within milliseconds";

/// Of `limits.rate` and `limits.connections`.
pub(super) const IN_LOCAL_LIMITS: &[Refused] = &[
    never("allow_degradation", NOT_SHARED),
    never("policy", NOT_SHARED),
    never("store", NOT_SHARED),
];

/// Of `limits.requests`.
pub(super) const IN_REQUESTS: &[Refused] =
    &[never("policy", "name a `[[stores]]` with `store`, whose `policy` says what it is")];

const LINGERING: &str = "a client that has its answer early is always read from for a while; \
                         `lingering_time` says how long";

pub(crate) const IN_HTTP: &[Refused] =
    &[never("http2", HTTP1), never("lingering_close", LINGERING), never("request_id", REQUEST_ID)];

pub(crate) const IN_LISTEN: &[Refused] = &[
    never("real_ip", REAL_IP),
    never("http2", HTTP1),
    never("http3", HTTP1),
    never("quic", HTTP1),
];

pub(crate) const IN_SSLS: &[Refused] = &[
    never("ocsp_stapling", "name the files of the responses with `ssl_stapling_file`"),
    never("acme", ACME),
    never("early_data", "a replayed request must not carry an identity"),
];

pub(crate) const IN_CLIENT: &[Refused] = &[later("ocsp"), never("pins", PINS)];

pub(crate) const IN_UPSTREAMS: &[Refused] = &[
    never("discovery_args", DISCOVERY),
    never("discovery_type", DISCOVERY),
    never("service_name", DISCOVERY),
];

pub(crate) const IN_NODES: &[Refused] = &[later("metadata")];

pub(crate) const IN_SERVICES: &[Refused] = &[
    never("real_ip", REAL_IP),
    never("request_id", REQUEST_ID),
    never("plugins", PLUGINS),
    never("script", CODE),
];

pub(crate) const IN_ROUTES: &[Refused] = &[
    never("real_ip", REAL_IP),
    never("request_id", REQUEST_ID),
    never("filter_func", CODE),
    never("plugin_config_id", PLUGINS),
    never("plugins", PLUGINS),
    never("script", CODE),
];

pub(crate) const IN_GLOBAL_RULES: &[Refused] =
    &[never("real_ip", REAL_IP), never("rewrite", OF_ROUTES), never("plugins", PLUGINS)];

const fn broken(name: &'static str, why: &'static str) -> Refused {
    Refused { name, why: Why::Unsafe(why, "allow \"TLSv1.2\", \"TLSv1.3\" or both") }
}

pub(crate) const PROTOCOLS: &[Refused] = &[
    broken("SSLv3", "SSL 3.0 is broken (RFC 7568)"),
    broken("TLSv1", "TLS 1.0 is broken (RFC 8996)"),
    broken("TLSv1.0", "TLS 1.0 is broken (RFC 8996)"),
    broken("TLSv1.1", "TLS 1.1 is broken (RFC 8996)"),
];

/// Of `ssl_ecdh_curve`: other names of ours, and groups that nobody here exchanges keys in.
pub(crate) const GROUPS: &[Refused] = &[
    never("auto", "leave `ssl_ecdh_curve` out"),
    never("x25519", "write \"X25519\""),
    never("P-256", "write \"prime256v1\""),
    never("secp256r1", "write \"prime256v1\""),
    never("P-384", "write \"secp384r1\""),
    never("X25519Kyber768Draft00", "its draft was given up; write \"X25519MLKEM768\""),
    never("P-521", "ring exchanges no keys in it; \"secp384r1\" is the largest curve"),
    never("secp521r1", "ring exchanges no keys in it; \"secp384r1\" is the largest curve"),
    never("X448", "ring exchanges no keys in it; write \"X25519\""),
    never("MLKEM768", "it stands on one assumption alone; write \"X25519MLKEM768\""),
    never("SecP256r1MLKEM768", "write \"X25519MLKEM768\""),
    never("SecP384r1MLKEM1024", "write \"X25519MLKEM768\""),
];

/// Of `client.verify` of routes.
pub(crate) const ROUTE_VERIFY: &[Refused] = &[
    never("off", "a route never asks for less than its server name does"),
    never("optional", "whether one is asked for is up to the server name"),
    never("optional_no_ca", "whether one is asked for is up to the server name"),
];

/// In `client` of routes.
pub(crate) const IN_ROUTE_CLIENT: &[Refused] = &[
    later("ocsp"),
    never("explain", "it belongs to the [[ssls]]; who is refused here gets 403 with a reason"),
    never("on_revoke", "it belongs to the [[ssls]]; a route judges each request"),
    never("pins", PINS),
    never("reject", "a route is known only after the handshake"),
    never("send_ca_names", "names are sent in the handshake, before there is a route"),
    never("skip_mtls_uri_regex", "it belongs to the [[ssls]]"),
];

pub(crate) const SCHEMES: &[Refused] = &[
    never("grpc", HTTP1),
    never("grpcs", HTTP1),
    never("kafka", "only HTTP is proxied"),
    never("tcp", "only HTTP is proxied"),
    never("tls", "only HTTP is proxied; write \"https\" for HTTP over TLS"),
    never("udp", "only HTTP is proxied"),
];

pub(crate) const BALANCERS: &[Refused] = &[
    never("hash", "say \"chash\", with `hash_on` and `key`"),
    never("ip_hash", "say \"chash\" with `key = \"remote_addr\"`"),
    never("leastconn", "say \"least_conn\""),
    never("round_robin", "say \"roundrobin\""),
];

pub(crate) const HASH_ON: &[Refused] = &[never(
    "consumer",
    "there are no consumers: who the client is, its certificate says: say \"vars\" and \
         `key = \"ssl_client_fingerprint\"`",
)];

pub(crate) const HTTP_REUSE: &[Refused] = &[
    never("never", "say `keepalive_pool = { size = 0 }`"),
    never("aggressive", "a connection that was used before may be ending as well: say \"safe\""),
];

pub(crate) const METHODS: &[Refused] = &[
    never("CONNECT", "it is always answered with 405: the gateway is no forward proxy"),
    never("TRACE", "it is always answered with 405: it would show headers that others added"),
];
