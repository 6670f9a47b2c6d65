//! `location`: which one nginx takes for a path, as routes in Ferrule's order.
//!
//! nginx takes the exact location, else remembers the longest prefix, else (if that does not say `^~`) the first
//! expression that matches, else the prefix. Ferrule takes the longest path first, and of routes with the same path the
//! earlier one whose conditions hold. So every prefix carries all expressions in front of itself.

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
}

/// A `location` block.
#[derive(Clone, Debug)]
pub(super) struct LocationBlock<'a> {
    pub(super) comparison: Comparison,
    pub(super) text: &'a str,
    pub(super) directive: &'a Directive,
    pub(super) scope: Scope<'a>,
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
    /// The locations of a server, in the order of the file.
    pub(super) fn all(
        job: &Job<'a>,
        server: &'a Directive,
        scope: &Scope<'a>,
    ) -> Result<Vec<Self>, Refused> {
        let mut all = Vec::new();
        let mut is_refused = false;
        for directive in server.inner().iter().filter(|one| one.name == "location") {
            match Self::read(job, directive, scope) {
                Ok(location) => all.push(location),
                Err(Refused) => is_refused = true,
            }
        }
        if is_refused { Err(Refused) } else { Ok(all) }
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
        if text.starts_with('@') {
            job.refuse(
                directive,
                "named locations are not converted: there are no internal redirects",
            );
            return Err(Refused);
        }
        if directive.inner().iter().any(|one| one.name == "location") {
            job.refuse(
                directive,
                "locations within a location are not converted: write them beside each other",
            );
            return Err(Refused);
        }
        let is_path =
            matches!(comparison, Comparison::Exact | Comparison::Prefix | Comparison::PrefixAlone);
        let is_plain = |mark: char| mark.is_ascii_alphanumeric() || "/-_.~@+,=!()".contains(mark);
        if is_path && !(text.starts_with('/') && text.chars().all(is_plain)) {
            job.refuse(directive, "this path is not converted: it begins with `/` and has letters, digits and `/-_.~@+,=!()`");
            return Err(Refused);
        }
        Ok(Self { comparison, text, directive, scope: scope.within(directive.inner()) })
    }
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
}

/// The routes that reproduce nginx's choice.
pub(super) fn slots(all: &[Compared<'_>]) -> Vec<Slot> {
    let numbered = || all.iter().enumerate();
    let expressions: Vec<Leads> = numbered()
        .filter(|(_, one)| {
            matches!(one.comparison, Comparison::Expression | Comparison::ExpressionWithoutCase)
        })
        .map(|(at, _)| Leads::If(at))
        .collect();
    let mut slots = Vec::new();
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
            Comparison::PrefixAlone => {
                slots.push(Slot { uri: prefix(), leads: vec![Leads::To(at)] });
            }
            Comparison::Prefix => {
                let mut leads = expressions.clone();
                leads.push(Leads::To(at));
                slots.push(Slot { uri: prefix(), leads });
            }
            Comparison::Expression | Comparison::ExpressionWithoutCase => {}
        }
        let is_prefix = matches!(one.comparison, Comparison::Prefix | Comparison::PrefixAlone);
        if let Some(bare) = one.text.strip_suffix('/').filter(|bare| !bare.is_empty() && !has(bare))
            && is_prefix
            && one.proxies
        {
            slots.push(Slot { uri: bare.to_owned(), leads: vec![Leads::Slash] });
        }
    }
    let takes_all = |one: &Compared<'_>| {
        one.text == "/" && matches!(one.comparison, Comparison::Prefix | Comparison::PrefixAlone)
    };
    if !all.iter().any(takes_all) {
        let mut leads = expressions;
        leads.push(Leads::Nowhere);
        slots.push(Slot { uri: String::from("/*"), leads });
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx's choice, as its documentation tells it.
    fn nginx(all: &[Compared<'_>], path: &str, matches: &dyn Fn(usize) -> bool) -> Leads {
        let exact =
            all.iter().position(|one| one.comparison == Comparison::Exact && one.text == path);
        if let Some(at) = exact {
            return Leads::To(at);
        }
        let longest = all
            .iter()
            .enumerate()
            .filter(|(_, one)| {
                matches!(one.comparison, Comparison::Prefix | Comparison::PrefixAlone)
            })
            .filter(|(_, one)| path.starts_with(one.text))
            .max_by_key(|(_, one)| one.text.len());
        if let Some((at, _)) = longest.filter(|(_, one)| one.comparison == Comparison::PrefixAlone)
        {
            return Leads::To(at);
        }
        let found = (0..all.len()).find(|at| {
            matches!(
                all[*at].comparison,
                Comparison::Expression | Comparison::ExpressionWithoutCase
            ) && matches(*at)
        });
        found.or_else(|| longest.map(|(at, _)| at)).map_or(Leads::Nowhere, Leads::To)
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
            marks in proptest::collection::vec((0..5_usize, 0..7_usize, proptest::bool::ANY), 0..8),
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
            for (kind, text, proxies) in marks {
                let one = Compared { comparison: kinds[kind], text: TEXTS[text], proxies };
                let class = |one: &Compared<'_>| match one.comparison {
                    Comparison::Exact => 0,
                    Comparison::Prefix | Comparison::PrefixAlone => 1,
                    _ => 2,
                };
                // nginx refuses two of a kind with one text.
                if class(&one) == 2 || !all.iter().any(|other| other.text == one.text && class(other) == class(&one)) {
                    all.push(one);
                }
            }
            let matches = |at: usize| matching & (1 << at) != 0;
            let path = PATHS[at];
            let ours = ferrule(&slots(&all), path, &matches);
            if ours == Leads::Slash {
                let redirects = all.iter().any(|one| {
                    one.proxies && one.text.strip_suffix('/') == Some(path)
                        && matches!(one.comparison, Comparison::Prefix | Comparison::PrefixAlone)
                });
                proptest::prop_assert!(redirects);
            } else {
                proptest::prop_assert_eq!(ours, nginx(&all, path, &matches));
            }
        }
    }
}
