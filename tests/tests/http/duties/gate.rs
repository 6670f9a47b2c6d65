//! A gateway without sockets: one configuration, one connection, requests and responses as bytes.

use std::path::Path;

use ferrule_engine::exchange::flow::Flow;
use ferrule_engine::exchange::response::{Delivery, PendingRequest, ResponseStep, admit_response};
use ferrule_engine::exchange::response_head::client_head;
use ferrule_engine::exchange::rewrite::{Destination, upstream_head};
use ferrule_engine::exchange::rewritten::Rewritten;
use ferrule_engine::exchange::trailers::TrailerRules;
use ferrule_engine::exchange::{Admission, Refusal, ResponseFault};
use ferrule_engine::exchange::{ConnectionView, Scratch, admit};
use ferrule_engine::identity::{ClientIdentity, Verdict};
use ferrule_engine::plan::facts::{ConnectionFacts, Now, RequestFacts};
use ferrule_engine::plan::{Facts, ForwardedFields, ListenerId, Plan};
use ferrule_engine::wire::head::{
    Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};

const NOW: Now<'static> = Now {
    unix_seconds: 1_795_301_728,
    millis: 7,
    http_date: "Sat, 21 Nov 2026 22:55:28 GMT",
    local: "21/Nov/2026:22:55:28 +0000",
    iso8601: "2026-11-21T22:55:28+00:00",
};

/// One plan, and one connection from `peer`.
pub(crate) struct Gate {
    pub(crate) plan: Plan,
    facts: ConnectionFacts,
    client: ClientIdentity,
    forwarded: ForwardedFields,
}

impl Gate {
    /// `http` are lines of `[http]`, `route` lines of the only route, which takes every path.
    pub(crate) fn new(http: &str, route: &str, peer: &str) -> Self {
        let text = format!(
            "listen = [{{ address = '127.0.0.1:8080' }}]\n[identity_headers]\nX-Id = \
             '$ssl_client_verify'\n[http]\n{http}\n[[routes]]\nuri = '/*'\n\
             upstream.nodes = {{ '127.0.0.1:1' = 1 }}\n{route}\n"
        );
        let read = ferrule_config::read_text(Path::new("/ferrule.toml"), text, &|_| None);
        let plan = Plan::build(&read.unwrap_or_else(|problems| panic!("{problems}")).config);
        let facts = ConnectionFacts {
            remote_addr: peer.to_owned(),
            server_port: "8443".to_owned(),
            tls: true,
            ..ConnectionFacts::default()
        };
        let mut forwarded = ForwardedFields::default();
        forwarded.render(&plan.http.forwarded, &facts);
        let client = ClientIdentity::of(&[], Verdict::None, &plan.wanted);
        Self { plan, facts, client, forwarded }
    }

    /// What is decided about a request, and the head that goes upstream.
    pub(crate) fn request(&self, head: &str) -> Result<(Admission, String), Refusal> {
        let buf = head.as_bytes();
        let mut scratch = Scratch::default();
        let mut parsed = RequestHead::default();
        parse_request(buf, buf.len(), self.plan.head_limits(), &mut parsed)
            .map_err(Refusal::Malformed)?;
        let view = ConnectionView {
            listener: Some(ListenerId(0)),
            policy: None,
            client: None,
            now: 0,
            facts: None,
        };
        let admission = admit(&self.plan, &view, parsed.view(buf), &mut scratch)?;
        let request = RequestFacts {
            head: parsed.view(buf),
            target: Some(&admission.target),
            host: &scratch.host,
            path: &scratch.path,
            captures: None,
            route_id: "",
        };
        let facts = Facts {
            connection: &self.facts,
            session: None,
            client: Some(&self.client),
            request: Some(request),
            now: NOW,
            request_ids: None,
            log: None,
        };
        let node = &self.plan.upstream(admission.upstream).nodes[0];
        let forwarded = &self.forwarded;
        let destination = Destination {
            node,
            identity_block: b"",
            forwarded,
            rewritten: &Rewritten::default(),
            keep_alive: true,
        };
        let mut out = Vec::new();
        upstream_head(&self.plan, &admission, &facts, &destination, &mut out)?;
        Ok((admission, String::from_utf8(out).unwrap()))
    }

    /// The field lines that go upstream, lower case names, without `Host`.
    pub(crate) fn sent(&self, start: &str, fields: &str) -> Result<Vec<String>, Refusal> {
        let (_, head) = self.request(&format!("{start} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))?;
        let lines = head.lines().skip(2).filter(|line| !line.is_empty());
        Ok(lines.map(ToOwned::to_owned).collect())
    }

    /// The whole response that a client gets for these pieces of the upstream's, or why not.
    pub(crate) fn response(
        &self,
        pending: (Method, Version, bool),
        head: &[u8],
        body: &[&[u8]],
    ) -> Result<(Delivery, Vec<u8>, bool), ResponseFault> {
        let (method, version, takes_trailers) = pending;
        let mut parsed = ResponseHead::default();
        parse_response(head, head.len(), self.plan.response_limits(), &mut parsed)
            .map_err(ResponseFault::Wire)?;
        let rules = TrailerRules { identity: &self.plan.identity, block: None };
        let pending = PendingRequest {
            method,
            version,
            keep_alive: true,
            upgrade: false,
            repeatable: false,
            interims: 0,
            http_date: NOW.http_date,
            continue_wanted: false,
            trailers: takes_trailers.then_some(rules),
            via: self.plan.http.via.as_deref(),
            request_id: None,
        };
        let step = admit_response(parsed.view(head), &pending)?;
        let ResponseStep::Final(delivery) = step else { panic!("an interim response") };
        let mut out = Vec::new();
        client_head(parsed.view(head), &delivery, &pending, &mut out);
        let trailers = delivery.trailers.then_some(rules);
        let mut flow = Flow::new(delivery.body, delivery.to_client, None).with_trailers(trailers);
        for piece in body {
            let mut at = 0;
            while at < piece.len() && !flow.is_done() {
                match flow.copy(&piece[at..], &mut out) {
                    Ok(copied) => at += copied.consumed,
                    Err(_) => return Ok((delivery, out, false)),
                }
            }
        }
        Ok((delivery, out, flow.is_done()))
    }
}
