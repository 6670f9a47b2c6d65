//! Credentials that stand in the configuration itself.
//!
//! In: the value of a header as it is written, `${env:NAME}` and variables included. Out: does it hold
//! text of its own that may open a door? The scheme of `Bearer ${env:TOKEN}` and the name of
//! `session=${env:ID}` open none. In doubt it does.

use crate::place::Place;

/// A header with such a value.
#[derive(Clone, Debug)]
pub(crate) struct FixedCredential {
    /// The value.
    pub(crate) place: Place,
    /// Its path.
    pub(crate) field: String,
    /// The header.
    pub(crate) name: String,
}

/// Does a value hold anything but variables and what introduces them?
pub(crate) fn is_fixed(written: &str) -> bool {
    let mut rest = written;
    let mut first = true;
    while let Some((front, behind)) = variable(rest) {
        if !introduces(front, first) {
            return true;
        }
        (rest, first) = (behind, false);
    }
    let end = rest.trim_matches(SEPARATORS);
    !end.is_empty()
}

/// What stands between parameters, and around their values.
const SEPARATORS: [char; 5] = [' ', '\t', ',', ';', '"'];

/// The text in front of the first variable, and what stands behind it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('$')?;
        let (front, behind) = (text.get(..at)?, text.get(at + 1..)?);
        if behind.starts_with('$') {
            // A dollar sign.
            from = at + 2;
        } else if let Some(inner) = behind.strip_prefix('{') {
            let (_, behind) = inner.split_once('}')?;
            return Some((front, behind));
        } else {
            return Some((front, behind.trim_start_matches(is_word)));
        }
    }
}

/// Is this nothing but a scheme, at the beginning, or the name of a parameter?
fn introduces(front: &str, first: bool) -> bool {
    let front = front.trim_start_matches(SEPARATORS);
    let scheme = front.split_once(' ').filter(|(word, _)| first && word.chars().all(is_name));
    let name = scheme.map_or(front, |(_, behind)| behind.trim_start_matches(' '));
    let bare = name.strip_suffix('"').unwrap_or(name).strip_suffix('=');
    name.is_empty() || bare.is_some_and(|bare| bare.chars().all(is_name))
}

const fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

const fn is_name(letter: char) -> bool {
    is_word(letter) || matches!(letter, '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_not_fixed_and_all_else_is() {
        for written in [
            "",
            "${env:TOKEN}",
            "Bearer ${env:TOKEN}",
            "Token token=\"${env:TOKEN}\"",
            "session=${env:ID}",
            "a=${env:A}; b=$request_id",
            "$ssl_client_s_dn",
            "$ssl_client_serial, ${request_id}",
        ] {
            assert!(!is_fixed(written), "{written}");
        }
        for written in [
            "s3cret",
            "Basic dXNlcjpwYXNz",
            "Bearer $$ecret",
            "Bearer s3cret$request_id",
            "Bearer s3cret $request_id",
            "Bearer ${env:TOKEN}s3cret",
            "a=s3cret; b=$request_id",
            "a=$request_id; b=s3cret",
            "s3cret-$request_id",
            "$$${env:A}",
            "${env:A}, s3cret=$request_id, s3cret",
            "${unclosed",
        ] {
            assert!(is_fixed(written), "{written}");
        }
    }
}
