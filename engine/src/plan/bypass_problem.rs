//! What `check` says of a way around a guarded route.
//!
//! In: the guarded route, the one that is reached instead, and how. Out: a warning with the way and what
//! closes it.

use ferrule_config::model::{Route, UriPattern};
use ferrule_config::{Problem, Problems};

use super::methods::MethodSet;
use crate::wire::head::Method;

/// A way around a guarded route.
pub(super) struct Bypass<'a> {
    /// What takes the request instead.
    pub(super) by: &'a Route,
    pub(super) path: &'a UriPattern,
    pub(super) how: BypassKind,
}

/// Why the guarded route is not taken.
pub(super) enum BypassKind {
    /// The guarded route does not list these methods.
    Methods(MethodSet),
    /// The conditions of the guarded route do not hold.
    Conditions,
    /// The other one is for a host in particular, and so comes first.
    Host(String),
    /// The other route takes this prefix off, so the upstream gets the same path.
    Prefix(String),
    /// The upstream gets the same path but for the slash at its end.
    Slash(String),
    /// The other one comes first where a client says what its conditions ask for.
    Priority,
}

impl Bypass<'_> {
    /// What `check` says of it.
    pub(super) fn problem(&self, guarded: &Route, problems: &Problems) -> Problem {
        let line = problems.position(self.by.place).line;
        let path = match self.path {
            UriPattern::Exact(text) => text.clone(),
            UriPattern::Prefix(text) => format!("{text}*"),
            UriPattern::Params(path) => path.to_string(),
        };
        let (when, help) = match &self.how {
            BypassKind::Methods(methods) => (
                format!("with methods that are not listed here ({})", listed(*methods)),
                "list every method there is to guard, or none",
            ),
            BypassKind::Conditions => (
                "where its `vars` or `remote_addrs` do not hold".to_owned(),
                "conditions choose between routes and protect nothing: add a route for the rest of \
                 this path",
            ),
            BypassKind::Host(host) => (
                format!("as a route for `{host}` in particular, which comes first"),
                "a host in particular goes first: name that host here as well",
            ),
            BypassKind::Prefix(path) => (
                format!("for the upstream, by a path like `{path}` whose prefix is taken off"),
                "guard the path behind the prefix as well",
            ),
            BypassKind::Slash(path) => (
                format!("for the many upstreams to which `{path}` is the same"),
                "guard the path both with and without its last slash (`uris`)",
            ),
            BypassKind::Priority => (
                "where conditions hold that a client can meet by what it writes".to_owned(),
                "ask for an address or a certificate there, not for what anybody may write",
            ),
        };
        Problem {
            place: guarded.place,
            field: format!("routes.{}", guarded.id),
            message: format!(
                "what this route demands of clients can be stepped around: the route of line {line} \
                 takes `{path}` {when}, and demands less"
            ),
            help: Some(format!("{help}; or let that route demand the same (`client`)")),
        }
    }
}

/// Their names, for people.
fn listed(methods: MethodSet) -> String {
    let mut text = Vec::new();
    methods.render(&mut text);
    let others = if methods.contains(Method::Other) { ", and all others" } else { "" };
    String::from_utf8_lossy(&text).into_owned() + others
}
