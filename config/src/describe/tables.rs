//! The tables of the process, the listeners and their certificates.

use crate::defaults;
use crate::describe::key::{
    Fallback, Key, Kind, Table, Words, duration, flag, optional, required, with,
};
use crate::describe::refused;
use crate::describe::resolver::RESOLVER;
use crate::describe::shaping::{HTTPS_PORT, REDIRECT_TO_HTTPS};
use crate::describe::ssl_client::CLIENT;
use crate::describe::versions_and_groups::{
    SSL_CIPHERS, SSL_ECDH_CURVE, SSL_PREFER_SERVER_CIPHERS, SSL_PROTOCOLS,
};
use crate::model::{IoDriver, MtlsRoutes, XfccKey, XfccMode};
use crate::words::{SslType, Word};

static IO_DRIVER: Words = Words { words: IoDriver::WORDS, refused: &[] };

pub(super) static RUNTIME: Table = Table {
    name: "runtime",
    doc: "Threads, rings and limits of the process. Changes here need a restart, except those of watch_files, \
          shutdown_delay, shutdown_timeout, upgrade_timeout and resolver.",
    keys: &[
        with(
            "workers",
            Kind::AutoInt(1, 1024),
            Fallback::Text("auto"),
            "Data cores, each with its own thread, ring and connections; \"auto\" is one for \
                 each usable core.",
        ),
        flag("cpu_affinity", true, "Pin each worker to its core."),
        with(
            "io_driver",
            Kind::Word(&IO_DRIVER),
            Fallback::Text("auto"),
            "Which kernel interface drives the sockets. \"auto\" takes io_uring where the \
                 kernel allows it, else epoll; \"io_uring\" refuses to start without it.",
        ),
        with(
            "ring_entries",
            Kind::Int(64, 32_768),
            Fallback::Int(defaults::RING_ENTRIES),
            "Submission queue entries of each ring.",
        ),
        with(
            "max_connections",
            Kind::Int(1, 10_000_000),
            Fallback::Int(defaults::MAX_CONNECTIONS),
            "Client connections, all cores together.",
        ),
        optional(
            "buffer_memory",
            Kind::Size(1 << 20, 1 << 50),
            "a quarter of the machine's or its control group's memory",
            "Memory for everything that is being received and sent, in equal shares for all cores. \
                 A core beyond its share ends the connections that have made no progress for the \
                 longest, and takes no new ones while that is not enough.",
        ),
        flag(
            "tls_fast_path",
            true,
            "Protect TLS 1.3 records with Ferrule's own record layer once rustls has done the \
                 handshake: less work and memory for each connection. With false rustls does all \
                 of TLS, as it always does for TLS 1.2.",
        ),
        flag(
            "watch_files",
            true,
            "Read certificates, keys, CRLs, stapled responses and ticket keys again within two \
                 seconds when their files change. A change that does not fit together is refused, \
                 and what was in force stays. This file itself is read again on a reload only \
                 (SIGHUP or `ferrule ctl reload`). A revocation list that is fetched counts even if this \
                 is off, and the files are read again with it.",
        ),
        optional(
            "pid_file",
            Kind::Text,
            "no file",
            "A file for the number of the process that serves, as nginx's `pid`. It is written when the process is \
                 ready, replaced by an upgrade, and removed at the end. Its directory must exist.",
        ),
        with(
            "shutdown_delay",
            Kind::Skew,
            Fallback::Duration(defaults::SHUTDOWN_DELAY),
            "How long the process goes on as before after the command to stop, but that `/readyz` answers 503: the \
                 time that load balancers need to notice. Connections are refused after that.",
        ),
        duration(
            "shutdown_timeout",
            defaults::SHUTDOWN_TIMEOUT,
            "How long a drain may take before connections are cut.",
        ),
        duration(
            "upgrade_timeout",
            defaults::UPGRADE_TIMEOUT,
            "How long the new process of a binary upgrade (SIGUSR2, `ferrule ctl upgrade`) may take until it can \
                 serve. After that it is killed, and the old one serves on.",
        ),
        optional(
            "resolver",
            Kind::Table(&RESOLVER),
            "its defaults",
            "How names of upstream nodes are looked up.",
        ),
    ],
    refused: &[],
};

