//! `rewrite ... last` within a location: nginx looks for the location of the new path and asks that one alone. A request
//! is routed once here, so the new location must be known beforehand: what the replacement begins with decides it.

use super::job::{Job, Refused};
use super::location::{Comparison, LocationBlock};
use super::tree::Directive;
use super::variables::{Part, parts};

/// A `rewrite ... last`, and which location its requests are for, by its number.
pub(super) struct Jump<'a> {
    pub(super) directive: &'a Directive,
    pub(super) to: usize,
}

/// The new path, as far as it is known.
struct NewPath {
    /// What it begins with.
    start: String,
    /// Nothing follows.
    is_whole: bool,
}

/// Is it a `rewrite` after which the locations are searched again?
pub(super) fn is_jump(directive: &Directive) -> bool {
    let to = directive.arg(1);
    let leads_away = ["http://", "https://", "$scheme"].iter().any(|start| to.starts_with(start));
    directive.name == "rewrite" && directive.arg(2) == "last" && !leads_away
}

impl<'a> Job<'a> {
    /// The jumps of a location, in their order.
    pub(super) fn jumps(
        &self,
        location: &LocationBlock<'a>,
        server: &Directive,
        all: &[LocationBlock<'a>],
    ) -> Result<Vec<Jump<'a>>, Refused> {
        let own = location.scope.own();
        let Some(last) = own.iter().rposition(is_jump) else { return Ok(Vec::new()) };
        let decides =
            |one: &&Directive| matches!(one.name.as_str(), "if" | "return" | "set" | "rewrite");
        let front = own.get(..last).unwrap_or_default();
        let mut outside = server.inner().iter().filter(|one| one.name == "rewrite");
        let other = front.iter().filter(decides).find(|one| !is_jump(one));
        if let Some(other) = other.or_else(|| outside.next()) {
            self.refuse(
                other,
                "it stands in front of a `rewrite ... last`, whose requests another location takes, and decides about \
                 both: that is not converted",
            );
            return Err(Refused);
        }
        let jumps = own.iter().filter(|one| is_jump(one));
        jumps.map(|directive| self.jump(directive, all)).collect()
    }

    fn jump(
        &self,
        directive: &'a Directive,
        all: &[LocationBlock<'a>],
    ) -> Result<Jump<'a>, Refused> {
        let refused = |why: &str| {
            self.refuse(directive, format!("`last` is not converted here: {why}"));
            Err(Refused)
        };
        let Some(path) = NewPath::of(directive.arg(1)) else {
            return refused("the new path must begin with plain text, as /a/ or /a/$1");
        };
        let Some(to) = target(&path, all) else {
            return refused(
                "what the new path begins with does not tell its location, as expressions or further locations may \
                 take it: a request is routed once here",
            );
        };
        let again = all.get(to).map(|one| one.scope.own()).unwrap_or_default().iter();
        let mut again = again.filter(|one| one.name == "rewrite");
        if again.any(|one| !never_matches(one.arg(0), &path)) {
            return refused("the location of the new path may rewrite it once more");
        }
        Ok(Jump { directive, to })
    }
}

impl NewPath {
    /// What a replacement makes.
    fn of(replacement: &str) -> Option<Self> {
        let (path, _) = replacement.split_once('?').unwrap_or((replacement, ""));
        let parts = parts(path).ok()?;
        let Some(Part::Text(start)) = parts.first() else { return None };
        // nginx looks for the location of these bytes as they are, and a path is read here before it is compared.
        let is_plain = |mark: char| mark.is_ascii_alphanumeric() || "/-_.~@+,=!()".contains(mark);
        let is_read = start.contains("//") || start.contains("/.");
        let fits = start.starts_with('/') && start.chars().all(is_plain) && !is_read;
        fits.then(|| Self { start: start.clone(), is_whole: parts.len() == 1 })
    }
}

