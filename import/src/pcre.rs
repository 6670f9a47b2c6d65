//! Expressions that PCRE and Ferrule read in different ways: both take them, and match something else.

/// How groups begin that look around, take all or go back: expressions take linear time here.
const GROUPS: [&str; 10] =
    ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?|", "(?(", "(?&", "(?R", "(?P="];

/// Letters and digits that mean the same behind a backslash.
const ESCAPES: &str = "abfnrtdDwWsSxABz";

/// Why this expression would mean something else here, and what to write. Both read bytes, so `\d`, `\w`, `\s` and case
/// are those of ASCII.
pub(crate) fn differs(expression: &str) -> Option<&'static str> {
    judge(expression).err()
}

fn judge(text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    let mut within = false;
    while let Some(mark) = rest.chars().next() {
        let mut behind = rest.get(mark.len_utf8()..).unwrap_or_default();
        match mark {
            '\\' => {
                behind = escaped(behind, within)?;
            }
            '[' if !within => {
                within = true;
                behind = behind.strip_prefix('^').unwrap_or(behind);
                // A bracket at the beginning is one of the characters.
                behind = behind.strip_prefix(']').unwrap_or(behind);
            }
            '[' => {
                let name = behind.strip_prefix(':').and_then(|name| name.split_once(":]"));
                let Some((_, after)) = name else {
                    return Err(
                        "a `[` between `[` and `]` begins a list of its own here: write a backslash in front of it",
                    );
                };
                behind = after;
            }
            ']' => within = false,
            '&' | '-' | '~' if within && behind.starts_with(mark) => {
                return Err(
                    "`&&`, `--` and `~~` between `[` and `]` join classes here: write each of them once, behind a backslash",
                );
            }
            '(' if !within => group(rest)?,
            '{' if !within && behind.starts_with(',') => {
                return Err("`{,` in an expression means something else here: write `{0,`");
            }
            '*' | '+' | '?' | '}' if !within && behind.starts_with('+') => {
                return Err(
                    "a `+` behind a repetition keeps what it took, and there is no such thing here: write the cases out",
                );
            }
            _ => {}
        }
        rest = behind;
    }
    Ok(())
}

/// What follows an escape, if it means the same.
fn escaped(behind: &str, within: bool) -> Result<&str, &'static str> {
    let mut rest = behind.chars();
    match rest.next() {
        None => Err("an expression does not end with a backslash"),
        Some('b') if within => Err("`\\b` between `[` and `]` does not exist here"),
        Some('b' | 'B') if rest.as_str().starts_with('{') => {
            Err("a brace behind `\\b` means something else here")
        }
        Some(letter)
            if letter.is_ascii_alphanumeric() && !ESCAPES.contains(letter)
                || matches!(letter, '<' | '>') =>
        {
            Err(
                "an escape of this expression (as `\\Z`, `\\p`, `\\v`, `\\h`, `\\K`, `\\1` or `\\<`) means something else here, or nothing: write it without",
            )
        }
        Some(_) => Ok(rest.as_str()),
    }
}

/// Refuses groups that do not exist here, and flags that mean something else.
fn group(rest: &str) -> Result<(), &'static str> {
    if rest.starts_with("(*") || GROUPS.iter().any(|begin| rest.starts_with(begin)) {
        return Err(
            "look-around, conditions and groups that keep what they took do not exist here: write the cases out",
        );
    }
    let Some(flags) = rest.strip_prefix("(?") else { return Ok(()) };
    let end = flags.find(|mark: char| !(mark.is_ascii_alphabetic() || mark == '-'));
    let (flags, after) = end.and_then(|end| flags.split_at_checked(end)).unwrap_or((flags, ""));
    if after.starts_with([')', ':']) && flags.contains(|flag| !"ims-".contains(flag)) {
        return Err("of the flags of an expression `i`, `m` and `s` are converted");
    }
    Ok(())
}

/// Does an expression match a value without letters? Here no condition holds for such a value. What cannot be read is
/// taken for one that does.
pub(crate) fn takes_nothing(expression: &str) -> bool {
    let parsed = regex_syntax::Parser::new().parse(expression);
    parsed.map_or(true, |expression| expression.properties().minimum_len().unwrap_or(0) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_read_alike_is_taken() {
        for text in [
            r"^/(?<id>\d+)\.js$",
            r"[\w-]\b",
            r"[^]a]",
            r"[[:alpha:]_]",
            r"a--b&&c\[",
            r"(?i)a{2,}",
            r"(?:a|b)*?",
            r"[*+]+",
            "\u{e4}[\u{e4}]",
            "^/a[^/]+/(b|c)$",
            r"[a\-\-z]",
            "[]a]",
            "[^]a]b",
            "[[:alpha:]_-]+",
            r"\[a&&b\]",
            "a--b",
            "x{2,3}",
        ] {
            assert_eq!(differs(text), None, "{text}");
        }
    }

    #[test]
    fn what_they_read_differently_is_told() {
        for text in [
            "[a&&b]",
            "[a--b]",
            "[a~~b]",
            "[a[b]",
            r"a\Z",
            r"\<a",
            r"\v",
            "(?x) a",
            "(?ix:a)",
            "(?u)a",
            "a{,2}",
            "\\",
            "a++",
            "a(?=b)",
            "(?>a)",
            r"(a)\1",
            r"[\b]",
            r"\b{start}",
            "[a-z&&[^b]]",
            "[a--z]",
            "[~~]",
            "[a[b]]",
            "[^&&]",
            "[]&&]",
            r"\<a",
            r"[\v]",
            "(?R)a",
            "a{,3}",
        ] {
            assert!(differs(text).is_some(), "{text}");
        }
    }

    #[test]
    fn empty_cases_are_seen() {
        for (text, wanted) in [
            ("^$", true),
            (".*", true),
            ("^(.*)$", true),
            ("a|^$", true),
            ("^a.*$", false),
            (".", false),
            (".+", false),
            ("a*", true),
            ("^[a-z]*$", true),
            ("(foo)?", true),
            ("a{0,3}", true),
            ("x|(?:)", true),
            ("(?:ab|c)+", false),
            ("\\bab", false),
            ("(", true),
        ] {
            assert_eq!(takes_nothing(text), wanted, "{text}");
        }
    }
}
