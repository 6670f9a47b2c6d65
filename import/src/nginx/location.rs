//! `location`: which one nginx takes for a path, as routes in Ferrule's order.
//!
//! nginx takes the exact location, else remembers the longest prefix, else (if that does not say `^~`) the first
//! expression that matches, else the prefix. Ferrule takes the longest path first, and of routes with the same path the
//! earlier one whose conditions hold. So every prefix carries all expressions in front of itself: those within it, then
//! those beside it, then those beside each location around it, up to the first that says `^~`.

use std::collections::BTreeSet;

use super::job::{Job, Refused};
use super::scope::Scope;
use super::tree::Directive;

/// How a location is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    Exact,
    Prefix,
    /// `^~`: expressions are not asked.
    PrefixAlone,
    Expression,
    ExpressionWithoutCase,
    /// `@name`: no path leads there.
    Named,
}

impl Comparison {
    pub(super) const fn is_expression(self) -> bool {
        matches!(self, Self::Expression | Self::ExpressionWithoutCase)
    }

    const fn is_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::PrefixAlone)
    }
}

/// A `location` block.
#[derive(Clone, Debug)]
pub(super) struct LocationBlock<'a> {
    pub(super) comparison: Comparison,
    pub(super) text: &'a str,
    pub(super) directive: &'a Directive,
    pub(super) scope: Scope<'a>,
    /// The location around it, by its number.
    pub(super) parent: Option<usize>,
}

/// What a path leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Leads {
    /// A location, by its number, for every request.
    To(usize),
    /// The same, if its expression matches.
    If(usize),
    /// The path lacks its last slash: a redirect.
    Slash,
    /// No location takes it.
    Nowhere,
}

/// A path of Ferrule's, and what takes it, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    pub(super) uri: String,
    pub(super) leads: Vec<Leads>,
}

impl<'a> LocationBlock<'a> {
    /// The locations of a server in the order of the file, each in front of those within it.
    pub(super) fn all(
        job: &Job<'a>,
        server: &'a Directive,
        scope: &Scope<'a>,
    ) -> Result<Vec<Self>, Refused> {
        let mut all = Vec::new();
        let mut is_refused = false;
        Self::collect(job, server.inner(), scope, None, &mut all, &mut is_refused);
        let compared: Vec<Compared<'_>> = all.iter().map(Self::compared).collect();
        for (at, location) in all.iter().enumerate().filter(|(_, one)| one.parent.is_some()) {
            is_refused |= location.is_misplaced(job, at, &compared);
        }
        if is_refused { Err(Refused) } else { Ok(all) }
    }

    fn collect(
        job: &Job<'a>,
        block: &'a [Directive],
        scope: &Scope<'a>,
        parent: Option<usize>,
        all: &mut Vec<Self>,
        is_refused: &mut bool,
    ) {
        for directive in block.iter().filter(|one| one.name == "location") {
            let Ok(mut location) = Self::read(job, directive, scope) else {
                *is_refused = true;
                continue;
            };
            location.parent = parent;
            let (at, inner) = (all.len(), location.scope.clone());
            all.push(location);
            Self::collect(job, directive.inner(), &inner, Some(at), all, is_refused);
        }
    }

    /// What it is compared by.
    pub(super) fn compared(&self) -> Compared<'a> {
        Compared {
            comparison: self.comparison,
            text: self.text,
            proxies: self.scope.own().iter().any(|line| line.name == "proxy_pass"),
            parent: self.parent,
        }
    }

    /// Says why a location within another one is not converted, if so.
    fn is_misplaced(&self, job: &Job<'a>, at: usize, all: &[Compared<'_>]) -> bool {
        let Some(around) = self.parent.and_then(|parent| all.get(parent)) else { return false };
        let why = if self.comparison == Comparison::Named {
            "a named location stands in the server alone: nginx does not start with it"
        } else if around.comparison == Comparison::Exact || around.comparison == Comparison::Named {
            "no location stands within an exact or a named one: nginx does not start with it"
        } else if around.comparison.is_expression() {
            "a location within one with an expression is not converted: write it beside that one, in front of it"
        } else if self.comparison.is_expression() {
            return false;
        } else if !self.text.starts_with(around.text) {
            "it is outside of the location around it: nginx does not start with it"
        } else if is_overtaken(at, all) {
            "another location takes these paths before the one around it is asked: write it beside that one"
        } else {
            return false;
        };
        job.refuse(self.directive, why);
        true
    }

    fn read(job: &Job<'a>, directive: &'a Directive, scope: &Scope<'a>) -> Result<Self, Refused> {
        let (comparison, text) = match directive.args.as_slice() {
            [mark, text] => {
                let comparison = match mark.text.as_str() {
                    "=" => Comparison::Exact,
                    "^~" => Comparison::PrefixAlone,
                    "~" => Comparison::Expression,
                    "~*" => Comparison::ExpressionWithoutCase,
                    other => {
                        job.refuse(
                            directive,
                            format!("{other:?} is none of `=`, `^~`, `~` and `~*`"),
                        );
                        return Err(Refused);
                    }
                };
                (comparison, text.text.as_str())
            }
            [text] => glued(&text.text),
            _ => {
                job.refuse(directive, "a location has a mark and a path");
                return Err(Refused);
            }
        };
        let comparison = match text.strip_prefix('@') {
            Some(_) if comparison == Comparison::Prefix => Comparison::Named,
            _ => comparison,
        };
        let is_path =
            matches!(comparison, Comparison::Exact | Comparison::Prefix | Comparison::PrefixAlone);
        let is_plain = |mark: char| mark.is_ascii_alphanumeric() || "/-_.~@+,=!()".contains(mark);
        if is_path && !(text.starts_with('/') && text.chars().all(is_plain)) {
            job.refuse(directive, "this path is not converted: it begins with `/` and has letters, digits and `/-_.~@+,=!()`");
            return Err(Refused);
        }
        let scope = scope.within(directive.inner());
        Ok(Self { comparison, text, directive, scope, parent: None })
    }
}

