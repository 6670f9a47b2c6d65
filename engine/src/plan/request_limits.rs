//! `limits`, compiled: every limit once, and which of them a route asks.

use std::collections::HashMap;

use ferrule_config::model::{LimitKind, LimitNumberKey, LimitRule, RequestLimit, Route};

use super::balance::HashKey;
use super::facts::Facts;
use super::ids::{LimitId, index};
use super::template::{Compiler, Template, render};
use super::value_writer::escape_json;

/// A limit.
#[derive(Debug)]
pub struct LimitPlan {
    /// What it is called in logs and metrics, and known by over a reload: its group, or where it stands.
    pub name: Box<str>,
    /// As configured.
    pub limit: RequestLimit,
    /// What tells requests apart.
    pub key: HashKey,
    /// What says numbers of its rule.
    numbers: Box<[NumberPlan]>,
    /// The body of the answer to a request that is refused; `None` is an error text of ours.
    pub body: Option<Box<[u8]>>,
}

/// A number of a rule that requests say.
#[derive(Debug)]
struct NumberPlan {
    key: LimitNumberKey,
    from: Template,
}

/// A request says a number that is none, or out of its range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongNumber;

impl LimitPlan {
    /// Do requests say numbers of its rule?
    #[must_use]
    pub const fn is_told(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// The rule as this request says it; `None` if no request does. `scratch` is used and left as it was.
    ///
    /// # Errors
    /// It says what is no number of that range.
    pub fn told_rule(
        &self,
        facts: &Facts<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<LimitRule>, WrongNumber> {
        if !self.is_told() {
            return Ok(None);
        }
        let mut rule = self.limit.rule;
        for NumberPlan { key, from } in &self.numbers {
            let start = scratch.len();
            render(from, facts, scratch);
            let said = scratch.get(start..).unwrap_or_default();
            let number = match rule {
                _ if said.is_empty() => None,
                LimitRule::Rate(_) => Some(thousandths_of(said)),
                LimitRule::Requests(_) | LimitRule::Connections(_) => Some(whole(said)),
            };
            scratch.truncate(start);
            if let Some(number) = number {
                let told = number.and_then(|number| rule.with_number(*key, number));
                rule = told.ok_or(WrongNumber)?;
            }
        }
        if !self.limit.rule.allows_told(rule) {
            return Err(WrongNumber);
        }
        Ok(Some(rule))
    }

    /// Do answers say how many requests are left?
    #[must_use]
    pub const fn shows_headers(&self) -> bool {
        matches!(self.limit.rule, LimitRule::Requests(rule) if rule.show_headers)
    }
}

/// What a limit is known by: groups of different kinds are different ones.
#[derive(Debug, Eq, Hash, PartialEq)]
struct LimitName {
    kind: LimitKind,
    name: Box<str>,
}

/// Gathers the limits of all routes, those that share a group once.
#[derive(Debug, Default)]
pub(super) struct LimitTable {
    limits: Vec<LimitPlan>,
    known: HashMap<LimitName, LimitId>,
}

impl LimitTable {
    /// Those that a route asks, in their order.
    pub(super) fn of_route(&mut self, route: &Route, compiler: &mut Compiler) -> Box<[LimitId]> {
        let mut own = HashMap::<LimitKind, usize>::new();
        let ids = route.limits.iter().map(|limit| {
            let kind = limit.rule.kind();
            let name = limit.group.clone().unwrap_or_else(|| {
                let at = own.entry(kind).or_default();
                let name = format!("routes {} {}[{at}]", route.id, <&str>::from(kind));
                *at += 1;
                name
            });
            let name = name.into_boxed_str();
            *self.known.entry(LimitName { kind, name: name.clone() }).or_insert_with(|| {
                let id = LimitId(index(self.limits.len()));
                let key = HashKey::of(&limit.key, compiler);
                let body = limit.message.as_deref().map(message_body);
                let numbers = limit.numbers.iter().map(|number| NumberPlan {
                    key: number.key,
                    from: compiler.compile_unescaped(&number.from),
                });
                let numbers = numbers.collect();
                self.limits.push(LimitPlan { name, limit: limit.clone(), key, numbers, body });
                id
            })
        });
        ids.collect()
    }

    /// All of them.
    pub(super) fn into_limits(self) -> Vec<LimitPlan> {
        self.limits
    }
}

/// Digits alone.
fn whole(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Digits, and at most three behind a point, as thousandths.
fn thousandths_of(text: &[u8]) -> Option<u64> {
    let (front, decimals) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (text.get(..at)?, text.get(at.checked_add(1)?..)?),
        None => (text, &b"0"[..]),
    };
    if decimals.is_empty() || decimals.len() > 3 {
        return None;
    }
    let missing = 3_usize.checked_sub(decimals.len())?;
    let scale = [1, 10, 100].get(missing)?;
    let behind = whole(decimals)?.checked_mul(*scale)?;
    whole(front)?.checked_mul(1_000)?.checked_add(behind)
}

/// As APISIX has it.
fn message_body(message: &str) -> Box<[u8]> {
    let mut body = b"{\"error_msg\":\"".to_vec();
    escape_json(message.as_bytes(), &mut body);
    body.extend_from_slice(b"\"}");
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No sign, no space, no exponent, nothing that does not fit.
    #[test]
    fn numbers_are_digits() {
        for (text, wholes, thousandths) in [
            ("0", Some(0), Some(0)),
            ("", None, None),
            ("5", Some(5), Some(5_000)),
            ("007", Some(7), Some(7_000)),
            ("1.5", None, Some(1_500)),
            ("0.125", None, Some(125)),
            ("0.1250", None, None),
            ("1.", None, None),
            (".5", None, None),
            ("-1", None, None),
            ("+1", None, None),
            (" 1", None, None),
            ("1e3", None, None),
            ("1.5.2", None, None),
            ("0x10", None, None),
            ("18446744073709551615", Some(u64::MAX), None),
            ("18446744073709551616", None, None),
            ("\u{663}", None, None),
        ] {
            assert_eq!(whole(text.as_bytes()), wholes, "{text}");
            assert_eq!(thousandths_of(text.as_bytes()), thousandths, "{text}");
        }
        assert_eq!((whole(b"\xff"), thousandths_of(b"1.\xff")), (None, None));
    }
}
