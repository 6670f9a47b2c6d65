//! What is not shown: values of fields and operands of conditions whose name says that they open doors, and
//! parameters of such a name in the query of a URI.
//!
//! Bodies, messages and expressions are content, and are shown.

use super::writer::{Writer, quoted_key, template_text};
use crate::model::HeaderValue;
use crate::source::sounds_secret;
use crate::template::{Piece, Template};

/// The value of a field; fixed text of one that opens doors is redacted.
pub(super) fn header_value(out: &Writer, header: &HeaderValue) -> String {
    if !sounds_secret(&header.name) {
        return template_text(&header.value);
    }
    let pieces = header.value.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => Piece::Text(out.secret(text)),
        Piece::Variable(variable) => Piece::Variable(variable.clone()),
    });
    template_text(&Template { pieces: pieces.collect() })
}

/// A value that knows no variables.
pub(super) fn fixed_value(out: &Writer, name: &str, value: &str) -> String {
    if sounds_secret(name) && !value.is_empty() { out.secret(value) } else { value.to_owned() }
}

/// A table of fields; of several values of one name, which stand side by side, a list.
pub(super) fn fields(out: &Writer, headers: &[HeaderValue]) -> String {
    let lists = headers.chunk_by(|one, other| one.name == other.name).map(|values| {
        let name = values.first().map_or("", |first| &first.name);
        let texts: Vec<_> = values.iter().map(|value| header_value(out, value)).collect();
        match texts.as_slice() {
            [one] => format!("{} = {one}", quoted_key(name)),
            several => format!("{} = [{}]", quoted_key(name), several.join(", ")),
        }
    });
    format!("{{ {} }}", lists.collect::<Vec<_>>().join(", "))
}

/// A URI, or what becomes one: in its query may be a token. Variables stay.
pub(super) fn uri(out: &Writer, text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else { return text.to_owned() };
    let (query, fragment) = query.find('#').map_or((query, ""), |at| query.split_at(at));
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if sounds_secret(name) && !is_variable(value) => {
            format!("{name}={}", out.secret(value))
        }
        _ => parameter.to_owned(),
    });
    format!("{path}?{}{fragment}", parameters.collect::<Vec<_>>().join("&"))
}

/// Does it begin with a variable, or is it empty?
fn is_variable(value: &str) -> bool {
    value.is_empty() || (value.starts_with('$') && !value.starts_with("$$"))
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;
    use std::path::Path;

    use toml::Value;

    use super::*;
    use crate::describe::{Kind, ROOT, Table};
    use crate::model::Config;

    static FULL: &str = include_str!("../../examples/full.toml");
    const SECRET: &str = "TOPSECRET";

    /// What holds a secret in the place of each key that can.
    fn planted(name: &str, kind: Kind) -> Option<&'static str> {
        Some(match (name, kind) {
            ("break_response_headers", _) => {
                "{ Set-Cookie = 'TOPSECRET', X-Api-Key = 'a$$TOPSECRET' }"
            }
            (_, Kind::Fields(true)) => {
                "{ Authorization = 'Bearer TOPSECRET', X-Api-Key = ['TOPSECRET1', 'TOPSECRET2'] }"
            }
            (_, Kind::Fields(false)) => "{ Authorization = 'TOPSECRET', Cookie = 'a=TOPSECRET' }",
            (_, Kind::Identity(_)) => "{ X-Auth-Mark = 'TOPSECRET' }",
            (_, Kind::Conditions) => {
                "[['http_authorization', '==', 'TOPSECRET'], ['cookie_a', '~~', 'TOPSECRET.*'],
                  ['arg_token', '!', 'in', ['TOPSECRET1', 'TOPSECRET2']],
                  ['OR', ['http_x_api_key', 'has', 'TOPSECRET'],
                   ['!AND', ['cookie_b', '~*', 'TOPSECRET'], ['http_x_pin', '==', 'TOPSECRET']]]]"
            }
            ("password", Kind::Secret) => "'TOPSECRET'",
            ("req_headers", _) => "['Authorization: Bearer TOPSECRET', 'X-Token: TOPSECRET']",
            ("http_path", _) => "'/health?a=b&api_key=TOPSECRET&c=d'",
            _ => return None,
        })
    }

    /// Plants a secret wherever one can be, and counts the places.
    fn plant(table: &mut toml::Table, described: &'static Table, places: &mut Vec<&'static str>) {
        for key in described.keys {
            let Some(value) = table.get_mut(key.name) else { continue };
            if let Some(text) = planted(key.name, key.kind) {
                let line = format!("{} = {text}", key.name).parse::<toml::Table>().unwrap();
                *value = line.get(key.name).unwrap().clone();
                places.push(key.name);
                continue;
            }
            let (Kind::Table(inner)
            | Kind::Short(inner, _)
            | Kind::Tables(inner)
            | Kind::TableOrTables(inner)) = key.kind
            else {
                continue;
            };
            match value {
                Value::Table(one) => plant(one, inner, places),
                Value::Array(list) => {
                    for one in list.iter_mut().filter_map(Value::as_table_mut) {
                        plant(one, inner, places);
                    }
                }
                _ => {}
            }
        }
    }

    fn read(text: &str) -> Config {
        let draft = crate::read_text(Path::new("/f.toml"), text.to_owned(), &|_| None).unwrap();
        assert!(draft.problems.error_lines().next().is_none(), "{}", draft.problems);
        draft.config
    }

    #[test]
    fn no_key_that_may_hold_a_secret_shows_it() {
        let mut full: toml::Table = toml::from_str(FULL).unwrap();
        let mut places = Vec::new();
        plant(&mut full, &ROOT, &mut places);
        for key in ["headers", "break_response_headers", "identity_headers", "add", "set", "vars"] {
            assert!(places.contains(&key), "{key}: {places:?}");
        }
        for key in ["req_headers", "http_path", "password"] {
            assert!(places.contains(&key), "{key}: {places:?}");
        }
        let config = read(&full.to_string());
        let (dump, marked) = (config.dump(), config.dump_marked(&RandomState::new()));
        for text in [&dump, &marked] {
            let shown = text.lines().find(|line| line.contains(SECRET));
            assert_eq!(shown, None);
        }
        assert!(dump.matches("<redacted>").count() >= places.len(), "{dump}");
        // What is shown instead is a value that is taken.
        for text in [dump, marked] {
            read(&text);
        }
    }

    #[test]
    fn tokens_in_queries_are_not_shown() {
        let out = Writer::default();
        for (text, shown) in [
            ("/a?b=c", "/a?b=c"),
            ("/a?token=x#y", "/a?token=<redacted>#y"),
            ("/a?b=c&api_key=x&d", "/a?b=c&api_key=<redacted>&d"),
            ("/token=x", "/token=x"),
            ("/a?token=${arg_token}", "/a?token=${arg_token}"),
            ("/a?token=$$x", "/a?token=<redacted>"),
        ] {
            assert_eq!(uri(&out, text), shown);
        }
    }
}
