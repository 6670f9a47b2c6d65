//! `mocking` and the `abort` of `fault-injection` become `return`.

use toml::Value as Toml;

use crate::document::{Entry, Value};
use crate::fields::{Fields, Item, Path, put};

use super::super::template::{Captures, template};
use super::Target;
use super::rewrite::name;

/// Statuses that Ferrule can answer with by itself.
const STATUS: std::ops::RangeInclusive<i64> = 200..=599;

pub(super) fn mocking(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut answer = toml::Table::new();
    let status = fields.with("response_status", |item| item.integer(STATUS));
    put(&mut answer, "status", Some(status.unwrap_or(200)));
    let body = fields
        .with("response_example", |item| item.text().map(|text| template(text, Captures::None)));
    let random = fields.with("response_schema", |item| {
        if body.is_none() {
            item.refuse("bodies are not made up: write one into `response_example`");
        }
        Some(())
    });
    if body.is_none() && random.is_none() {
        fields.item().invalid("`response_example` or `response_schema` is needed");
    }
    put(&mut answer, "body", body);
    let content_type = fields.with("content_type", |item| item.filled().map(str::to_owned));
    let content_type =
        content_type.unwrap_or_else(|| String::from("application/json;charset=utf8"));
    put(&mut answer, "content_type", Some(content_type));
    let headers = fields.with("response_headers", |item| headers(&item));
    put(&mut answer, "headers", headers.filter(|headers| !headers.is_empty()));
    no_delay(fields);
    if fields.with("with_mock_header", |item| item.flag()) != Some(false) {
        fields.item().changed("the header x-mock-by, which tells APISIX's version, is not sent");
    }
    put_answer(fields, target, answer);
}

pub(super) fn fault_injection(fields: &Fields<'_>, target: &mut Target<'_>) {
    if !fields.has("abort") && !fields.has("delay") {
        fields.item().invalid("`abort` or `delay` is needed");
    }
    let _ = fields.with("delay", |item| {
        item.refuse("no request is delayed on purpose here");
        Some(())
    });
    let answer = fields.with("abort", |item| {
        let fields = item.fields()?;
        let mut answer = toml::Table::new();
        put(&mut answer, "status", fields.need("http_status", |item| item.integer(STATUS)));
        let body =
            fields.with("body", |item| item.text().map(|text| template(text, Captures::None)));
        put(&mut answer, "body", body);
        let headers = fields.with("headers", |item| headers(&item));
        put(&mut answer, "headers", headers.filter(|headers| !headers.is_empty()));
        let percentage = fields.with("percentage", |item| item.integer(0..=100));
        if percentage.is_some_and(|percentage| percentage != 100) {
            item.refuse(
                "all requests of a route are answered, or none: `percentage` is 100, or not there",
            );
        }
        fields.refuse("vars", "write a route of its own, with these `vars`");
        fields.finish();
        Some(answer)
    });
    if let Some(answer) = answer {
        put_answer(fields, target, answer);
    }
}

fn no_delay(fields: &Fields<'_>) {
    let _ = fields.with("delay", |item| {
        if item.integer(0..=i64::MAX)? > 0 {
            item.refuse("no answer is delayed on purpose here");
        }
        Some(())
    });
}

/// Fields of the answer; numbers are written as text.
fn headers(item: &Item<'_>) -> Option<toml::Table> {
    let mut table = toml::Table::new();
    for Entry { key, node, .. } in item.lines()? {
        let path = Path::Key(item.path, key);
        let line = Item { node, path: &path, work: item.work };
        if matches!(node.value, Value::List(_) | Value::Table(_)) {
            line.refuse("the value of a header is text");
            continue;
        }
        if let (Some(name), Some(value)) = (name(&line, key), line.header_value(Captures::None)) {
            table.insert(name.to_owned(), Toml::String(value));
        }
    }
    Some(table)
}

fn put_answer(fields: &Fields<'_>, target: &mut Target<'_>, answer: toml::Table) {
    if target.table.contains_key("return") {
        fields.item().refuse("another plugin answers these requests already");
        return;
    }
    put(target.table, "return", Some(answer));
}
