//! What is sent upstream in the place of what the client asked for.
//!
//! In: a request that was admitted to a route with a `rewrite`. Out: the target that is sent, in one reading; and
//! the routes whose demands hold for it, because what is sent is judged as what was asked for. A target that
//! is no path, or that could be read in two ways, is refused and never sent.

use super::request::Admission;
use super::route::method_readings;
use super::scratch::Scratch;
use crate::plan::captures::Captures;
use crate::plan::reshape::RewritePlan;
use crate::plan::uri_plan::{UriEscapes, UriMemory, append_by_rules, query};
use crate::plan::{Facts, HostBuf, Plan, RouteId, Truth};
use crate::wire::framing::BodyLength;
use crate::wire::head::Method;
use crate::wire::readings::Readings;
use crate::wire::target;

/// A rewritten request; reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// Path and query that are sent; empty if the client's are.
    pub target: Vec<u8>,
    /// What would be sent is no path, or could be read in two ways: it is not sent.
    pub is_unusable: bool,
    /// The path that is sent, in its normal form.
    path: Vec<u8>,
    readings: Readings,
    /// The name in the host that is sent.
    host: HostBuf,
    /// The groups of the expression that matched, as `$rewrite_NAME`.
    pub groups: Captures,
    /// Memory that templates are rendered with.
    pub memory: UriMemory,
    /// Routes that have to be passed as well ([`permit`](super::permit())).
    pub demanding: Vec<RouteId>,
}

impl Rewritten {
    /// Works out what is sent. `admission` gets the method that is.
    pub fn rewrite(&mut self, rewrite: &RewritePlan, admission: &mut Admission, facts: &Facts<'_>) {
        self.is_unusable = false;
        self.target.clear();
        self.path.clear();
        self.readings.clear();
        self.demanding.clear();
        self.groups.clear();
        // What asks about the server has no path, and is sent as it came.
        if admission.features.asks_the_server {
            return;
        }
        if let Some(sent) = &rewrite.method {
            let method = sent.method;
            admission.method = method;
            // RFC 9110, section 8.6: a server may wait for the content that such a method announces.
            let announces = matches!(method, Method::Post | Method::Put | Method::Patch);
            if announces && admission.body == BodyLength::None {
                admission.body = BodyLength::Length(0);
            }
        }
        if !rewrite.changes_path() {
            return;
        }
        let Self { target, memory, groups, .. } = &mut *self;
        let rendered = match &rewrite.uri {
            Some(uri) => {
                uri.append(facts, UriEscapes::Keep, memory, target);
                Some(uri)
            }
            None => {
                let rules = &rewrite.rules;
                append_by_rules(rules, facts, UriEscapes::Keep, memory, Some(groups), target)
            }
        };
        let Some(uri) = rendered else { return };
        one_slash(target);
        let query = query(facts);
        if uri.keeps_query && !query.is_empty() {
            target.push(if target.contains(&b'?') { b'&' } else { b'?' });
            target.extend_from_slice(query);
        }
        self.is_unusable = !self.read();
    }

    /// Reads the path that is sent as every path is read that comes.
    fn read(&mut self) -> bool {
        let Self { target, path, readings, .. } = self;
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        let sent = target.get(..end).unwrap_or_default();
        let clean = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
        let read = target::normalise_path(sent, path).and_then(|()| readings.read(sent, path));
        read.is_ok() && clean && path.starts_with(b"/")
    }

    /// Everything that the path which is sent may be taken for; nothing if the client's is sent.
    pub(super) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        let own = (!self.target.is_empty()).then_some(self.path.as_slice());
        own.into_iter().chain(self.readings.others())
    }

    /// Notes the routes whose demands hold for what is sent: those that would take it, under the host that the
    /// client named or the one that is sent. What their conditions ask for is not looked at: they are taken to
    /// hold.
    pub fn find_demanding(
        &mut self,
        plan: &Plan,
        rewrite: &RewritePlan,
        admission: &Admission,
        client: &Scratch,
        client_method: &[u8],
    ) {
        if rewrite.guarded.is_empty() || self.is_unusable || admission.features.asks_the_server {
            return;
        }
        let Self { path, readings, demanding, target, host: named, .. } = self;
        let (sent, readings) = if target.is_empty() {
            (client.path.as_slice(), &client.readings)
        } else {
            (path.as_slice(), &*readings)
        };
        let bare = rewrite.host.as_deref().and_then(|host| target::parse_authority(host).ok());
        if let Some((host, _)) = bare {
            named.read(host);
        }
        let hosts = [Some(client.host.name()), bare.map(|_| named.name())];
        let text = rewrite.method.as_ref().map_or(client_method, |sent| &sent.text);
        let methods = method_readings(admission.method, text);
        for host in hosts.into_iter().flatten() {
            for (reading, method) in core::iter::once(sent)
                .chain(readings.others())
                .flat_map(|reading| methods.iter().flatten().map(move |method| (reading, *method)))
            {
                let judge = &mut |_| Truth::Maybe;
                plan.table.possible(host, reading, method, judge, &mut |found| {
                    let route = found.route;
                    let demands = route != admission.route && rewrite.guarded.contains(&route);
                    if demands && !demanding.contains(&route) {
                        demanding.push(route);
                    }
                });
            }
        }
    }
}

