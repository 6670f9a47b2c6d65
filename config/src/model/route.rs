//! `[[routes]]`: which requests go where, and what is changed on their way.

use std::fmt;

use super::{ClientRule, Condition, UpstreamTimeout};
use crate::place::Place;
use crate::template::Template;

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

impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Exact(name) => out.write_str(name),
            Self::Wildcard(suffix) => write!(out, "*.{suffix}"),
        }
    }
}

impl HostPattern {
    /// Is there a host that both of them may be about? A wildcard counts for any number of labels here,
    /// also where it stands for one: who writes it may mean both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let below = |name: &str, suffix: &str| {
            name.strip_suffix(suffix).is_some_and(|front| front.ends_with('.'))
        };
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(one), Self::Exact(two)) => one == two,
            (Self::Exact(name), Self::Wildcard(suffix))
            | (Self::Wildcard(suffix), Self::Exact(name)) => below(name, suffix),
            (Self::Wildcard(one), Self::Wildcard(two)) => {
                one == two || below(one, two) || below(two, one)
            }
        }
    }
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
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Taken off the path before it is sent upstream (`strip_path_prefix`).
    pub strip_prefix: Option<String>,
    /// Replaces the upstream's.
    pub timeout: Option<UpstreamTimeout>,
    /// Are upgrades to WebSocket forwarded?
    pub websocket: bool,
    /// Bytes of a request body: its own, its service's or that of `[http]`; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// What else it asks of a request.
    pub when: Option<Condition>,
    /// Who may take it, in the order global rules, service, route; each must be passed.
    pub clients: Vec<ClientRule>,
    /// Header changes in their order: global rules, service, route.
    pub headers: Vec<HeaderOps>,
}

impl Route {
    /// Does it match every host?
    #[must_use]
    pub fn is_for_every_host(&self) -> bool {
        self.hosts.is_empty() || self.hosts.contains(&HostPattern::Any)
    }
}

/// A path pattern.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum UriPattern {
    /// This path.
    Exact(String),
    /// Every path that starts with this text (written with a `*` at the end).
    Prefix(String),
}

impl UriPattern {
    /// Paths that match it, among them one that nobody is likely to have spelt out.
    pub fn examples(&self) -> impl Iterator<Item = String> {
        let (text, goes_on) = match self {
            Self::Exact(text) => (text, false),
            Self::Prefix(text) => (text, true),
        };
        let longer = goes_on.then(|| format!("{text}~"));
        longer.into_iter().chain([text.clone()])
    }
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
