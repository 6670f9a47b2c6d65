//! What a line that is not TOML was meant to be: people who write YAML or nginx leave out quotes.
//!
//! In: the text and the place of an error in it. Out: the line to write, where that can be told.

use toml::de::DeTable;

use crate::describe::every_table;
use crate::place::Place;
use crate::source::sounds_secret;

/// What to write in place of the line of an error.
pub(crate) fn help(text: &str, place: Place) -> Option<String> {
    let at = text.floor_char_boundary(place.start as usize);
    let (front, behind) = text.split_at_checked(at)?;
    let start = front.rfind('\n').map_or(0, |feed| feed + 1);
    let line = front.get(start..)?.to_owned() + behind.lines().next().unwrap_or_default();
    // What is wrong with it may be that it stands there twice.
    if DeTable::parse(&line).is_ok() {
        return None;
    }
    let Some((name, value)) = line.split_once('=') else {
        let (name, value) = line.split_once(':')?;
        return (is_name(name) && value.starts_with(' '))
            .then(|| "write `name = value`".to_owned());
    };
    let (name, value) = (name.trim(), value.split('#').next().unwrap_or_default().trim());
    if !is_name(name) || value.is_empty() || value.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    if sounds_secret(name) || value.contains(['"', '\\', '\'']) {
        return Some("text stands in quotes".to_owned());
    }
    Some(match value {
        "on" | "yes" | "True" | "TRUE" => format!("write `{name} = true`"),
        "off" | "no" | "False" | "FALSE" => format!("write `{name} = false`"),
        _ if !is_known(name) => "text stands in quotes".to_owned(),
        value => {
            format!("text stands in quotes: write `{name} = \"{}\"`", value.trim_end_matches(';'))
        }
    })
}

/// Is it a key of the file? Of others nobody knows whether their value may be shown.
fn is_known(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    every_table().into_iter().any(|table| table.key(last).is_some())
}

fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.trim().is_empty() && text.trim().bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_flags_of_other_languages_are_written_as_toml_has_them() {
        for (line, wanted) in [
            (
                "address = 0.0.0.0:443",
                Some("text stands in quotes: write `address = \"0.0.0.0:443\"`"),
            ),
            ("sni = a.test # x", Some("text stands in quotes: write `sni = \"a.test\"`")),
            (
                "keepalive_timeout = 60s;",
                Some("text stands in quotes: write `keepalive_timeout = \"60s\"`"),
            ),
            ("tls = on", Some("write `tls = true`")),
            ("tls = False", Some("write `tls = false`")),
            ("tls: true", Some("write `name = value`")),
            ("api_key = TOPSECRET", Some("text stands in quotes")),
            ("runtime.pin = TOPSECRET", Some("text stands in quotes")),
            ("nobody_knows = TOPSECRET", Some("text stands in quotes")),
            (
                "listen.address = a.test",
                Some("text stands in quotes: write `listen.address = \"a.test\"`"),
            ),
            ("sni = a\"b", Some("text stands in quotes")),
            ("sni = \"a", None),
            ("sni = ", None),
            ("[[listen]", None),
            ("nonsense", None),
            ("b = 2", None),
            ("", None),
        ] {
            let text = format!("a = 1\n{line}\nb = 2\n");
            let found = help(&text, Place { start: 6, end: 7 });
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
        assert_eq!(help("", Place { start: 9, end: 9 }), None);
    }
}
