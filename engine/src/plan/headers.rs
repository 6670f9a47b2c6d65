//! Header rules, compiled: what is dropped, what is appended, and who the client is.
//!
//! The names of all changes are known when the configuration is read, so their order (global rules,
//! service, route; in each add, then set, then remove) is played through once, here. What is left
//! for a request is a set of names whose copies from the client go, and a list of fields to append.

use ferrule_config::Config;
use ferrule_config::model::{HeaderOps, HeaderValue, Traceparent, XfccMode};
use ferrule_config::template::{Piece, Template as Written, Variable};

use super::claims::{self, XFCC};
use super::facts::Facts;
use super::field::FieldRules;
use super::forwarded::SuppressedFields;
use super::names::StripSet;
use super::template::{Compiler, Template, uses_session};

/// A field to append.
#[derive(Debug)]
pub struct FieldPlan {
    /// The name as configured.
    pub name: Box<str>,
    /// The value.
    pub value: Template,
}

impl FieldPlan {
    pub(super) fn build(field: &HeaderValue, compiler: &mut Compiler) -> Self {
        Self { name: field.name.as_str().into(), value: compiler.compile(&field.value) }
    }

    /// Appends the whole line, or nothing: an empty value sends nothing, and neither does one that
    /// would break the line.
    pub fn render(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(b": ");
        if self.value.render_value(facts, out) {
            out.extend_from_slice(b"\r\n");
        } else {
            out.truncate(start);
        }
    }
}

/// What one route does to request fields.
#[derive(Debug, Default)]
pub struct HeaderRules {
    /// In every spelling: an application that takes `X.Admin` for `X-Admin` is not to get what was
    /// removed or set here.
    drop: StripSet,
    append: Vec<FieldPlan>,
    suppressed: SuppressedFields,
}

impl HeaderRules {
    /// Plays the changes through in their order.
    #[must_use]
    pub fn build(ops: &[HeaderOps], compiler: &mut Compiler) -> Self {
        let mut drop = StripSet::default();
        let mut append: Vec<&HeaderValue> = Vec::new();
        for op in ops {
            append.extend(&op.add);
            for field in &op.set {
                // A set that names a field twice sends both: it replaces what was there before it.
                drop.insert(&field.name);
            }
            append.retain(|known| {
                !op.set.iter().any(|field| field.name.eq_ignore_ascii_case(&known.name))
            });
            append.extend(&op.set);
            for name in &op.remove {
                drop.insert(name);
                append.retain(|known| !known.name.eq_ignore_ascii_case(name));
            }
        }
        let append = append.into_iter().map(|field| FieldPlan::build(field, compiler)).collect();
        Self { drop, append, suppressed: SuppressedFields::default() }
    }

    /// Suppresses each forwarded field that these rules or the identity headers remove or set.
    #[must_use]
    pub fn suppress(mut self, identity: &IdentityHeaders) -> Self {
        self.suppressed =
            SuppressedFields::of(|name| self.drop.matches(name) || identity.strips(name));
        self
    }

    /// Which of [`ForwardedFields`](super::ForwardedFields) are suppressed.
    #[must_use]
    pub const fn suppressed(&self) -> SuppressedFields {
        self.suppressed
    }

    /// Does the client's field of this name go, in whatever case and spelling?
    #[must_use]
    pub fn drops(&self, name: &[u8]) -> bool {
        self.drop.matches(name)
    }

    /// What is appended, in order.
    #[must_use]
    pub fn append(&self) -> &[FieldPlan] {
        &self.append
    }
}

/// The identity headers: stripped from every request on every listener, then set last.
#[derive(Debug)]
pub struct IdentityHeaders {
    strip: StripSet,
    connection: Vec<FieldPlan>,
    request: Vec<FieldPlan>,
    /// What is done about a client's `X-Forwarded-Client-Cert`.
    pub xfcc: XfccMode,
}

impl IdentityHeaders {
    pub(super) fn build(config: &Config, strip: StripSet, compiler: &mut Compiler) -> Self {
        let xfcc = config.xfcc.mode;
        let element = HeaderValue {
            place: ferrule_config::Place::default(),
            name: XFCC.to_owned(),
            value: Written { pieces: vec![Piece::Variable(Variable::SslClientXfcc)] },
        };
        if xfcc == XfccMode::AppendForward {
            // Appended by the request; nobody else may have asked for it.
            compiler.compile(&element.value);
        }
        let (connection, request) = config
            .identity_headers
            .iter()
            .chain((xfcc == XfccMode::SanitizeSet).then_some(&element))
            .map(|field| FieldPlan::build(field, compiler))
            .partition(|field| field.value.is_connection_scoped());
        Self { strip, connection, request, xfcc }
    }

