//! The configuration and the messages that benches and guards work on.

use std::hint::black_box;
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::{
    Answers, Balance, BalanceMethod, Checks, Forwarded, HeaderOps, HeaderValue, Http, HttpReuse,
    KeepalivePool, Listen, Node, NodeAddress, Pacing, PassHost, QueueStatus, RetryPolicy, Route,
    Scheme, Upstream, UpstreamQueue, UpstreamTimeout, UriPattern,
};
use ferrule_config::template::{Piece, Template, Variable};
use ferrule_engine::exchange::rewrite::{Destination, upstream_head};
use ferrule_engine::exchange::rewritten::Rewritten;
use ferrule_engine::exchange::{Admission, ConnectionView, Scratch, admit};
use ferrule_engine::identity::{ClientIdentity, Verdict};
use ferrule_engine::plan::attempts::AttemptRecord;
use ferrule_engine::plan::facts::{
    ConnectionFacts, Facts, LogFacts, Now, RequestFacts, SessionFacts,
};
use ferrule_engine::plan::log_line::FixedParts;
use ferrule_engine::plan::request_ids::{RequestIds, Trace};
use ferrule_engine::plan::{ForwardedFields, ListenerId, NodeIndex, Plan};
use ferrule_engine::report::access_log::write_line;
use ferrule_engine::wire::head::{RequestHead, parse_request};

const MINUTE: Duration = Duration::from_secs(60);

/// What curl sends, and a field or two more.
pub const REQUEST: &[u8] = b"GET /anything/0/1?q=1 HTTP/1.1\r\nHost: test.com\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: session=0123456789\r\n\
    X-Request-Id: 4f2c9d9e\r\nConnection: keep-alive\r\n\r\n";

/// A reading of the clock.
pub const NOW: Now<'static> = Now {
    unix_seconds: 1_795_301_728,
    millis: 7,
    http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
    local: "21/Nov/2026:22:55:28 +0000",
    iso8601: "2026-11-21T22:55:28+00:00",
};

/// One variable as a template.
pub fn variable(variable: Variable) -> Template {
    Template { pieces: vec![Piece::Variable(variable)] }
}

/// A header with a variable in it.
pub fn header(name: &str, value: Variable) -> HeaderValue {
    HeaderValue { place: Default::default(), name: name.to_owned(), value: variable(value) }
}

