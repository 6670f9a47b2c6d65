//! What a request's own route has found in it: parameters of the path, and named parts of values.
//!
//! In: names and values, while a route is looked for and when it is taken. Out: the values of `$uri_param_NAME`
//! and `$capture_NAME`. Reused from request to request, so that it allocates only to grow.

use core::ops::Range;

/// What was found, by the names of the variables.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    text: Vec<u8>,
    found: Vec<CapturedValue>,
}

/// A variable's name and its value, both in the text.
#[derive(Clone, Debug)]
struct CapturedValue {
    name: Range<usize>,
    value: Range<usize>,
}

impl Captures {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.found.clear();
    }

    /// Notes a value; of several with one name the first holds.
    pub(super) fn put(&mut self, name: &[u8], value: &[u8]) {
        if self.found.is_empty() {
            self.text.clear();
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.found.push(CapturedValue { name: start..middle, value: middle..self.text.len() });
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
    }
}
