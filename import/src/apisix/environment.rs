//! `${{NAME}}` and `${{NAME:=default}}`: APISIX puts variables of the environment into the text before it is parsed.

use crate::document::{DocumentError, Spot};

/// Puts the variables in.
///
/// # Errors
/// A variable is not set and has no default, or a brace is missing. No value is shown.
pub(super) fn substitute(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, DocumentError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((front, behind)) = rest.split_once("${{") {
        out.push_str(front);
        let spot = || {
            let read = text.len() - behind.len();
            let before = text.get(..read).unwrap_or_default();
            Spot { line: before.matches('\n').count() + 1, column: 1 }
        };
        let Some((inner, after)) = behind.split_once("}}") else {
            return Err(DocumentError::new(spot(), "a `${{` without its `}}`"));
        };
        let (name, default) = match inner.split_once(":=") {
            Some((name, default)) => (name.trim(), Some(default)),
            None => (inner.trim(), None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            // Never shown: it may be anything that stands between two braces.
            return Err(DocumentError::new(spot(), "a `${{` that no name of a variable follows"));
        }
        match env(name).filter(|value| !value.is_empty()).as_deref().or(default) {
            Some(value) => out.push_str(value),
            None => {
                let message = format!("the environment variable `{name}` is not set");
                return Err(DocumentError::new(spot(), message));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_defaults() {
        let env = |name: &str| (name == "PORT").then(|| "80".to_owned());
        let put = |text: &str| substitute(text, &env).map_err(|error| error.to_string());
        assert_eq!(put("a: ${{PORT}}\nb: ${{ PORT }}").unwrap(), "a: 80\nb: 80");
        assert_eq!(put("a: ${{X:=7}} $x ${x}").unwrap(), "a: 7 $x ${x}");
        assert_eq!(
            put("a: 1\nb: ${{X}}").unwrap_err(),
            "2:1: the environment variable `X` is not set"
        );
        assert!(put("${{X").is_err());
        assert!(!put("${{key: SECRET\n}}").unwrap_err().contains("SECRET"));
    }
}
