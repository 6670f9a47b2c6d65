//! A configuration for the tests of `plan` and `exchange`.

use std::time::Duration;

use ferrule_config::model::{
    self, Answers, Balance, BalanceMethod, Checks, CipherSuite, ClientAuth, ClientEku, ClientLists,
    ClientVerify, Config, Forwarded, HeaderOps, HeaderValue, HostPattern, Http, HttpReuse,
    KeepalivePool, KeyExchangeGroup, Listen, Node, NodeAddress, OnRevoke, Pacing, PassHost, Pem,
    PemSource, Protocols, QueueStatus, Reject, RetryBudget, RetryOn, RetryPolicy, Route, Scheme,
    Server, Upstream, UpstreamQueue, UpstreamTimeout, UriPattern,
};
use ferrule_config::template::{Piece, Template, Variable};

use super::facts::{ConnectionFacts, Now};

pub(crate) const NOW: Now<'static> = Now {
    unix_seconds: 1_795_301_728,
    millis: 7,
    http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
    local: "21/Nov/2026:22:55:28 +0000",
    iso8601: "2026-11-21T22:55:28+00:00",
};

const MINUTE: Duration = Duration::from_secs(60);

const RETRY: RetryPolicy = RetryPolicy {
    retries: 1,
    timeout: MINUTE,
    on: RetryOn::NONE,
    non_idempotent: false,
    budget: RetryBudget { percent: 20, min_per_second: 3 },
    buffer: 0,
};
const TIMEOUT: UpstreamTimeout =
    UpstreamTimeout { connect: MINUTE, send: MINUTE, read: MINUTE, total: None };

/// One plain and one TLS listener, one upstream, nothing else.
pub(crate) fn config() -> Config {
    let listen = |port, tls| Listen {
        place: Default::default(),
        address_place: Default::default(),
        address: ([127, 0, 0, 1], port).into(),
        ipv6only: true,
        tls,
        handshake_timeout: MINUTE,
        fallback_sni: None,
        proxy_protocol: None,
        mtls_routes: None,
        https_port: None,
    };
    let defaults = ferrule_config::defaults();
    Config {
        file: "ferrule.toml".into(),
        http: Http {
            wrong_method_status: 405,
            forwarded: Forwarded::default(),
            real_ip: None,
            answers: Answers::default(),
            pacing: Pacing::default(),
            ..defaults.http
        },
        listens: vec![listen(9080, false), listen(9443, true)],
        upstreams: vec![upstream(PassHost::Pass, Scheme::Http)],
        ..defaults
    }
}

pub(crate) fn upstream(pass_host: PassHost, scheme: Scheme) -> Upstream {
    let node = |host: &str| Node {
        place: Default::default(),
        address: NodeAddress::Name { host: host.to_owned(), port: 8080 },
        weight: 1,
        priority: 0,
        backup: false,
        max_connections: 0,
        max_requests: 0,
    };
    Upstream {
        place: Default::default(),
        id: "up".to_owned(),
        scheme,
        nodes: vec![node("a.internal"), node("b.internal")],
        queue: UpstreamQueue { size: 0, timeout: Duration::ZERO, status: QueueStatus::Unavailable },
        balance: Balance { method: BalanceMethod::RoundRobin, hash_key: None, slow_start: None },
        pass_host,
        retry: RETRY,
        timeout: TIMEOUT,
        pool: KeepalivePool {
            size: 8,
            idle_timeout: MINUTE,
            requests: 1000,
            max_age: MINUTE,
            min_idle: 0,
        },
        http_reuse: HttpReuse::Always,
        checks: Checks::default(),
        tls: None,
        proxy_protocol: None,
    }
}

/// `*` at the end of a path is a prefix; `*.` at the front of a host a wildcard.
pub(crate) fn route(hosts: &[&str], uris: &[&str]) -> Route {
    Route {
        place: Default::default(),
        id: "r".to_owned(),
        hosts: hosts.iter().map(|host| host_pattern(host)).collect(),
        uris: uris
            .iter()
            .map(|uri| match uri.strip_suffix('*') {
                Some(prefix) => UriPattern::Prefix(prefix.to_owned()),
                None => UriPattern::Exact((*uri).to_owned()),
            })
            .collect(),
        methods: Vec::new(),
        priority: 0,
        upstream: Some(0),
        strip_prefix: None,
        timeout: None,
        websocket: false,
        client_max_body_size: None,
        breaker: None,
        limits: Vec::new(),
        answer: None,
        response: Vec::new(),
        cors: None,
        rewrite: None,
        redirect: None,
        split: Vec::new(),
        when: None,
        captures: Vec::new(),
        clients: Vec::new(),
        refuse: Vec::new(),
        headers: Vec::new(),
    }
}

fn host_pattern(host: &str) -> HostPattern {
    match host.strip_prefix("*.") {
        _ if host == "*" => HostPattern::Any,
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None => HostPattern::Exact(host.to_owned()),
    }
}

/// A server object; `ca` names the file of its client CA.
pub(crate) fn server(snis: &[&str], client: Option<(&str, ClientVerify)>) -> Server {
    Server {
        place: Default::default(),
        id: "s".to_owned(),
        snis: snis.iter().map(|sni| host_pattern(sni)).collect(),
        pairs: Vec::new(),
        protocols: Protocols { tls12: true, tls13: true },
        groups: KeyExchangeGroup::ALL.to_vec(),
        ciphers: CipherSuite::ALL.to_vec(),
        prefer_server_ciphers: false,
        stapling_files: Vec::new(),
        session_tickets: true,
        session_ticket_count: 2,
        session_cache: true,
        client: client.map(|(ca, verify)| ClientAuth {
            place: Default::default(),
            ca: ca
                .split(' ')
                .map(|path| Pem {
                    place: Default::default(),
                    source: PemSource::Path(path.into()),
                    shown: None,
                })
                .collect(),
            verify,
            depth: 1,
            reject: Reject::Http,
            on_revoke: OnRevoke::Close,
            allow_v1: true,
            eku: ClientEku::Client,
            clock_skew: Duration::ZERO,
            revocation: None,
            send_ca_names: true,
            explain: false,
            lists: ClientLists::default(),
            exempt: Vec::new(),
        }),
    }
}

pub(crate) fn text(text: &str) -> Template {
    Template { pieces: vec![Piece::Text(text.to_owned())] }
}

pub(crate) fn variable(variable: Variable) -> Template {
    Template { pieces: vec![Piece::Variable(variable)] }
}

pub(crate) fn field(name: &str, value: Template) -> HeaderValue {
    HeaderValue { place: Default::default(), name: name.to_owned(), value }
}

pub(crate) fn set(name: &str, value: Template) -> HeaderOps {
    HeaderOps { set: vec![field(name, value)], ..HeaderOps::default() }
}

pub(crate) fn connection(tls: bool) -> ConnectionFacts {
    ConnectionFacts {
        remote_addr: "192.0.2.7".to_owned(),
        remote_port: "4711".to_owned(),
        server_addr: "192.0.2.1".to_owned(),
        server_port: "9443".to_owned(),
        tls,
        serial: 5,
        requests: 2,
        proxied: None,
        replaced: None,
    }
}

/// Ids as APISIX makes them by default.
pub(crate) fn request_id() -> model::RequestIdRule {
    model::RequestIdRule {
        header_name: "X-Request-Id".to_owned(),
        include_in_response: true,
        algorithm: model::IdAlgorithm::Uuid,
        range: model::IdRange { length: 16, char_set: String::new() },
    }
}
