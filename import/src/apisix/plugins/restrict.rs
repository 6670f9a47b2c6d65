//! `ua-restriction`, `referer-restriction` and `uri-blocker` become entries of `refuse`.

use toml::Value as Toml;

use crate::fields::{Fields, Item, plain, put};
use crate::pcre;

use super::{Target, push};

/// What APISIX's parser of URIs (lua-resty-http) takes for a scheme and a host.
const ANY_REFERER: &str = r"^(?:https?:)?//(?:[^\[\]:/?]+|\[.+\])";

/// A rule, what it tells whom it refuses, and with which status.
fn refuse(target: &mut Target<'_>, vars: Toml, status: Option<i64>, body: Option<String>) {
    let mut rule = toml::Table::new();
    put(&mut rule, "vars", Some(vars));
    put(&mut rule, "status", status);
    put(&mut rule, "body", body.map(|body| plain(&body)));
    push(target.table, "refuse", rule);
}

fn condition(words: &[&str]) -> Toml {
    Toml::Array(words.iter().map(|word| plain(word)).collect())
}

/// All of these conditions.
fn all(conditions: Vec<Toml>) -> Toml {
    Toml::Array(conditions)
}

/// Any of these conditions.
fn any(conditions: Vec<Toml>) -> Toml {
    let joined = std::iter::once(Toml::from("OR")).chain(conditions).collect();
    Toml::Array(vec![Toml::Array(joined)])
}

/// `{"message": ...}`, as APISIX words its refusals.
fn message(fields: &Fields<'_>, default: &str) -> String {
    let message = fields.with("message", |item| item.filled().map(str::to_owned));
    let message = message.unwrap_or_else(|| default.to_owned());
    serde_json::json!({ "message": message }).to_string()
}

/// Refuses an expression that means something else here.
fn same(item: &Item<'_>, expression: &str) {
    if let Some(why) = pcre::differs(expression) {
        item.refuse(why);
    }
}

/// A list of expressions as one.
fn expressions(item: &Item<'_>) -> Option<String> {
    let list = item.each(1, |item| {
        let text = item.filled()?;
        same(&item, text);
        Some(format!("(?:{text})"))
    })?;
    Some(list.join("|"))
}

pub(super) fn user_agent(fields: &Fields<'_>, target: &mut Target<'_>) {
    if fields.has("allowlist") == fields.has("denylist") {
        fields.item().invalid("exactly one of `allowlist` and `denylist` is needed");
    }
    let bypass = fields.with("bypass_missing", |item| item.flag()) == Some(true);
    let body = message(fields, "Not allowed");
    let allowed = fields.with("allowlist", |item| expressions(&item));
    let denied = fields.with("denylist", |item| expressions(&item));
    let name = "http_user_agent";
    let missing = condition(&[name, "==", ""]);
    let vars = match (&allowed, &denied) {
        (Some(allowed), _) if bypass => {
            all(vec![condition(&[name, "~=", ""]), condition(&[name, "!", "~~", allowed])])
        }
        (Some(allowed), _) => any(vec![missing, condition(&[name, "!", "~~", allowed])]),
        (None, Some(denied)) if bypass => all(vec![condition(&[name, "~~", denied])]),
        (None, Some(denied)) => any(vec![missing, condition(&[name, "~~", denied])]),
        (None, None) => return,
    };
    refuse(target, vars, Some(403), Some(body));
}

/// An expression for the hosts of a list, as APISIX compares them: byte for byte, `*` for anything before.
fn hosts(item: &Item<'_>) -> Option<String> {
    let list = item.each(1, |item| {
        let host = item.filled()?;
        let (front, name) = match host.strip_prefix('*') {
            Some(name) => (r"[^\[\]:/?]*", name),
            None => ("", host),
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.bytes().all(allowed) {
            item.invalid("a host is a name or an IPv4 address, perhaps with a `*` in front");
            return None;
        }
        Some(format!("{front}{}", name.replace('.', r"\.")))
    })?;
    Some(format!(r"^(?:https?:)?//(?:{})(?:[\[\]:/?]|$)", list.join("|")))
}

pub(super) fn referer(fields: &Fields<'_>, target: &mut Target<'_>) {
    if fields.has("whitelist") == fields.has("blacklist") {
        fields.item().invalid("exactly one of `whitelist` and `blacklist` is needed");
    }
    let bypass = fields.with("bypass_missing", |item| item.flag()) == Some(true);
    let body = message(fields, "Your referer host is not allowed");
    let allowed = fields.with("whitelist", |item| hosts(&item));
    let denied = fields.with("blacklist", |item| hosts(&item));
    let name = "http_referer";
    let vars = match (&allowed, &denied) {
        // A header that is no URI is as good as none.
        (Some(allowed), _) if bypass => {
            all(vec![condition(&[name, "~~", ANY_REFERER]), condition(&[name, "!", "~~", allowed])])
        }
        (Some(allowed), _) => all(vec![condition(&[name, "!", "~~", allowed])]),
        (None, Some(denied)) if bypass => all(vec![condition(&[name, "~~", denied])]),
        (None, Some(denied)) => {
            any(vec![condition(&[name, "!", "~~", ANY_REFERER]), condition(&[name, "~~", denied])])
        }
        (None, None) => return,
    };
    refuse(target, vars, Some(403), Some(body));
}

/// APISIX looks at the decoded path with the query. Here both the path, in each of its readings, and the target as it
/// was sent are looked at.
pub(super) fn uri_blocker(fields: &Fields<'_>, target: &mut Target<'_>) {
    let rules = fields.need("block_rules", |item| {
        item.each_once();
        let list = item.each(0, |item| {
            let rule = item.filled()?;
            same(&item, rule);
            if rule.contains('$') {
                item.changed("the end of a path is its end here, too, if a query follows");
            }
            Some(rule.to_owned())
        })?;
        Some(list)
    });
    let folded = fields.with("case_insensitive", |item| item.flag()) == Some(true);
    let status = fields.with("rejected_code", |item| {
        let status = item.integer(200..=999)?;
        if !(400..=599).contains(&status) {
            item.refuse("a request is refused with a status from 400 to 599");
            return None;
        }
        Some(status)
    });
    let body = fields.with("rejected_msg", |item| item.filled().map(str::to_owned));
    let body = body.map(|text| serde_json::json!({ "error_msg": text }).to_string());
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return };
    let rules: Vec<String> = rules.iter().map(|rule| format!("(?:{rule})")).collect();
    let expression = rules.join("|");
    let operator = if folded { "~*" } else { "~~" };
    let on = |variable| condition(&[variable, operator, &expression]);
    refuse(target, any(vec![on("uri"), on("request_uri")]), status, body);
}
