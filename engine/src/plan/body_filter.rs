//! `response.filters`, compiled: search and replace in a body that is there as a whole.
//!
//! In: a body. Out: the body that the client gets; or why none: it would be too large, or searching it would take too
//! many steps. The work is done in turns, so that a core may do something else between them: neither a long body nor one
//! filter after another nor many small matches make a turn longer. Matches are those of
//! OpenResty's `ngx.re.sub` and `ngx.re.gsub`: behind a match of nothing, one byte stays.

use ferrule_config::capture_pattern::CaptureMemory;
use ferrule_config::model::{BodyFilter, BodyFilters, FilterOversize, FilterScope};
use ferrule_config::search_pattern::{
    BudgetSpent, Search, SearchBudget, SearchPattern, SearchTurn,
};
use ferrule_config::uri_template::{UriPiece, UriTemplate};

use crate::wire::fields::is_token_byte;

/// Steps for each byte of a body that all filters share: an expression may read on far behind its match.
const STEPS_PER_BYTE: u64 = 64;
/// Steps for each byte that a filter has for itself: it reads to where a match is known to end, back to its beginning,
/// and once more for its groups; each is two steps at most where every byte is a match. So whoever does no more than
/// that has enough, however many filters there are.
const STEPS_PER_FILTER_BYTE: u64 = 8;
/// Steps for small bodies.
const STEPS_LEAST: u64 = 1 << 20;
/// Steps of one turn: less than a millisecond.
const TURN_STEPS: u64 = 1 << 18;
/// What is done for one match beside reading takes as long as so many steps.
const MATCH_STEPS: u64 = 64;
/// As many bytes are copied in the time of one step.
const COPIED_PER_STEP: usize = 16;

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
    /// Not yet: others are to have their turn.
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
    /// What looks for it, where a turn has ended meanwhile.
    search: Option<Search>,
    /// Has the filter that is under way got its steps?
    begun: bool,
    budget: SearchBudget,
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

    /// Are they for bodies with these lines of `Content-Type`? There should be one. They are if somebody may take the
    /// body for what they are for: by any of several types, or by its bytes where none is told.
    #[must_use]
    pub fn are_for<'a>(&self, content_types: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let is_ours = |media: &[u8]| self.types.iter().any(|name| name.eq_ignore_ascii_case(media));
        let mut all = content_types.into_iter().flat_map(media_types).peekable();
        self.types.is_empty()
            || all.peek().is_none()
            || all.any(|media| is_ours(media) || !tells_type(media))
    }

    /// In their order.
    #[must_use]
    pub fn each(&self) -> &[BodyFilterPlan] {
        &self.filters
    }
}

/// The types that a line of `Content-Type` may be read as, without their parameters. There should be one, but lines may
/// be joined by commas, and recipients differ in which one they take. Only where a comma stands within quotes that
/// everybody reads alike, it separates nothing.
pub fn media_types(content_type: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (clear, mut quoted) = (are_quotes_clear(content_type), false);
    let pieces = content_type.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !(clear && quoted)
    });
    pieces.map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty()).map(|piece| {
        // Behind a blank or a bracket some read on, and some do not.
        let is_of_type = |byte: &u8| is_token_byte(*byte) || *byte == b'/';
        piece.split(|byte| !is_of_type(byte)).next().unwrap_or_default()
    })
}

/// Do all quotes surround whole values, with no escape in them?
fn are_quotes_clear(content_type: &[u8]) -> bool {
    let parts = content_type.split(|byte| *byte == b'"');
    let count = parts.clone().count();
    let opens = |part: &[u8]| part.ends_with(b"=");
    let all_open = parts.step_by(2).take(count / 2).all(opens);
    count % 2 == 1 && all_open && !content_type.contains(&b'\\')
}

