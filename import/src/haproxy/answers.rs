//! Rules that answer by themselves: `deny`, `return` and `redirect`.

use toml::Value as Toml;

use crate::fields::put;

use super::condition::AclCondition;
use super::rules::{PlannedRoute, RuleChain, RuleReader};
use super::sample::format;
use super::words::ConfigLine;

/// What such a rule says.
#[derive(Default)]
struct AnswerWords {
    status: Option<i64>,
    body: Option<String>,
    content_type: Option<String>,
    headers: toml::Table,
    place: Option<String>,
    /// Where `if` or `unless` may stand.
    next: usize,
}

/// Reads the rule whose word stands at `at`.
pub(super) fn read(
    reader: RuleReader<'_>,
    line: &ConfigLine,
    at: usize,
    chain: &mut RuleChain,
    routes: &mut Vec<PlannedRoute>,
) {
    let kind = line.word(at);
    let redirects = kind == "redirect";
    let Some(words) = words(reader, line, at.saturating_add(1), redirects) else { return };
    let Some(condition) = reader.condition(line, words.next, chain) else { return };
    if condition == AclCondition::Constant(false) {
        reader.dropped(line, at, "its condition never holds");
        return;
    }
    let always = condition == AclCondition::Constant(true);
    let status = words.status.unwrap_or(match kind {
        "deny" => 403,
        "redirect" => 302,
        _ => 200,
    });
    if kind == "deny" && !always && (400..600).contains(&status) && words.headers.is_empty() {
        let mut refusal = toml::Table::new();
        put(&mut refusal, "vars", Some(Toml::Array(condition.vars())));
        put(&mut refusal, "status", (status != 403).then_some(status));
        put(&mut refusal, "body", words.body.map(|body| body.replace("$$", "$")));
        chain.refusals.push(refusal);
        return;
    }
    let (key, value) = if redirects {
        ("redirect", redirect(&words, status, line, at, reader))
    } else {
        ("return", answer(&words, status))
    };
    routes.push(PlannedRoute {
        chain: chain.narrowed(&condition),
        key,
        value: Toml::Table(value),
        responses: Vec::new(),
        line: line.clone(),
    });
    chain.closed |= always;
}

fn answer(words: &AnswerWords, status: i64) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "status", Some(status));
    put(&mut table, "body", words.body.clone());
    if words.body.is_some() {
        put(&mut table, "content_type", words.content_type.clone());
    }
    if !words.headers.is_empty() {
        put(&mut table, "headers", Some(words.headers.clone()));
    }
    table
}

fn redirect(
    words: &AnswerWords,
    status: i64,
    line: &ConfigLine,
    at: usize,
    reader: RuleReader<'_>,
) -> toml::Table {
    let mut table = toml::Table::new();
    if words.place.is_none() {
        line.refuse(reader.work, at, "`location`, `prefix` or `scheme` is missing");
    }
    put(&mut table, "uri", words.place.clone());
    put(&mut table, "status", (status != 302).then_some(status));
    table
}

/// Takes the words up to the condition. `None` if one is refused.
fn words(
    reader: RuleReader<'_>,
    line: &ConfigLine,
    start: usize,
    redirects: bool,
) -> Option<AnswerWords> {
    let mut words = AnswerWords { next: start, ..AnswerWords::default() };
    let mut whole = true;
    loop {
        let at = words.next;
        let word = line.word(at);
        if word.is_empty() && at >= line.words.len() || matches!(word, "if" | "unless") {
            break;
        }
        let value_at = at.saturating_add(1);
        words.next = value_at.saturating_add(1);
        let text = || {
            let mut note = |text: &'static str| line.changed(reader.work, value_at, text);
            format(line.word(value_at), reader.scene, &mut note)
        };
        let literal = line.word(value_at).replace('$', "$$");
        let done = match word {
            "deny_status" | "status" | "code" => {
                status(line.word(value_at)).map(|status| words.status = Some(status))
            }
            "content-type" if !redirects => {
                words.content_type = Some(line.word(value_at).to_owned());
                Ok(())
            }
            "string" if !redirects => {
                words.body = Some(literal);
                Ok(())
            }
            "lf-string" if !redirects => text().map(|text| words.body = Some(text)),
            "hdr" if !redirects => {
                let name = line.word(value_at).to_owned();
                let value_at = words.next;
                words.next = value_at.saturating_add(1);
                let mut note = |text: &'static str| line.changed(reader.work, value_at, text);
                format(line.word(value_at), reader.scene, &mut note).and_then(|value| {
                    let twice = words.headers.keys().any(|known| known.eq_ignore_ascii_case(&name));
                    words.headers.insert(name, Toml::String(value));
                    if twice { Err(String::from("a header is set once")) } else { Ok(()) }
                })
            }
            "location" if redirects => text().map(|text| words.place = Some(text)),
            "prefix" if redirects => {
                text().map(|text| words.place = Some(format!("{text}${{request_uri}}")))
            }
            "scheme" if redirects && line.word(value_at) == "https" => {
                words.place = Some(String::from("https://${http_host}${request_uri}"));
                Ok(())
            }
            other => Err(format!("`{other}` is not converted")),
        };
        if let Err(message) = done {
            line.refuse(reader.work, at, message);
            whole = false;
        }
    }
    // HAProxy sends text without a type as HTML, in which no variable may stand here.
    if words.body.is_some() && words.content_type.is_none() {
        words.content_type = Some(String::from("text/html"));
    }
    whole.then_some(words)
}

fn status(text: &str) -> Result<i64, String> {
    let status = text.parse().ok().filter(|status| (200..600).contains(status));
    status.ok_or_else(|| format!("{text:?} is no status from 200 to 599"))
}
