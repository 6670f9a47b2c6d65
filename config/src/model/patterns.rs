//! What hosts and paths a route or a certificate is for, in the one form that is compared.

use std::fmt;

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