/// Is this a media type, and none that stands for an unknown one (WHATWG MIME Sniffing, section 7)?
fn tells_type(media: &[u8]) -> bool {
    const UNKNOWN: [&[u8]; 3] = [b"*/*", b"application/unknown", b"unknown/unknown"];
    let mut parts = media.split(|byte| *byte == b'/');
    let is_type =
        [parts.next(), parts.next()].into_iter().flatten().filter(|part| !part.is_empty());
    is_type.count() == 2
        && parts.next().is_none()
        && !UNKNOWN.iter().any(|unknown| unknown.eq_ignore_ascii_case(media))
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
        Self { body, budget: SearchBudget::of(steps, TURN_STEPS), ..Self::default() }
    }

    /// Goes on with a filter, which is called until it is done. A turn is that of all filters together: the next one
    /// goes on with what this one has left of it.
    ///
    /// # Errors
    /// [`FilterFault`]
    pub fn advance(
        &mut self,
        filter: &BodyFilterPlan,
        bytes_max: usize,
    ) -> Result<FilterTurn, FilterFault> {
        if !self.begun {
            self.begun = true;
            let bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
            self.budget.grant(bytes.saturating_mul(STEPS_PER_FILTER_BYTE));
        }
        loop {
            if self.budget.is_turn_over() {
                self.budget.begin_turn(TURN_STEPS);
                return Ok(FilterTurn::More);
            }
            if !self.replace_next(filter, bytes_max)? {
                self.finish(bytes_max)?;
                return Ok(FilterTurn::Done);
            }
        }
    }

    /// Replaces the next match, or goes on with looking for it until the turn is over. False if there is none any more.
    fn replace_next(
        &mut self,
        filter: &BodyFilterPlan,
        bytes_max: usize,
    ) -> Result<bool, FilterFault> {
        if self.at > self.body.len() {
            return Ok(false);
        }
        let pattern = &filter.pattern;
        let search = self.search.take().or_else(|| pattern.begin(&self.body, self.at));
        let Some(mut search) = search else { return Ok(false) };
        let found = match pattern.advance(&self.body, &mut search, &mut self.budget)? {
            SearchTurn::NotFound => return Ok(false),
            SearchTurn::Found(found) => found,
            SearchTurn::More => {
                self.search = Some(search);
                return Ok(true);
            }
        };
        if filter.has_groups {
            pattern.find_groups(&self.body, &found, &mut self.memory, &mut self.budget)?;
        }
        let before = self.out.len();
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
        self.note_copied(self.out.len().saturating_sub(before));
        self.budget.shorten_turn(MATCH_STEPS);
        self.copied = found.end;
        self.at = if found.is_empty() { found.end.saturating_add(1) } else { found.end };
        Ok(filter.scope == FilterScope::Global)
    }

    /// So many bytes were copied.
    fn note_copied(&mut self, bytes: usize) {
        self.budget.shorten_turn(u64::try_from(bytes / COPIED_PER_STEP).unwrap_or(u64::MAX));
    }

    /// What is behind the last match follows; the result is the next filter's body.
    fn finish(&mut self, bytes_max: usize) -> Result<(), FilterFault> {
        if self.at > 0 {
            let rest = self.body.get(self.copied..);
            put(&mut self.out, rest, bytes_max)?;
            self.note_copied(rest.map_or(0, <[u8]>::len));
            std::mem::swap(&mut self.body, &mut self.out);
            self.out.clear();
        }
        (self.copied, self.at, self.search, self.begun) = (0, 0, None, false);
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

    /// A body is searched if any reading of what it says makes it one of the types, or if it says nothing.
    #[test]
    fn types_are_compared_as_whoever_reads_them_may() {
        let html = plan(&[("a", "b", FilterScope::Once)], ", filter_types = ['Text/HTML']");
        let (png, mp4) = ("image/png", "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"");
        let cases: [(&[&str], bool); 27] = [
            (&["text/html"], true),
            (&["TEXT/html ; charset=utf-8"], true),
            (&["text/html charset=utf-8"], true),
            (&["text/html(x)"], true),
            (&["text/htmlx"], false),
            (&["text/html/x"], true),
            (&[png], false),
            (&[mp4], false),
            (&["a/b; c=\"text/html, text/html\"; d=\"e,f\", x/y"], false),
            // Several, in one line or more.
            (&[png, "text/html"], true),
            (&["text/html", png], true),
            (&["image/png, text/html;a=b"], true),
            (&["image/png,, image/gif,"], false),
            (&[mp4, "text/html"], true),
            (&["video/mp4; codecs=\"a, b\", text/html"], true),
            // Quotes that do not end, or not for everybody.
            (&["image/png; a=\"b, text/html"], true),
            (&["image/png; a=\"\\\", text/html; b=\""], true),
            (&["image/png; a=b\", text/html; c=\"d"], true),
            (&["\"image/png, text/html\""], true),
            // None.
            (&[], true),
            (&[""], true),
            (&[" , "], true),
            (&["; charset=utf-8"], true),
            (&["html"], true),
            (&["image/"], true),
            (&["*/*"], true),
            (&[png, "Unknown/Unknown"], true),
        ];
        for (given, wanted) in cases {
            let lines = given.iter().map(|line| line.as_bytes());
            assert_eq!(html.are_for(lines), wanted, "{given:?}");
        }
        assert!(plan(&[("a", "b", FilterScope::Once)], "").are_for([]));
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

    /// How many turns a body takes, and what it is then. No turn is longer than its steps and the groups of one match.
    fn turns(filters: &[(&str, &str, FilterScope)], body: String) -> (usize, usize) {
        let plan = plan(filters, "");
        let (mut run, mut turns) = (FilterRun::new(body.into()), 1);
        for filter in plan.each() {
            while run.advance(filter, 16 << 20).unwrap() == FilterTurn::More {
                turns += 1;
            }
        }
        (turns, run.body().len())
    }

    #[test]
    fn no_turn_is_longer_because_a_body_is() {
        use FilterScope::{Global, Once};
        let turn = usize::try_from(TURN_STEPS).unwrap();
        let body = || "a".repeat(5 * turn);
        // Without a match; with one at the end; with its beginning far before its end.
        assert_eq!(turns(&[("b", "c", Once)], body()), (5, 5 * turn));
        assert_eq!(turns(&[("$", "c", Once)], body()).1, 5 * turn + 1);
        let (whole, bytes) = turns(&[("a+", "c", Once)], body());
        assert!(whole >= 10 && bytes == 1, "{whole}");
        // Of small matches no more than so many, whatever they cost to read.
        let (small, bytes) = turns(&[("a", "b", Global)], "a".repeat(turn));
        assert!(small >= 64 && bytes == turn, "{small}");
        // What is put in their place has to be copied.
        let text = "x".repeat(64_000);
        let (long, _) = turns(&[("a", &text, Global)], "a".repeat(200));
        assert!(long >= 4, "{long}");
        // Of several filters all together.
        let none = [("b", "c", Global); 16];
        let (several, _) = turns(&none, "a".repeat(turn / 4));
        assert_eq!(several, 4);
    }

    /// However many filters there are, a body that each of them reads once is no fault.
    #[test]
    fn each_filter_has_steps_of_its_own() {
        use FilterScope::Global;
        let tables = [("b|(c)", "d$1", Global), ("a+$", "$0", Global)];
        let plan = plan(&tables, "");
        let mut run = FilterRun::new("a".repeat(50_000).into());
        for filter in plan.each().iter().cycle().take(200) {
            while run.advance(filter, 1 << 20).unwrap() == FilterTurn::More {}
        }
        assert_eq!(run.body().len(), 50_000);
        // And one that has grown meanwhile.
        let text = "b".repeat(1_000);
        let grows = [("a", &*text, Global), ("c", "", Global), ("b", "", Global)];
        assert_eq!(filtered(&grows, &"a".repeat(500), 4 << 20).as_deref(), Ok(""));
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
        // Its groups would be looked for without a pause.
        let long = "a".repeat(100_000);
        let groups = filtered(&[("(a*)(a*)(b|c|aa)?", "$1", Global)], &long, 1 << 20);
        assert_eq!(groups.map(|all| all.len()), Err(FilterFault::TooManySteps));
        let many = [("a", "b", Global), ("b", "c", Global), ("(c)", "$1d", Global)];
        assert_eq!(filtered(&many, &body, 1 << 20).map(|all| all.len()), Ok(40_000));
    }
}