/// Does a location with the same or a shorter text take the paths of this one before those around it are asked?
fn is_overtaken(at: usize, all: &[Compared<'_>]) -> bool {
    let Some(own) = all.get(at) else { return false };
    let mut around = own.parent;
    while let Some((number, outer)) = around.and_then(|number| Some((number, all.get(number)?))) {
        let beside = |other: usize, one: &Compared<'_>| {
            let is_longer = one.text.len() > outer.text.len() && own.text.starts_with(one.text);
            let is_same = one.comparison == Comparison::Exact && one.text == own.text;
            other != number
                && one.parent == outer.parent
                && ((one.comparison.is_prefix() && is_longer) || is_same)
        };
        let is_prefix_of_own = own.text == outer.text && own.comparison.is_prefix();
        if is_prefix_of_own || all.iter().enumerate().any(|(other, one)| beside(other, one)) {
            return true;
        }
        // Whatever is around another one stands in front of it.
        around = outer.parent.filter(|further| *further < number);
    }
    false
}

/// A mark that is written without a space behind it.
fn glued(text: &str) -> (Comparison, &str) {
    for (mark, comparison) in [
        ("=", Comparison::Exact),
        ("^~", Comparison::PrefixAlone),
        ("~*", Comparison::ExpressionWithoutCase),
        ("~", Comparison::Expression),
    ] {
        if let Some(rest) = text.strip_prefix(mark) {
            return (comparison, rest);
        }
    }
    (Comparison::Prefix, text)
}

/// What a location is compared by, without the rest of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'a> {
    pub(super) comparison: Comparison,
    pub(super) text: &'a str,
    /// It proxies, so that a path without its last slash is redirected.
    pub(super) proxies: bool,
    /// The location around it, by its number.
    pub(super) parent: Option<usize>,
}

