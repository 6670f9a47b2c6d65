//! The head that goes upstream: re-made, never passed on.
//!
//! In: an admitted request. Out: `METHOD original-path HTTP/1.1`, one Host, one framing, the client's
//! end-to-end fields in their order, then what the configuration adds, then who the client is.
//! Framing and hop-by-hop fields are ours alone. `TE` says `trailers` if the client takes them;
//! `Trailer` is dropped because the trailers of requests are. `Expect` is answered by us unless the
//! configuration leaves it to the upstream. `X-Forwarded-*` is [`ForwardedFields`]' business.

use ferrule_config::model::{Expect, PassHost};

use super::hop::{self, Nominations};
use super::refusal::Refusal;
use super::request::Admission;
use super::request_line::{own_request_line, request_line};
use super::rewritten::Rewritten;
use super::{forwarded_cert, upgrade, via};
use crate::identity::verify::server_name;
use crate::plan::forwarded::ForwardedRequest;
use crate::plan::names::is_respelt;
use crate::plan::{Facts, ForwardedFields, HostBuf, NodePlan, Plan, UpstreamPlan};
use crate::wire::fields::Known;
use crate::wire::framing::BodyLength;
use crate::wire::head::Method;
use crate::wire::view::{FieldsView, RequestView};
use crate::wire::{target, write};

/// What may be added to a head, over what the client may send: what is sent upstream never grows
/// beyond the sum, whatever certificates and templates hold.
const HEAD_BYTES_ADDED_MAX: usize = 32 * 1024;

/// Where a request goes, and what is known of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The node.
    pub node: &'a NodePlan,
    /// What [`IdentityHeaders::render_block`](crate::plan::IdentityHeaders::render_block) made of
    /// the client connection.
    pub identity_block: &'a [u8],
    /// What is told of the client connection.
    pub forwarded: &'a ForwardedFields,
    /// What is sent in the place of what the client asked for, where the route rewrites it.
    pub rewritten: &'a Rewritten,
    /// May the upstream connection be kept? Otherwise it is told to close.
    pub keep_alive: bool,
}

/// Appends the request head for the upstream. `facts.request` must be there.
///
/// # Errors
/// [`Refusal::HeadOverflow`] if it outgrows its bound; `out` is as it was then.
pub fn upstream_head(
    plan: &Plan,
    admission: &Admission,
    facts: &Facts<'_>,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = out.len();
    let request = facts.request.as_ref().ok_or(Refusal::Internal)?;
    let route = plan.route(admission.route);
    let host = upstream_host(plan, admission, request.head, destination.node);
    if route.policy.is_none() {
        request_line(admission, None, request, out)?;
        write::field(b"Host", host, out);
    } else {
        own_request_line(plan, admission, request, destination.rewritten, host, out)?;
    }
    client_fields(plan, admission, request.head.fields(), destination.forwarded, out)?;
    match admission.body {
        BodyLength::None | BodyLength::UntilClose => {}
        BodyLength::Length(len) => write::content_length(len, out),
        BodyLength::Chunked => out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED),
    }
    // A connection option goes with `TE`, because `TE` ends at the next hop (section 10.1.4).
    out.extend_from_slice(match (destination.keep_alive, admission.features.takes_trailers) {
        _ if admission.upgrade => upgrade::FIELDS,
        (true, false) => b"",
        (false, false) => write::CONNECTION_CLOSE,
        (true, true) => b"TE: trailers\r\nConnection: TE\r\n",
        (false, true) => b"TE: trailers\r\nConnection: close, TE\r\n",
    });
    if let Some(left) = admission.max_forwards {
        out.extend_from_slice(b"Max-Forwards: ");
        write::decimal(left, out);
        out.extend_from_slice(write::CRLF);
    }
    if admission.features.expect_continue && plan.http.expect == Expect::Forward {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if let Some(name) = &plan.http.via {
        via::append(name, admission.version, out);
    }
    destination.forwarded.append(
        &ForwardedRequest {
            fields: request.head.fields(),
            host: request.host,
            authority: request.head.text(admission.authority),
            suppressed: route.headers.suppressed(),
        },
        out,
    );
    for field in route.headers.append() {
        field.render(facts, out);
    }
    forwarded_cert::append(plan, facts, out);
    out.extend_from_slice(destination.identity_block);
    plan.identity.render_request(facts, out);
    out.extend_from_slice(write::CRLF);
    let bound = HEAD_BYTES_ADDED_MAX.saturating_add(plan.http.head_bytes_max as usize);
    if out.len() - start > bound {
        out.truncate(start);
        return Err(Refusal::HeadOverflow);
    }
    Ok(())
}

