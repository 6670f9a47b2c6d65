//! `response.filters`, compiled: search and replace in a body that is there as a whole.
//!
//! In: a body. Out: the body that the client gets; or why none: it would be too large, or searching it would take too
//! many steps. The work is done in turns, so that a core may do something else between them. Matches are those of
//! OpenResty's `ngx.re.sub` and `ngx.re.gsub`: behind a match of nothing, one byte stays.

use ferrule_config::capture_pattern::CaptureMemory;
use ferrule_config::model::{BodyFilter, BodyFilters, FilterOversize, FilterScope};
use ferrule_config::search_pattern::{BudgetSpent, SearchBudget, SearchPattern};
use ferrule_config::uri_template::{UriPiece, UriTemplate};

/// Steps for each byte of a body, all filters together: an expression may read on far behind its match.
const STEPS_PER_BYTE: u64 = 64;
/// Steps for small bodies.
const STEPS_LEAST: u64 = 1 << 20;
/// Steps of one turn: less than a millisecond.
const TURN_STEPS: u64 = 1 << 18;

/// The filters of one rule.
#[derive(Debug)]
pub struct BodyFiltersPlan {
    filters: Box<[BodyFilterPlan]>,
    types: Box<[Box<[u8]>]>,
    /// The most bytes that a body may have, before and after each filter.
    pub bytes_max: usize,
    /// What is beyond is left out; otherwise the whole is refused.
    pub cuts: bool,
}

/// One filter.
#[derive(Debug)]
pub struct BodyFilterPlan {
    pattern: SearchPattern,
    pieces: Box<[FilterPiece]>,
    /// Does a group of the match stand in it?
    has_groups: bool,
    scope: FilterScope,
}

/// A part of what replaces a match.
#[derive(Debug)]
enum FilterPiece {
    Text(Box<[u8]>),
    Group(usize),
}

/// Why a body cannot be filtered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FilterFault {
    /// It would be larger than may be.
    TooLarge,
    /// It would take too long.
    TooManySteps,
}

/// Is a body done?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FilterTurn {
    /// Not yet.
    More,
    /// By this filter.
    Done,
}

/// A body on its way through one filter after another.
#[derive(Debug, Default)]
pub struct FilterRun {
    body: Vec<u8>,
    out: Vec<u8>,
    /// As far as the body is in `out`.
    copied: usize,
    /// Where the next match is looked for.
    at: usize,
    budget: Option<SearchBudget>,
    memory: CaptureMemory,
}

impl BodyFiltersPlan {
    /// `None` if nothing is searched.
    pub(super) fn build(filters: &BodyFilters) -> Option<Self> {
        let all: Box<[_]> = filters.filters.iter().map(BodyFilterPlan::build).collect();
        (!all.is_empty()).then(|| Self {
            filters: all,
            types: filters.types.iter().map(|name| name.as_bytes().into()).collect(),
            bytes_max: usize::try_from(filters.bytes_max).unwrap_or(usize::MAX),
            cuts: filters.oversize == FilterOversize::Cut,
        })
    }

    /// Are they for bodies with this `Content-Type`?
    #[must_use]
    pub fn are_for(&self, content_type: &[u8]) -> bool {
        let media = media_type(content_type);
        self.types.is_empty() || self.types.iter().any(|name| name.eq_ignore_ascii_case(media))
    }

    /// In their order.
    #[must_use]
    pub fn each(&self) -> &[BodyFilterPlan] {
        &self.filters
    }
}