/// The expressions that are asked in front of a prefix, or where no location takes a path.
fn asked_before(all: &[Compared<'_>], at: Option<usize>) -> Vec<Leads> {
    let within = |parent: Option<usize>| {
        let own = all.iter().enumerate();
        own.filter(move |(_, one)| one.comparison.is_expression() && one.parent == parent)
            .map(|(number, _)| Leads::If(number))
    };
    let mut leads = Vec::new();
    let Some(mut number) = at else { return within(None).collect() };
    leads.extend(within(Some(number)));
    while let Some(one) = all.get(number) {
        // It says so of the expressions beside it, and not of those further out.
        if one.comparison != Comparison::PrefixAlone {
            leads.extend(within(one.parent));
        }
        let Some(parent) = one.parent.filter(|parent| *parent < number) else { break };
        number = parent;
    }
    leads
}

/// The routes that reproduce nginx's choice.
pub(super) fn slots(all: &[Compared<'_>]) -> Vec<Slot> {
    let numbered = || all.iter().enumerate();
    let mut slots: Vec<Slot> = Vec::new();
    let mut redirected: BTreeSet<&str> = BTreeSet::new();
    let has = |text: &str| {
        all.iter().any(|one| {
            one.text == text
                && matches!(
                    one.comparison,
                    Comparison::Exact | Comparison::Prefix | Comparison::PrefixAlone
                )
        })
    };
    for (at, one) in numbered() {
        let prefix = || format!("{}*", one.text);
        match one.comparison {
            Comparison::Exact => {
                slots.push(Slot { uri: one.text.to_owned(), leads: vec![Leads::To(at)] });
            }
            Comparison::Prefix | Comparison::PrefixAlone => {
                let mut leads = asked_before(all, Some(at));
                leads.push(Leads::To(at));
                slots.push(Slot { uri: prefix(), leads });
            }
            Comparison::Expression | Comparison::ExpressionWithoutCase | Comparison::Named => {}
        }
        let is_path = one.comparison.is_prefix() || one.comparison == Comparison::Exact;
        if let Some(bare) = one.text.strip_suffix('/').filter(|bare| !bare.is_empty() && !has(bare))
            && is_path
            && one.proxies
            && redirected.insert(bare)
        {
            slots.push(Slot { uri: bare.to_owned(), leads: vec![Leads::Slash] });
        }
    }
    let takes_all = |one: &Compared<'_>| one.text == "/" && one.comparison.is_prefix();
    if !all.iter().any(takes_all) {
        let mut leads = asked_before(all, None);
        leads.push(Leads::Nowhere);
        slots.push(Slot { uri: String::from("/*"), leads });
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx's choice among the locations within one, or of the server: what it takes, and whether that is final.
    fn nginx_within(
        all: &[Compared<'_>],
        parent: Option<usize>,
        path: &str,
        matches: &dyn Fn(usize) -> bool,
    ) -> (Option<usize>, bool) {
        let level = || all.iter().enumerate().filter(|(_, one)| one.parent == parent);
        let exact =
            level().find(|(_, one)| one.comparison == Comparison::Exact && one.text == path);
        if let Some((at, _)) = exact {
            return (Some(at), true);
        }
        let longest = level()
            .filter(|(_, one)| one.comparison.is_prefix() && path.starts_with(one.text))
            .max_by_key(|(_, one)| one.text.len());
        let mut taken = None;
        if let Some((at, _)) = longest {
            let (inner, is_final) = nginx_within(all, Some(at), path, matches);
            taken = inner.or(Some(at));
            if is_final {
                return (taken, true);
            }
        }
        if !longest.is_some_and(|(_, one)| one.comparison == Comparison::PrefixAlone) {
            let found = level().find(|(at, one)| one.comparison.is_expression() && matches(*at));
            if let Some((at, _)) = found {
                return (Some(at), true);
            }
        }
        (taken, false)
    }

    /// nginx's choice, as its source has it.
    fn nginx(all: &[Compared<'_>], path: &str, matches: &dyn Fn(usize) -> bool) -> Leads {
        nginx_within(all, None, path, matches).0.map_or(Leads::Nowhere, Leads::To)
    }

    /// Ferrule's choice: the exact path, else the longest prefix; of its routes the first that fits.
    fn ferrule(slots: &[Slot], path: &str, matches: &dyn Fn(usize) -> bool) -> Leads {
        let exact = slots.iter().find(|slot| slot.uri == path);
        let prefixes = slots
            .iter()
            .filter(|slot| slot.uri.strip_suffix('*').is_some_and(|text| path.starts_with(text)));
        let slot = exact.or_else(|| prefixes.max_by_key(|slot| slot.uri.len())).unwrap();
        let fits = |leads: &&Leads| !matches!(leads, Leads::If(at) if !matches(*at));
        match slot.leads.iter().find(fits).unwrap() {
            Leads::If(at) => Leads::To(*at),
            other => other.clone(),
        }
    }

    proptest::proptest! {
        /// Whatever the locations are and whichever expressions match, both take the same one.
        #[test]
        fn the_choice_is_nginxs(
            marks in proptest::collection::vec((0..5_usize, 0..7_usize, proptest::bool::ANY, 0..9_usize), 0..8),
            at in 0..9_usize,
            matching in 0..256_u32,
        ) {
            const TEXTS: [&str; 7] = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/c"];
            const PATHS: [&str; 9] = ["/", "/a", "/a/", "/ab", "/abc", "/a/b", "/a/b/c", "/c", "/d/e"];
            let kinds = [
                Comparison::Exact, Comparison::Prefix, Comparison::PrefixAlone, Comparison::Expression,
                Comparison::ExpressionWithoutCase,
            ];
            let mut all: Vec<Compared<'_>> = Vec::new();
            for (kind, text, proxies, within) in marks {
                let (comparison, text) = (kinds[kind], TEXTS[text]);
                let takes = |outer: &Compared<'_>| {
                    outer.comparison.is_prefix() && (text.starts_with(outer.text) || comparison.is_expression())
                };
                let parent = all.get(within).filter(|outer| takes(outer)).map(|_| within);
                let one = Compared { comparison, text, proxies, parent };
                let class = |one: &Compared<'_>| match one.comparison {
                    Comparison::Exact => 0,
                    Comparison::Prefix | Comparison::PrefixAlone => 1,
                    _ => 2,
                };
                // nginx refuses two of a kind with one text.
                let is_other = |other: &Compared<'_>| {
                    other.text == one.text && class(other) == class(&one) && other.parent == parent
                };
                if class(&one) == 2 || !all.iter().any(is_other) {
                    all.push(one);
                }
            }
            // These are refused.
            let is_refused = (0..all.len()).any(|at| all[at].parent.is_some() && is_overtaken(at, &all));
            if is_refused {
                return Ok(());
            }
            let matches = |at: usize| matching & (1 << at) != 0;
            let path = PATHS[at];
            let ours = ferrule(&slots(&all), path, &matches);
            if ours == Leads::Slash {
                let redirects = all.iter().any(|one| {
                    one.proxies && one.text.strip_suffix('/') == Some(path)
                        && !one.comparison.is_expression()
                });
                proptest::prop_assert!(redirects);
            } else {
                proptest::prop_assert_eq!(ours, nginx(&all, path, &matches));
            }
        }
    }
}
