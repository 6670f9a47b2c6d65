//! Checked values: what the engine reads. A `Config` that exists is a `Config` that works, but for
//! what only certificates can tell.
//!
//! Names are lower case, paths absolute (resolved from the configuration file), references resolved
//! to indices, services merged into their routes and every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::problem::Place;
use crate::template::Template;

/// One whole configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// Threads, rings and limits of the process.
    pub runtime: Runtime,
    /// Defaults for every listener.
    pub http: Http,
    /// Where logs go.
    pub log: Log,
    /// Stripped from every request on every listener, then set from the connection.
    pub identity_headers: Vec<HeaderValue>,
    /// Where we listen.
    pub listens: Vec<Listen>,
    /// `[[ssls]]` of type `server`: what we present, and which clients we trust, by server name.
    pub servers: Vec<Server>,
    /// `[[upstreams]]`, and after them the inline ones of services and routes.
    pub upstreams: Vec<Upstream>,
    /// `[[routes]]`, each merged with its service and the global rules.
    pub routes: Vec<Route>,
}

/// `[runtime]`
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Data cores; `None` is one per usable core.
    pub workers: Option<u32>,
    /// Pin each worker to its core.
    pub cpu_affinity: bool,
    /// Submission queue entries of each ring.
    pub ring_entries: u32,
    /// Which kernel interface drives the sockets.
    pub io_driver: IoDriver,
    /// Client connections, all cores together.
    pub max_connections: u32,
    /// How long a drain may take before connections are cut.
    pub shutdown_timeout: Duration,
}

/// `runtime.io_driver`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IoDriver {
    /// `io_uring` where the kernel allows it, else epoll, loudly.
    Auto,
    /// `io_uring` or refuse to start.
    IoUring,
    /// epoll.
    Epoll,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// From the first byte of a head to its end.
    pub client_header_timeout: Duration,
    /// Between two reads of a request body.
    pub client_body_timeout: Duration,
    /// Between two writes to a client.
    pub send_timeout: Duration,
    /// An idle kept-alive client connection.
    pub keepalive_timeout: Duration,
    /// Requests on one client connection.
    pub keepalive_requests: u32,
    /// Bytes of a request body; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// Bytes of one request head.
    pub head_bytes_max: u32,
    /// Field lines in one head.
    pub fields_max: u16,
    /// Accept field names with an underscore (they are dropped otherwise).
    pub underscores_in_headers: bool,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Diagnostics.
    pub error: LogTarget,
    /// The lowest level that is written.
    pub level: Level,
    /// One line per request; `None` writes none.
    pub access: Option<AccessLog>,
    /// One line per failed handshake, in the error log.
    pub handshake_failures: bool,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, opened for appending.
    File(PathBuf),
}

/// `log.error.level`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Only what stops something from working.
    Error,
    /// And what will.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And what a developer wants to know.
    Debug,
}

/// `log.access`
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// What a line holds.
    pub format: AccessFormat,
}

/// `log.access.format`
#[derive(Clone, Debug)]
pub enum AccessFormat {
    /// The Combined Log Format, plus identity.
    Combined,
    /// One JSON object a line.
    Json,
    /// Own text with `$variables`.
    Text(Template),
}

/// `[[listen]]`
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where in the file.
    pub place: Place,
    /// The address to bind.
    pub address: SocketAddr,
    /// TLS, or plain HTTP.
    pub tls: bool,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// The name assumed for a missing or unknown server name.
    pub fallback_sni: Option<String>,
}

/// PEM text, and where the file names it.
#[derive(Clone, Debug)]
pub struct Pem {
    /// Where in the configuration file.
    pub place: Place,
    /// Where the text is.
    pub source: PemSource,
}

/// Where PEM text is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PemSource {
    /// In the configuration file itself.
    Inline(String),
    /// In this file.
    Path(PathBuf),
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The leaf first.
    pub cert: Pem,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: Pem,
}

/// TLS versions we speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protocols {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

/// `[[ssls]]` of type `server`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from its position.
    pub id: String,
    /// Server names, exact and wildcard, lower case; `*` alone matches every name.
    pub snis: Vec<HostPattern>,
    /// At least one pair; of each key type the first one offered is used.
    pub pairs: Vec<KeyPair>,
    /// TLS versions.
    pub protocols: Protocols,
    /// Offer session tickets.
    pub session_tickets: bool,
    /// Which clients are trusted; `None` asks for no certificate.
    pub client: Option<ClientAuth>,
}

/// `ssls.client`
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Where in the file.
    pub place: Place,
    /// Trust anchors; never empty unless `verify` is `optional_no_ca` or `off`.
    pub ca: Vec<Pem>,
    /// Must there be a certificate, and must it be good?
    pub verify: ClientVerify,
    /// Intermediate certificates allowed (OpenSSL's count: neither leaf nor anchor).
    pub depth: u32,
    /// How a client that fails is told.
    pub reject: Reject,
    /// Accept X.509 v1 leaves issued directly by a listed CA.
    pub allow_v1: bool,
    /// Name the CAs in the `CertificateRequest`.
    pub send_ca_names: bool,
}

