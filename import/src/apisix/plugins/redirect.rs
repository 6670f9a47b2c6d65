//! `redirect`.

use toml::Value as Toml;

use crate::fields::{Fields, plain, put};

use super::super::template::{Captures, template};
use super::Target;

pub(super) fn redirect(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let ways = ["uri", "regex_uri", "http_to_https"].map(|key| fields.has(key));
    if ways.iter().filter(|way| **way).count() != 1 {
        fields.item().invalid("exactly one of `uri`, `regex_uri` and `http_to_https` is needed");
    }
    put(
        &mut table,
        "uri",
        fields.with("uri", |item| Some(template(item.filled()?, Captures::None))),
    );
    let regex = fields.with("regex_uri", |item| {
        let mut expression = true;
        let pair = item.each(2, |item| {
            let text = item.filled()?;
            let is_expression = std::mem::replace(&mut expression, false);
            Some(if is_expression {
                plain(text)
            } else {
                plain(&template(text, Captures::Numbered))
            })
        })?;
        if pair.len() != 2 {
            item.invalid("`regex_uri` is an expression and what it becomes");
            return None;
        }
        Some(pair)
    });
    put(&mut table, "regex_uri", regex.map(Toml::Array));
    let to_https = fields.with("http_to_https", |item| item.flag());
    if to_https == Some(true) {
        fields.exclusive("http_to_https", "append_query_string");
        put(&mut table, "http_to_https", to_https);
        put(&mut table, "https_port", fields.item().work.settings.https_port.map(i64::from));
    } else if fields.has("http_to_https") && !fields.has("uri") && !fields.has("regex_uri") {
        // Says that nothing is to be done.
        fields.ignore(&["ret_code", "append_query_string", "encode_uri"]);
        return;
    }
    let status = fields.with("ret_code", |item| item.integer(200..=599));
    // To https it is always 301 or 308.
    put(&mut table, "status", status.filter(|_| to_https != Some(true)));
    for key in ["append_query_string", "encode_uri"] {
        put(&mut table, key, fields.with(key, |item| item.flag()));
    }
    put(target.table, "redirect", Some(table));
}