static MTLS_ROUTES: Words = Words { words: MtlsRoutes::WORDS, refused: &[] };

pub(super) static LISTEN: Table = Table {
    name: "listen",
    doc: "Where to listen.",
    keys: &[
        required(
            "address",
            Kind::Text,
            "Address and port: \"0.0.0.0:443\" is every IPv4 address of the machine, \"[::]:443\" \
                 every IPv6 address.",
        ),
        flag(
            "ipv6only",
            true,
            "\"[::]:443\" takes IPv6 alone, as in nginx; a second [[listen]] takes IPv4. With false \
                 one socket takes both, and IPv4 clients appear with their IPv4 address.",
        ),
        flag("tls", false, "Speak TLS. Needs at least one `[[ssls]]` of type \"server\"."),
        duration(
            "handshake_timeout",
            defaults::HANDSHAKE_TIMEOUT,
            "Time from accept to the end of the TLS handshake, a PROXY protocol header included.",
        ),
        with(
            "fallback_sni",
            Kind::Text,
            Fallback::Text(""),
            "The server name assumed when a client sends none, or one that is not configured. \
                 Without it such a handshake ends with alert 112 (unrecognized_name).",
        ),
        flag(
            "proxy_protocol",
            false,
            "Every connection begins with a PROXY protocol header, version 1 or 2, that names its \
                 client (`$remote_addr`). A connection without one is closed.",
        ),
        optional(
            "proxy_protocol_trusted",
            Kind::Texts,
            "needed by `proxy_protocol`",
            "Addresses and networks, as \"10.0.0.0/8\", that may send that header. Connections \
                 from elsewhere are closed.",
        ),
        optional(
            "mtls_routes",
            Kind::Word(&MTLS_ROUTES),
            "an error where a server name with `client.verify = \"on\"` leads to a route that does not \
                 demand a certificate itself",
            "For plain HTTP only: what happens to requests for which such a server name would ask \
                 for a certificate. \"reject\" answers them with 421, \"allow\" serves them to \
                 anybody.",
        ),
        REDIRECT_TO_HTTPS,
        HTTPS_PORT,
    ],
    refused: refused::IN_LISTEN,
};

static SSL_TYPE: Words = Words { words: SslType::WORDS, refused: &[] };
static STATUS_DOC: &str = "0 drops the object, as if it were not in the file.";
pub(super) const STATUS: Key = with("status", Kind::Int(0, 1), Fallback::Int(1), STATUS_DOC);
pub(super) const ID_DOC: &str = "A number, or up to 64 letters, digits, `-`, `_` and `.`.";
pub(super) const NAME: Key = optional("name", Kind::Text, "none", "For people.");
pub(super) const DESC: Key = optional("desc", Kind::Text, "none", "For people.");
pub(super) const LABELS: Key = optional("labels", Kind::Labels, "none", "For people: name = text.");

