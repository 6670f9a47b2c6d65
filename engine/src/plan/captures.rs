//! What a request's own route has found in it: parameters of the path, named parts of values, and groups of a
//! rewrite.
//!
//! In: names and values, while a route is looked for and when it is taken. Out: the values of `$uri_param_NAME`,
//! `$capture_NAME` and `$rewrite_NAME`. Reused from request to request, so that it allocates only to grow.

use core::ops::Range;

/// What was found, by the names of the variables.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    text: Vec<u8>,
    found: Vec<CapturedValue>,
}

/// Bytes that stay at hand for the next request.
const KEPT_BYTES_MAX: usize = 4096;

/// A variable's name and its value, both in the text.
#[derive(Clone, Debug)]
struct CapturedValue {
    name: Range<usize>,
    value: Range<usize>,
}

impl Captures {
    /// Forgets everything, and gives back what long values took.
    pub fn clear(&mut self) {
        self.found.clear();
        self.text.clear();
        if self.text.capacity() > KEPT_BYTES_MAX {
            self.text.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Notes a value; of several with one name the first holds.
    pub(super) fn put(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.found.push(CapturedValue { name: start..middle, value: middle..self.text.len() });
    }

    /// Takes what another one has found, behind its own.
    pub fn extend(&mut self, other: &Self) {
        for CapturedValue { name, value } in &other.found {
            let part = |range: &Range<usize>| other.text.get(range.clone()).unwrap_or_default();
            self.put(part(name), part(value));
        }
    }

    /// The value of a variable (its name without `$`); empty if nothing was found.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> &[u8] {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        let found = self.found.iter().find(|one| part(&one.name) == name);
        found.map(|one| part(&one.value)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_forgotten() {
        let mut captures = Captures::default();
        captures.put(b"uri_param_a", b"1");
        captures.put(b"uri_param_b", b"");
        captures.put(b"uri_param_a", b"2");
        assert_eq!(captures.get(b"uri_param_a"), b"1");
        assert_eq!(captures.get(b"uri_param_b"), b"");
        assert_eq!(captures.get(b"uri_param"), b"");
        captures.clear();
        assert_eq!(captures.get(b"uri_param_a"), b"");
        captures.put(b"x", b"3");
        assert_eq!(captures.get(b"x"), b"3");
        let mut other = Captures::default();
        other.put(b"x", b"4");
        other.put(b"y", b"5");
        captures.extend(&other);
        assert_eq!((captures.get(b"x"), captures.get(b"y")), (&b"3"[..], &b"5"[..]));
    }
}
