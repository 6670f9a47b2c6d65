//! Text with `$variables`, from APISIX's spelling into Ferrule's.
//!
//! APISIX takes `$name` and `${name}`; every other dollar sign stands for itself, one behind a backslash as well (with
//! the backslash), and a variable that does not exist is empty. Here such a variable is refused by the file's reader, with the name that may have been meant.

use crate::fields::Item;

/// The address of the node that was picked, as some write it.
const BALANCER: &str = "balancer_ip:$balancer_port";

/// Names of APISIX's that are called something else here. What tells addresses apart in bytes does so in text.
const RENAMED: [(&str, &str); 6] = [
    ("binary_remote_addr", "remote_addr"),
    ("content_length", "http_content_length"),
    ("content_type", "http_content_type"),
    ("document_uri", "uri"),
    ("query_string", "args"),
    ("realip_remote_addr", "remote_addr"),
];

/// What a variable is called here.
pub(super) fn renamed(name: &str) -> &str {
    RENAMED.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours)
}

/// What may stand behind a dollar sign besides variables.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Captures {
    /// `$1` is what a group of the expression caught.
    Numbered,
    /// Likewise, and that is a variable here.
    Rewrite,
    /// `$1` is text.
    None,
}

/// The text as a template of Ferrule's.
pub(super) fn template(text: &str, captures: Captures) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((front, behind)) = rest.split_once('$') {
        out.push_str(front);
        if front.ends_with('\\') {
            out.push_str("$$");
            rest = behind;
            continue;
        }
        if let Some(after) = behind.strip_prefix(BALANCER) {
            out.push_str("${upstream_addr}");
            rest = after;
            continue;
        }
        let braced = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = match braced {
            Some((name, after)) if is_name(name) => (name, after),
            Some((number, after)) if captures != Captures::None && is_number(number) => {
                let family = if captures == Captures::Rewrite { "rewrite_" } else { "" };
                for part in ["${", family, number, "}"] {
                    out.push_str(part);
                }
                rest = after;
                continue;
            }
            _ => {
                let end = behind.find(|mark: char| !(mark.is_ascii_alphanumeric() || mark == '_'));
                behind.split_at(end.unwrap_or(behind.len()))
            }
        };
        let digit = name.get(..1).filter(|digit| is_number(digit));
        if let Some(digit) = digit.filter(|_| captures != Captures::None && !is_number(name)) {
            // A group ends with its digit, whatever follows.
            let family = if captures == Captures::Rewrite { "rewrite_" } else { "" };
            let others = name.get(1..).unwrap_or_default();
            for part in ["${", family, digit, "}", others] {
                out.push_str(part);
            }
            rest = after;
        } else if is_number(name) && captures != Captures::None {
            // Only one digit counts as one there.
            let (digit, others) = name.split_at(1);
            let [front, back] = match captures {
                Captures::Rewrite => ["${rewrite_", "}"],
                Captures::Numbered | Captures::None => ["$", ""],
            };
            for part in [front, digit, back, others] {
                out.push_str(part);
            }
            rest = after;
        } else if is_name(name) {
            for part in ["${", renamed(name), "}"] {
                out.push_str(part);
            }
            rest = after;
        } else {
            out.push_str("$$");
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|mark: char| mark.is_ascii_alphabetic() || mark == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A dollar sign that is one.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

impl Item<'_> {
    /// Text, a number or a flag as a template. A line break in it would end a header field.
    pub(super) fn header_value(&self, captures: Captures) -> Option<String> {
        let text = self.scalar()?;
        if text.contains(['\r', '\n', '\0']) {
            self.invalid("a header holds no line break");
            return None;
        }
        super::doubts::variables(self, &text);
        Some(template(&text, captures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars() {
        for (text, wanted, captured) in [
            ("a", "a", "a"),
            ("$remote_addr", "${remote_addr}", "${remote_addr}"),
            ("${host}:x", "${host}:x", "${host}:x"),
            ("$a$b", "${a}${b}", "${a}${b}"),
            ("5 $", "5 $$", "5 $$"),
            ("$query_string${document_uri}", "${args}${uri}", "${args}${uri}"),
            ("$query_strings", "${query_strings}", "${query_strings}"),
            ("/$1/$2", "/$$1/$$2", "/$1/$2"),
            ("${", "$${", "$${"),
            ("$`1", "$$`1", "$$`1"),
            (r"\$uri/$uri", r"\$$uri/${uri}", r"\$$uri/${uri}"),
            (r"\${uri}", r"\$${uri}", r"\$${uri}"),
            ("$balancer_ip:$balancer_port.", "${upstream_addr}.", "${upstream_addr}."),
        ] {
            assert_eq!(template(text, Captures::None), wanted, "{text}");
            assert_eq!(template(text, Captures::Numbered), captured, "{text}");
        }
        for (text, numbered, rewrite) in [
            ("$1/${2}x", "$1/${2}x", "${rewrite_1}/${rewrite_2}x"),
            ("$12", "$12", "${rewrite_1}2"),
            ("/$1_$2x", "/${1}_${2}x", "/${rewrite_1}_${rewrite_2}x"),
            ("$uri_$1", "${uri_}$1", "${uri_}${rewrite_1}"),
        ] {
            assert_eq!(template(text, Captures::Numbered), numbered, "{text}");
            assert_eq!(template(text, Captures::Rewrite), rewrite, "{text}");
        }
    }
}
