//! Conditions of routes, compiled: is this request one of theirs?
//!
//! A variable's value is rendered into the caller's buffer and tested; a missing one is an empty one. Of
//! what a certificate may have several of, each is tested as it is, see [`AllValues`].
//! Nothing is allocated but what the buffer needs to grow.

use core::net::IpAddr;

use ferrule_config::model::{self, IpNet, Order};
use ferrule_config::pattern::Pattern;
use ferrule_config::template as config;

use super::facts::Facts;
use super::interpretations::{each_interpretation, is_ambiguous};
use super::template::{Compiler, Template, render};
use crate::identity::client::all_values::{self, AllValues};

/// A compiled condition.
#[derive(Debug)]
pub enum Condition {
    /// Every one of these.
    All(Box<[Self]>),
    /// One of these at least.
    Any(Box<[Self]>),
    /// Not this one.
    Not(Box<Self>),
    /// A test of a value.
    Test(Template, Test),
    /// A test of every value of this place in the client's identity.
    Every(usize, NameTest),
}

/// Does a condition hold, in whichever way an upstream reads what the client wrote?
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Truth {
    /// In no way.
    #[default]
    No,
    /// In some, and not in others.
    Maybe,
    /// In every way.
    Yes,
}

impl Truth {
    const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

/// A test of what a certificate may have several of.
#[derive(Debug)]
pub struct NameTest {
    exact: Test,
    /// What it looks for in the form of [`AllValues::readings`].
    folded: Test,
}

/// A test of a value.
#[derive(Clone, Debug)]
pub enum Test {
    /// The same bytes; of an escaped value, unescaped.
    Is(Box<[u8]>),
    /// That number.
    Equals(f64),
    /// A number that compares so.
    Compares(Order, f64),
    /// The expression matches.
    Matches(Pattern),
    /// One of these.
    In(Box<[Box<[u8]>]>),
    /// A list with this in it.
    Has(Box<[u8]>),
    /// An address in one of these.
    IpMatch(Box<[IpNet]>),
}

impl Condition {
    pub(super) fn build(condition: &model::Condition, compiler: &mut Compiler) -> Self {
        let mut list = |list: &[model::Condition]| -> Box<[Self]> {
            list.iter().map(|one| Self::build(one, compiler)).collect()
        };
        match condition {
            model::Condition::All(all) => Self::All(list(all)),
            model::Condition::Any(any) => Self::Any(list(any)),
            model::Condition::Not(inner) => Self::Not(Box::new(Self::build(inner, compiler))),
            model::Condition::Test(variable, test) => {
                let piece = config::Piece::Variable(variable.clone());
                let template =
                    compiler.compile_unescaped(&config::Template { pieces: vec![piece] });
                let test = Test::build(test);
                let every =
                    template.client_value().and_then(|value| compiler.wanted().every(value));
                match every {
                    Some(at) => Self::Every(at, NameTest::of(test)),
                    None => Self::Test(template, test),
                }
            }
        }
    }

    /// Does it hold? `value` is scratch space.
    pub fn holds(&self, facts: &Facts<'_>, value: &mut Vec<u8>) -> bool {
        self.is(facts, value, false)
    }

    /// May it hold for one and not for another who reads the same request?
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::All(list) | Self::Any(list) => list.iter().any(Self::is_ambiguous),
            Self::Not(inner) => inner.is_ambiguous(),
            Self::Test(template, _) => is_ambiguous(template),
            Self::Every(..) => false,
        }
    }

    /// In which ways does it hold? `value` is scratch space.
    pub fn judge(&self, facts: &Facts<'_>, value: &mut Vec<u8>) -> Truth {
        self.truth(facts, value, false)
    }

    /// In which ways may it hold? What cannot be read of a certificate may be anything. `value` is scratch space.
    pub fn may_hold(&self, facts: &Facts<'_>, value: &mut Vec<u8>) -> Truth {
        self.truth(facts, value, true)
    }

    fn truth(&self, facts: &Facts<'_>, value: &mut Vec<u8>, doubtful: bool) -> Truth {
        match self {
            Self::All(all) => {
                let truths = all.iter().map(|one| one.truth(facts, value, doubtful));
                truths.min().unwrap_or(Truth::Yes)
            }
            Self::Any(any) => {
                let truths = any.iter().map(|one| one.truth(facts, value, doubtful));
                truths.max().unwrap_or(Truth::No)
            }
            Self::Not(inner) => inner.truth(facts, value, !doubtful).not(),
            Self::Test(template, test) => {
                let mut truth = Truth::of(self.is(facts, value, doubtful));
                each_interpretation(template, facts, value, &mut |other| {
                    if Truth::of(test.holds(other)) != truth {
                        truth = Truth::Maybe;
                    }
                });
                truth
            }
            Self::Every(..) => Truth::of(self.is(facts, value, doubtful)),
        }
    }

    /// Is it so, where a test of what cannot be read is `doubtful`? That is true under a negation, so that
    /// neither a test nor its opposite holds.
    fn is(&self, facts: &Facts<'_>, value: &mut Vec<u8>, doubtful: bool) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.is(facts, value, doubtful)),
            Self::Any(any) => any.iter().any(|one| one.is(facts, value, doubtful)),
            Self::Not(inner) => !inner.is(facts, value, !doubtful),
            Self::Test(template, test) => {
                value.clear();
                render(template, facts, value);
                test.holds(value)
            }
            // Who is not known on this connection has nothing.
            Self::Every(at, test) => match facts.client.map(|client| client.values.every(*at)) {
                None => test.exact.holds(b""),
                Some(Some(every)) => test.holds_for(every, doubtful),
                Some(None) => doubtful,
            },
        }
    }
}