    /// May a client's field of this name never reach an upstream?
    #[must_use]
    pub fn strips(&self, name: &[u8]) -> bool {
        self.strip.matches(name)
    }

    /// Appends the lines that stay the same for all requests of a connection: rendered once after
    /// the handshake and kept beside the connection.
    pub fn render_block(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for field in &self.connection {
            field.render(facts, out);
        }
    }

    /// Appends the lines that differ from request to request.
    pub fn render_request(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for field in &self.request {
            field.render(facts, out);
        }
    }
}

/// The fields that hold a request's id and its trace; set before everything that is configured.
pub(super) fn request_id_ops(config: &Config) -> Option<HeaderOps> {
    let field = |name: &str, variable| HeaderValue {
        place: Default::default(),
        name: name.to_owned(),
        value: Written { pieces: vec![Piece::Variable(variable)] },
    };
    let answers = &config.http.answers;
    let mut set = Vec::new();
    let id = answers.request_id.as_ref();
    set.extend(id.map(|rule| field(&rule.header_name, Variable::RequestId)));
    if answers.traceparent != Traceparent::Off {
        set.push(field("traceparent", Variable::Traceparent));
        set.push(field("tracestate", Variable::Tracestate));
    }
    (!set.is_empty()).then(|| HeaderOps { set, ..HeaderOps::default() })
}

/// The names that only we may send upstream: those of [`CLAIMS`](claims::CLAIMS), the configured ones, and every
/// name that some route fills from the TLS session. The last ones go on all routes, because an
/// application that trusts a name on one route trusts it on all.
pub(super) fn strip_set(config: &Config) -> StripSet {
    let mut strip = claims::strip_set();
    for field in &config.identity_headers {
        strip.insert(&field.name);
    }
    for route in &config.routes {
        for field in route.headers.iter().flat_map(|ops| ops.add.iter().chain(&ops.set)) {
            if uses_session(&field.value, &route.captures) {
                strip.insert(&field.name);
            }
        }
    }
    strip
}

/// What variables may read of request fields.
pub(super) fn field_rules(config: &Config) -> FieldRules {
    let http = &config.http;
    FieldRules::new(strip_set(config), http.underscores_in_headers, http.forwarded.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::{field, set, text};

    fn rules(ops: &[HeaderOps]) -> (HeaderRules, Vec<(String, String)>) {
        let rules = HeaderRules::build(ops, &mut Compiler::default());
        let connection = crate::plan::fixture::connection(false);
        let facts = Facts {
            connection: &connection,
            session: None,
            client: None,
            request: None,
            now: crate::plan::fixture::NOW,
            log: None,
            request_ids: None,
        };
        let mut sent = Vec::new();
        for field in rules.append() {
            let mut value = Vec::new();
            field.value.render_value(&facts, &mut value);
            sent.push((field.name.to_string(), String::from_utf8(value).unwrap()));
        }
        (rules, sent)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn changes_apply_in_their_order() {
        let add = |name: &str, value: &str| HeaderOps {
            add: vec![field(name, text(value))],
            ..HeaderOps::default()
        };
        let remove =
            |name: &str| HeaderOps { remove: vec![name.to_owned()], ..HeaderOps::default() };
        let (rules, sent) = rules(&[
            add("A", "1"),
            set("B", text("1")),
            add("b", "2"),
            add("C", "1"),
            set("a", text("2")),
            remove("c"),
            add("D", "1"),
        ]);
        assert_eq!(sent, pairs(&[("B", "1"), ("b", "2"), ("a", "2"), ("D", "1")]));
        for (name, dropped) in [("A", true), ("b", true), ("C", true), ("D", false)] {
            assert_eq!(rules.drops(name.as_bytes()), dropped, "{name}");
        }
    }

    /// CGI and its heirs read any byte of a token that is no letter or digit as `-`.
    #[test]
    fn what_is_removed_or_set_goes_in_every_spelling() {
        let remove = HeaderOps { remove: vec!["X-Admin".to_owned()], ..HeaderOps::default() };
        let (rules, _) = rules(&[set("X-Role", text("guest")), remove]);
        for sign in "!#$%&'*+-.^_`|~".bytes() {
            for name in ["X-Admin", "x-ROLE"] {
                let respelt = name.replace('-', &char::from(sign).to_string());
                assert!(rules.drops(respelt.as_bytes()), "{respelt}");
            }
        }
        assert!(!rules.drops(b"XAdmin") && !rules.drops(b"X-Admin2"));
    }

    #[test]
    fn within_one_object_remove_is_last() {
        let (rules, sent) = rules(&[HeaderOps {
            add: vec![field("A", text("1"))],
            set: vec![field("B", text("2"))],
            remove: vec!["a".to_owned(), "b".to_owned()],
        }]);
        assert_eq!(sent, []);
        assert!(rules.drops(b"A") && rules.drops(b"B"));
    }
}