/// What a `Content-Type` says without its parameters.
#[must_use]
pub fn media_type(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

impl BodyFilterPlan {
    fn build(filter: &BodyFilter) -> Self {
        let UriTemplate { pieces } = &filter.to;
        let pieces: Box<[_]> = pieces
            .iter()
            .filter_map(|piece| match piece {
                UriPiece::Text(text) => Some(FilterPiece::Text(text.as_bytes().into())),
                UriPiece::Group(number) => Some(FilterPiece::Group(*number)),
                // The check lets none pass.
                UriPiece::Variable(_) => None,
            })
            .collect();
        let has_groups = pieces.iter().any(|piece| matches!(piece, FilterPiece::Group(_)));
        Self { pattern: filter.pattern.clone(), pieces, has_groups, scope: filter.scope }
    }
}

impl FilterRun {
    /// A body that is there as a whole.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let steps = bytes.saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_LEAST);
        Self { body, budget: Some(SearchBudget::of(steps)), ..Self::default() }
    }

    /// One turn of a filter, which is called until it is done.
    ///
    /// # Errors
    /// [`FilterFault`]
    pub fn advance(
        &mut self,
        filter: &BodyFilterPlan,
        bytes_max: usize,
    ) -> Result<FilterTurn, FilterFault> {
        let Some(mut budget) = self.budget else { return Err(FilterFault::TooManySteps) };
        let enough = budget.left().saturating_sub(TURN_STEPS);
        let turn = loop {
            let done = !self.replace_next(filter, bytes_max, &mut budget)?;
            if done {
                break FilterTurn::Done;
            }
            if budget.left() <= enough {
                break FilterTurn::More;
            }
        };
        self.budget = Some(budget);
        if turn == FilterTurn::Done {
            self.finish(bytes_max)?;
        }
        Ok(turn)
    }

    /// Replaces the next match. False if this was the last one, or there was none.
    fn replace_next(
        &mut self,
        filter: &BodyFilterPlan,
        bytes_max: usize,
        budget: &mut SearchBudget,
    ) -> Result<bool, FilterFault> {
        if self.at > self.body.len() {
            return Ok(false);
        }
        let Some(found) = filter.pattern.find(&self.body, self.at, budget)? else {
            return Ok(false);
        };
        if filter.has_groups {
            filter.pattern.find_groups(&self.body, &found, &mut self.memory, budget)?;
        }
        put(&mut self.out, self.body.get(self.copied..found.start), bytes_max)?;
        for piece in &filter.pieces {
            let text = match piece {
                FilterPiece::Text(text) => Some(&**text),
                // One that took no part is empty.
                FilterPiece::Group(number) => {
                    self.memory.group(*number).and_then(|range| self.body.get(range))
                }
            };
            put(&mut self.out, text, bytes_max)?;
        }
        self.copied = found.end;
        self.at = if found.is_empty() { found.end.saturating_add(1) } else { found.end };
        Ok(filter.scope == FilterScope::Global)
    }

    /// What is behind the last match follows; the result is the next filter's body.
    fn finish(&mut self, bytes_max: usize) -> Result<(), FilterFault> {
        if self.at > 0 {
            put(&mut self.out, self.body.get(self.copied..), bytes_max)?;
            std::mem::swap(&mut self.body, &mut self.out);
            self.out.clear();
        }
        (self.copied, self.at) = (0, 0);
        Ok(())
    }

    /// Memory that it takes.
    #[must_use]
    pub const fn bytes_held(&self) -> usize {
        self.body.capacity().saturating_add(self.out.capacity())
    }

    /// What has come of it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl From<BudgetSpent> for FilterFault {
    fn from(_: BudgetSpent) -> Self {
        Self::TooManySteps
    }
}