/// The location that takes a new path, whatever follows what it begins with.
fn target(path: &NewPath, all: &[LocationBlock<'_>]) -> Option<usize> {
    let NewPath { start, is_whole } = path;
    let numbered = || all.iter().enumerate().filter(|(_, one)| one.parent.is_none());
    let is_prefix = |one: &LocationBlock<'_>| {
        matches!(one.comparison, Comparison::Prefix | Comparison::PrefixAlone)
    };
    let exact =
        numbered().find(|(_, one)| one.comparison == Comparison::Exact && one.text == start);
    if let Some((at, _)) = exact {
        return is_whole.then_some(at);
    }
    let longer = |one: &LocationBlock<'_>| {
        let has_path = is_prefix(one) || one.comparison == Comparison::Exact;
        // Without its last slash a path is redirected.
        let is_slash = one.text.strip_suffix('/') == Some(start);
        has_path
            && (is_slash
                || (!is_whole && one.text.len() > start.len() && one.text.starts_with(start)))
    };
    let prefixes = numbered().filter(|(_, one)| is_prefix(one) && start.starts_with(one.text));
    let (at, found) = prefixes.max_by_key(|(_, one)| one.text.len())?;
    let is_asked = |one: &LocationBlock<'_>| {
        one.comparison.is_expression() && found.comparison != Comparison::PrefixAlone
    };
    let has_inner = all.iter().any(|one| one.parent == Some(at));
    let is_open = all.iter().any(|one| longer(one) || is_asked(one));
    (!has_inner && !is_open).then_some(at)
}

/// Is it certain that an expression matches no such path? One that begins with `^` and plain text says so.
fn never_matches(expression: &str, path: &NewPath) -> bool {
    let Some(rest) = expression.strip_prefix('^') else { return false };
    if rest.contains('|') {
        return false;
    }
    let is_plain = |mark: char| mark.is_ascii_alphanumeric() || matches!(mark, '/' | '-' | '_');
    let end = rest.find(|mark| !is_plain(mark)).unwrap_or(rest.len());
    let (plain, behind) = rest.split_at(end);
    // The last mark may be there any number of times.
    let is_counted = behind.starts_with(['?', '*', '{']);
    let plain = if is_counted { plain.get(..end.saturating_sub(1)) } else { Some(plain) };
    let plain = plain.unwrap_or_default();
    !path.start.starts_with(plain) && (path.is_whole || !plain.starts_with(&path.start))
}

/// Does an expression match every path that leads to this location? If in doubt, no.
pub(super) fn takes_all(expression: &str, location: &LocationBlock<'_>) -> bool {
    const ALL: [&str; 11] =
        ["^", ".*", "^.*$", "^.*", "^/", "^(.*)$", "^(.*)", "^/(.*)$", "^/(.*)", "^/.*", "^/.*$"];
    if ALL.contains(&expression) {
        return true;
    }
    let is_path = matches!(
        location.comparison,
        Comparison::Exact | Comparison::Prefix | Comparison::PrefixAlone
    );
    let whole = |text: &str| {
        let escaped = super::conditions::escaped(text);
        let plain = text.replace('.', r"\.");
        let rest = expression.strip_prefix('^');
        let rest = rest.and_then(|rest| {
            [text, &escaped, &plain].into_iter().find_map(|text| rest.strip_prefix(text))
        });
        rest.is_some_and(|rest| {
            matches!(rest, "" | "(.*)$" | "(.*)" | ".*" | ".*$")
                || (rest == "$"
                    && location.comparison == Comparison::Exact
                    && text == location.text)
        })
    };
    let is_plain = |mark: char| mark.is_ascii_alphanumeric() || "/-_.~@,=!".contains(mark);
    let bare = location.text.strip_suffix('/').filter(|bare| !bare.is_empty());
    is_path
        && location.text.chars().all(is_plain)
        && [Some(location.text), bare].into_iter().flatten().any(whole)
}