/// A route of every host.
pub fn route(uri: UriPattern) -> Route {
    Route {
        websocket: false,
        place: Default::default(),
        id: "anything".to_owned(),
        hosts: Vec::new(),
        uris: vec![uri],
        methods: Vec::new(),
        limits: Vec::new(),
        priority: 0,
        upstream: Some(0),
        strip_prefix: None,
        timeout: None,
        client_max_body_size: None,
        breaker: None,
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

/// One listener, one upstream, one route, and what a guide's user would set: three headers from the
/// certificate, one from the request.
pub fn config() -> Config {
    let mut anything = route(UriPattern::Prefix("/anything".to_owned()));
    anything.headers = vec![HeaderOps {
        set: vec![
            header("X-Ssl-Client-Fingerprint", Variable::SslClientFingerprint),
            header("X-Ssl-Client-Verify", Variable::SslClientVerify),
            header("X-Real-IP", Variable::RemoteAddr),
            header("X-Original-Uri", Variable::RequestUri),
        ],
        ..HeaderOps::default()
    }];
    let defaults = ferrule_config::defaults();
    Config {
        file: "ferrule.toml".into(),
        http: Http {
            wrong_method_status: 405,
            forwarded: Forwarded { enabled: true, ..Forwarded::default() },
            real_ip: None,
            answers: Answers::default(),
            pacing: Pacing::default(),
            ..defaults.http
        },
        identity_headers: vec![header("X-Client-Verify", Variable::SslClientVerify)],
        listens: vec![Listen {
            proxy_protocol: None,
            mtls_routes: None,
            https_port: None,
            place: Default::default(),
            address_place: Default::default(),
            address: ([127, 0, 0, 1], 9080).into(),
            ipv6only: true,
            tls: false,
            handshake_timeout: MINUTE,
            fallback_sni: None,
        }],
        upstreams: vec![upstream()],
        routes: vec![anything],
        ..defaults
    }
}

/// An upstream of one node.
pub fn upstream() -> Upstream {
    Upstream {
        proxy_protocol: None,
        place: Default::default(),
        id: "up".to_owned(),
        scheme: Scheme::Http,
        nodes: vec![Node {
            place: Default::default(),
            address: NodeAddress::Ip(([127, 0, 0, 1], 8080).into()),
            weight: 1,
            priority: 0,
            backup: false,
            max_connections: 0,
            max_requests: 0,
        }],
        queue: UpstreamQueue { size: 0, timeout: Duration::ZERO, status: QueueStatus::Unavailable },
        balance: Balance { method: BalanceMethod::RoundRobin, hash_key: None, slow_start: None },
        pass_host: PassHost::Pass,
        retry: RetryPolicy::default(),
        timeout: UpstreamTimeout { connect: MINUTE, send: MINUTE, read: MINUTE, total: None },
        pool: KeepalivePool {
            size: 320,
            idle_timeout: MINUTE,
            requests: 1000,
            max_age: 60 * MINUTE,
            min_idle: 0,
        },
        http_reuse: HttpReuse::Always,
        checks: Checks::default(),
        tls: None,
    }
}

/// Everything that one connection keeps from request to request.
pub struct Connection {
    /// Compiled from [`config`].
    pub plan: Plan,
    head: RequestHead,
    /// Reused.
    pub scratch: Scratch,
    facts: ConnectionFacts,
    session: SessionFacts,
    client: ClientIdentity,
    identity_block: Vec<u8>,
    rewritten: Rewritten,
    log_parts: Option<FixedParts>,
    forwarded: ForwardedFields,
}

impl Connection {
    /// A connection without a certificate.
    pub fn new() -> Self {
        Self::of(&config(), &[])
    }

    /// A connection of a verified client with this chain, or of one without.
    pub fn of(config: &Config, chain: &[&[u8]]) -> Self {
        let plan = Plan::build(config);
        let verdict = if chain.is_empty() { Verdict::None } else { Verdict::Success };
        let client = ClientIdentity::of(chain, verdict, &plan.wanted);
        let facts = ConnectionFacts {
            proxied: None,
            replaced: None,
            remote_addr: "192.0.2.7".to_owned(),
            remote_port: "4711".to_owned(),
            server_addr: "192.0.2.1".to_owned(),
            server_port: "9443".to_owned(),
            tls: true,
            serial: 5,
            requests: 2,
        };
        let session = SessionFacts {
            protocol: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            server_name: "test.com".to_owned(),
            ..SessionFacts::default()
        };
        let mut forwarded = ForwardedFields::default();
        forwarded.render(&plan.http.forwarded, &facts);
        let mut one = Self {
            plan,
            head: RequestHead::default(),
            scratch: Scratch::default(),
            facts,
            session,
            client,
            identity_block: Vec::new(),
            rewritten: Rewritten::default(),
            log_parts: None,
            forwarded,
        };
        let mut block = Vec::new();
        one.plan.identity.render_block(&one.connection_facts(), &mut block);
        one.identity_block = block;
        let facts = Facts { session: Some(&one.session), ..one.connection_facts() };
        one.log_parts = one.plan.access_log.as_ref().map(|line| line.fixed_parts(&facts));
        one
    }

    fn connection_facts(&self) -> Facts<'_> {
        Facts {
            connection: &self.facts,
            session: None,
            client: Some(&self.client),
            request: None,
            now: NOW,
            log: None,
            request_ids: None,
        }
    }

    /// From bytes to an admission.
    pub fn admit(&mut self) -> Admission {
        let limits = self.plan.head_limits();
        parse_request(black_box(REQUEST), REQUEST.len(), limits, &mut self.head)
            .expect("good input");
        let view = ConnectionView {
            listener: Some(ListenerId(0)),
            policy: None,
            client: None,
            now: 0,
            facts: None,
        };
        admit(&self.plan, &view, self.head.view(REQUEST), &mut self.scratch).expect("good input")
    }

    /// Facts of the request admitted last.
    pub fn facts<'a>(&'a self, admission: &'a Admission) -> Facts<'a> {
        let request = RequestFacts {
            head: self.head.view(REQUEST),
            target: Some(&admission.target),
            host: &self.scratch.host,
            path: &self.scratch.path,
            captures: Some(&self.scratch.captures),
            route_id: &self.plan.route(admission.route).id,
        };
        Facts { request: Some(request), ..self.connection_facts() }
    }

    /// The line in the access log of an answer to it.
    pub fn log(&self, admission: &Admission, out: &mut Vec<u8>) {
        let attempt = AttemptRecord {
            status: Some(200),
            connect_micros: Some(0),
            header_micros: Some(900),
            response_micros: 1_000,
            ..AttemptRecord::begin(NodeIndex(0), None, Duration::ZERO)
        };
        let log = LogFacts {
            status: 200,
            outcome: "ok",
            bytes_sent: 1_234,
            body_bytes_sent: 1_024,
            request_bytes: 220,
            request_ms: 1,
            attempts: &[attempt],
            nodes: &self.plan.upstream(admission.upstream).nodes,
        };
        let mut request_ids = RequestIds::default();
        request_ids.set_id(b"4f2c9d9e4f2c9d9e4f2c9d9e4f2c9d9e");
        request_ids.trace = Trace::Begun { trace_id: [b'a'; 32], span_id: [b'b'; 16] };
        let facts = Facts {
            session: Some(&self.session),
            log: Some(&log),
            request_ids: Some(&request_ids),
            ..self.facts(admission)
        };
        let format = self.plan.access_log.as_ref().expect("a log");
        write_line(format, &facts, self.log_parts.as_ref(), out);
    }

    /// The head that goes upstream.
    pub fn rewrite(&self, admission: &Admission, out: &mut Vec<u8>) {
        let node = &self.plan.upstream(admission.upstream).nodes[0];
        let destination = Destination {
            node,
            identity_block: &self.identity_block,
            forwarded: &self.forwarded,
            rewritten: &self.rewritten,
            keep_alive: true,
        };
        out.clear();
        upstream_head(&self.plan, admission, &self.facts(admission), &destination, out)
            .expect("good input");
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}
