//! `cors`, key by key.

use toml::Value as Toml;

use crate::fields::{Fields, plain, put};

use super::Target;

pub(super) fn cors(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let credential = fields.with("allow_credential", |item| item.flag());
    put(&mut table, "allow_credential", credential);
    for key in [
        "allow_origins",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "timing_allow_origins",
    ] {
        let text = fields.with(key, |item| item.text().map(str::to_owned));
        let any = match &text {
            Some(text) => text == "*",
            None => matches!(key, "allow_origins" | "allow_methods" | "allow_headers"),
        };
        if credential == Some(true) && any && key != "timing_allow_origins" {
            let message = format!(
                "`{key}` can't be \"*\" with `allow_credential`: browsers refuse it; \"**\" allows all"
            );
            fields.item().invalid(message);
        }
        put(&mut table, key, text.map(|text| plain(&text)));
    }
    put(&mut table, "max_age", fields.with("max_age", |item| item.integer(-1..=1_000_000_000)));
    for key in ["allow_origins_by_regex", "timing_allow_origins_by_regex"] {
        let list = fields.with(key, |item| {
            item.each_once();
            item.each(1, |item| item.filled().map(plain))
        });
        put(&mut table, key, list.map(Toml::Array));
    }
    fields.refuse("allow_origins_by_metadata", "write the origins into `allow_origins`");
    // As it does there; elsewhere an OPTIONS that asks for something else is the upstream's to answer.
    table.insert("answer_options".to_owned(), Toml::Boolean(true));
    put(target.table, "cors", Some(table));
}
