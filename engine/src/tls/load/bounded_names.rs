//! The names of all who share one thing: the first few, and how many there are.
//!
//! A thousand server names may share a file of authorities. Whoever tells about one of these names a few
//! of its users, so that nothing that is told grows with the product of the two.

use std::fmt::{self, Display};

/// Names that are kept.
const NAMES_MAX: usize = 3;
/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 256;

/// The first few of many names. As text: `a`, `a, b`, or `a, b, c and 997 more`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BoundedNames {
    first: Vec<String>,
    count: usize,
}

impl BoundedNames {
    /// This name alone.
    #[must_use]
    pub fn of(name: &dyn Display) -> Self {
        let mut names = Self::default();
        names.add(name);
        names
    }

    /// Adds a name. One that is among the first is not counted again.
    pub fn add(&mut self, name: &dyn Display) {
        if self.first.len() >= NAMES_MAX && self.count > NAMES_MAX {
            self.count += 1;
            return;
        }
        let name = cut(name.to_string());
        if self.first.contains(&name) {
            return;
        }
        self.count += 1;
        if self.first.len() < NAMES_MAX {
            self.first.push(name);
        }
    }

    /// Adds all that another list has.
    pub fn join(&mut self, other: &Self) {
        for name in &other.first {
            self.add(name);
        }
        self.count += other.count - other.first.len();
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The first name.
    #[must_use]
    pub fn first(&self) -> &str {
        self.first.first().map_or("", String::as_str)
    }
}

impl Display for BoundedNames {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name.push_str("...");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BoundedNames {
        let mut names = BoundedNames::default();
        list.iter().for_each(|name| names.add(name));
        names
    }

    #[test]
    fn a_few_are_named_and_all_are_counted() {
        assert_eq!(names(&["a"]).to_string(), "a");
        assert_eq!(names(&["a", "b", "a"]).to_string(), "a, b");
        let many: Vec<String> = (0..1_000).map(|at| at.to_string()).collect();
        let many = names(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((many.to_string().as_str(), many.count()), ("0, 1, 2 and 997 more", 1_000));
        let mut joined = names(&["x", "0"]);
        joined.join(&many);
        assert_eq!(joined.to_string(), "x, 0, 1 and 998 more");
        assert_eq!((joined.first(), joined.count()), ("x", 1_001));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = format!("{}{}", "x".repeat(255), "\u{e9}".repeat(9));
        assert_eq!(BoundedNames::of(&long).to_string(), format!("{}...", "x".repeat(255)));
    }
}
