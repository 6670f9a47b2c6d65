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
    /// Every path of this shape (`radixtree_uri_with_parameter`).
    Params(ParamPath),
}

/// Parameters of one path.
pub(crate) const PARAMS_MAX: usize = 32;

/// A path with parameters, as `/users/:id`: a text, and at least one parameter.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ParamPath {
    /// Its pieces in their order; what follows a segment is a text that begins with `/`, or nothing.
    pub pieces: Vec<PathPiece>,
}

/// A piece of a path.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PathPiece {
    /// This text.
    Text(String),
    /// A whole segment that is not empty (`:name`).
    Segment(String),
    /// All that is left, or nothing (`*` and `*name`); the name may be empty.
    Rest(String),
}

impl PathPiece {
    /// The name of a parameter, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Segment(name) | Self::Rest(name) => {
                Some(name.as_str()).filter(|name| !name.is_empty())
            }
        }
    }
}

impl fmt::Display for ParamPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            PathPiece::Text(text) => out.write_str(text),
            PathPiece::Segment(name) => write!(out, ":{name}"),
            PathPiece::Rest(name) => write!(out, "*{name}"),
        })
    }
}

impl ParamPath {
    /// The text in front of the first parameter.
    #[must_use]
    pub fn front(&self) -> &str {
        match self.pieces.first() {
            Some(PathPiece::Text(text)) => text,
            _ => "",
        }
    }

    /// The names of its parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(PathPiece::name)
    }

    /// The same path whatever its parameters are called: two of one shape match the same requests.
    #[must_use]
    pub fn shape(&self) -> Self {
        let pieces = self.pieces.iter().map(|piece| match piece {
            PathPiece::Text(text) => PathPiece::Text(text.clone()),
            PathPiece::Segment(_) => PathPiece::Segment(String::new()),
            PathPiece::Rest(_) => PathPiece::Rest(String::new()),
        });
        Self { pieces: pieces.collect() }
    }

    /// Does it end with the rest of a path?
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self.pieces.last(), Some(PathPiece::Rest(_)))
    }

    /// How much of it is said: of two with the same front, the one that says more is asked first.
    #[must_use]
    pub fn rank(&self) -> usize {
        let segment = |piece: &PathPiece| match piece {
            PathPiece::Text(text) => text.len(),
            PathPiece::Segment(_) => 1,
            PathPiece::Rest(_) => 0,
        };
        self.pieces.iter().map(segment).sum()
    }

    /// A path of this shape, with this in place of each segment, and that in place of the rest.
    #[must_use]
    pub fn example(&self, segment: &str, rest: &str) -> String {
        let piece = |piece: &PathPiece| match piece {
            PathPiece::Text(text) => text.clone(),
            PathPiece::Segment(_) => segment.to_owned(),
            PathPiece::Rest(_) => rest.to_owned(),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl UriPattern {
    /// The same behind a text.
    #[must_use]
    pub fn behind(self, prefix: &str) -> Self {
        match self {
            Self::Exact(rest) => Self::Exact(format!("{prefix}{rest}")),
            Self::Prefix(rest) => Self::Prefix(format!("{prefix}{rest}")),
            Self::Params(mut path) => {
                match path.pieces.first_mut() {
                    Some(PathPiece::Text(text)) => text.insert_str(0, prefix),
                    _ => path.pieces.insert(0, PathPiece::Text(prefix.to_owned())),
                }
                Self::Params(path)
            }
        }
    }

    /// The same whatever its parameters are called.
    #[must_use]
    pub fn shape(&self) -> Self {
        match self {
            Self::Params(path) => Self::Params(path.shape()),
            Self::Exact(_) | Self::Prefix(_) => self.clone(),
        }
    }

    /// Paths that match it, the first of them one that nobody is likely to have spelt out. What goes on does so by
    /// different numbers of segments, because a path with parameters in front of it takes those of one number.
    pub fn examples(&self) -> impl Iterator<Item = String> {
        let ends: &[usize] = match self {
            Self::Exact(_) => &[0],
            Self::Params(path) if !path.goes_on() => &[0],
            Self::Prefix(_) | Self::Params(_) => &[1, 2, 3, PARAMS_MAX + 1, 0],
        };
        ends.iter().map(|segments| {
            let rest = vec!["~"; *segments].join("/");
            match self {
                Self::Exact(text) => text.clone(),
                Self::Prefix(text) => format!("{text}{rest}"),
                Self::Params(path) => path.example("~", &rest),
            }
        })
    }
}