/// The client's fields, minus everything that is not its to say.
fn client_fields(
    plan: &Plan,
    admission: &Admission,
    fields: FieldsView<'_>,
    forwarded: &ForwardedFields,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let route = plan.route(admission.route);
    let rules = &route.headers;
    let wants_whole = route.policy.as_ref().is_some_and(|policy| policy.filters_bodies());
    let nominations = Nominations::of(fields).ok_or(Refusal::Internal)?;
    for field in fields.iter() {
        let name = field.name();
        let known = field.known();
        // What is known is spelt as it should be (`exchange/0 identity headers`: -0.5 %).
        let respelt = known == Known::Other && is_respelt(name);
        let dropped = hop::ends_here(known)
            || matches!(known, Known::Host | Known::Expect)
            || (respelt && !plan.http.underscores_in_headers && name.contains(&b'_'))
            || plan.identity.strips(name)
            || rules.drops(name)
            || forwarded.drops(known, field.value())
            || (respelt && forwarded.drops_respelt(name))
            || (known == Known::MaxForwards && admission.max_forwards.is_some())
            || (wants_whole && asks_for_another_body(name, admission.method))
            || nominations.contain(name, known);
        if !dropped {
            write::field(name, field.value(), out);
        }
    }
    Ok(())
}

/// Does this field ask for a body that filters cannot search: encoded, a part, or the one that the client has already,
/// which may not have been filtered?
fn asks_for_another_body(name: &[u8], method: Method) -> bool {
    let is = |one: &&[u8]| name.eq_ignore_ascii_case(one);
    let always: [&[u8]; 3] = [b"Accept-Encoding", b"Range", b"If-Range"];
    let for_reading: [&[u8]; 2] = [b"If-None-Match", b"If-Modified-Since"];
    always.iter().any(is)
        || (matches!(method, Method::Get | Method::Head) && for_reading.iter().any(is))
}

/// The `Host` that goes upstream.
#[must_use]
pub fn upstream_host<'a>(
    plan: &'a Plan,
    admission: &Admission,
    request: RequestView<'a>,
    node: &'a NodePlan,
) -> &'a [u8] {
    match &plan.upstream(admission.upstream).pass_host {
        PassHost::Rewrite(host) => host.as_bytes(),
        // HTTP/1.0 may have sent none.
        PassHost::Pass if !admission.authority.is_empty() => request.text(admission.authority),
        PassHost::Pass | PassHost::Node => node.host().as_bytes(),
    }
}

/// [`upstream_name`] where a rewrite gives the host.
#[must_use]
pub fn rewritten_name<'a>(
    upstream: &'a UpstreamPlan,
    host: &'a [u8],
    node: &'a NodePlan,
) -> &'a [u8] {
    if let Some(name) = &upstream.server_name {
        return name.as_bytes();
    }
    let bare = target::parse_authority(host).map_or(&[][..], |(host, _)| host);
    if server_name::is_dns_name(bare) { bare } else { node.name().as_bytes() }
}