/// `ssls.client.verify` (nginx's `ssl_verify_client`)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientVerify {
    /// Required and verified.
    On,
    /// Asked for; a bad one is refused, none is fine.
    Optional,
    /// Asked for; neither a missing nor an unverifiable one is refused.
    OptionalNoCa,
    /// Not asked for.
    Off,
}

/// `ssls.client.reject`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// A TLS alert ends the handshake.
    Handshake,
    /// The handshake completes, and a 400 says why.
    Http,
}

/// A host name pattern, lower case, without a trailing dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HostPattern {
    /// Every name.
    Any,
    /// This name.
    Exact(String),
    /// `*.x`, held without `*.`: one label in front for a server name, one or more for a route.
    Wildcard(String),
}

/// `[[upstreams]]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from the object that holds it.
    pub id: String,
    /// `http` or `https`: TLS towards the nodes.
    pub scheme: Scheme,
    /// At least one.
    pub nodes: Vec<Node>,
    /// Which `Host` the upstream sees.
    pub pass_host: PassHost,
    /// Further tries on other nodes after a failed connection.
    pub retries: u32,
    /// Connect, send and read.
    pub timeout: UpstreamTimeout,
    /// Kept-alive connections.
    pub pool: KeepalivePool,
    /// TLS settings; present exactly if the scheme is `https`.
    pub tls: Option<UpstreamTls>,
}

/// `upstreams.scheme`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// `upstreams.pass_host`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PassHost {
    /// The client's.
    Pass,
    /// The node's host, as written.
    Node,
    /// This one (`upstream_host`).
    Rewrite(String),
}

/// One member of an upstream.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where in the file.
    pub place: Place,
    /// Where it is.
    pub address: NodeAddress,
    /// Its share; 0 gets nothing new.
    pub weight: u32,
}

/// Where a node is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum NodeAddress {
    /// An address.
    Ip(SocketAddr),
    /// A name, resolved while we run.
    Name {
        /// The name, lower case.
        host: String,
        /// The port, given or by scheme.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// `upstreams.timeout`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamTimeout {
    /// TCP and TLS handshake together.
    pub connect: Duration,
    /// Between two writes.
    pub send: Duration,
    /// Between two reads.
    pub read: Duration,
}

/// `upstreams.keepalive_pool`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepalivePool {
    /// Idle connections kept per core.
    pub size: u32,
    /// How long one may be idle.
    pub idle_timeout: Duration,
    /// Requests on one connection.
    pub requests: u32,
}

/// `upstreams.tls`
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Where in the file.
    pub place: Place,
    /// Our certificate.
    pub client: Option<KeyPair>,
    /// Whom we trust; `None` only with `verify = "off"`.
    pub ca: Option<UpstreamCa>,
    /// How much is checked.
    pub verify: UpstreamVerify,
    /// SNI and the name checked; `None`: the Host sent upstream, else the node's host.
    pub server_name: Option<String>,
    /// TLS versions.
    pub protocols: Protocols,
}

/// `upstreams.tls.ca`
#[derive(Clone, Debug)]
pub enum UpstreamCa {
    /// The operating system's store.
    System,
    /// These.
    Files(Vec<Pem>),
}

/// `upstreams.tls.verify`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamVerify {
    /// Chain and name.
    Full,
    /// Chain only.
    Ca,
    /// Nothing. Warned about at every load.
    Off,
}

/// `[[routes]]`, merged with its service and the global rules
#[derive(Clone, Debug)]
pub struct Route {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from its position.
    pub id: String,
    /// Hosts; empty matches every host.
    pub hosts: Vec<HostPattern>,
    /// At least one; the service's `path_prefix` is already in front.
    pub uris: Vec<UriPattern>,
    /// Methods as upper-case text; empty matches every method.
    pub methods: Vec<String>,
    /// Higher is asked first.
    pub priority: i32,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    /// Taken off the path before it is sent upstream (`strip_path_prefix`).
    pub strip_prefix: Option<String>,
    /// Replaces the upstream's.
    pub timeout: Option<UpstreamTimeout>,
    /// Header changes in their order: global rules, service, route.
    pub headers: Vec<HeaderOps>,
}

/// A path pattern.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum UriPattern {
    /// This path.
    Exact(String),
    /// Every path that starts with this text (written with a `*` at the end).
    Prefix(String),
}

/// `headers`: applied in the order add, set, remove.
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    /// Added behind what is there.
    pub add: Vec<HeaderValue>,
    /// Replaces what is there; an empty value sends nothing.
    pub set: Vec<HeaderValue>,
    /// Names taken out.
    pub remove: Vec<String>,
}

/// A field name and the template of its value.
#[derive(Clone, Debug)]
pub struct HeaderValue {
    /// Where in the file.
    pub place: Place,
    /// The name as written; a valid token.
    pub name: String,
    /// The value.
    pub value: Template,
}
