//! Paths with parameters, compiled: `/users/:id`.
//!
//! In: the normal form of a path. Out: whether it has this shape, and what stands in place of each parameter.
//! Nothing is tried twice: a segment ends at the next `/`, whatever follows.

use ferrule_config::model::{ParamPath, PathPiece};

use super::captures::Captures;

/// What the variables of parameters begin with.
const FAMILY: &[u8] = b"uri_param_";

/// A compiled path with parameters.
#[derive(Debug)]
pub struct ParamPattern {
    pieces: Box<[PatternPiece]>,
}

#[derive(Debug)]
enum PatternPiece {
    /// This text.
    Text(Box<[u8]>),
    /// A whole segment that is not empty; the name of its variable.
    Segment(Box<[u8]>),
    /// All that is left; the name of its variable, or nothing.
    Rest(Box<[u8]>),
}

impl ParamPattern {
    /// Compiles a path.
    #[must_use]
    pub(super) fn build(path: &ParamPath) -> Self {
        let variable = |name: &str| -> Box<[u8]> {
            if name.is_empty() { Box::default() } else { [FAMILY, name.as_bytes()].concat().into() }
        };
        let piece = |piece: &PathPiece| match piece {
            PathPiece::Text(text) => PatternPiece::Text(text.as_bytes().into()),
            PathPiece::Segment(name) => PatternPiece::Segment(variable(name)),
            PathPiece::Rest(name) => PatternPiece::Rest(variable(name)),
        };
        Self { pieces: path.pieces.iter().map(piece).collect() }
    }

    /// Has a path this shape?
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.walk(path, &mut |_, _| ())
    }

    /// Notes what stands in place of the parameters; says whether the path has this shape.
    pub(super) fn read(&self, path: &[u8], captures: &mut Captures) -> bool {
        self.matches(path)
            && self.walk(path, &mut |name, value| {
                if !name.is_empty() {
                    captures.put(name, value);
                }
            })
    }

    fn walk(&self, path: &[u8], found: &mut impl FnMut(&[u8], &[u8])) -> bool {
        let mut left = path;
        for piece in &self.pieces {
            match piece {
                PatternPiece::Text(text) => match left.strip_prefix(&**text) {
                    Some(rest) => left = rest,
                    None => return false,
                },
                PatternPiece::Segment(name) => {
                    let end = memchr::memchr(b'/', left).unwrap_or(left.len());
                    let (segment, rest) = left.split_at(end);
                    if segment.is_empty() {
                        return false;
                    }
                    found(name, segment);
                    left = rest;
                }
                PatternPiece::Rest(name) => {
                    found(name, left);
                    left = b"";
                }
            }
        }
        left.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(pieces: &[&str]) -> ParamPattern {
        let piece = |text: &&str| match (text.strip_prefix(':'), text.strip_prefix('*')) {
            (Some(name), _) => PathPiece::Segment(name.to_owned()),
            (_, Some(name)) => PathPiece::Rest(name.to_owned()),
            _ => PathPiece::Text((*text).to_owned()),
        };
        ParamPattern::build(&ParamPath { pieces: pieces.iter().map(piece).collect() })
    }

    #[test]
    fn a_segment_is_whole_and_not_empty() {
        for (pieces, path, wanted) in [
            (&["/name/", ":n", "/bar"][..], "/name/json/bar", Some("json")),
            (&["/name/", ":n", "/bar"], "/name/json/foo", None),
            (&["/name/", ":n", "/bar"], "/name/json/", None),
            (&["/name/", ":n", "/bar"], "/name//bar", None),
            (&["/name/", ":n", "/bar"], "/name/a/b/bar", None),
            (&["/name/", ":n", "/bar"], "/name/json/bar/", None),
            (&["/", ":n"], "/", None),
            (&["/", ":n"], "/a%2Fb", Some("a%2Fb")),
            (&["/", ":n"], "/a/", None),
            (&["/", ":n", "/"], "/a/", Some("a")),
            (&["/", ":m", "/", ":n"], "/a/b", Some("b")),
            (&["/", ":n", "/", "*"], "/a/", Some("a")),
            (&["/", ":n", "/x", "*"], "/a/xyz/1", Some("a")),
            (&["/", ":n", "/x", "*"], "/a/y", None),
            (&["/a/", "*n"], "/a/", Some("")),
            (&["/a/", "*n"], "/a/b/c/", Some("b/c/")),
            (&["/a/", "*n"], "/a", None),
        ] {
            let mut captures = Captures::default();
            let found = pattern(pieces).read(path.as_bytes(), &mut captures);
            assert_eq!(found, wanted.is_some(), "{pieces:?} {path}");
            assert_eq!(captures.get(b"uri_param_n"), wanted.unwrap_or_default().as_bytes());
        }
    }
}