/// What was a path must not become a reference with an authority (RFC 3986, section 4.2).
pub(super) fn one_slash(target: &mut Vec<u8>) {
    let slashes = target.iter().take_while(|byte| **byte == b'/').count();
    target.drain(..slashes.saturating_sub(1));
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::Rewrite;
    use ferrule_config::template::Variable;
    use ferrule_config::uri_template::{UriPiece, UriTemplate};
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::{ConnectionView, admit};
    use crate::plan::facts::RequestFacts;
    use crate::plan::fixture::{self, NOW, config, route};
    use crate::plan::{ListenerId, Plan};
    use crate::wire::head::{RequestHead, parse_request};

    fn plan(pieces: Vec<UriPiece>) -> Plan {
        let mut config = config();
        let mut one = route(&[], &["/*"]);
        one.rewrite = Some(Rewrite { uri: Some(UriTemplate { pieces }), ..Rewrite::default() });
        config.routes = vec![one];
        Plan::build(&config)
    }

    /// What is sent for a request that is admitted; `Err` if it is refused for what would be sent.
    fn sent(plan: &Plan, head: &str) -> Option<Result<String, ()>> {
        let buf = head.as_bytes();
        let mut parsed = RequestHead::default();
        parse_request(buf, buf.len(), plan.head_limits(), &mut parsed).ok()?;
        let mut scratch = Scratch::default();
        let view = ConnectionView {
            listener: Some(ListenerId(0)),
            policy: None,
            client: None,
            now: 0,
            facts: None,
        };
        let mut admission = admit(plan, &view, parsed.view(buf), &mut scratch).ok()?;
        let connection = fixture::connection(true);
        let facts = Facts {
            connection: &connection,
            session: None,
            client: None,
            request: Some(RequestFacts {
                head: parsed.view(buf),
                target: Some(&admission.target.clone()),
                host: &scratch.host,
                path: &scratch.path,
                captures: None,
                route_id: "",
            }),
            now: NOW,
            log: None,
            request_ids: None,
        };
        let policy = plan.route(admission.route).policy.as_deref()?;
        let mut rewritten = Rewritten::default();
        rewritten.rewrite(policy.rewrite.as_ref()?, &mut admission, &facts);
        let text = String::from_utf8(rewritten.target).unwrap();
        Some(if rewritten.is_unusable { Err(()) } else { Ok(text) })
    }

    fn get(target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    #[test]
    fn what_a_client_wrote_is_data() {
        let text = |text: &str| UriPiece::Text(text.to_owned());
        let arg = || UriPiece::Variable(Variable::Arg("x".to_owned()));
        let in_path = plan(vec![text("/new/"), arg()]);
        let in_query = plan(vec![text("/new?y="), arg()]);
        let whole = plan(vec![text("/p"), UriPiece::Variable(Variable::RequestUri)]);
        let path = plan(vec![text("/p"), UriPiece::Variable(Variable::Uri), text("?")]);
        for (plan, target, wanted) in [
            (&in_path, "/?x=a%2Fb%3Fc%23d%20e", Ok("/new/a/b%3Fc%23d%20e?x=a%2Fb%3Fc%23d%20e")),
            (&in_path, "/?x=%2e%2e%2fadmin", Err(())),
            (&in_path, "/?x=%00", Err(())),
            (&in_path, "/?x=%25%32e", Err(())),
            (&in_path, "/?x=1%0d%0aX:%202", Err(())),
            (&in_query, "/?x=a%26admin=1%2B", Ok("/new?y=a%26admin%3D1%2B&x=a%26admin=1%2B")),
            (&whole, "/a%20b//c?d=%41&e", Ok("/p/a%20b//c?d=%41&e")),
            (&whole, "http://evil/a?b", Ok("/p/a?b")),
            (&path, "/a%20b%3Fc%2Fd%41?q", Ok("/p/a%20b%3Fc%2FdA")),
        ] {
            let found = sent(plan, &get(target)).unwrap();
            assert_eq!(found.as_deref().ok(), wanted.ok(), "{target}");
        }
    }

    proptest! {
        /// Whatever a client sends, what goes upstream is one path that is read in one way by everybody, with no
        /// query but the client's, and fits on its line.
        #[test]
        fn what_is_sent_is_always_a_path(
            target in "/[a-z/%0-9A-F.;:@?&=+~\\-]{0,24}",
            arg in "(%[0-9A-Fa-f]{2}|[a-z./;?#&=\\\\]){0,12}",
        ) {
            let text = |text: &str| UriPiece::Text(text.to_owned());
            let variable = |variable| UriPiece::Variable(variable);
            let arg_x = Variable::Arg("x".to_owned());
            let templates = [
                vec![text("/"), variable(Variable::Uri)],
                vec![text("/"), variable(arg_x.clone()), text("/z")],
                vec![text("/a?b="), variable(arg_x), variable(Variable::Uri)],
                vec![variable(Variable::RequestUri)],
                vec![text("/"), variable(Variable::Args)],
            ];
            let joint = if target.contains('?') { '&' } else { '?' };
            for target in [target.clone(), format!("{target}{joint}x={}", arg.replace('#', ""))] {
                for pieces in &templates {
                    let Some(Ok(sent)) = sent(&plan(pieces.clone()), &get(&target)) else { continue };
                    prop_assert!(sent.starts_with('/') && !sent.starts_with("//"), "{}", sent);
                    prop_assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
                    let path = sent.split('?').next().unwrap_or_default();
                    let (mut normal, mut readings) = (Vec::new(), Readings::default());
                    prop_assert!(target::normalise_path(path.as_bytes(), &mut normal).is_ok());
                    prop_assert!(readings.read(path.as_bytes(), &normal).is_ok());
                    if !target.contains('?') && !pieces.contains(&text("/a?b=")) {
                        prop_assert!(!sent.contains('?'), "{} {}", target, sent);
                    }
                }
            }
        }
    }
}