/// The name for SNI and for the check of the upstream's certificate: `server_name`, else the Host
/// sent upstream if it is a DNS name (without port), else the node's own; empty for none. `host` is the
/// client's as it was routed by: in another spelling it would be the same name, and cost each client
/// that thinks of one a handshake.
#[must_use]
pub fn upstream_name<'a>(
    upstream: &'a UpstreamPlan,
    host: &'a HostBuf,
    node: &'a NodePlan,
) -> &'a [u8] {
    if let Some(name) = &upstream.server_name {
        return name.as_bytes();
    }
    let bare = |host: &'a [u8]| {
        let host = target::parse_authority(host).map_or(&[][..], |(host, _)| host);
        host.strip_suffix(b".").unwrap_or(host)
    };
    let host = match &upstream.pass_host {
        PassHost::Pass if !host.is_empty() => host.as_bytes(),
        PassHost::Pass | PassHost::Node => bare(node.host().as_bytes()),
        PassHost::Rewrite(host) => bare(host.as_bytes()),
    };
    // What is dialled by this name is told from other connections by it, so nothing may pass here that
    // would be dialled by another one.
    if server_name::is_dns_name(host) { host } else { node.name().as_bytes() }
}

#[cfg(test)]
mod tests {
    use ferrule_config::Config;
    use ferrule_config::model::{HeaderOps, Scheme};
    use ferrule_config::template::Variable;

    use super::*;
    use crate::exchange::{ConnectionView, Scratch, admit};
    use crate::identity::ClientIdentity;
    use crate::plan::ListenerId;
    use crate::plan::facts::RequestFacts;
    use crate::plan::fixture::{self, NOW, config, field, route, set, text, variable};
    use crate::wire::head::{RequestHead, parse_request};

