//! Is an answer the expected one? As Test::Nginx compares: a body as a whole, header fields one by one.

use regex::Regex;
use serde_json::Value;

use crate::case::Case;

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Empty if nothing came in time.
    pub(crate) status: String,
    /// `Name: value`, a line each.
    pub(crate) fields: String,
    pub(crate) body: String,
}

/// What is wrong with these answers; `None` if nothing is.
pub(crate) fn fault(case: &Case, answers: &[Answer]) -> Option<String> {
    let statuses: Vec<&str> = answers.iter().map(|answer| answer.status.as_str()).collect();
    if !case.statuses.is_empty() && statuses != case.statuses {
        return Some(format!("status {statuses:?}, wanted {:?}", case.statuses));
    }
    let last = answers.last()?;
    body_fault(case, &last.body)
        .or_else(|| fields_fault(&case.expect["response_headers"], &last.fields))
}

/// The same for the body alone.
pub(crate) fn body_fault(case: &Case, body: &str) -> Option<String> {
    let whole = &case.expect["response_body"];
    let part = &case.expect["response_body_like"];
    text_fault(whole, body, false).or_else(|| text_fault(part, body, true))
}

fn text_fault(wanted: &Value, text: &str, like: bool) -> Option<String> {
    let pattern = match wanted {
        Value::Null => return None,
        Value::String(whole) if !like => {
            let same = whole.trim_end_matches('\n') == text.trim_end_matches('\n');
            return (!same).then(|| format!("body {text:?}, wanted {whole:?}"));
        }
        Value::String(pattern) => pattern,
        other => other["regex"].as_str().expect("a regular expression"),
    };
    let found = expression(pattern).is_match(text);
    (!found).then(|| format!("body {text:?}, wanted something like {pattern:?}"))
}

/// As Perl's with `/s`.
pub(crate) fn expression(pattern: &str) -> Regex {
    Regex::new(&format!("(?s){pattern}")).expect("an expression that Rust knows")
}

fn fields_fault(wanted: &Value, fields: &str) -> Option<String> {
    match wanted {
        Value::Null => None,
        Value::String(lines) => lines.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let (name, value) = (name.trim(), value.trim());
            let have = joined(fields, name);
            // The case of its options means nothing (RFC 9110, section 7.6.1).
            let is_options = name.eq_ignore_ascii_case("connection");
            let same = have == value || (is_options && have.eq_ignore_ascii_case(value));
            (!same).then(|| format!("{name}: {have:?}, wanted {value:?}"))
        }),
        other => {
            let pattern = other["regex"].as_str().expect("a regular expression");
            let found = expression(pattern).is_match(fields);
            (!found).then(|| format!("fields {fields:?}, wanted something like {pattern:?}"))
        }
    }
}

/// All values of a field, as one.
fn joined(fields: &str, name: &str) -> String {
    let values = fields.lines().filter_map(|line| line.split_once(':'));
    let values = values.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    values.map(|(_, value)| value.trim()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(status: &str, expect: &str) -> Case {
        Case::read(&format!(
            r#"{{"file": "f", "title": "TEST 1: t", "kind": "request", "status": {status}, "expect": {expect}}}"#
        ))
    }

    #[test]
    fn answers_are_compared() {
        let answer = Answer {
            status: "200".to_owned(),
            fields: "A: 1\nB: 2\na: 3\n".to_owned(),
            body: "x\ny\n".to_owned(),
        };
        for (status, expect, good) in [
            ("200", "{}", true),
            ("\"404\"", "{}", false),
            ("null", "{}", true),
            ("[200]", "{}", true),
            ("[200, 200]", "{}", false),
            ("200", r#"{"response_body": "x\ny"}"#, true),
            ("200", r#"{"response_body": "x"}"#, false),
            ("200", r#"{"response_body": {"regex": "x.y"}}"#, true),
            ("200", r#"{"response_body": {"regex": "^y"}}"#, false),
            ("200", r#"{"response_body_like": "x.y"}"#, true),
            ("200", r#"{"response_headers": "a: 1, 3\nC:"}"#, true),
            ("200", r#"{"response_headers": "B:"}"#, false),
            ("200", r#"{"response_headers": "A: 1"}"#, false),
            ("200", r#"{"response_headers": {"regex": "B: \\d"}}"#, true),
            ("200", r#"{"error_log": "anything"}"#, true),
        ] {
            let found = fault(&case(status, expect), std::slice::from_ref(&answer));
            assert_eq!(found.is_none(), good, "{status} {expect}: {found:?}");
        }
    }
}
