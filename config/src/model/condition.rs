//! What a route may ask of a request beside host, path and method: `vars` and `remote_addrs`.

use ipnet::IpNet;
use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::pattern::Pattern;
use crate::template::Variable;

/// A condition, as lua-resty-expr has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every one of these (`AND`, and a list of conditions).
    All(Vec<Self>),
    /// One of these at least (`OR`).
    Any(Vec<Self>),
    /// Not this one (`!`, `!AND`, `!OR`).
    Not(Box<Self>),
    /// A test of a variable's value.
    Test(Variable, Test),
}

/// A test of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `==` with a text: the same bytes.
    Is(String),
    /// `==` with a number: the value is that number.
    Equals(f64),
    /// `>`, `>=`, `<`, `<=`: the value is a number, and compares so.
    Compares(Order, f64),
    /// `~~`, and `~*` without case.
    Matches(Pattern),
    /// `in`: one of these.
    In(Vec<String>),
    /// `has`: the value is a list (of alternative names, or of a field), and this is in it.
    Has(String),
    /// `ipmatch`: the value is an address in one of these.
    IpMatch(Vec<IpNet>),
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub enum Order {
    /// `>`
    #[strum(serialize = ">")]
    More,
    /// `>=`
    #[strum(serialize = ">=")]
    AtLeast,
    /// `<`
    #[strum(serialize = "<")]
    Less,
    /// `<=`
    #[strum(serialize = "<=")]
    AtMost,
}

impl Order {
    /// Does it hold for these?
    #[must_use]
    pub fn holds(self, value: f64, wanted: f64) -> bool {
        match self {
            Self::More => value > wanted,
            Self::AtLeast => value >= wanted,
            Self::Less => value < wanted,
            Self::AtMost => value <= wanted,
        }
    }
}