    /// What goes upstream for a request from a client without a certificate.
    fn sent(config: &Config, head: &str, keep_alive: bool) -> Result<String, Refusal> {
        let plan = Plan::build(config);
        let buf = head.as_bytes();
        let mut scratch = Scratch::default();
        let mut parsed = RequestHead::default();
        parse_request(buf, head.len(), plan.head_limits(), &mut parsed).unwrap();
        let request = parsed.view(buf);
        let view = ConnectionView {
            listener: Some(ListenerId(0)),
            policy: None,
            client: None,
            now: 0,
            facts: None,
        };
        let admission = admit(&plan, &view, request, &mut scratch)?;
        let connection = fixture::connection(true);
        let client = ClientIdentity::none(&plan.wanted);
        let mut facts = Facts {
            connection: &connection,
            session: None,
            client: Some(&client),
            request: None,
            now: NOW,
            log: None,
            request_ids: None,
        };
        let mut identity_block = Vec::new();
        plan.identity.render_block(&facts, &mut identity_block);
        facts.request = Some(RequestFacts {
            head: request,
            target: Some(&admission.target),
            host: &scratch.host,
            path: &scratch.path,
            captures: Some(&scratch.captures),
            route_id: &plan.route(admission.route).id,
        });
        let node = &plan.upstream(admission.upstream).nodes[0];
        let mut forwarded = ForwardedFields::default();
        forwarded.render(&plan.http.forwarded, &connection);
        let rewritten = Rewritten::default();
        let destination = Destination {
            node,
            identity_block: &identity_block,
            forwarded: &forwarded,
            rewritten: &rewritten,
            keep_alive,
        };
        let mut out = Vec::new();
        upstream_head(&plan, &admission, &facts, &destination, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn open() -> Config {
        let mut config = config();
        config.routes = vec![route(&[], &["/*", "*"])];
        config
    }

    #[test]
    fn the_head_is_made_anew() {
        let head = "POST http://H:81/a//%62?q HTTP/1.1\r\nHost: x\r\nUser-Agent: u\r\n\
                    Connection: X-Hop, authorization, keep-alive\r\nX-Hop: 1\r\nAuthorization: a\r\n\
                    Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: gzip\r\nTrailer: t\r\n\
                    Upgrade: h2c\r\nExpect: 100-continue\r\nX_Under: 1\r\nContent-Length: 007\r\n\
                    X-Forwarded-For: 1.2.3.4\r\nA: 1\r\na: 2\r\n\r\n";
        let wanted = "POST /a//%62?q HTTP/1.1\r\nHost: H:81\r\nUser-Agent: u\r\nAuthorization: a\r\n\
                      X-Forwarded-For: 1.2.3.4\r\nA: 1\r\na: 2\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(sent(&open(), head, true).as_deref(), Ok(wanted));
    }

    #[test]
    fn framing_is_one_field_or_none() {
        let with = |fields: &str| {
            let head = format!("PUT / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            sent(&open(), &head, false).unwrap()
        };
        let front = "PUT / HTTP/1.1\r\nHost: h\r\n";
        let end = "Connection: close\r\n\r\n";
        assert_eq!(with(""), format!("{front}{end}"));
        let zero = "Content-Length: 0\r\n";
        assert_eq!(with(zero), format!("{front}{zero}{end}"));
        let chunked = "Transfer-Encoding: chunked\r\n";
        assert_eq!(with("Transfer-encoding: CHUNKED\r\n"), format!("{front}{chunked}{end}"));
    }

    #[test]
    fn nobody_but_us_says_who_the_client_is() {
        let mut config = open();
        config.http.underscores_in_headers = true;
        config.identity_headers = vec![
            field("X-Verify", variable(Variable::SslClientVerify)),
            field("X-Serial", variable(Variable::SslClientSerial)),
            field("X-Path", variable(Variable::Uri)),
        ];
        // A name that one route fills from the certificate is stripped on all of them.
        let mut other = route(&["other.test"], &["/*"]);
        other.headers = vec![set("X-Dn", variable(Variable::SslClientSDn))];
        config.routes.push(other);
        // What is stripped cannot come back through a variable either.
        config.routes[0].headers = vec![set("X-Copy", variable(Variable::Http("x_verify".into())))];
        let spoofed = "GET /p HTTP/1.1\r\nHost: h\r\nX-Verify: SUCCESS\r\nx_verify: SUCCESS\r\n\
                       X-VERIFY: SUCCESS\r\nX_Serial: 1\r\nX-Dn: CN=a\r\nX_dN: CN=a\r\n\
                       X-SSL-Client-Verify: SUCCESS\r\nX_Ssl_Client_Anything: 1\r\n\
                       X-Forwarded-Client-Cert: Hash=1\r\nClient-Cert: :AA==:\r\n\
                       client_cert_chain: :AA==:\r\nX_Fine: 1\r\n\
                       Connection: X-Verify, X-Serial\r\n\r\n";
        let wanted =
            "GET /p HTTP/1.1\r\nHost: h\r\nX_Fine: 1\r\nX-Verify: NONE\r\nX-Path: /p\r\n\r\n";
        assert_eq!(sent(&config, spoofed, true).as_deref(), Ok(wanted));
    }

    #[test]
    fn a_value_that_is_empty_or_breaks_the_line_sends_nothing() {
        let mut config = open();
        let keep =
            |name: &str, value| HeaderOps { add: vec![field(name, value)], ..HeaderOps::default() };
        config.routes[0].headers = vec![
            set("X-Empty", variable(Variable::Args)),
            keep("X-Line", text("a\r\nX-Evil: 1")),
            keep("X-Nul", text("a\0")),
            keep("X-Agent", variable(Variable::Http("user_agent".into()))),
        ];
        let head = "GET / HTTP/1.1\r\nHost: h\r\nX-Empty: client\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n";
        let wanted =
            "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\nUser-Agent: b\r\nX-Agent: a, b\r\n\r\n";
        assert_eq!(sent(&config, head, true).as_deref(), Ok(wanted));
    }

    #[test]
    fn the_prefix_goes_however_it_was_spelt() {
        let mut config = config();
        let mut one = route(&[], &["/v1*", "/x%2Fy*"]);
        one.strip_prefix = Some("/v1".to_owned());
        config.routes = vec![one];
        for (target, wanted) in [
            ("/v1/a?q", "/a?q"),
            ("/v1", "/"),
            ("/v1?q", "/?q"),
            // Not with two slashes, which would be read as an authority.
            ("//v1//a", "/a"),
            ("/v1///a//b", "/a//b"),
            ("/%761/%61", "/%61"),
            ("/v%31a", "/a"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let sent = sent(&config, &head, true).unwrap();
            assert_eq!(sent.split(' ').nth(1), Some(wanted), "{target}");
        }
    }

    #[test]
    fn host_and_name_follow_pass_host() {
        let names = |pass_host, scheme, head: &str| {
            let mut config = open();
            config.upstreams = vec![fixture::upstream(pass_host, scheme)];
            let plan = Plan::build(&config);
            let mut scratch = Scratch::default();
            let buf = head.as_bytes();
            let mut parsed = RequestHead::default();
            parse_request(buf, head.len(), plan.head_limits(), &mut parsed).unwrap();
            let request = parsed.view(buf);
            let view = ConnectionView {
                listener: Some(ListenerId(0)),
                policy: None,
                client: None,
                now: 0,
                facts: None,
            };
            let admission = admit(&plan, &view, request, &mut scratch).unwrap();
            let node = &plan.upstream(admission.upstream).nodes[0];
            let host = upstream_host(&plan, &admission, request, node).to_vec();
            let name =
                upstream_name(plan.upstream(admission.upstream), &scratch.host, node).to_vec();
            (String::from_utf8(host).unwrap(), String::from_utf8(name).unwrap())
        };
        let head = "GET / HTTP/1.1\r\nHost: h.test.:9\r\n\r\n";
        let address = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n";
        let old = "GET / HTTP/1.0\r\n\r\n";
        let v6 = "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n";
        // Hosts that are no DNS names.
        let odd = ["-x.test", "x-.test"]
            .map(|host| (host, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
        for (host, head) in &odd {
            let (sent, name) = names(PassHost::Pass, Scheme::Https, head);
            assert_eq!((&*sent, &*name), (*host, "a.internal"));
        }
        let rewrite = PassHost::Rewrite("r.test:1".to_owned());
        for (pass_host, head, host, name) in [
            (PassHost::Pass, head, "h.test.:9", "h.test"),
            (PassHost::Pass, "GET / HTTP/1.1\r\nHost: H.Test\r\n\r\n", "H.Test", "h.test"),
            (
                PassHost::Pass,
                "GET http://H.TEST./ HTTP/1.1\r\nHost: x\r\n\r\n",
                "H.TEST.",
                "h.test",
            ),
            (PassHost::Pass, address, "10.0.0.1", "a.internal"),
            (PassHost::Pass, v6, "[::1]:80", "a.internal"),
            (PassHost::Pass, old, "a.internal:8080", "a.internal"),
            (PassHost::Node, head, "a.internal:8080", "a.internal"),
            (rewrite, head, "r.test:1", "r.test"),
        ] {
            let wanted = (host.to_owned(), name.to_owned());
            assert_eq!(names(pass_host, Scheme::Https, head), wanted, "{head}");
        }
    }

    #[test]
    fn a_head_that_grows_without_bound_is_refused() {
        let mut config = open();
        let long = set("X-Long", variable(Variable::RequestUri));
        config.routes[0].headers =
            (0..10).map(|at| set(&format!("X-Long-{at}"), long.set[0].value.clone())).collect();
        let ask = |len: usize| {
            sent(&config, &format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(len)), true)
        };
        assert!(ask(1000).is_ok());
        assert_eq!(ask(9000), Err(Refusal::HeadOverflow));
    }
}
