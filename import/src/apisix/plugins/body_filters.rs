//! `filters` of `response-rewrite`: search and replace in a body.

use toml::Value as Toml;

use crate::fields::{Item, plain, put};
use crate::pcre;

/// The group that holds the line break behind a `$`.
const LINE_END: &str = "last_line_break";

/// All of them, in their order.
pub(super) fn filters(item: &Item<'_>) -> Option<Toml> {
    item.each(1, |item| filter(&item)).map(Toml::Array)
}

fn filter(item: &Item<'_>) -> Option<Toml> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    let regex = fields.need("regex", |item| {
        let text = item.filled()?;
        if let Some(why) = pcre::differs(text) {
            item.refuse(why);
            return None;
        }
        Some(text.to_owned())
    });
    let replace = fields.need("replace", |item| {
        let replaced = item.text().map(replacement);
        if replaced == Some(None) {
            item.refuse("a `$` that begins no number of a group: `$$` is a dollar sign");
        }
        replaced.flatten()
    });
    let scope = fields.with("scope", |item| item.word(&["once", "global"]));
    let flags = fields.with("options", |item| flags(&item));
    fields.finish();
    let (mut regex, mut replace, flags) = (regex?, replace?, flags.unwrap_or_default());
    let lines = LineFlag::of(&regex, flags.contains('m'));
    if lines != LineFlag::EachLine {
        match ends_of_text(&regex).as_slice() {
            [] => {}
            _ if lines == LineFlag::Changes => {
                fields.item().refuse(
                    "a `$` in an expression that sets the flag `m` for a part of itself is not converted: it means the \
                     very end here outside of that part, and in APISIX the place in front of a last line break as well",
                );
                return None;
            }
            [at] if at + 1 == regex.len() => {
                // PCRE's `$` is also in front of a last line break. What it does not take is put back.
                regex.truncate(*at);
                regex.extend(["(?P<", LINE_END, ">\\n?)$"]);
                replace.extend(["${", LINE_END, "}"]);
            }
            _ => {
                fields.item().refuse(
                    "a `$` that is not the last of an expression: it means the very end here, and in APISIX the place in \
                     front of a last line break as well",
                );
                return None;
            }
        }
    }
    if !flags.is_empty() {
        regex.insert_str(0, &format!("(?{flags})"));
    }
    put(&mut table, "regex", Some(plain(&regex)));
    put(&mut table, "replace", Some(plain(&replace)));
    put(&mut table, "scope", scope);
    Some(Toml::Table(table))
}

/// What replaces a match: there a group is one digit, or several between braces, and only what begins with a digit is
/// one.
fn replacement(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((front, behind)) = rest.split_once('$') {
        out.push_str(front);
        if let Some(after) = behind.strip_prefix('$') {
            out.push_str("$$");
            rest = after;
            continue;
        }
        let inner = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (number, after) = match inner {
            Some(found) => found,
            None => {
                let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
                behind.split_at(digits)
            }
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        out.push_str("${");
        out.push_str(number);
        out.push('}');
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// The flags that Ferrule has as well; those that only say how to search go.
fn flags(item: &Item<'_>) -> Option<String> {
    let mut flags = String::new();
    for flag in item.text()?.chars() {
        match flag {
            'j' | 'o' => {}
            'i' | 'm' | 's' if !flags.contains(flag) => flags.push(flag),
            'i' | 'm' | 's' => {}
            'a' | 'd' | 'u' | 'U' | 'x' | 'D' | 'J' => {
                item.refuse(format!(
                    "of the options of an expression `i`, `m` and `s` are converted, and `j` and `o` change nothing: `{flag}` does"
                ));
                return None;
            }
            _ => {
                item.invalid(format!("there is no option `{flag}` of an expression"));
                return None;
            }
        }
    }
    Some(flags)
}

/// Is a `$` the end of each line? That is the same in both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineFlag {
    /// Nowhere.
    Never,
    /// Everywhere.
    EachLine,
    /// In a part of the expression, or in doubt.
    Changes,
}

impl LineFlag {
    /// What the option `m` and the groups of flags (`(?m)`, `(?i-m:`) make of it.
    fn of(regex: &str, option: bool) -> Self {
        let says = flag_groups(regex).iter().filter(|flags| flags.contains('m')).count();
        let begins = regex.strip_prefix("(?").and_then(|rest| Some(rest.split_once(')')?.0));
        let at_start = begins.is_some_and(|flags| {
            flags.contains('m') && flags.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        match (says, at_start) {
            (0, _) if option => Self::EachLine,
            (0, _) => Self::Never,
            (1, true) => Self::EachLine,
            _ => Self::Changes,
        }
    }
}

/// The flags of each group that has some, as `i-m`; those of names and of `(?:` are none.
fn flag_groups(regex: &str) -> Vec<&str> {
    let groups = regex.match_indices("(?").filter_map(|(at, open)| {
        let rest = regex.get(at.checked_add(open.len())?..)?;
        let end = rest.find(|mark: char| !(mark.is_ascii_alphabetic() || mark == '-'))?;
        let (flags, behind) = rest.split_at_checked(end)?;
        behind.starts_with([')', ':']).then_some(flags)
    });
    groups.filter(|flags| !flags.is_empty()).collect()
}

/// Where a `$` stands that is the end of the text.
fn ends_of_text(regex: &str) -> Vec<usize> {
    let (mut found, mut within, mut escaped) = (Vec::new(), false, false);
    let mut opened = 0;
    for (at, mark) in regex.char_indices() {
        match mark {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' if !within => (within, opened) = (true, at),
            // The first of a class is one of its characters.
            ']' if within && !matches!(regex.get(opened..at), Some("[" | "[^")) => within = false,
            '$' if !within => found.push(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_from_dollar_signs() {
        for (regex, wanted) in [
            (r"\w\S+$", vec![5]),
            (r"a\$", vec![]),
            (r"a\\$", vec![3]),
            ("[$]", vec![]),
            ("[]$]$", vec![4]),
            ("[^]$]", vec![]),
            ("(a$|b)$", vec![2, 6]),
        ] {
            assert_eq!(ends_of_text(regex), wanted, "{regex}");
        }
    }

    #[test]
    fn lines_are_told_from_the_whole() {
        for (regex, option, wanted) in [
            ("a$", false, LineFlag::Never),
            ("a$", true, LineFlag::EachLine),
            ("(?:a|b)(?<n>c)(?P<m>c)$", false, LineFlag::Never),
            ("(?i)a$", false, LineFlag::Never),
            ("(?im)a$", false, LineFlag::EachLine),
            ("a|(?m)a$", false, LineFlag::Changes),
            ("(?m:a)$", false, LineFlag::Changes),
            ("(?m)(?-m:a$)", false, LineFlag::Changes),
            ("(?-m)a$", true, LineFlag::Changes),
            ("(?m-i)a$", false, LineFlag::Changes),
        ] {
            assert_eq!(LineFlag::of(regex, option), wanted, "{regex}");
        }
    }

    #[test]
    fn replacements_are_written_as_here() {
        for (text, wanted) in [
            ("a$1b", Some("a${1}b")),
            ("$12${3}$$", Some("${12}${3}$$")),
            ("$$1", Some("$$1")),
            ("", Some("")),
            ("$", None),
            ("$a", None),
            ("${a}", None),
        ] {
            assert_eq!(replacement(text).as_deref(), wanted, "{text}");
        }
    }
}