fn put(out: &mut Vec<u8>, text: Option<&[u8]>, bytes_max: usize) -> Result<(), FilterFault> {
    let text = text.unwrap_or_default();
    if text.len() > bytes_max.saturating_sub(out.len()) {
        return Err(FilterFault::TooLarge);
    }
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn plan(filters: &[(&str, &str, FilterScope)], more: &str) -> BodyFiltersPlan {
        let tables = filters.iter().map(|(regex, replace, scope)| {
            let scope = format!("{scope:?}").to_lowercase();
            format!("{{ regex = {regex:?}, replace = {replace:?}, scope = {scope:?} }}")
        });
        let tables: Vec<_> = tables.collect();
        let text = format!(
            "[[listen]]\naddress = '127.0.0.1:1'\n[[routes]]\nuri = '/*'\nupstream.nodes = {{ '127.0.0.1:2' = 1 }}\n\
             response = {{ filters = [{}]{more} }}\n",
            tables.join(", ")
        );
        let draft = ferrule_config::read_text(Path::new("/f.toml"), text, &|_| None).unwrap();
        let config = draft.finish().unwrap();
        BodyFiltersPlan::build(&config.routes[0].response[0].filters).unwrap()
    }

    fn filtered(
        filters: &[(&str, &str, FilterScope)],
        body: &str,
        bytes_max: usize,
    ) -> Result<String, FilterFault> {
        let plan = plan(filters, "");
        let mut run = FilterRun::new(body.into());
        for filter in plan.each() {
            while run.advance(filter, bytes_max)? == FilterTurn::More {}
        }
        Ok(String::from_utf8(run.body().to_vec()).unwrap())
    }

    #[test]
    fn types_are_compared_without_parameters() {
        let html = plan(&[("a", "b", FilterScope::Once)], ", filter_types = ['Text/HTML']");
        for (given, wanted) in [
            ("text/html", true),
            ("TEXT/html ; charset=utf-8", true),
            ("text/htmlx", false),
            ("", false),
        ] {
            assert_eq!(html.are_for(given.as_bytes()), wanted, "{given}");
        }
        assert!(plan(&[("a", "b", FilterScope::Once)], "").are_for(b""));
    }

    #[test]
    fn matches_are_replaced_as_openresty_does() {
        use FilterScope::{Global, Once};
        for (regex, replace, scope, body, wanted) in [
            ("hello", "test", Once, "hello world, hello", "test world, hello"),
            ("l", "t", Global, "hello world", "hetto wortd"),
            ("hello", "", Once, "hello world", " world"),
            ("x", "y", Global, "hello", "hello"),
            ("(h)(x)?el", "<$1$2$0$${1}$$>", Once, "hello", "<hhelh$>lo"),
            ("(?P<a>o)", "$${a}$a.", Global, "foo", "foo.oo."),
            // Of nothing, and behind a match.
            ("b*", "x", Global, "ab", "xaxx"),
            ("^", "> ", Once, "a\nb", "> a\nb"),
            ("(?m)^", "> ", Global, "a\nb", "> a\n> b"),
            ("", "x", Once, "", "x"),
            ("$", "!", Global, "a", "a!"),
        ] {
            let regex = if regex.is_empty() { "^" } else { regex };
            let got = filtered(&[(regex, replace, scope)], body, 100);
            assert_eq!(got.as_deref(), Ok(wanted), "{regex} {replace} {body}");
        }
        let both = [("hello", "HELLO", Once), ("L", "T", Once)];
        assert_eq!(filtered(&both, "hello world", 100).as_deref(), Ok("HETLO world"));
    }

    #[test]
    fn what_grows_or_takes_too_long_is_a_fault() {
        use FilterScope::Global;
        let body = "a".repeat(1_000);
        assert_eq!(filtered(&[("a", "bb", Global)], &body, 2_000).map(|all| all.len()), Ok(2_000));
        assert_eq!(filtered(&[("a", "bb", Global)], &body, 1_999), Err(FilterFault::TooLarge));
        let body = "a".repeat(20_000);
        let slow = filtered(&[("a.*z|a", "b", Global)], &body, 1 << 20);
        assert_eq!(slow, Err(FilterFault::TooManySteps));
        let many = [("a", "b", Global), ("b", "c", Global), ("(c)", "$1d", Global)];
        assert_eq!(filtered(&many, &body, 1 << 20).map(|all| all.len()), Ok(40_000));
    }
}
