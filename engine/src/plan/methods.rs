//! Sets of methods, as routes list them and `Allow` shows them.

use crate::wire::head::Method;

/// A set of methods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MethodSet(u16);

/// In the order they are listed in `Allow`.
const METHODS: [(Method, &str); 10] = [
    (Method::Get, "GET"),
    (Method::Head, "HEAD"),
    (Method::Post, "POST"),
    (Method::Put, "PUT"),
    (Method::Delete, "DELETE"),
    (Method::Options, "OPTIONS"),
    (Method::Patch, "PATCH"),
    (Method::Purge, "PURGE"),
    (Method::Connect, "CONNECT"),
    (Method::Trace, "TRACE"),
];

impl MethodSet {
    /// None at all.
    pub const EMPTY: Self = Self(0);
    /// Every method, those without a name of ours included.
    pub const ALL: Self = Self(u16::MAX);

    /// The set of these names; no name at all means every method.
    pub(super) fn of(names: &[String]) -> Self {
        if names.is_empty() {
            return Self::ALL;
        }
        let named = METHODS.iter().filter(|(_, text)| names.iter().any(|name| name == text));
        named.fold(Self::EMPTY, |set, (method, _)| set.with(*method))
    }

    /// Is it in the set?
    #[must_use]
    pub const fn contains(self, method: Method) -> bool {
        self.0 & bit(method) != 0
    }

    /// Every method in the set that has a name here.
    pub(super) fn each(self) -> impl Iterator<Item = Method> {
        METHODS.into_iter().map(|(method, _)| method).filter(move |method| self.contains(*method))
    }

    pub(super) const fn with(self, method: Method) -> Self {
        Self(self.0 | bit(method))
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The methods that are in both sets.
    pub(super) const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are ever served: neither CONNECT nor TRACE.
    pub(super) const fn served(self) -> Self {
        self.without(Self::EMPTY.with(Method::Connect).with(Method::Trace))
    }

    /// Appends the value of an `Allow` field: those that we would ever let through.
    pub fn render(self, out: &mut Vec<u8>) {
        let start = out.len();
        for (method, text) in METHODS {
            if self.served().contains(method) {
                if out.len() > start {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

const fn bit(method: Method) -> u16 {
    1 << match method {
        Method::Connect => 0,
        Method::Delete => 1,
        Method::Get => 2,
        Method::Head => 3,
        Method::Options => 4,
        Method::Patch => 5,
        Method::Post => 6,
        Method::Purge => 7,
        Method::Put => 8,
        Method::Trace => 9,
        Method::Other => 10,
    }
}