pub(super) static SSLS: Table = Table {
    name: "ssls",
    doc: "A certificate. Type \"server\": it is shown to clients for some server names, and says \
         which clients are trusted there. Type \"client\": it is shown to upstreams.",
    keys: &[
        optional("id", Kind::Id, "made from its position", ID_DOC),
        NAME,
        DESC,
        LABELS,
        STATUS,
        with(
            "type",
            Kind::Word(&SSL_TYPE),
            Fallback::Text("server"),
            "\"server\" for clients, \"client\" for upstreams.",
        ),
        optional(
            "sni",
            Kind::Text,
            "see `snis`",
            "A server name: `name`, `*.name` (exactly one label in front) or `*` (every name).",
        ),
        optional(
            "snis",
            Kind::Texts,
            "see `sni`",
            "Several of them. One of `sni` and `snis` is needed.",
        ),
        required(
            "cert",
            Kind::Text,
            "The certificate and its chain, PEM: a path, or the text itself if it starts with \
                 `-----BEGIN`.",
        ),
        required("key", Kind::Secret, "Its private key, likewise."),
        optional("certs", Kind::Texts, "none", "Further certificates, for further key types."),
        optional("keys", Kind::Secrets, "none", "Their keys, in the same order."),
        optional(
            "password_file",
            Kind::Text,
            "the keys are not encrypted",
            "A file of pass phrases for encrypted keys (PKCS#8), one a line, tried in turn \
                 (nginx: `ssl_password_file`).",
        ),
        optional(
            "ssl_stapling_file",
            Kind::TextsOrNone,
            "nothing is stapled",
            "Paths of OCSP responses (DER) for `cert` and `certs`, in that order. Read again when \
                 they change. A response that has expired or belongs to another certificate is not \
                 sent.",
        ),
        SSL_PROTOCOLS,
        SSL_ECDH_CURVE,
        SSL_CIPHERS,
        SSL_PREFER_SERVER_CIPHERS,
        flag(
            "session_tickets",
            true,
            "Give tickets, so that clients can resume sessions. A ticket is bound to the policy \
                 under which it was made.",
        ),
        with(
            "session_ticket_count",
            Kind::Int(1, 4),
            Fallback::Int(defaults::SESSION_TICKET_COUNT),
            "Tickets after each TLS 1.3 handshake.",
        ),
        flag(
            "session_cache",
            true,
            "Remember TLS 1.2 sessions by id, for clients without tickets. They are bound to their \
                 policy, too.",
        ),
        optional(
            "client",
            Kind::Table(&CLIENT),
            "no certificate is asked for",
            "Which clients are trusted.",
        ),
    ],
    refused: refused::IN_SSLS,
};

static PRESETS: Words = Words { words: &["nginx", "rfc9440", "traefik", "xfcc"], refused: &[] };
static XFCC_MODE: Words = Words { words: XfccMode::WORDS, refused: &[] };
static XFCC_KEYS: Words = Words { words: XfccKey::WORDS, refused: &[] };

pub(super) static IDENTITY_HEADERS: Table = Table {
    name: "identity_headers",
    doc: "Headers that only the gateway may set: every other key is a header and its template.",
    keys: &[
        optional(
            "preset",
            Kind::Words(&PRESETS),
            "none",
            "Sets of headers that other software expects. \"rfc9440\": `Client-Cert` and \
                 `Client-Cert-Chain`. \"xfcc\": Envoy\'s `X-Forwarded-Client-Cert`, as `xfcc = \
                 \"sanitize_set\"`. \"traefik\": `X-Forwarded-Tls-Client-Cert` and `-Info`. \
                 \"nginx\": `X-SSL-Client-Verify`, `-S-DN`, `-I-DN`, `-Serial`, `-Fingerprint`, \
                 `-V-Start`, `-V-End` and `-Cert` (percent-encoded).",
        ),
        optional(
            "xfcc",
            Kind::Short(&XFCC, "mode"),
            "it is removed from every request",
            "What happens to `X-Forwarded-Client-Cert`: a table, or its mode alone.",
        ),
    ],
    refused: &[],
};

static XFCC: Table = Table {
    name: "identity_headers.xfcc",
    doc: "What happens to `X-Forwarded-Client-Cert`, in Envoy\'s words.",
    keys: &[
        with(
            "mode",
            Kind::Word(&XFCC_MODE),
            Fallback::Text("sanitize_set"),
            "\"sanitize\": the client\'s is dropped. \"sanitize_set\": it is replaced by what the \
                 verified client showed. \"append_forward\": that is appended to it, if the client \
                 is verified. \"forward_only\": it passes as it is, if the client is verified. \
                 \"always_forward_only\": it passes, whoever wrote it; warned about at every load.",
        ),
        optional(
            "keys",
            Kind::Words(&XFCC_KEYS),
            "By, Hash, Subject, URI, DNS",
            "What an element of ours contains, always in Envoy\'s order; `$ssl_client_xfcc` is the \
                 same.",
        ),
    ],
    refused: &[],
};