impl Test {
    fn build(test: &model::Test) -> Self {
        let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
        match test {
            model::Test::Is(text) => Self::Is(bytes(text)),
            model::Test::Equals(number) => Self::Equals(*number),
            model::Test::Compares(order, number) => Self::Compares(*order, *number),
            model::Test::Matches(pattern) => Self::Matches(pattern.clone()),
            model::Test::In(list) => Self::In(list.iter().map(|text| bytes(text)).collect()),
            model::Test::Has(text) => Self::Has(bytes(text)),
            model::Test::IpMatch(networks) => Self::IpMatch(networks.as_slice().into()),
        }
    }

    /// Does it hold for readers who know no case?
    fn may_hold(&self, value: &[u8]) -> bool {
        match self {
            Self::Is(wanted) => value.eq_ignore_ascii_case(wanted),
            Self::In(list) => list.iter().any(|wanted| value.eq_ignore_ascii_case(wanted)),
            _ => self.holds(value),
        }
    }

    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Is(wanted) => value == &**wanted,
            #[expect(clippy::float_cmp, reason = "both are read from decimal text, as Lua does")]
            Self::Equals(wanted) => {
                ferrule_config::number(value).is_some_and(|value| value == *wanted)
            }
            Self::Compares(order, wanted) => {
                ferrule_config::number(value).is_some_and(|value| order.holds(value, *wanted))
            }
            // lua-resty-expr matches nothing in a value that is not there.
            Self::Matches(pattern) => !value.is_empty() && pattern.is_match(value),
            Self::In(list) => list.iter().any(|wanted| value == &**wanted),
            Self::Has(wanted) => {
                value.split(|byte| *byte == b',').any(|one| one.trim_ascii() == &**wanted)
            }
            Self::IpMatch(networks) => {
                let address =
                    str::from_utf8(value).ok().and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| networks.iter().any(|one| one.contains(&address)))
            }
        }
    }
}

impl NameTest {
    fn of(test: Test) -> Self {
        // Of a list each is tested by itself.
        let exact = match test {
            Test::Has(wanted) => Test::Is(wanted),
            other => other,
        };
        let fold = |wanted: &[u8]| -> Box<[u8]> {
            all_values::folded(&String::from_utf8_lossy(wanted)).into_bytes().into()
        };
        let folded = match &exact {
            Test::Is(wanted) => Test::Is(fold(wanted)),
            Test::In(list) => Test::In(list.iter().map(|wanted| fold(wanted)).collect()),
            other => other.clone(),
        };
        Self { exact, folded }
    }

    /// Does it hold for one of these, or for nothing if there are none? `doubtful`: may somebody say so?
    fn holds_for(&self, every: &AllValues, doubtful: bool) -> bool {
        if every.is_unreadable() {
            return doubtful;
        }
        if doubtful {
            let mut all = every.values().chain(every.readings());
            return every.may_be_any()
                || all.any(|value| self.exact.may_hold(value) || self.folded.holds(value))
                || self.holds_for(every, false);
        }
        // A part of a name that has several readings may be what the expression looks for.
        if every.may_be_any() && matches!(self.exact, Test::Matches(_)) {
            return false;
        }
        let mut values = every.values().peekable();
        match values.peek() {
            None => self.exact.holds(b""),
            Some(_) => values.any(|value| self.exact.holds(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_those_of_lua_resty_expr() {
        let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
        let network = |text: &str| IpNet::from(text.parse::<IpAddr>().unwrap());
        for (test, yes, no) in [
            (Test::Is(bytes("a")), &["a"][..], &["", "A", "ab"][..]),
            (Test::Is(bytes("")), &[""], &["a"]),
            (Test::Equals(1.0), &["1", "1.0", " 1 ", "10e-1"], &["", "1x", "2", "0x1", "inf"]),
            (Test::Compares(Order::More, 1.0), &["2", "1.5"], &["1", "", "x", "-2", "nan"]),
            (Test::Compares(Order::AtLeast, 1.0), &["1", "2"], &["0.9", "infinity"]),
            (Test::Compares(Order::Less, 0.0), &["-1"], &["0", ""]),
            (Test::Compares(Order::AtMost, 0.0), &["0", "-1"], &["1", ""]),
            (Test::In(Box::new([bytes("a"), bytes("b")])), &["a", "b"], &["", "c", "a,b"]),
            (Test::Has(bytes("b")), &["b", "a, b", "b ,c"], &["", "a", "ab", "B"]),
            (
                Test::IpMatch(Box::new(["10.0.0.0/8".parse().unwrap(), network("::1")])),
                &["10.1.2.3", "::1"],
                &["", "11.0.0.0", "10.0.0", "::ffff:10.0.0.1"],
            ),
        ] {
            yes.iter().for_each(|value| assert!(test.holds(value.as_bytes()), "{test:?} {value}"));
            no.iter().for_each(|value| assert!(!test.holds(value.as_bytes()), "{test:?} {value}"));
        }
    }
}
